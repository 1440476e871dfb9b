#include "changeset.h"

#include <stdio.h>

#include "fail.h"

enum { PAGE = 500 };

int changeset_add(struct meta_txn *t, const struct changeset *c)
{
	return meta_do(t, META_CHANGESET_ADD, "iiibb", c->account, c->id, (int64_t)c->kind, c->plan, c->progress);
}

int changeset_put(struct meta_txn *t, int64_t account, int64_t id, struct span progress)
{
	return meta_do(t, META_CHANGESET_PUT, "bii", progress, account, id);
}

int changeset_drop(struct meta_txn *t, int64_t account, int64_t id)
{
	return meta_do(t, META_CHANGESET_DROP, "ii", account, id);
}

static int drop(struct meta_txn *t, void *arg)
{
	const struct changeset *c = arg;
	return changeset_drop(t, c->account, c->id);
}

int changeset_end(struct meta *m, int64_t account, int64_t id, int result)
{
	struct changeset c = { .account = account, .id = id };
	char why[512];
	if (result == ERR_STOPPED)
		return result;
	snprintf(why, sizeof why, "%s", fail_detail());
	int dropped = meta_run(m, drop, &c, NULL);
	if (result)
		fail_set_detail(why);
	return result ? result : dropped;
}

struct listing {
	struct buffer *out;
	size_t before; /* bytes of the pages before this one */
	struct changeset last;
};

static int read_page(struct meta_txn *t, void *arg)
{
	struct listing *l = arg;
	struct meta_rows r;
	l->out->n = l->before;
	int e = meta_query(t, &r, META_CHANGESET_LIST, "iiii", l->last.account, l->last.account, l->last.id, (int64_t)PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct changeset c = { meta_int(&r, 0), meta_int(&r, 1), (enum change_kind)meta_int(&r, 2), { 0 }, { 0 } };
		buffer_put(l->out, &c, sizeof c);
	}
	meta_done(&r);
	return e;
}

int changeset_list(struct meta *m, struct buffer *out)
{
	struct listing l = { .out = out, .last = { .account = -1 } };
	int e;
	buffer_reset(out);
	do {
		l.before = out->n;
		e = meta_read(m, read_page, &l);
		if (!e && !buffer_ok(out))
			e = fail_with(ERR_UNAVAILABLE, "no memory");
		if (!e && out->n > l.before)
			l.last = ((const struct changeset *)(const void *)(out->p + out->n))[-1];
	} while (!e && out->n - l.before == PAGE * sizeof l.last);
	return e;
}

struct reading {
	struct changeset *c;
	struct arena *arena;
};

static int read_one(struct meta_txn *t, void *arg)
{
	struct reading *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_CHANGESET_GET, "ii", q->c->account, q->c->id);
	if (e)
		return e;
	q->c->plan = arena_copy(q->arena, meta_span(&r, 0));
	q->c->progress = arena_copy(q->arena, meta_span(&r, 1));
	meta_done(&r);
	return q->c->plan.p && q->c->progress.p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

int changeset_read(struct meta *m, struct changeset *c, struct arena *arena)
{
	struct reading q = { c, arena };
	return meta_read(m, read_one, &q);
}
