#include "memo.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { PLACES = 8192, LOCKS = 16 };

struct place {
	uint64_t since;
	enum memo_kind kind;
	size_t key_n, value_n;
	char bytes[]; /* key, value */
};

struct memo {
	atomic_uint_fast64_t now; /* grows with every change of the system log */
	pthread_mutex_t locks[LOCKS];
	struct place *places[PLACES]; /* one answer each: the last that fell there */
};

struct memo *memo_new(void)
{
	struct memo *m = calloc(1, sizeof *m);
	if (!m)
		return NULL;
	atomic_init(&m->now, 1);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_init(&m->locks[i], NULL);
	return m;
}

void memo_free(struct memo **m)
{
	if (!*m)
		return;
	for (size_t i = 0; i < PLACES; i++)
		free((*m)->places[i]);
	for (size_t i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&(*m)->locks[i]);
	free(*m);
	*m = NULL;
}

uint64_t memo_now(const struct memo *m)
{
	return atomic_load(&m->now);
}

void memo_forget(struct memo *m)
{
	atomic_fetch_add(&m->now, 1);
}

static size_t place_of(enum memo_kind kind, struct span key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + kind;
	for (size_t i = 0; i < key.n; i++)
		h = (h ^ (unsigned char)key.p[i]) * UINT64_C(0x100000001b3);
	return (h ^ h >> 32) % PLACES;
}

static bool answers(const struct memo *m, const struct place *p, enum memo_kind kind, struct span key, size_t n)
{
	return p && p->since == atomic_load(&m->now) && p->kind == kind && p->value_n == n &&
	       span_eq(span_from(p->bytes, p->key_n), key);
}

bool memo_get(struct memo *m, enum memo_kind kind, struct span key, void *value, size_t n)
{
	size_t i = place_of(kind, key);
	pthread_mutex_lock(&m->locks[i % LOCKS]);
	const struct place *p = m->places[i];
	bool hit = answers(m, p, kind, key, n);
	if (hit)
		memcpy(value, p->bytes + p->key_n, n);
	pthread_mutex_unlock(&m->locks[i % LOCKS]);
	return hit;
}

void memo_put(struct memo *m, uint64_t since, enum memo_kind kind, struct span key, const void *value, size_t n)
{
	struct place *p = malloc(sizeof *p + key.n + n);
	if (!p)
		return;
	*p = (struct place){ since, kind, key.n, n };
	memcpy(p->bytes, key.p, key.n);
	memcpy(p->bytes + key.n, value, n);
	size_t i = place_of(kind, key);
	pthread_mutex_lock(&m->locks[i % LOCKS]);
	struct place *old = m->places[i];
	m->places[i] = p;
	pthread_mutex_unlock(&m->locks[i % LOCKS]);
	free(old);
}
