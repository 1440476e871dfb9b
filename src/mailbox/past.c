#include "past.h"

#include <stdio.h>

#include "change.h"
#include "clock.h"
#include "fail.h"
#include "service_private.h"
#include "snapshot_private.h"

enum { NAMES_MAX = 5 }; /* that a refusal lists */

struct seen {
	struct meta_txn *t;
	int64_t account, last;
	int (*fn)(void *ctx, const struct snapshot *sn, int64_t change);
	void *ctx;
};

static int see(void *ctx, const struct snapshot *sn)
{
	struct seen *q = ctx;
	int64_t change;
	int e = instant_change_at(q->t, q->account, sn->stamp, q->last, &change);
	return e || !change ? e : q->fn(q->ctx, sn, change);
}

int past_snapshots(struct meta_txn *t, int64_t account, int (*fn)(void *ctx, const struct snapshot *sn, int64_t change), void *ctx)
{
	struct head h;
	int e = change_head(t, account, &h);
	struct seen q = { t, account, h.change, fn, ctx };
	return e ? e : snapshot_each(t, see, &q);
}

int past_stamp(struct meta_txn *t, int64_t account, int64_t change, int64_t *stamp)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_JOURNAL_NEXT, "ii", account, change);
	if (e)
		return e;
	*stamp = meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

struct floor_request {
	int64_t account;
	struct past_floor out;
};

static int read_floor(struct meta_txn *t, void *arg)
{
	struct floor_request *q = arg;
	struct head h;
	q->out = (struct past_floor){ 0 };
	int e = change_head(t, q->account, &h);
	if (e || h.floor == 0)
		return e;
	q->out.change = h.floor;
	e = past_stamp(t, q->account, h.floor, &q->out.stamp);
	return e == ERR_NOT_FOUND ? OK : e;
}

int past_floor(struct service *s, int64_t account, struct past_floor *out)
{
	struct floor_request q = { .account = account };
	int e = meta_read(s->store->meta, read_floor, &q);
	if (!e)
		*out = q.out;
	return e;
}

struct check {
	int64_t account, change, stamp, floor;
	int64_t now;
	bool shown;         /* by a snapshot */
	struct buffer names; /* of snapshots below the floor */
	size_t n;
};

static int look(void *ctx, const struct snapshot *sn, int64_t change)
{
	struct check *q = ctx;
	if (change >= q->floor || (sn->expires && sn->expires <= q->now))
		return OK;
	q->shown = q->shown || (change == q->change && q->stamp <= sn->stamp);
	if (q->n++ < NAMES_MAX)
		buffer_printf(&q->names, "%s%s", q->names.n ? ", " : "", sn->name);
	return OK;
}

static int refuse(const struct check *q, int64_t stamp)
{
	char floor[40];
	instant_write(stamp, floor);
	if (!q->n)
		return fail_with(ERR_INVALID, "the past before %s is purged", floor);
	return fail_with(ERR_INVALID, "the past before %s is purged, but for %s %.*s%s", floor,
	                 q->n == 1 ? "the snapshot" : "the snapshots", SPAN_ARG(buffer_span(&q->names)),
	                 q->n > NAMES_MAX ? " and others" : "");
}

int past_check(struct meta_txn *t, int64_t account, int64_t change, int64_t stamp)
{
	struct check q = { .account = account, .change = change, .stamp = stamp, .now = clock_now() };
	struct head h;
	int64_t floor_stamp = 0;
	int e = change_head(t, account, &h);
	q.floor = h.floor;
	if (e || change >= h.floor)
		return e;
	e = past_snapshots(t, account, look, &q);
	if (!e && !q.shown)
		e = past_stamp(t, account, h.floor, &floor_stamp);
	if (e == ERR_NOT_FOUND)
		e = OK;
	if (!e && !q.shown)
		e = refuse(&q, floor_stamp);
	buffer_free(&q.names);
	return e;
}

struct check_request {
	int64_t account, change;
};

static int check_now(struct meta_txn *t, void *arg)
{
	const struct check_request *q = arg;
	return past_check(t, q->account, q->change, 0);
}

int past_check_now(struct service *s, int64_t account, int64_t change)
{
	struct check_request q = { account, change };
	return meta_read(s->store->meta, check_now, &q);
}
