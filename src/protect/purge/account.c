/* Accounts that were removed. One can be restored as long as the system log's past shows its address; when that is purged,
 * nobody can, and all that it was goes. It is marked first, by a floor that is no change: then nobody changes it any more,
 * and what is left of it after a crash is known for what it is. */
#include <stdlib.h>

#include "purge_private.h"
#include "system.h"

static const struct actor purger = { "", 0, "purge" };

static int read_ended(struct meta_txn *t, void *arg)
{
	struct run *r = arg;
	struct meta_rows row;
	buffer_reset(&r->ended);
	int e = meta_query(t, &row, META_PURGE_ITEM_ENDS, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, (int64_t)0,
	                   INT64_MAX);
	if (e)
		return e;
	while ((e = meta_next(&row)) > 0)
		buffer_put(&r->ended, &(int64_t){ meta_int(&row, 1) }, sizeof(int64_t));
	meta_done(&row);
	return e;
}

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static int sort_ended(struct run *r)
{
	if (!buffer_ok(&r->ended))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (r->ended.n)
		qsort(r->ended.p, r->ended.n / sizeof(int64_t), sizeof(int64_t), by_number);
	return OK;
}

int purge_read_ended(struct run *r)
{
	int e = purge_read(r, read_ended, r);
	return e ? e : sort_ended(r);
}

struct look {
	struct run *r;
	int64_t account;
	bool lives;
	struct touched touched;
};

static int look_for_item(struct meta_txn *t, void *arg)
{
	struct look *l = arg;
	struct meta_rows row;
	int e = meta_one(t, &row, META_PURGE_LEFT, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, l->account);
	if (e)
		return e;
	l->lives = meta_int(&row, 0) > 0;
	meta_done(&row);
	return OK;
}

static bool restorable(const struct look *l)
{
	return l->r->ended.n && bsearch(&l->account, l->r->ended.p, l->r->ended.n / sizeof(int64_t), sizeof(int64_t), by_number);
}

/* Its password goes by a change like any other, so that it stays for as long as the system log's window. */
static int end_password(struct meta_txn *t, struct look *l)
{
	struct change c;
	struct meta_rows row;
	int e = meta_one(t, &row, META_PURGE_LEFT, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_CREDENTIALS, l->account);
	if (e)
		return e;
	bool there = meta_int(&row, 0) > 0;
	meta_done(&row);
	if (!there)
		return OK;
	e = change_begin(&c, l->r->s, t, SYSTEM_ACCOUNT, CHANGE_ACCOUNT_REMOVE, &purger, 0);
	if (!e)
		e = change_item_end(&c, SYSTEM_CREDENTIALS, (uint32_t)l->account, (struct span){ 0 });
	return change_end(&c, e, &l->touched);
}

/* Looked at once more: somebody may have restored it. */
static int mark(struct meta_txn *t, void *arg)
{
	struct look *l = arg;
	struct meta_rows row;
	int e = look_for_item(t, l);
	if (!e)
		e = read_ended(t, l->r);
	if (!e)
		e = sort_ended(l->r);
	if (e || l->lives || restorable(l))
		return e;
	e = meta_one(t, &row, META_PURGE_CHANGESETS, "i", l->account);
	if (e)
		return e;
	l->lives = meta_int(&row, 0) > 0; /* an operation that is not finished */
	meta_done(&row);
	if (!e && !l->lives)
		e = meta_do(t, META_PURGE_FLOOR, "iii", PURGE_DYING, l->account, PURGE_DYING);
	return e || l->lives ? e : end_password(t, l);
}

static int lose_sessions(struct run *r, int64_t account)
{
	struct pin_info *pins = NULL;
	size_t n = 0;
	int e = pin_list(r->s, account, &pins, &n);
	for (size_t i = 0; i < n; i++)
		pin_lose(r->s, account, &pins[i]);
	free(pins);
	return e;
}

int purge_account_dead(struct run *r, int64_t account, int64_t floor, bool *dead)
{
	struct look l = { .r = r, .account = account };
	*dead = floor == PURGE_DYING;
	if (account == SYSTEM_ACCOUNT || *dead)
		return OK;
	int e = purge_read(r, look_for_item, &l);
	*dead = !e && !l.lives && !restorable(&l);
	if (e || !*dead || r->q->dry_run)
		return e;
	e = purge_step(r, mark, &l);
	*dead = !e && !l.lives && !restorable(&l);
	if (!e && *dead)
		change_publish(r->s, &l.touched);
	return e ? e : lose_sessions(r, account);
}

struct next {
	int64_t account, collection;
};

static int read_next(struct meta_txn *t, void *arg)
{
	static const enum meta_sql rows[] = { META_PURGE_NEXT_LIVE, META_PURGE_NEXT_PAST, META_PURGE_NEXT_NAMES };
	struct next *n = arg;
	struct meta_rows r;
	n->collection = 0;
	for (size_t i = 0; i < sizeof rows / sizeof *rows && !n->collection; i++) {
		int e = meta_one(t, &r, rows[i], "ii", n->account, (int64_t)0);
		if (e)
			return e;
		n->collection = meta_int(&r, 0);
		meta_done(&r);
	}
	return OK;
}

static int purge_collections(struct roots *k)
{
	struct next next = { .account = k->account };
	for (;;) {
		int e = purge_read(k->run, read_next, &next);
		if (e || !next.collection)
			return e;
		e = purge_collection(k, next.collection);
		if (e)
			return e;
	}
}

struct rest {
	struct roots *k;
	int64_t rows[PURGE_ROWS][2]; /* end, id */
	size_t n;
};

static int drop_definitions(struct meta_txn *t, void *arg)
{
	struct rest *q = arg;
	struct meta_rows r;
	q->n = 0;
	int e = meta_query(t, &r, META_PURGE_DEFINITIONS, "iiiiii", q->k->account, (int64_t)0, (int64_t)0, (int64_t)0, INT64_MAX,
	                   (int64_t)PURGE_ROWS);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; q->n++) {
		q->rows[q->n][0] = meta_int(&r, 0);
		q->rows[q->n][1] = meta_int(&r, 1);
	}
	meta_done(&r);
	for (size_t i = 0; !e && i < q->n; i++)
		e = meta_do(t, META_PURGE_DEFINITION_DROP, "iii", q->k->account, q->rows[i][0], q->rows[i][1]);
	return e;
}

static int drop_head(struct meta_txn *t, void *arg)
{
	static const enum meta_sql rows[] = { META_PURGE_COLLECTIONS_DROP, META_PURGE_UIDMAPS_DROP, META_PURGE_POSITION_DROP,
		                              META_PURGE_STATE_DROP, META_PURGE_SHARED_BY_DROP, META_PURGE_SHARED_WITH_DROP,
		                              META_PURGE_HEAD_DROP };
	struct roots *k = arg;
	int e = OK;
	for (size_t i = 0; !e && i < sizeof rows / sizeof *rows; i++)
		e = meta_do(t, rows[i], "i", k->account);
	return e;
}

/* What its deliveries are remembered by stays for their window, like everybody's. */
int purge_account(struct roots *k)
{
	struct rest q = { .k = k };
	k->counts.accounts = 1;
	if (k->run->q->dry_run)
		return OK;
	int e = purge_collections(k);
	if (!e)
		e = purge_emails(k);
	do {
		if (!e)
			e = purge_step(k->run, drop_definitions, &q);
	} while (!e && q.n == PURGE_ROWS);
	if (!e)
		e = purge_journal(k, 0, INT64_MAX);
	return e ? e : purge_step(k->run, drop_head, k);
}
