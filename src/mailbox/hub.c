#include "hub.h"

#include <pthread.h>
#include <stdlib.h>

#include "change.h"
#include "fail.h"
#include "service_private.h"

enum { UNKNOWN = -1, NO_COLLECTION = -1, AHEAD = 64 };

struct watch {
	struct watch *next, **at;
	int64_t account, collection;
	bool fresh; /* no look has come by since it began */
	void (*fn)(void *ctx);
	void *ctx;
};

/* An account that somebody watches. */
struct watched {
	struct watched *next;
	int64_t account;
	int64_t known;  /* every change up to this one was announced, or UNKNOWN */
	uint64_t ahead; /* which of the AHEAD changes after it were, the next one in the lowest bit */
	int64_t looked; /* where the last look saw the head */
	struct watch *first;
};

struct listener_all {
	struct listener_all *next;
	service_listen_fn *fn;
	void *ctx;
};

struct hub {
	struct bucket {
		pthread_mutex_t lock;
		struct watched *first; /* by account, ascending */
	} buckets[HUB_BUCKETS];
	pthread_rwlock_t listening;
	struct listener_all *listeners; /* to every change */
};

static struct bucket *bucket_of(struct hub *h, int64_t account)
{
	return &h->buckets[(uint64_t)account * UINT64_C(0x9E3779B97F4A7C15) >> 56];
}

int hub_new(struct hub **out)
{
	struct hub *h = calloc(1, sizeof *h);
	if (!h)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < HUB_BUCKETS; i++)
		pthread_mutex_init(&h->buckets[i].lock, NULL);
	pthread_rwlock_init(&h->listening, NULL);
	*out = h;
	return OK;
}

void hub_free(struct hub **hp)
{
	struct hub *h = *hp;
	*hp = NULL;
	if (!h)
		return;
	for (size_t i = 0; i < HUB_BUCKETS; i++)
		pthread_mutex_destroy(&h->buckets[i].lock);
	pthread_rwlock_destroy(&h->listening);
	free(h);
}

/* Where the account stands in the list, or would. */
static struct watched **place_of(struct bucket *b, int64_t account)
{
	struct watched **p = &b->first;
	while (*p && (*p)->account < account)
		p = &(*p)->next;
	return p;
}

static struct watched *find(struct bucket *b, int64_t account)
{
	struct watched *w = *place_of(b, account);
	return w && w->account == account ? w : NULL;
}

static void wake(const struct watched *a, int64_t collection)
{
	for (struct watch *w = a->first; w; w = w->next)
		if (!collection || !w->collection || w->collection == collection)
			w->fn(w->ctx);
}

/* Who watches the whole account hears also of what touches no collection's entries, as a folder that is made. */
static void wake_touched(const struct watched *a, const struct touched *t)
{
	if (t->n == 0)
		wake(a, NO_COLLECTION);
	else if (t->n > sizeof t->collections / sizeof *t->collections)
		wake(a, 0);
	else
		for (size_t i = 0; i < t->n; i++)
			wake(a, t->collections[i]);
}

/* Notices come in any order. */
static void announce(struct watched *a, int64_t change)
{
	if (a->known == UNKNOWN || change <= a->known || change - a->known > AHEAD)
		return;
	a->ahead |= UINT64_C(1) << (change - a->known - 1);
	for (; a->ahead & 1; a->ahead >>= 1)
		a->known++;
}

void hub_wake(struct hub *h, int64_t account, int64_t collection)
{
	struct bucket *b = bucket_of(h, account);
	pthread_mutex_lock(&b->lock);
	const struct watched *a = find(b, account);
	if (a)
		wake(a, collection);
	pthread_mutex_unlock(&b->lock);
}

void hub_publish(struct hub *h, const struct touched *t, bool ours)
{
	struct bucket *b = bucket_of(h, t->account);
	pthread_mutex_lock(&b->lock);
	struct watched *a = find(b, t->account);
	if (a) {
		announce(a, t->change);
		wake_touched(a, t);
	}
	pthread_mutex_unlock(&b->lock);
	pthread_rwlock_rdlock(&h->listening);
	for (const struct listener_all *l = h->listeners; l; l = l->next)
		l->fn(l->ctx, t, ours);
	pthread_rwlock_unlock(&h->listening);
}

size_t hub_watched(struct hub *h, size_t bucket, int64_t from, int64_t *out, size_t n)
{
	struct bucket *b = &h->buckets[bucket];
	size_t found = 0;
	pthread_mutex_lock(&b->lock);
	for (const struct watched *a = *place_of(b, from); a && found < n; a = a->next)
		out[found++] = a->account;
	pthread_mutex_unlock(&b->lock);
	return found;
}

static void forget_announced(struct watched *a, int64_t up_to)
{
	int64_t n = up_to - a->known;
	a->ahead = n < AHEAD ? a->ahead >> n : 0;
	a->known = up_to;
	for (; a->ahead & 1; a->ahead >>= 1)
		a->known++;
}

/* What the last look found and nobody announced since. */
static uint64_t count_missed(const struct watched *a)
{
	int64_t n = a->looked - a->known;
	uint64_t announced = n < AHEAD ? a->ahead & ((UINT64_C(1) << n) - 1) : a->ahead;
	return (uint64_t)n - (uint64_t)__builtin_popcountll(announced);
}

/* What this look finds is told now; whether a notice tells it as well, which takes a moment, shows at the next. */
static uint64_t look(struct watched *a, int64_t change)
{
	uint64_t missed = 0;
	if (a->known == UNKNOWN)
		a->known = a->looked = change;
	if (a->known < a->looked) {
		missed = count_missed(a);
		forget_announced(a, a->looked);
	}
	bool moved = change > a->known && change > a->looked;
	for (struct watch *w = a->first; w; w = w->next) {
		if (moved || w->fresh)
			w->fn(w->ctx);
		w->fresh = false;
	}
	if (change > a->looked)
		a->looked = change;
	return missed;
}

uint64_t hub_head(struct hub *h, int64_t account, int64_t change)
{
	struct bucket *b = bucket_of(h, account);
	pthread_mutex_lock(&b->lock);
	struct watched *a = find(b, account);
	uint64_t missed = a ? look(a, change) : 0;
	pthread_mutex_unlock(&b->lock);
	return missed;
}

static struct watched *add_watched(struct bucket *b, int64_t account)
{
	struct watched **p = place_of(b, account), *a = *p;
	if (a && a->account == account)
		return a;
	a = calloc(1, sizeof *a);
	if (a) {
		*a = (struct watched){ .next = *p, .account = account, .known = UNKNOWN };
		*p = a;
	}
	return a;
}

int service_watch(struct service *s, int64_t account, int64_t collection, void (*fn)(void *ctx), void *ctx, struct watch **out)
{
	struct watch *w = malloc(sizeof *w);
	if (!w)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	struct bucket *b = bucket_of(s->hub, account);
	*w = (struct watch){ .account = account, .collection = collection, .fresh = true, .fn = fn, .ctx = ctx };
	pthread_mutex_lock(&b->lock);
	struct watched *a = add_watched(b, account);
	if (a) {
		w->next = a->first;
		w->at = &a->first;
		if (w->next)
			w->next->at = &w->next;
		a->first = w;
	}
	pthread_mutex_unlock(&b->lock);
	if (!a) {
		free(w);
		return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	*out = w;
	return OK;
}

void service_unwatch(struct service *s, struct watch **wp)
{
	struct watch *w = *wp;
	*wp = NULL;
	if (!w)
		return;
	struct bucket *b = bucket_of(s->hub, w->account);
	pthread_mutex_lock(&b->lock);
	*w->at = w->next;
	if (w->next)
		w->next->at = w->at;
	struct watched **p = place_of(b, w->account), *a = *p;
	if (!a->first) {
		*p = a->next;
		free(a);
	}
	pthread_mutex_unlock(&b->lock);
	free(w);
}

int service_listen(struct service *s, service_listen_fn *fn, void *ctx, struct listener_all **out)
{
	struct listener_all *l = malloc(sizeof *l);
	if (!l)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	pthread_rwlock_wrlock(&s->hub->listening);
	*l = (struct listener_all){ s->hub->listeners, fn, ctx };
	s->hub->listeners = l;
	pthread_rwlock_unlock(&s->hub->listening);
	*out = l;
	return OK;
}

void service_unlisten(struct service *s, struct listener_all **lp)
{
	struct listener_all *l = *lp, **p;
	*lp = NULL;
	if (!l)
		return;
	pthread_rwlock_wrlock(&s->hub->listening);
	for (p = &s->hub->listeners; *p != l; p = &(*p)->next)
		;
	*p = l->next;
	pthread_rwlock_unlock(&s->hub->listening);
	free(l);
}
