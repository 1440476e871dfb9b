#include "lease.h"

#include "clock.h"
#include "fail.h"
#include "nodes.h"
#include "store.h"

void lease_init(struct lease *l, struct store *s, const char *name, int64_t patience)
{
	*l = (struct lease){ .meta = s->meta, .name = name, .nodes = s->nodes, .node = nodes_self(s->nodes), .patience = patience };
}

struct row {
	const struct lease *l;
	bool there;
	int64_t holder, epoch, beat;
	char node[64]; /* the holder's name */
};

static int read_row(struct meta_txn *t, void *arg)
{
	struct row *q = arg;
	struct meta_rows r;
	q->there = false;
	int e = meta_one(t, &r, META_LEASE_GET, "s", span_of(q->l->name));
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	struct span node = meta_span(&r, 3);
	*q = (struct row){ q->l, true, meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 2), "" };
	if (node.n) /* of nobody's lease there is none */
		memcpy(q->node, node.p, node.n < sizeof q->node ? node.n : sizeof q->node - 1);
	meta_done(&r);
	return OK;
}

/* Only from the holder that was read: who comes second changes nothing. */
static int take_row(struct meta_txn *t, void *arg)
{
	const struct row *q = arg;
	const struct lease *l = q->l;
	int e;
	if (!q->there) {
		e = meta_try(t, META_LEASE_ADD, "si", span_of(l->name), l->node);
	} else {
		e = meta_try(t, META_LEASE_TAKE, "isi", l->node, span_of(l->name), q->epoch);
		if (!e && !meta_changed(t))
			e = ERR_EXISTS;
	}
	return e == ERR_EXISTS ? fail_with(ERR_CONFLICT, "%s: another node has just taken it over", l->name) : e;
}

/* Has the holder been silent for long enough? */
static bool is_silent(struct lease *l, const struct row *q)
{
	int64_t now = clock_mono();
	if (l->seen_epoch != q->epoch || l->seen_beat != q->beat) {
		l->seen_epoch = q->epoch;
		l->seen_beat = q->beat;
		l->seen_at = now;
	}
	return now - l->seen_at >= l->patience;
}

int lease_take(struct lease *l)
{
	struct row q = { .l = l };
	if (lease_held(l))
		return lease_renew(l);
	int e = meta_read(l->meta, read_row, &q);
	if (e)
		return e;
	if (q.there && q.holder && q.holder != l->node && !nodes_dead(l->nodes, q.holder) && !is_silent(l, &q))
		return fail_with(ERR_CONFLICT, "node %s does it", q.node);
	e = meta_run(l->meta, take_row, &q, NULL);
	if (!e)
		l->epoch = q.there ? q.epoch + 1 : 1;
	return e;
}

int lease_hold(struct meta_txn *t, const struct lease *l)
{
	static const struct meta_must one = { 1, ERR_CONFLICT, "another node has taken the lease over" };
	return meta_must(t, one, META_LEASE_HOLD, "sii", span_of(l->name), l->node, l->epoch);
}

static int hold(struct meta_txn *t, void *arg)
{
	return lease_hold(t, arg);
}

int lease_renew(struct lease *l)
{
	int e = meta_run(l->meta, hold, l, NULL);
	if (e == ERR_CONFLICT)
		l->epoch = 0;
	return e;
}

static int give_back(struct meta_txn *t, void *arg)
{
	const struct lease *l = arg;
	return meta_do(t, META_LEASE_RETURN, "sii", span_of(l->name), l->node, l->epoch);
}

void lease_return(struct lease *l)
{
	if (lease_held(l))
		meta_run(l->meta, give_back, l, NULL);
	l->epoch = 0;
}
