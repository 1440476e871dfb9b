/* The two stores of a node, opened together and committed in lock-step: what a transaction refers to is durable before
   the transaction commits, whatever the pair of drivers. */
#ifndef STORE_H
#define STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "blob.h"
#include "buffer.h"
#include "meta.h"
#include "mint.h"

struct flusher;
struct nodes;
struct metrics;

struct store {
	struct meta *meta;
	struct blob_store *blob;
	struct mint mint;
	struct nodes *nodes;
	struct flusher *flusher;
	/* The disk has room for purge alone (server/ballast.h sets it). The service looks at it before it takes mail or begins
	   a change of an account; nothing below does. */
	atomic_bool full;
	/* By how much the clock is ahead of the database's, us, when that is too much for its stamps to be believed; else 0
	   (server/presence.h sets it). The service takes no mail then and begins no change; nothing below looks at it. */
	_Atomic int64_t clock_off;
	/* Operations of this start that nobody carries out any more, though their plans may be there: changeset.h. */
	struct buffer left;
	pthread_mutex_t left_lock;
};

struct store_options {
	const char *dir, *node_name, *meta_url, *blob_url;
	struct metrics *metrics; /* not owned; NULL: nothing is counted */
	int64_t blob_cache;      /* bytes of bodies kept in DIR/cache, where they are far away; 0: none */
};

/* Gives this start of the node its epoch, so that two starts never mint the same id (nodes.h: who else has the name). */
int store_open(const struct store_options *o, struct store **out);
void store_close(struct store **s);

/* Makes the stages durable (those that fn's changes refer to; their locations are known when it runs), then what fn does;
   OK when all of it is on stable storage. */
int store_commit(struct store *s, struct blob_stage *const *stages, size_t n, meta_fn *fn, void *arg);

#endif
