#include "directory_cache.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PLACES = 4096, LOCKS = 16 };

struct place {
	uint64_t since; /* 0: empty */
	struct account account;
};

struct directory_cache {
	atomic_uint_fast64_t now; /* grows with every change of the system log */
	pthread_mutex_t locks[LOCKS];
	struct place *places[PLACES]; /* one address each: the last that fell there */
};

struct directory_cache *directory_cache_new(void)
{
	struct directory_cache *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	atomic_init(&c->now, 1);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&c->locks[i], NULL);
	return c;
}

void directory_cache_free(struct directory_cache **c)
{
	if (!*c)
		return;
	for (size_t i = 0; i < PLACES; i++)
		free((*c)->places[i]);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&(*c)->locks[i]);
	free(*c);
	*c = NULL;
}

uint64_t directory_cache_now(const struct directory_cache *c)
{
	return atomic_load(&c->now);
}

void directory_cache_forget(struct directory_cache *c)
{
	atomic_fetch_add(&c->now, 1);
}

static size_t place_of(const char *address)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	while (*address)
		h = (h ^ (unsigned char)*address++) * UINT64_C(0x100000001b3);
	return (h ^ h >> 32) % PLACES;
}

bool directory_cache_get(struct directory_cache *c, const char *address, struct account *out)
{
	size_t i = place_of(address);
	pthread_mutex_lock(&c->locks[i % LOCKS]);
	const struct place *p = c->places[i];
	bool hit = p && p->since == atomic_load(&c->now) && strcmp(p->account.address, address) == 0;
	if (hit)
		*out = p->account;
	pthread_mutex_unlock(&c->locks[i % LOCKS]);
	return hit;
}

void directory_cache_put(struct directory_cache *c, uint64_t since, const struct account *a)
{
	size_t i = place_of(a->address);
	pthread_mutex_lock(&c->locks[i % LOCKS]);
	if (!c->places[i])
		c->places[i] = malloc(sizeof *c->places[i]);
	if (c->places[i])
		*c->places[i] = (struct place){ since, *a };
	pthread_mutex_unlock(&c->locks[i % LOCKS]);
}
