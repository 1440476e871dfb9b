#include "link_key.h"

#include <stdio.h>
#include <sys/random.h>

#include "fail.h"
#include "meta.h"

enum { HEX = 2 * LINK_KEY };

static const struct span name = { "link.key", 8 };

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(struct span hex, unsigned char key[LINK_KEY])
{
	int bad = hex.n != HEX;
	for (size_t i = 0; !bad && i < LINK_KEY; i++) {
		int high = digit(hex.p[2 * i]), low = digit(hex.p[2 * i + 1]);
		bad = high < 0 || low < 0;
		key[i] = (unsigned char)(bad ? 0 : high << 4 | low);
	}
	return bad ? fail_with(ERR_CORRUPT, "the key of the link is damaged") : OK;
}

static int read_key(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_FACT_GET, "s", name);
	if (e)
		return e;
	e = decode(meta_span(&r, 0), arg);
	meta_done(&r);
	return e;
}

/* Where another node was first, its key stays. */
static int add_key(struct meta_txn *t, void *arg)
{
	int e = meta_try(t, META_FACT_ADD, "ss", name, span_from(arg, HEX));
	return e == ERR_EXISTS ? OK : e;
}

int link_key(struct meta *m, unsigned char key[LINK_KEY])
{
	unsigned char random[LINK_KEY];
	char hex[HEX + 1];
	int e = meta_read(m, read_key, key);
	if (e != ERR_NOT_FOUND)
		return e;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return fail_errno("getrandom", "");
	for (size_t i = 0; i < LINK_KEY; i++)
		snprintf(hex + 2 * i, 3, "%02x", random[i]);
	e = meta_run(m, add_key, hex, NULL);
	return e ? e : meta_read(m, read_key, key);
}
