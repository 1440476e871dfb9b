#include "service_private.h"

#include <stdlib.h>

#include "account.h"
#include "change.h"
#include "clock.h"
#include "entry_cache.h"
#include "fail.h"
#include "hub.h"
#include "pin.h"
#include "recent.h"
#include "settings.h"
#include "uidmap.h"

static int read_last_stamp(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_MAX_STAMP, "");
	if (e)
		return e;
	*(int64_t *)arg = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

int service_open(struct store *store, struct service **out)
{
	int64_t last = 0;
	int e = meta_read(store->meta, read_last_stamp, &last);
	if (e)
		return e;
	struct service *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	s->store = store;
	atomic_init(&s->last_stamp, last);
	pthread_mutex_init(&s->imports_lock, NULL);
	pthread_cond_init(&s->import_ended, NULL);
	s->seen = calloc(SEEN_HASHES, sizeof *s->seen);
	s->dirty = calloc(DIRTY_MARKS, sizeof *s->dirty);
	e = s->seen && s->dirty ? hub_new(&s->hub) : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = pins_new(&s->pins);
	if (!e)
		e = uidmap_cache_new(&s->maps);
	if (!e)
		e = entry_cache_new(&s->entries);
	if (!e)
		e = recent_marks_new(s, &s->recent);
	if (!e)
		e = account_boot(s);
	if (e) {
		service_close(&s);
		return e;
	}
	*out = s;
	return OK;
}

void service_close(struct service **sp)
{
	struct service *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	recent_marks_free(&s->recent);
	uidmap_cache_free(&s->maps);
	entry_cache_free(&s->entries);
	pins_free(&s->pins);
	hub_free(&s->hub);
	pthread_cond_destroy(&s->import_ended);
	pthread_mutex_destroy(&s->imports_lock);
	free(s->seen);
	free(s->dirty);
	free(s);
}

void service_obey(struct service *s, struct identity *i)
{
	s->identity = i;
}

int service_settings(struct service *s, int64_t account, struct settings *out)
{
	if (s->identity)
		return settings_of(s->identity, account, out);
	settings_default(out);
	return OK;
}

struct store *service_store(struct service *s)
{
	return s->store;
}

int64_t service_mint(struct service *s)
{
	return mint_id(&s->store->mint);
}

int64_t service_stamp(struct service *s, int64_t last)
{
	int64_t before = atomic_load(&s->last_stamp), stamp;
	do {
		stamp = clock_now();
		if (stamp <= before)
			stamp = before + 1;
		if (stamp <= last)
			stamp = last + 1;
	} while (!atomic_compare_exchange_weak(&s->last_stamp, &before, stamp));
	return stamp;
}

int64_t service_now(struct service *s)
{
	return service_stamp(s, 0);
}

int service_clock(const struct service *s)
{
	int64_t off = atomic_load(&s->store->clock_off);
	return off ? fail_with(ERR_UNAVAILABLE, "this node's clock is %lld ms off the database's", (long long)(off / 1000)) : OK;
}

int service_room(const struct service *s)
{
	int e = service_clock(s);
	if (e)
		return e;
	return atomic_load(&s->store->full) ? fail_with(ERR_FULL, "the disk is full") : OK;
}

int service_commit(struct service *s, struct blob_stage *const *stages, size_t n_stages, meta_fn *fn, void *arg,
                   const struct touched *touched, size_t n)
{
	int e = store_commit(s->store, stages, n_stages, fn, arg);
	for (size_t i = 0; !e && i < n; i++)
		change_publish(s, &touched[i]);
	return e;
}

/* Both fit: slots have some 28 bits, account ids 32. */
static int64_t dirty_mark(int64_t slot, int64_t account)
{
	return slot << 32 | account;
}

static atomic_int_fast64_t *dirty_place(const struct service *s, int64_t mark)
{
	return &s->dirty[((uint64_t)mark * UINT64_C(0x9E3779B97F4A7C15) >> 32) % DIRTY_MARKS];
}

bool service_is_dirty(const struct service *s, int64_t slot, int64_t account)
{
	int64_t mark = dirty_mark(slot, account);
	return atomic_load(dirty_place(s, mark)) == mark;
}

void change_publish(struct service *s, const struct touched *t)
{
	if (!t->change)
		return;
	int64_t mark = dirty_mark(t->slot, t->account);
	atomic_store(dirty_place(s, mark), mark);
	atomic_fetch_add(&s->changes, 1);
	hub_publish(s->hub, t, true);
	if (t->grown)
		uidmap_save(s, t->account, t->grown);
}

void service_told(struct service *s, const struct touched *t)
{
	hub_publish(s->hub, t, false);
}

void service_stats(struct service *s, struct service_stats *out)
{
	*out = (struct service_stats){ .deliveries = atomic_load(&s->deliveries), .duplicates = atomic_load(&s->duplicates),
		                       .changes = atomic_load(&s->changes) };
}
