/* Notices within the node: who waits for a change of which collection. Buckets by account, each with its own lock, held
   while callbacks run, so that an unwatched callback is never running. */
#include <stdlib.h>

#include "fail.h"
#include "service_private.h"

enum { BUCKETS = 256 };

struct watch {
	struct watch *next, **at;
	int64_t account, collection;
	void (*fn)(void *ctx);
	void *ctx;
};

struct hub {
	struct bucket {
		pthread_mutex_t lock;
		struct watch *first;
	} buckets[BUCKETS];
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
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_init(&h->buckets[i].lock, NULL);
	*out = h;
	return OK;
}

void hub_free(struct hub **hp)
{
	struct hub *h = *hp;
	*hp = NULL;
	if (!h)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_destroy(&h->buckets[i].lock);
	free(h);
}

void hub_publish(struct hub *h, int64_t account, int64_t collection)
{
	struct bucket *b = bucket_of(h, account);
	pthread_mutex_lock(&b->lock);
	for (struct watch *w = b->first; w; w = w->next)
		if (w->account == account && (!collection || !w->collection || w->collection == collection))
			w->fn(w->ctx);
	pthread_mutex_unlock(&b->lock);
}

int service_watch(struct service *s, int64_t account, int64_t collection, void (*fn)(void *ctx), void *ctx, struct watch **out)
{
	struct watch *w = malloc(sizeof *w);
	if (!w)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	struct bucket *b = bucket_of(s->hub, account);
	*w = (struct watch){ .account = account, .collection = collection, .fn = fn, .ctx = ctx };
	pthread_mutex_lock(&b->lock);
	w->next = b->first;
	w->at = &b->first;
	if (w->next)
		w->next->at = &w->next;
	b->first = w;
	pthread_mutex_unlock(&b->lock);
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
	pthread_mutex_unlock(&b->lock);
	free(w);
}
