#include "uidmap.h"

#include <stdlib.h>

#include "change.h"
#include "fail.h"
#include "service_private.h"
#include "uidmap_saved.h"

enum {
	CACHE_SLOTS = 1024,
	CACHE_UIDS = 8 << 20,
	LOAD_CHUNK = 20000,
};

struct slot {
	int64_t account, collection;
	struct uidmap *map;
	uint64_t used; /* when, in uses of the cache */
};

struct uidmap_cache {
	pthread_mutex_t lock;
	uint64_t clock, uids;
	struct slot slots[CACHE_SLOTS];
};

int uidmap_cache_new(struct uidmap_cache **out)
{
	struct uidmap_cache *c = calloc(1, sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return OK;
}

void uidmap_cache_free(struct uidmap_cache **cp)
{
	struct uidmap_cache *c = *cp;
	*cp = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		uidmap_unref(&c->slots[i].map);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

struct uidmap *uidmap_new(uint32_t n)
{
	struct uidmap *m = malloc(sizeof *m + (size_t)n * sizeof m->own[0]);
	if (!m) {
		fail_with(ERR_UNAVAILABLE, "no memory for %u UIDs", n);
		return NULL;
	}
	atomic_init(&m->refs, 1);
	m->change = 0;
	m->n = 0;
	m->uid = m->own;
	m->like = NULL;
	return m;
}

/* The UIDs of old, which is not copied, at another change. */
static struct uidmap *uidmap_like(struct uidmap *old)
{
	struct uidmap *m = uidmap_new(0);
	if (!m)
		return NULL;
	m->like = uidmap_ref(old->like ? old->like : old);
	m->uid = old->uid;
	m->n = old->n;
	return m;
}

struct uidmap *uidmap_ref(struct uidmap *m)
{
	atomic_fetch_add(&m->refs, 1);
	return m;
}

void uidmap_unref(struct uidmap **m)
{
	struct uidmap *u = *m;
	*m = NULL;
	if (!u || atomic_fetch_sub(&u->refs, 1) != 1)
		return;
	uidmap_unref(&u->like); /* which is like no other */
	free(u);
}

uint32_t uidmap_lower(const struct uidmap *m, uint32_t uid)
{
	uint32_t low = 0, high = m->n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (m->uid[mid] < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Slots are found within a short run from the place the key hashes to; the one used longest ago gives way. */
static struct slot *slot_of(struct uidmap_cache *c, int64_t account, int64_t collection)
{
	uint64_t h = ((uint64_t)account * 0x9E3779B97F4A7C15u ^ (uint64_t)collection) * 0x9E3779B97F4A7C15u >> 54;
	struct slot *oldest = NULL;
	for (size_t i = 0; i < 8; i++) {
		struct slot *s = &c->slots[(h + i) % CACHE_SLOTS];
		if (s->map && s->account == account && s->collection == collection)
			return s;
		if (!oldest || !s->map || (oldest->map && s->used < oldest->used))
			oldest = s;
	}
	return oldest;
}

static bool is_for(const struct slot *s, int64_t account, int64_t collection)
{
	return s->map && s->account == account && s->collection == collection;
}

static struct uidmap *cache_get(struct uidmap_cache *c, int64_t account, int64_t collection)
{
	pthread_mutex_lock(&c->lock);
	struct slot *s = slot_of(c, account, collection);
	struct uidmap *m = NULL;
	if (is_for(s, account, collection)) {
		m = uidmap_ref(s->map);
		s->used = ++c->clock;
	}
	pthread_mutex_unlock(&c->lock);
	return m;
}

static void drop_slot(struct uidmap_cache *c, struct slot *s)
{
	c->uids -= s->map ? s->map->n : 0;
	uidmap_unref(&s->map);
}

static void cache_put(struct uidmap_cache *c, int64_t account, int64_t collection, struct uidmap *m)
{
	pthread_mutex_lock(&c->lock);
	struct slot *s = slot_of(c, account, collection);
	if (!is_for(s, account, collection) || s->map->change < m->change) {
		drop_slot(c, s);
		for (size_t i = 0; c->uids + m->n > CACHE_UIDS && i < CACHE_SLOTS; i++)
			drop_slot(c, &c->slots[i]);
		if (m->n <= CACHE_UIDS)
			*s = (struct slot){ account, collection, uidmap_ref(m), ++c->clock };
		c->uids += s->map ? m->n : 0;
	}
	pthread_mutex_unlock(&c->lock);
}

struct load {
	int64_t account, collection;
	const struct uidmap *old; /* what is known already, or NULL */
	int64_t change;           /* out: the mailbox's change */
	struct buffer gone, uids; /* out: uint32_t each; uids beyond old's (at most LOAD_CHUNK) */
	uint32_t after;           /* in: uids from here on */
	size_t rows;              /* out: that were read for it */
	bool current;             /* out: old is as new as can be */
	bool purged;              /* out: old is so old that nobody knows any more what has gone since */
};

static void put_uid(struct buffer *b, int64_t uid)
{
	uint32_t u = (uint32_t)uid;
	buffer_put(b, &u, sizeof u);
}

static int read_gone(struct meta_txn *t, struct load *l)
{
	struct meta_rows r;
	int e = meta_query(t, &r, META_PAST_SINCE, "iii", l->account, l->collection, l->old->change);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; l->rows++)
		if (meta_int(&r, 1))
			put_uid(&l->gone, meta_int(&r, 0));
	meta_done(&r);
	return e;
}

static int read_uids(struct meta_txn *t, struct load *l)
{
	struct meta_rows r;
	int e = meta_query(t, &r, META_LIVE_UIDS, "iiii", l->account, l->collection, (int64_t)l->after, (int64_t)LOAD_CHUNK);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; l->rows++)
		put_uid(&l->uids, meta_int(&r, 0));
	meta_done(&r);
	return e;
}

/* All that a step may read: where the old map is as new as can be, the rows behind it are none. */
static void expect_step(struct meta_txn *t, const struct load *l)
{
	meta_expect(t, META_COLLECTION_GET, "ii", l->account, l->collection);
	if (l->old) {
		meta_expect(t, META_HEAD_GET, "i", l->account);
		meta_expect(t, META_PAST_SINCE, "iii", l->account, l->collection, l->old->change);
	}
	meta_expect(t, META_LIVE_UIDS, "iiii", l->account, l->collection, (int64_t)l->after, (int64_t)LOAD_CHUNK);
}

static int load_step(struct meta_txn *t, void *arg)
{
	struct load *l = arg;
	struct meta_rows r;
	struct collection k;
	struct head head;
	buffer_reset(&l->gone);
	buffer_reset(&l->uids);
	expect_step(t, l);
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", l->account, l->collection);
	if (e)
		return e;
	collection_from_row(&r, &k);
	meta_done(&r);
	l->change = k.change;
	l->current = l->old && l->old->change == k.change;
	if (l->current)
		return OK;
	if (l->old) {
		e = change_head(t, l->account, &head);
		l->purged = !e && l->old->change < head.floor;
		if (e || l->purged)
			return e;
	}
	e = l->old ? read_gone(t, l) : OK;
	return e ? e : read_uids(t, l);
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* old without gone, then more. */
static struct uidmap *merge(struct uidmap *old, struct buffer *gone, const struct buffer *more)
{
	size_t n_gone = gone->n / sizeof(uint32_t), n_more = more->n / sizeof(uint32_t), g = 0;
	uint32_t n_old = old ? old->n : 0;
	uint32_t *dead = (uint32_t *)(void *)gone->p;
	if (old && !n_gone && !n_more)
		return uidmap_like(old);
	struct uidmap *m = uidmap_new(n_old + (uint32_t)n_more);
	if (!m)
		return NULL;
	if (n_gone)
		qsort(dead, n_gone, sizeof *dead, compare_uids);
	for (uint32_t i = 0; i < n_old; i++) {
		while (g < n_gone && dead[g] < old->uid[i])
			g++;
		if (g == n_gone || dead[g] != old->uid[i])
			m->uid[m->n++] = old->uid[i];
	}
	if (n_more)
		memcpy(m->uid + m->n, more->p, more->n);
	m->n += (uint32_t)n_more;
	return m;
}

/* What a map took to read. */
struct effort {
	int steps;
	size_t rows; /* over all maps, where it was advanced more than once */
};

/* Large mailboxes are read in several short transactions, the steps. */
static int load(struct service *s, struct load *l, struct buffer *all, struct effort *f)
{
	int64_t change = 0;
	for (f->steps = 1;; f->steps++) {
		struct load step = *l;
		step.rows = 0;
		if (f->steps > 1)
			step.old = NULL;
		int e = meta_read(s->store->meta, load_step, &step);
		l->gone = f->steps > 1 ? l->gone : step.gone;
		l->uids = step.uids;
		f->rows += step.rows;
		if (e)
			return e;
		if (f->steps == 1)
			change = step.change, l->current = step.current, l->purged = step.purged;
		buffer_put_span(all, buffer_span(&l->uids));
		size_t n = l->uids.n / sizeof(uint32_t);
		if (n < LOAD_CHUNK || l->current || l->purged)
			break;
		memcpy(&l->after, l->uids.p + l->uids.n - sizeof l->after, sizeof l->after);
	}
	l->change = change;
	return buffer_ok(all) && buffer_ok(&l->gone) ? OK : fail_with(ERR_UNAVAILABLE, "no memory for a mailbox's UIDs");
}

/* From old (or nothing) to something newer. */
static int advance(struct service *s, int64_t account, int64_t collection, struct uidmap *old, struct uidmap **out, struct effort *f)
{
	struct load l = { .account = account, .collection = collection, .old = old,
		          .after = old && old->n ? old->uid[old->n - 1] : 0 };
	struct buffer all = { 0 };
	int e = load(s, &l, &all, f);
	if (!e && l.purged)
		e = advance(s, account, collection, NULL, out, f);
	else if (!e && l.current)
		*out = uidmap_ref(old);
	else if (!e && !(*out = merge(old, &l.gone, &all)))
		e = ERR_UNAVAILABLE;
	else if (!e)
		(*out)->change = l.change;
	buffer_free(&l.gone);
	buffer_free(&l.uids);
	buffer_free(&all);
	return e;
}

/* What was read in several transactions may lack what was expunged after its change number and show what came: it is
   brought up to date until one transaction was enough, for a view trusts that a map shows the state of its change. */
static int advance_to_present(struct service *s, int64_t account, int64_t collection, struct uidmap *old, struct uidmap **out,
                              size_t *rows)
{
	struct effort f = { .steps = 2 };
	struct uidmap *m = old ? uidmap_ref(old) : NULL;
	int e = OK;
	while (!e && f.steps > 1) {
		struct uidmap *before = m;
		m = NULL;
		e = advance(s, account, collection, before, &m, &f);
		uidmap_unref(&before);
	}
	*out = m;
	*rows = f.rows;
	return e;
}

int uidmap_latest(struct service *s, int64_t account, int64_t collection, int64_t change, int64_t messages, struct uidmap **out)
{
	struct uidmap *old = cache_get(s->maps, account, collection), *m = NULL;
	if (old && change && old->change >= change) {
		*out = old;
		return OK;
	}
	bool cold = !old;
	size_t rows;
	if (cold && messages >= UIDMAP_STEP / 2) /* many may be gone */
		old = uidmap_saved_read(s, account, collection);
	int e = advance_to_present(s, account, collection, old, &m, &rows);
	if (!e && (cold || m != old))
		cache_put(s->maps, account, collection, m);
	if (!e && cold && rows > 2 * UIDMAP_STEP) /* flags, mostly: each changed since is a row */
		uidmap_saved_write(s, account, collection, m);
	uidmap_unref(&old);
	if (!e)
		*out = m;
	return e;
}

void uidmap_save(struct service *s, int64_t account, int64_t collection)
{
	struct uidmap *m;
	if (uidmap_latest(s, account, collection, 0, INT64_MAX, &m))
		return;
	uidmap_saved_write(s, account, collection, m);
	uidmap_unref(&m);
}

static bool same(const struct uidmap *a, const struct uidmap *b)
{
	return a->n == b->n && memcmp(a->uid, b->uid, a->n * sizeof *a->uid) == 0;
}

/* What goes on meanwhile brings the two to other changes; the saved one is led on to the other's then. */
int uidmap_verify(struct service *s, int64_t account, int64_t collection, bool *good)
{
	struct uidmap *saved = uidmap_saved_read(s, account, collection), *led = NULL, *told = NULL;
	size_t rows;
	*good = true;
	int e = saved ? advance_to_present(s, account, collection, NULL, &told, &rows) : OK;
	for (int i = 0; saved && !e && i < 3; i++) {
		uidmap_unref(&led);
		e = advance_to_present(s, account, collection, saved, &led, &rows);
		if (e || led->change == told->change)
			break;
		struct uidmap *before = told;
		e = advance_to_present(s, account, collection, before, &told, &rows);
		uidmap_unref(&before);
	}
	if (led && told && led->change == told->change)
		*good = same(led, told);
	uidmap_unref(&saved);
	uidmap_unref(&led);
	uidmap_unref(&told);
	return e == ERR_NOT_FOUND ? OK : e;
}
