/* What is costly to make and needed for a moment by each of many threads: buffers of one chunk, and zstd contexts. There
   are at most two contexts of a kind per processor; who finds none waits for one. Any thread. */
#ifndef POOL_H
#define POOL_H

#include <pthread.h>
#include <zstd.h>

#include "record.h"

/* A record of one chunk as it stands in a pack, even if zstd makes it longer for a moment. */
enum { POOL_BUFFER = RECORD_BODY + ZSTD_COMPRESSBOUND(BLOB_CHUNK) + RECORD_ALIGN };

enum { POOL_CONTEXTS = 64, POOL_KEPT = 32 };

struct pool_contexts {
	void *idle[POOL_CONTEXTS];
	unsigned n_idle, made;
	pthread_cond_t came;
};

struct pool {
	pthread_mutex_t lock;
	unsigned limit; /* contexts of a kind */
	struct pool_contexts compress, expand;
	unsigned char *idle[POOL_KEPT];
	unsigned n_idle;
};

void pool_init(struct pool *p);
void pool_free(struct pool *p);

/* POOL_BUFFER bytes, or NULL when memory is out. */
unsigned char *pool_take(struct pool *p);
/* Gives *b back and sets it NULL; NULL is nothing to do. */
void pool_give(struct pool *p, unsigned char **b);

/* NULL only when memory is out. */
ZSTD_CCtx *pool_take_compress(struct pool *p);
void pool_give_compress(struct pool *p, ZSTD_CCtx *z);
ZSTD_DCtx *pool_take_expand(struct pool *p);
void pool_give_expand(struct pool *p, ZSTD_DCtx *z);

#endif
