#include "pin.h"

#include <stdlib.h>

#include "buffer.h"
#include "clock.h"
#include "fail.h"
#include "hub.h"
#include "service_private.h"

enum { BUCKETS = 256 };

struct pin {
	struct pin *next, **at;
	struct bucket *bucket;
	int64_t account;
	struct pin_info info;
	atomic_bool lost;
};

struct pins {
	atomic_int_fast64_t serial;
	struct bucket {
		pthread_mutex_t lock;
		struct pin *first;
	} buckets[BUCKETS];
};

int pins_new(struct pins **out)
{
	struct pins *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_init(&p->buckets[i].lock, NULL);
	*out = p;
	return OK;
}

void pins_free(struct pins **pp)
{
	struct pins *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		pthread_mutex_destroy(&p->buckets[i].lock);
	free(p);
}

static struct bucket *bucket_of(struct service *s, int64_t account)
{
	return &s->pins->buckets[(uint64_t)account * UINT64_C(0x9E3779B97F4A7C15) >> 56];
}

int pin_new(struct service *s, int64_t account, int64_t collection, enum pin_kind kind, int64_t change, struct pin **out)
{
	struct pin *p = malloc(sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	struct bucket *b = bucket_of(s, account);
	*p = (struct pin){ .bucket = b, .account = account, .at = &b->first,
		           .info = { kind, collection, change, clock_mono(), atomic_fetch_add(&s->pins->serial, 1) } };
	atomic_init(&p->lost, false);
	pthread_mutex_lock(&b->lock);
	p->next = b->first;
	if (p->next)
		p->next->at = &p->next;
	b->first = p;
	pthread_mutex_unlock(&b->lock);
	*out = p;
	return OK;
}

void pin_move(struct pin *p, int64_t change)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->bucket->lock);
	p->info.change = change;
	pthread_mutex_unlock(&p->bucket->lock);
}

void pin_give_up(struct pin *p)
{
	if (p)
		atomic_store(&p->lost, true);
}

bool pin_lost(const struct pin *p)
{
	return p && atomic_load(&p->lost);
}

void pin_free(struct pin **pp)
{
	struct pin *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->bucket->lock);
	*p->at = p->next;
	if (p->next)
		p->next->at = p->at;
	pthread_mutex_unlock(&p->bucket->lock);
	free(p);
}

int pin_list(struct service *s, int64_t account, struct pin_info **out, size_t *n)
{
	struct bucket *b = bucket_of(s, account);
	struct buffer all = { 0 };
	pthread_mutex_lock(&b->lock);
	for (struct pin *p = b->first; p; p = p->next)
		if (p->account == account && !pin_lost(p))
			buffer_put(&all, &p->info, sizeof p->info);
	pthread_mutex_unlock(&b->lock);
	if (!buffer_ok(&all)) {
		buffer_free(&all);
		return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	*out = (struct pin_info *)(void *)all.p;
	*n = all.n / sizeof **out;
	return OK;
}

static int64_t oldest_in(struct bucket *b, int64_t now)
{
	int64_t oldest = 0;
	pthread_mutex_lock(&b->lock);
	for (struct pin *p = b->first; p; p = p->next) {
		int64_t age = now - p->info.since;
		if (p->info.kind == PIN_AT && !pin_lost(p) && age < PIN_AGE_US && age > oldest)
			oldest = age;
	}
	pthread_mutex_unlock(&b->lock);
	return oldest;
}

int64_t pin_oldest(struct service *s)
{
	int64_t now = clock_mono(), oldest = 0;
	for (size_t i = 0; i < BUCKETS; i++) {
		int64_t age = oldest_in(&s->pins->buckets[i], now);
		oldest = age > oldest ? age : oldest;
	}
	return oldest;
}

bool pin_lose(struct service *s, int64_t account, const struct pin_info *i)
{
	struct bucket *b = bucket_of(s, account);
	bool lost = false;
	pthread_mutex_lock(&b->lock);
	for (struct pin *p = b->first; p && !lost; p = p->next) {
		lost = p->info.serial == i->serial && p->info.change == i->change;
		if (lost)
			atomic_store(&p->lost, true);
	}
	pthread_mutex_unlock(&b->lock);
	if (lost)
		hub_wake(s->hub, account, i->collection);
	return lost;
}
