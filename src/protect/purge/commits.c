/* The rows by which transactions are known whose end was open for a moment (commit_id): nobody asks for one after seconds. */
#include "purge_private.h"

#define KEPT_US (86400 * SECOND_US)
enum { COMMITS = 1000 }; /* small rows, next to each other */

struct commits {
	int64_t now;
	int64_t nodes;
	int64_t node; /* whose rows are looked at */
	int64_t first, last;
	size_t n;
};

static int count_nodes(struct meta_txn *t, void *arg)
{
	struct commits *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_NODE_MAX, "");
	if (e)
		return e;
	q->nodes = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

/* Ids of a node grow with time, but those of node 0. */
static int read_commits(struct meta_txn *t, void *arg)
{
	struct commits *q = arg;
	struct meta_rows r;
	int64_t old = q->now - KEPT_US;
	int64_t end = q->node ? meta_commit_id(q->node, old) : INT64_C(1) << 51;
	q->n = 0;
	int e = meta_query(t, &r, META_PURGE_COMMITS, "iiii", q->node << 51, end, old, (int64_t)COMMITS);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; q->n++) {
		q->last = meta_int(&r, 0);
		q->first = q->n ? q->first : q->last;
	}
	meta_done(&r);
	return e;
}

static int drop_commits(struct meta_txn *t, void *arg)
{
	struct commits *q = arg;
	return meta_do(t, META_PURGE_COMMITS_DROP, "iii", q->first, q->last, q->now - KEPT_US);
}

int purge_commits(struct run *r)
{
	struct commits q = { .now = r->now };
	int e = purge_read(r, count_nodes, &q);
	for (q.node = 0; !e && q.node <= q.nodes; q.node++)
		do {
			e = purge_read(r, read_commits, &q);
			if (!e && q.n)
				e = purge_step(r, drop_commits, &q);
		} while (!e && q.n == COMMITS);
	return e;
}
