#include "login_cache.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	unsigned char tag[LOGIN_TAG];
	int64_t until; /* 0: free */
};

struct set {
	struct entry ways[LOGIN_CACHE_WAYS];
};

struct login_cache {
	pthread_mutex_t lock;
	size_t mask;
	struct set *sets;
};

struct login_cache *login_cache_new(size_t sets)
{
	assert(sets && (sets & (sets - 1)) == 0);
	struct login_cache *c = calloc(1, sizeof *c);
	if (c)
		c->sets = calloc(sets, sizeof *c->sets);
	if (!c || !c->sets) {
		free(c);
		return NULL;
	}
	c->mask = sets - 1;
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void login_cache_free(struct login_cache **c)
{
	if (!*c)
		return;
	pthread_mutex_destroy(&(*c)->lock);
	free((*c)->sets);
	free(*c);
	*c = NULL;
}

/* Tags are the output of a keyed hash, so any of their bytes spread evenly and nobody outside can aim at a set. */
static struct set *set_of(struct login_cache *c, const unsigned char *tag)
{
	uint64_t h;
	memcpy(&h, tag, sizeof h);
	return &c->sets[h & c->mask];
}

bool login_cache_has(struct login_cache *c, const unsigned char *tag, int64_t now)
{
	bool has = false;
	pthread_mutex_lock(&c->lock);
	const struct set *s = set_of(c, tag);
	for (size_t i = 0; i < LOGIN_CACHE_WAYS; i++)
		has |= s->ways[i].until > now && CRYPTO_memcmp(s->ways[i].tag, tag, LOGIN_TAG) == 0;
	pthread_mutex_unlock(&c->lock);
	return has;
}

/* The place of the same tag, or the one that ends first (free and ended ones do). */
static struct entry *place_for(struct set *s, const unsigned char *tag)
{
	struct entry *best = &s->ways[0];
	for (size_t i = 0; i < LOGIN_CACHE_WAYS; i++) {
		if (CRYPTO_memcmp(s->ways[i].tag, tag, LOGIN_TAG) == 0)
			return &s->ways[i];
		if (s->ways[i].until < best->until)
			best = &s->ways[i];
	}
	return best;
}

void login_cache_put(struct login_cache *c, const unsigned char *tag, int64_t until)
{
	pthread_mutex_lock(&c->lock);
	struct entry *e = place_for(set_of(c, tag), tag);
	memcpy(e->tag, tag, LOGIN_TAG);
	e->until = until;
	pthread_mutex_unlock(&c->lock);
}
