/* A look at the heads of all accounts that are watched here: what makes a notice an optimisation, not a need. Bounded memory: a
   batch at a time; each is one short read. */
#include "change.h"
#include "fail.h"
#include "hub.h"
#include "service_private.h"

enum { BATCH = META_INTEGERS };

struct batch {
	int64_t accounts[BATCH]; /* n of them, then the first one again and again */
	size_t n;
	int64_t heads[BATCH][2]; /* account, change */
	size_t found;
};

static int read_heads(struct meta_txn *t, void *arg)
{
	struct batch *b = arg;
	struct meta_rows r;
	b->found = 0;
	int more, e = meta_query_integers(t, &r, META_HEADS_OF, b->accounts);
	if (e)
		return e;
	while ((more = meta_next(&r)) > 0 && b->found < BATCH) {
		b->heads[b->found][0] = meta_int(&r, 0);
		b->heads[b->found++][1] = meta_int(&r, 1);
	}
	meta_done(&r);
	return more < 0 ? more : OK;
}

static int look_at(struct service *s, struct batch *b, uint64_t *missed)
{
	for (size_t i = b->n; i < BATCH; i++)
		b->accounts[i] = b->accounts[0];
	int e = meta_read(s->store->meta, read_heads, b);
	for (size_t i = 0; !e && i < b->found; i++)
		*missed += hub_head(s->hub, b->heads[i][0], b->heads[i][1]);
	b->n = 0;
	return e;
}

int service_poll(struct service *s, uint64_t *missed)
{
	struct batch b = { .n = 0 };
	int e = OK;
	*missed = 0;
	for (size_t i = 0; i < HUB_BUCKETS; i++) {
		int64_t from = 0;
		size_t got;
		do {
			got = hub_watched(s->hub, i, from, b.accounts + b.n, BATCH - b.n);
			b.n += got;
			from = got ? b.accounts[b.n - 1] + 1 : from;
			if (b.n == BATCH)
				e = look_at(s, &b, missed);
		} while (!e && got && b.n == 0);
		if (e)
			return e;
	}
	return b.n ? look_at(s, &b, missed) : OK;
}
