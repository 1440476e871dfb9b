#include "secret.h"

#include <stdio.h>
#include <sys/random.h>

#include "fail.h"
#include "meta.h"

enum { HEX = 2 * SECRET };

struct request {
	const char *name;
	unsigned char *out;
	char hex[HEX + 1];
};

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int decode(struct span hex, struct request *q)
{
	int bad = hex.n != HEX;
	for (size_t i = 0; !bad && i < SECRET; i++) {
		int high = digit(hex.p[2 * i]), low = digit(hex.p[2 * i + 1]);
		bad = high < 0 || low < 0;
		q->out[i] = (unsigned char)(bad ? 0 : high << 4 | low);
	}
	return bad ? fail_with(ERR_CORRUPT, "the fact %s is damaged", q->name) : OK;
}

static int read_secret(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_FACT_GET, "s", span_of(q->name));
	if (e)
		return e;
	e = decode(meta_span(&r, 0), q);
	meta_done(&r);
	return e;
}

/* Where another node was first, its secret stays. */
static int add_secret(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	int e = meta_try(t, META_FACT_ADD, "ss", span_of(q->name), span_of(q->hex));
	return e == ERR_EXISTS ? OK : e;
}

int secret_get(struct meta *m, const char *name, unsigned char out[SECRET])
{
	struct request q = { .name = name, .out = out };
	unsigned char random[SECRET];
	int e = meta_read(m, read_secret, &q);
	if (e != ERR_NOT_FOUND)
		return e;
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return fail_errno("getrandom", "");
	for (size_t i = 0; i < SECRET; i++)
		snprintf(q.hex + 2 * i, 3, "%02x", random[i]);
	e = meta_run(m, add_secret, &q, NULL);
	return e ? e : meta_read(m, read_secret, &q);
}
