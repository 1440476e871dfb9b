#include "entry_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "fail.h"

enum {
	SLOTS = 8192,
	WAYS = 8, /* slots that a page may be in */
	BYTES_MAX = 64 << 20,
};

/* Immutable; a reader holds on to it while he copies. */
struct page {
	atomic_int refs;
	struct entry_page of;
	size_t n, bytes;
	struct entry list[]; /* keywords lie behind it */
};

struct slot {
	struct page *page;
	uint64_t used; /* when, in uses of the cache */
	bool again;    /* it was, since the hand came by */
};

struct entry_cache {
	pthread_mutex_t lock;
	uint64_t clock;
	size_t bytes, hand; /* hand: where room is looked for next */
	struct slot slots[SLOTS];
};

int entry_cache_new(struct entry_cache **out)
{
	struct entry_cache *c = calloc(1, sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return OK;
}

static void unref(struct page *p)
{
	if (p && atomic_fetch_sub(&p->refs, 1) == 1)
		free(p);
}

void entry_cache_free(struct entry_cache **cp)
{
	struct entry_cache *c = *cp;
	*cp = NULL;
	if (!c)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		unref(c->slots[i].page);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static bool is_of(const struct page *p, const struct entry_page *q)
{
	return p && p->of.account == q->account && p->of.collection == q->collection && p->of.place == q->place;
}

/* Where it is, or may be put. */
static struct slot *slot_of(struct entry_cache *c, const struct entry_page *q)
{
	uint64_t h = ((uint64_t)q->account * 0x9E3779B97F4A7C15u ^ (uint64_t)q->collection) * 0x9E3779B97F4A7C15u + q->place;
	size_t at = (h * 0x9E3779B97F4A7C15u) >> 51;
	struct slot *oldest = NULL;
	for (size_t i = 0; i < WAYS; i++) {
		struct slot *s = &c->slots[(at + i) % SLOTS];
		if (is_of(s->page, q))
			return s;
		if (!oldest || (oldest->page && (!s->page || s->used < oldest->used)))
			oldest = s;
	}
	return oldest;
}

static struct page *find(struct entry_cache *c, const struct entry_page *q)
{
	struct page *p = NULL;
	pthread_mutex_lock(&c->lock);
	struct slot *s = slot_of(c, q);
	if (is_of(s->page, q) && s->page->of.change == q->change && s->page->of.first == q->first && s->page->of.last == q->last) {
		p = s->page;
		atomic_fetch_add(&p->refs, 1);
		s->used = ++c->clock;
		s->again = true;
	}
	pthread_mutex_unlock(&c->lock);
	return p;
}

bool entry_cache_get(struct entry_cache *c, const struct entry_page *q, struct arena *arena, struct entry *out, size_t room, size_t *n)
{
	struct page *p = find(c, q);
	bool good = p && p->n <= room;
	for (size_t i = 0; good && i < p->n; i++) {
		out[i] = p->list[i];
		if (out[i].keywords.n) {
			out[i].keywords = arena_copy(arena, out[i].keywords);
			good = out[i].keywords.p;
		}
	}
	*n = good ? p->n : 0;
	unref(p);
	return good;
}

static struct page *copy(const struct entry_page *q, const struct entry *list, size_t n)
{
	size_t text = 0;
	for (size_t i = 0; i < n; i++)
		text += list[i].keywords.n;
	size_t bytes = sizeof(struct page) + n * sizeof *list + text;
	struct page *p = malloc(bytes);
	if (!p)
		return NULL;
	char *at = (char *)(p->list + n);
	atomic_init(&p->refs, 1);
	p->of = *q;
	p->n = n;
	p->bytes = bytes;
	for (size_t i = 0; i < n; i++) {
		p->list[i] = list[i];
		p->list[i].keywords = span_from(at, list[i].keywords.n);
		if (list[i].keywords.n)
			memcpy(at, list[i].keywords.p, list[i].keywords.n);
		at += list[i].keywords.n;
	}
	return p;
}

static void drop(struct entry_cache *c, struct slot *s)
{
	c->bytes -= s->page ? s->page->bytes : 0;
	unref(s->page);
	s->page = NULL;
}

/* What was not used since the hand came by gives way (CLOCK). */
static void make_room(struct entry_cache *c, size_t bytes)
{
	for (size_t i = 0; c->bytes + bytes > BYTES_MAX && i < 2 * SLOTS; i++) {
		struct slot *s = &c->slots[c->hand++ % SLOTS];
		if (!s->again)
			drop(c, s);
		s->again = false;
	}
}

void entry_cache_put(struct entry_cache *c, const struct entry_page *q, const struct entry *list, size_t n)
{
	struct page *p = copy(q, list, n);
	if (!p)
		return;
	pthread_mutex_lock(&c->lock);
	struct slot *s = slot_of(c, q);
	if (is_of(s->page, q) && s->page->of.change > q->change) { /* somebody read a later state meanwhile */
		unref(p);
	} else {
		drop(c, s);
		make_room(c, p->bytes);
		*s = (struct slot){ p, ++c->clock, true };
		c->bytes += p->bytes;
	}
	pthread_mutex_unlock(&c->lock);
}
