/* The journal of an account, and the followers that read it. */
#include <stdlib.h>

#include "log_body.h"
#include "verify_private.h"

struct journal_row {
	int64_t change, stamp;
	bool sound; /* its body can be read */
};

struct journal_page {
	struct account *a;
	int64_t after;
	struct journal_row rows[VERIFY_PAGE];
	size_t n;
	bool dirty; /* the head's change is named in it, or need not be */
};

static bool body_sound(struct span body)
{
	struct log_operation op;
	int r;
	while ((r = log_next(&body, &op)) > 0) {
		uint64_t at = 0, ranges = 0;
		uint32_t first, last;
		while (log_next_range(&op, &at, &first, &last))
			ranges++;
		if (op.op <= LOG_END && (ranges != op.ranges || op.uids.n))
			return false;
	}
	return r == 0;
}

static int read_journal(struct meta_txn *t, void *arg)
{
	struct journal_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_JOURNAL_FROM, "iii", p->a->id, p->after + 1, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = (struct journal_row){ meta_int(&r, 0), meta_int(&r, 1), body_sound(meta_span(&r, 7)) };
	meta_done(&r);
	return e;
}

static void verify_row(struct account *a, const struct journal_row *last, const struct journal_row *k)
{
	if (k->change != last->change + 1 && !verify_purged(a, k->change - 1))
		trouble(a->v, "%s: journal: the changes from @%lld to @%lld are missing: " FIX_DATABASE, a->name,
		        (long long)last->change + 1, (long long)k->change - 1);
	if (k->stamp < last->stamp)
		trouble(a->v, "%s: journal: @%lld is stamped before @%lld, so times find the wrong state: " FIX_DATABASE, a->name,
		        (long long)k->change, (long long)last->change);
	if (!k->sound)
		trouble(a->v, "%s: journal: what @%lld did cannot be read: " FIX_DATABASE, a->name, (long long)k->change);
}

static bool verify_page(const struct journal_page *p, struct journal_row *last)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->rows[i].change > p->a->head.change)
			return false;
		verify_row(p->a, last, &p->rows[i]);
		*last = p->rows[i];
		p->a->v->report.changes++;
	}
	return p->n == VERIFY_PAGE;
}

/* Purge takes a row of dirty when every follower has read its slot. */
static int read_dirty(struct meta_txn *t, struct journal_page *p, const struct head *now)
{
	struct meta_rows r;
	int64_t slot = now->stamp / DIRTY_SLOT_US;
	int e = meta_one(t, &r, META_CHECK_DIRTY, "ii", slot, p->a->id);
	if (e)
		return e;
	int64_t read_below = meta_int(&r, 0);
	p->dirty = !read_below || slot < read_below || meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

/* Rows above the head that was read: fine only when the head has moved since. */
static int read_head_now(struct meta_txn *t, void *arg)
{
	struct journal_page *p = arg;
	struct head now;
	int e = change_head(t, p->a->id, &now);
	if (!e)
		e = read_dirty(t, p, &now);
	p->after = now.change;
	return e ? e : read_journal(t, arg);
}

int verify_journal(struct account *a)
{
	struct journal_page *p = calloc(1, sizeof *p);
	struct journal_row last = { 0 };
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->a = a;
	int e;
	bool more = true;
	do {
		p->after = last.change;
		e = verify_failure(a->v, meta_read(meta_of(a->v), read_journal, p), a->name);
		more = !e && verify_page(p, &last) && !verify_step(a->v, 0);
	} while (more);
	if (!e && !a->v->report.cancelled && (last.change != a->head.change || last.stamp != a->head.stamp) &&
	    !verify_purged_since(a))
		trouble(a->v, "%s: its head is at @%lld, its journal ends at @%lld or at another time: " FIX_DATABASE, a->name,
		        (long long)a->head.change, (long long)last.change);
	if (!e && !a->v->report.cancelled)
		e = verify_failure(a->v, meta_read(meta_of(a->v), read_head_now, p), a->name);
	if (!e && !a->v->report.cancelled && p->n)
		trouble(a->v, "%s: journal: @%lld lies above the head @%lld: " FIX_DATABASE, a->name, (long long)p->rows[0].change,
		        (long long)p->after);
	if (!e && !a->v->report.cancelled && !p->dirty)
		trouble(a->v, "%s: no slot of dirty names its last change, so followers see it with their next sweep only: " FIX_DATABASE,
		        a->name);
	free(p);
	return e;
}

/* --- How far followers have read it --- */

struct position_page {
	char follower[128];
	int64_t account;
	struct position {
		char follower[128];
		int64_t account, change, head;
	} rows[VERIFY_PAGE];
	size_t n;
};

static int read_positions(struct meta_txn *t, void *arg)
{
	struct position_page *p = arg;
	struct meta_rows r;
	struct span after = span_of(p->follower);
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_POSITIONS, "ssii", after, after, p->account, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct position *k = &p->rows[p->n++];
		struct span name = span_sub(meta_span(&r, 0), 0, sizeof k->follower - 1);
		*k = (struct position){ .account = meta_int(&r, 1), .change = meta_int(&r, 2), .head = meta_int(&r, 3) };
		memcpy(k->follower, name.p, name.n);
	}
	meta_done(&r);
	return e;
}

int verify_positions(struct verify *v)
{
	struct position_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->account = -1;
	int e;
	do {
		e = verify_failure(v, meta_read(meta_of(v), read_positions, p), "positions");
		for (size_t i = 0; !e && i < p->n; i++)
			if (p->rows[i].change > p->rows[i].head)
				trouble(v, "account %lld: the follower %s has read up to @%lld, the log is at @%lld: it may miss changes; "
				        FIX_REPORT, (long long)p->rows[i].account, p->rows[i].follower, (long long)p->rows[i].change,
				        (long long)p->rows[i].head);
		if (p->n) {
			memcpy(p->follower, p->rows[p->n - 1].follower, sizeof p->follower);
			p->account = p->rows[p->n - 1].account;
		}
	} while (!e && p->n == VERIFY_PAGE && !verify_step(v, 0));
	free(p);
	return e;
}
