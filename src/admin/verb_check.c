/* perdura check */
#include "fail.h"
#include "verb_common.h"
#include "verify.h"

static void say(void *ctx, const char *line)
{
	request_error(ctx, EXIT_FAILED, "%s", line);
}

static void progress(void *ctx, uint64_t done, uint64_t total)
{
	request_progress(ctx, done, total, "checked");
}

static void report(struct request *r, const struct verify_report *v)
{
	const struct {
		const char *name;
		uint64_t value;
	} rows[] = { { "accounts", v->accounts }, { "changes", v->changes }, { "entries", v->entries }, { "versions", v->versions },
		     { "emails", v->emails }, { "blobs", v->blobs }, { "records", v->records }, { "bytes", v->bytes },
		     { "unreferenced", v->unreferenced }, { "orphans", v->orphans }, { "staged", v->staged }, { "unused", v->unused }, { "troubles", v->troubles } };
	struct buffer b = { 0 };
	struct json_writer j = { &b, false };
	json_put_open(&j, '{');
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		json_put_key(&j, rows[i].name);
		json_put_int(&j, (int64_t)rows[i].value);
		if (!r->json)
			request_line(r, "%-13s %llu", rows[i].name, (unsigned long long)rows[i].value);
	}
	json_put_close(&j, '}');
	if (r->json)
		verb_json_line(r, &b);
	else
		buffer_free(&b);
}

int verb_check(struct request *r)
{
	struct verify_report v = { 0 };
	struct verify_request q = { .say = say, .progress = progress, .cancelled = verb_cancelled, .ctx = r };
	int e = verify_run(r->node->service, &q, &v);
	if (e)
		return request_failed(r, e, "check");
	report(r, &v);
	if (v.cancelled)
		return request_error(r, EXIT_RETRY, "check was broken off");
	return v.troubles ? EXIT_FAILED : EXIT_DONE;
}
