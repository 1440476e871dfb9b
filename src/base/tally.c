#include "tally.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "fail.h"

enum { BUCKETS = 4096 };

struct count {
	struct count *next;
	unsigned n;
	size_t size;
	char key[];
};

struct tally {
	pthread_mutex_t lock;
	struct count *buckets[BUCKETS];
};

struct tally *tally_new(void)
{
	struct tally *t = calloc(1, sizeof *t);
	if (t)
		pthread_mutex_init(&t->lock, NULL);
	return t;
}

void tally_free(struct tally **tp)
{
	struct tally *t = *tp;
	*tp = NULL;
	if (!t)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct count *c = t->buckets[i], *next; c; c = next) {
			next = c->next;
			free(c);
		}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Where the key's count hangs, or would. */
static struct count **place(struct tally *t, struct span key)
{
	uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * 0x100000001b3u;
	struct count **at = &t->buckets[(h ^ h >> 32) % BUCKETS];
	while (*at && !span_eq(span_from((*at)->key, (*at)->size), key))
		at = &(*at)->next;
	return at;
}

static struct count *count_new(struct span key)
{
	struct count *c = malloc(sizeof *c + key.n);
	if (!c)
		return NULL;
	*c = (struct count){ .size = key.n };
	memcpy(c->key, key.p, key.n);
	return c;
}

static int add(struct tally *t, struct span key, unsigned max)
{
	struct count **at = place(t, key);
	if (*at && (*at)->n >= max)
		return fail_with(ERR_LIMIT, "there are %u already", (*at)->n);
	if (!*at && !(*at = count_new(key)))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	(*at)->n++;
	return OK;
}

int tally_add(struct tally *t, struct span key, unsigned max)
{
	if (max == 0 || key.n > TALLY_KEY_MAX)
		return fail_with(ERR_LIMIT, "none is allowed");
	pthread_mutex_lock(&t->lock);
	int e = add(t, key, max);
	pthread_mutex_unlock(&t->lock);
	return e;
}

void tally_drop(struct tally *t, struct span key)
{
	pthread_mutex_lock(&t->lock);
	struct count **at = place(t, key), *c = *at;
	assert(c);
	if (--c->n == 0) {
		*at = c->next;
		free(c);
	}
	pthread_mutex_unlock(&t->lock);
}
