/* What no account's log holds: remembered deliveries, slots of dirty, and bodies that nothing uses. A body is condemned in the
 * transaction that ends its last use; from then on no delivery links to it. After the grace it is looked at again, and goes
 * when still nothing uses it and no delivery of it is remembered. */
#include <stdlib.h>

#include "clock.h"
#include "purge_private.h"
#include "settings.h"

#define DIRTY_KEPT_US (3600 * SECOND_US)
enum { HASH_MAX = 32 };

struct delivery {
	int64_t body, account, stamp;
	unsigned char hash[HASH_MAX];
	size_t hash_n;
};

static struct delivery delivery_of(int64_t body, int64_t account, struct span hash, int64_t stamp)
{
	struct delivery d = { .body = body, .account = account, .stamp = stamp };
	hash = span_sub(hash, 0, sizeof d.hash);
	memcpy(d.hash, hash.p, hash.n);
	d.hash_n = hash.n;
	return d;
}

/* Is it so old that a repeat would be stored anyway? */
static int is_old(struct run *r, const struct delivery *d, bool *old)
{
	struct settings set;
	int e = settings_of(r->p->o.identity, d->account, &set);
	if (e == ERR_NOT_FOUND)
		e = settings_of(r->p->o.identity, 0, &set);
	if (!e)
		*old = d->stamp + set.duplicate_window <= r->now;
	return e;
}

static int drop_delivery(struct meta_txn *t, const struct delivery *d)
{
	return meta_do(t, META_PURGE_DELIVERY_DROP, "iibi", d->body, d->account, span_from(d->hash, d->hash_n), d->stamp);
}

/* --- Deliveries --- */

struct delivery_page {
	struct delivery after, rows[PURGE_READ];
	size_t n;
	const struct delivery *some[PURGE_ROWS];
	size_t n_some;
};

static int read_deliveries(struct meta_txn *t, void *arg)
{
	struct delivery_page *p = arg;
	struct meta_rows r;
	const struct delivery *a = &p->after;
	p->n = 0;
	int e = meta_query(t, &r, META_PURGE_DELIVERIES, "iiiibi", a->body, a->body, a->account, a->account,
	                   span_from(a->hash, a->hash_n), (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = delivery_of(meta_int(&r, 0), meta_int(&r, 1), meta_span(&r, 2), meta_int(&r, 3));
	meta_done(&r);
	return e;
}

static int drop_deliveries(struct meta_txn *t, void *arg)
{
	struct delivery_page *p = arg;
	int e = OK;
	for (size_t i = 0; !e && i < p->n_some; i++)
		e = drop_delivery(t, p->some[i]);
	return e;
}

static int drop_some_deliveries(struct run *r, struct delivery_page *p)
{
	int e = OK;
	r->report.counts.deliveries += p->n_some;
	if (p->n_some && !r->q->dry_run)
		e = purge_step(r, drop_deliveries, p);
	p->n_some = 0;
	return e;
}

static int take_deliveries(struct run *r, struct delivery_page *p)
{
	int e = OK;
	for (size_t i = 0; !e && i < p->n; i++) {
		bool old = false;
		e = is_old(r, &p->rows[i], &old);
		if (!e && old)
			p->some[p->n_some++] = &p->rows[i];
		if (p->n_some == PURGE_ROWS)
			e = drop_some_deliveries(r, p);
	}
	return e ? e : drop_some_deliveries(r, p);
}

int purge_deliveries(struct run *r)
{
	struct delivery_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e;
	do {
		e = purge_read(r, read_deliveries, p);
		if (!e)
			e = take_deliveries(r, p);
		if (p->n)
			p->after = p->rows[p->n - 1];
	} while (!e && p->n == PURGE_READ);
	free(p);
	return e;
}

/* --- Slots that every follower has read --- */

struct slots {
	int64_t before;
	int64_t rows[PURGE_ROWS][2]; /* slot, account */
	size_t n;
};

static int read_slots(struct meta_txn *t, void *arg)
{
	struct slots *q = arg;
	struct meta_rows r;
	q->n = 0;
	int e = meta_one(t, &r, META_PURGE_SLOTS, "");
	if (e)
		return e;
	int64_t read = meta_span(&r, 0).n ? meta_int(&r, 0) : INT64_MAX; /* nobody reads: an hour is enough */
	meta_done(&r);
	e = meta_query(t, &r, META_PURGE_DIRTY, "ii", read < q->before ? read : q->before, (int64_t)PURGE_ROWS);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; q->n++) {
		q->rows[q->n][0] = meta_int(&r, 0);
		q->rows[q->n][1] = meta_int(&r, 1);
	}
	meta_done(&r);
	return e;
}

static int drop_slots(struct meta_txn *t, void *arg)
{
	struct slots *q = arg;
	int e = OK;
	for (size_t i = 0; !e && i < q->n; i++)
		e = meta_do(t, META_PURGE_DIRTY_DROP, "ii", q->rows[i][0], q->rows[i][1]);
	return e;
}

int purge_dirty(struct run *r)
{
	struct slots q = { .before = (r->now - DIRTY_KEPT_US) / DIRTY_SLOT_US };
	int e;
	do {
		e = purge_read(r, read_slots, &q);
		if (!e && q.n)
			e = purge_step(r, drop_slots, &q);
	} while (!e && q.n == PURGE_ROWS);
	return e;
}

/* --- Bodies --- */

struct bodies {
	struct run *r;
	int64_t after;
	struct {
		int64_t id, since;
	} rows[PURGE_ROWS];
	size_t n, removed, kept;
};

static int read_condemned(struct meta_txn *t, void *arg)
{
	struct bodies *q = arg;
	struct meta_rows r;
	q->n = 0;
	int e = meta_query(t, &r, META_PURGE_DOOMED, "iiii", (int64_t)DOOM_BODY, (int64_t)0, q->after, (int64_t)PURGE_ROWS);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; q->n++) {
		q->rows[q->n].id = meta_int(&r, 0);
		q->rows[q->n].since = meta_int(&r, 1);
	}
	meta_done(&r);
	return e;
}

static int count(struct meta_txn *t, enum meta_sql stmt, int64_t id, int64_t *out)
{
	struct meta_rows r;
	int e = meta_one(t, &r, stmt, "i", id);
	if (e)
		return e;
	*out = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

/* Checked again: a use keeps it, a delivery that is remembered by it keeps it for another time. */
static int drop_body(struct meta_txn *t, struct bodies *q, int64_t body)
{
	int64_t uses, remembered;
	int e = count(t, META_PURGE_USES, body, &uses);
	if (!e)
		e = count(t, META_PURGE_REMEMBERED, body, &remembered);
	if (e)
		return e;
	if (!uses && remembered) {
		q->kept++;
		return OK;
	}
	e = meta_try(t, uses ? META_PURGE_BODY_SPARE : META_PURGE_BODY_DROP, "i", body);
	bool removed = !uses && !e && meta_changed(t) > 0;
	q->removed += removed;
	if (removed) /* whoever still reads it looks for its place again, and finds that the email is gone */
		e = meta_do(t, META_PURGE_STAGED_DROP, "i", body);
	return e ? e : purge_spare(t, DOOM_BODY, 0, body);
}

static int drop_bodies(struct meta_txn *t, void *arg)
{
	struct bodies *q = arg;
	int e = OK;
	q->removed = q->kept = 0;
	for (size_t i = 0; !e && i < q->n; i++)
		if (q->rows[i].since + q->r->p->o.grace <= q->r->now)
			e = drop_body(t, q, q->rows[i].id);
		else
			q->kept++;
	return e;
}

/* What a dry run can say of them. */
static int drop_nothing(struct meta_txn *t, void *arg)
{
	struct bodies *q = arg;
	q->removed = q->kept = 0;
	for (size_t i = 0; i < q->n; i++)
		*(q->rows[i].since + q->r->p->o.grace <= q->r->now ? &q->removed : &q->kept) += 1;
	return OK;
}

int purge_bodies(struct run *r)
{
	struct bodies q = { .r = r };
	int e;
	do {
		e = purge_read(r, read_condemned, &q);
		if (e || !q.n)
			break;
		q.after = q.rows[q.n - 1].id;
		e = r->q->dry_run ? purge_read(r, drop_nothing, &q) : purge_step(r, drop_bodies, &q);
		r->report.counts.bodies += q.removed;
		r->report.waiting += q.kept;
	} while (!e && q.n == PURGE_ROWS);
	return e;
}
