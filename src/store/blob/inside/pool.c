#include "pool.h"

#include <stdlib.h>
#include <unistd.h>

void pool_init(struct pool *p)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	*p = (struct pool){ .limit = cores < 1 ? 2 : cores > POOL_CONTEXTS / 2 ? POOL_CONTEXTS : (unsigned)cores * 2 };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->compress.came, NULL);
	pthread_cond_init(&p->expand.came, NULL);
}

void pool_free(struct pool *p)
{
	while (p->n_idle)
		free(p->idle[--p->n_idle]);
	while (p->compress.n_idle)
		ZSTD_freeCCtx(p->compress.idle[--p->compress.n_idle]);
	while (p->expand.n_idle)
		ZSTD_freeDCtx(p->expand.idle[--p->expand.n_idle]);
	pthread_cond_destroy(&p->compress.came);
	pthread_cond_destroy(&p->expand.came);
	pthread_mutex_destroy(&p->lock);
}

unsigned char *pool_take(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	unsigned char *b = p->n_idle ? p->idle[--p->n_idle] : NULL;
	pthread_mutex_unlock(&p->lock);
	return b ? b : malloc(POOL_BUFFER);
}

void pool_give(struct pool *p, unsigned char **b)
{
	if (!*b)
		return;
	pthread_mutex_lock(&p->lock);
	if (p->n_idle < POOL_KEPT) {
		p->idle[p->n_idle++] = *b;
		*b = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	free(*b);
	*b = NULL;
}

/* An idle context, or NULL when the caller may make one. */
static void *context_take(struct pool *p, struct pool_contexts *c)
{
	void *z = NULL;
	pthread_mutex_lock(&p->lock);
	while (!c->n_idle && c->made >= p->limit)
		pthread_cond_wait(&c->came, &p->lock);
	if (c->n_idle)
		z = c->idle[--c->n_idle];
	else
		c->made++;
	pthread_mutex_unlock(&p->lock);
	return z;
}

/* z NULL: the context could not be made, somebody else may try. */
static void context_give(struct pool *p, struct pool_contexts *c, void *z)
{
	pthread_mutex_lock(&p->lock);
	if (z)
		c->idle[c->n_idle++] = z;
	else
		c->made--;
	pthread_cond_signal(&c->came);
	pthread_mutex_unlock(&p->lock);
}

ZSTD_CCtx *pool_take_compress(struct pool *p)
{
	ZSTD_CCtx *z = context_take(p, &p->compress);
	if (!z && !(z = ZSTD_createCCtx()))
		context_give(p, &p->compress, NULL);
	return z;
}

void pool_give_compress(struct pool *p, ZSTD_CCtx *z)
{
	context_give(p, &p->compress, z);
}

ZSTD_DCtx *pool_take_expand(struct pool *p)
{
	ZSTD_DCtx *z = context_take(p, &p->expand);
	if (!z && !(z = ZSTD_createDCtx()))
		context_give(p, &p->expand, NULL);
	return z;
}

void pool_give_expand(struct pool *p, ZSTD_DCtx *z)
{
	context_give(p, &p->expand, z);
}
