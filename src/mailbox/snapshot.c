#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "fail.h"
#include "instant.h"
#include "service_private.h"
#include "snapshot_private.h"
#include "system.h"
#include "when.h"

enum { BATCH = 100 };

struct request {
	struct service *s;
	struct span name;
	int64_t expires;
	const struct actor *actor;
	struct snapshot result;
	struct touched touched;
};

static void take_item(const struct meta_rows *r, struct snapshot *out)
{
	struct span name = meta_span(r, 3), data = meta_span(r, 4);
	uint64_t expires = 0;
	if (span_istarts(data, SPAN("expires=")))
		span_u64(span_sub(data, 8, data.n), INT64_MAX, &expires);
	*out = (struct snapshot){ .stamp = meta_int(r, 2), .expires = (int64_t)expires };
	memcpy(out->name, name.p, name.n < sizeof out->name ? name.n : sizeof out->name - 1);
}

/* Its instant is the stamp of its own change. SQLite's transactions run one after another and stamps only grow, so no earlier
   change can still appear below it; elsewhere who looks at it waits until none can (instant_resolve). */
static int add_snapshot(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid;
	char data[40];
	snprintf(data, sizeof data, "expires=%lld", (long long)q->expires);
	change_expect(t, SYSTEM_ACCOUNT);
	change_expect_item(t, SYSTEM_ACCOUNT, SYSTEM_SNAPSHOTS, q->name);
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_SNAPSHOT_CREATE, q->actor, 0);
	if (!e)
		e = change_item_add(&c, SYSTEM_SNAPSHOTS, 0, q->name, c.stamp, span_of(data), &uid);
	if (e == ERR_EXISTS)
		e = fail_with(ERR_EXISTS, "there is a snapshot %.*s already", SPAN_ARG(q->name));
	q->result.stamp = c.stamp;
	return change_end(&c, e, &q->touched);
}

int snapshot_create(struct service *s, struct span name, int64_t expires, const struct actor *a, struct snapshot *out)
{
	struct request q = { .s = s, .name = name, .expires = expires, .actor = a, .result = { .expires = expires } };
	if (!when_is_snapshot_name(name))
		return fail_with(ERR_INVALID, "a snapshot's name is a letter, then letters, digits, '.', '_' or '-', lower case, "
		                              "at most 64");
	memcpy(q.result.name, name.p, name.n);
	int e = service_commit(s, NULL, 0, add_snapshot, &q, &q.touched, 1);
	if (!e)
		*out = q.result;
	return e;
}

static int no_snapshot(struct span name)
{
	return fail_with(ERR_NOT_FOUND, "there is no snapshot %.*s", SPAN_ARG(name));
}

static int find_uid(struct meta_txn *t, struct span name, uint32_t *uid)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SNAPSHOTS, name);
	if (e)
		return e == ERR_NOT_FOUND ? no_snapshot(name) : e;
	*uid = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int end_snapshot(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid = 0;
	change_expect(t, SYSTEM_ACCOUNT);
	change_expect_item(t, SYSTEM_ACCOUNT, SYSTEM_SNAPSHOTS, q->name);
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_SNAPSHOT_REMOVE, q->actor, 0);
	if (!e)
		e = find_uid(t, q->name, &uid);
	if (!e)
		e = change_item_end(&c, SYSTEM_SNAPSHOTS, uid, q->name);
	return change_end(&c, e, &q->touched);
}

int snapshot_remove(struct service *s, struct span name, const struct actor *a)
{
	struct request q = { .s = s, .name = name, .actor = a };
	return service_commit(s, NULL, 0, end_snapshot, &q, &q.touched, 1);
}

int snapshot_find(struct meta_txn *t, struct span name, struct snapshot *out)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_ITEM, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SNAPSHOTS, name);
	if (e)
		return e == ERR_NOT_FOUND ? no_snapshot(name) : e;
	take_item(&r, out);
	meta_done(&r);
	return OK;
}

struct listing {
	uint32_t after;
	struct snapshot list[BATCH];
	size_t n;
};

static int read_batch(struct meta_txn *t, void *arg)
{
	struct listing *l = arg;
	struct meta_rows r;
	uint32_t after = l->after;
	l->n = 0;
	int e = meta_query(t, &r, META_LIVE_ITEMS, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SNAPSHOTS, (int64_t)after,
	                   (int64_t)BATCH);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		take_item(&r, &l->list[l->n++]);
		after = (uint32_t)meta_int(&r, 0);
	}
	meta_done(&r);
	if (!e)
		l->after = after;
	return e;
}

int snapshot_each(struct meta_txn *t, int (*fn)(void *ctx, const struct snapshot *sn), void *ctx)
{
	struct meta_rows r;
	struct snapshot sn;
	int e = meta_query(t, &r, META_LIVE_ITEMS, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_SNAPSHOTS, (int64_t)0,
	                   INT64_MAX);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		take_item(&r, &sn);
		e = fn(ctx, &sn);
		if (e)
			break;
	}
	meta_done(&r);
	return e;
}

int snapshot_list(struct service *s, int (*fn)(void *ctx, const struct snapshot *sn), void *ctx)
{
	struct listing *l = calloc(1, sizeof *l);
	int e = l ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	for (int stop = 0; !e && !stop;) {
		e = meta_read(s->store->meta, read_batch, l);
		for (size_t i = 0; !e && !stop && i < l->n; i++)
			stop = fn(ctx, &l->list[i]);
		if (l->n < BATCH)
			break;
	}
	free(l);
	return e;
}
