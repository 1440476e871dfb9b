#include "upgrade.h"

#include <stdio.h>

#include "config.h"
#include "fail.h"
#include "json_write.h"
#include "meta.h"
#include "verb.h"

static void say(void *ctx, const char *line)
{
	struct buffer b = { 0 };
	struct json_writer j = { .out = &b };
	if (*(const bool *)ctx) {
		json_put_open(&j, '{');
		json_put_key(&j, "did");
		json_put_text(&j, span_of(line));
		json_put_close(&j, '}');
	} else {
		buffer_puts(&b, line);
	}
	printf("%.*s\n", (int)b.n, b.p);
	buffer_free(&b);
}

int upgrade_run(const char *dir, const struct config *c, bool init, bool json)
{
	const struct meta_options o = { .dir = dir };
	int r = meta_upgrade(c->meta_url, &o, init, say, &json);
	if (!r)
		return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
	fprintf(stderr, "perdura: %s\n", fail_detail());
	return r == ERR_UNAVAILABLE ? EXIT_RETRY : EXIT_FAILED;
}
