#include "instant.h"

#include <stdio.h>
#include <time.h>

#include "change.h"
#include "clock.h"
#include "fail.h"
#include "nodes.h"
#include "past.h"
#include "service_private.h"
#include "snapshot_private.h"
#include "when.h"

#define SEAL_US (15 * SECOND_US)

struct request {
	int64_t account;
	struct when when;
	int64_t now;
	int64_t horizon; /* changes stamped later may still be on their way */
	bool open;       /* the time asked for is past it: nothing else was found out */
	struct instant result;
};

static int journal_next(struct meta_txn *t, int64_t account, int64_t from, int64_t *change, int64_t *stamp)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_JOURNAL_NEXT, "ii", account, from);
	if (e)
		return e;
	*change = meta_int(&r, 0);
	*stamp = meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

/* Stamps grow with change numbers, so halving finds it. */
int instant_change_at(struct meta_txn *t, int64_t account, int64_t stamp, int64_t last, int64_t *out)
{
	int64_t low = 0, high = last + 1; /* low is at or before the instant, high after it */
	while (high - low > 1) {
		int64_t mid = low + (high - low) / 2, change, at;
		int e = journal_next(t, account, mid, &change, &at);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (!e && at <= stamp)
			low = change;
		else
			high = mid;
	}
	*out = low;
	return OK;
}

static int stamp_of_change(struct meta_txn *t, struct request *q, int64_t last)
{
	int64_t change, stamp;
	if (q->when.change == 0 || q->when.change > (uint64_t)last)
		return fail_with(ERR_INVALID, "there is no change @%llu: the last is @%lld", (unsigned long long)q->when.change,
		                 (long long)last);
	int e = journal_next(t, q->account, (int64_t)q->when.change, &change, &stamp);
	if (!e)
		q->result = (struct instant){ stamp, (int64_t)q->when.change };
	return e;
}

static int stamp_of_when(struct meta_txn *t, struct request *q, int64_t *stamp)
{
	struct snapshot sn;
	int e;
	switch (q->when.kind) {
	case WHEN_SNAPSHOT:
		e = snapshot_find(t, q->when.name, &sn);
		if (e)
			return e == ERR_NOT_FOUND ? fail_with(ERR_INVALID, "%s", fail_detail()) : e;
		*stamp = sn.stamp;
		return OK;
	case WHEN_AGE:
		*stamp = q->now - q->when.us;
		return OK;
	default:
		*stamp = q->when.us;
		return *stamp <= q->now ? OK : fail_with(ERR_INVALID, "that is in the future");
	}
}

static int last_change(struct meta_txn *t, int64_t account, int64_t *out)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_GET, "i", account);
	if (e)
		return e;
	*out = meta_int(&r, 2);
	meta_done(&r);
	return OK;
}

static int resolve_stamp(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	int64_t last;
	int e = last_change(t, q->account, &last);
	if (e)
		return e;
	return q->when.kind == WHEN_CHANGE ? stamp_of_change(t, q, last) : stamp_of_when(t, q, &q->result.stamp);
}

int instant_stamp(struct service *s, int64_t account, struct span when, int64_t *stamp)
{
	struct request q = { .account = account, .now = service_now(s) };
	int e = when_parse(when, &q.when);
	if (!e)
		e = meta_read(s->store->meta, resolve_stamp, &q);
	if (!e)
		*stamp = q.result.stamp;
	return e;
}

static int change_of_number(struct meta_txn *t, struct request *q, int64_t last)
{
	int e = stamp_of_change(t, q, last);
	return e ? e : past_check(t, q->account, q->result.change, 0);
}

static int resolve(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	char first_text[40];
	int64_t first, first_stamp, last, stamp = 0;
	int e = last_change(t, q->account, &last);
	if (e)
		return e;
	if (q->when.kind == WHEN_CHANGE)
		return change_of_number(t, q, last);
	e = stamp_of_when(t, q, &stamp);
	q->result.stamp = stamp;
	q->open = stamp > q->horizon;
	if (!e && !q->open)
		e = journal_next(t, q->account, 0, &first, &first_stamp);
	if (e || q->open)
		return e;
	if (stamp < first_stamp) {
		instant_write(first_stamp, first_text);
		return fail_with(ERR_INVALID, "that is before the account existed (%s)", first_text);
	}
	e = instant_change_at(t, q->account, stamp, last, &q->result.change);
	return e ? e : past_check(t, q->account, q->result.change, stamp);
}

/* A change of another thread or node may have its stamp already and be committed later: then what was there at that time would
   change once more. Where nodes share the store that is waited for: SEAL_US at most. */
static int wait_for_seal(struct service *s, int64_t stamp)
{
	struct nodes *n = s->store->nodes;
	int64_t until = clock_mono() + SEAL_US;
	while (nodes_horizon(n) < stamp) {
		struct timespec pause = { 0, 10 * 1000000 };
		if (clock_mono() > until)
			return fail_with(ERR_UNAVAILABLE, "changes of that time are still being made");
		nanosleep(&pause, NULL);
	}
	return OK;
}

int instant_wait(struct service *s, int64_t stamp)
{
	return meta_shared(s->store->meta) ? wait_for_seal(s, stamp) : OK;
}

/* The horizon is taken before the database's state is: what is below it is seen. */
static int resolve_sealed(struct service *s, struct request *q)
{
	int e;
	do {
		q->open = false;
		q->horizon = meta_shared(s->store->meta) ? nodes_horizon(s->store->nodes) : INT64_MAX;
		e = meta_read(s->store->meta, resolve, q);
	} while (!e && q->open && !(e = wait_for_seal(s, q->result.stamp)));
	return e;
}

int instant_resolve(struct service *s, int64_t account, struct span when, struct instant *out)
{
	struct request q = { .account = account, .now = service_now(s) };
	int e = when_parse(when, &q.when);
	if (!e && q.when.kind == WHEN_AGE && q.when.us > q.now)
		e = fail_with(ERR_INVALID, "that is before the account existed");
	if (!e)
		e = resolve_sealed(s, &q);
	if (!e)
		*out = q.result;
	return e;
}

static int resolve_change(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	int64_t last;
	int e = last_change(t, q->account, &last);
	return e ? e : instant_change_at(t, q->account, q->result.stamp, last, &q->result.change);
}

int instant_change(struct service *s, int64_t account, int64_t stamp, int64_t *change)
{
	struct request q = { .account = account, .result = { .stamp = stamp } };
	int e = meta_read(s->store->meta, resolve_change, &q);
	if (!e)
		*change = q.result.change;
	return e;
}

void instant_write(int64_t stamp, char out[40])
{
	struct buffer b = { 0 };
	when_put(&b, stamp);
	snprintf(out, 40, "%.*s", (int)b.n, b.p);
	buffer_free(&b);
}
