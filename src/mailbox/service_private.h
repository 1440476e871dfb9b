/* What the files of the service share, and nobody else sees. */
#ifndef SERVICE_PRIVATE_H
#define SERVICE_PRIVATE_H

#include <pthread.h>

#include "service.h"
#include "store.h"

struct hub;
struct import;
struct uidmap_cache;
struct entry_cache;
struct recent_marks;
struct pins;

enum { SEEN_HASHES = 1 << 16, DIRTY_MARKS = 1 << 12 };

struct service {
	struct store *store;
	struct identity *identity;       /* whose settings count; NULL: the defaults */
	struct hub *hub;                 /* who waits for which collection (hub.c) */
	struct uidmap_cache *maps;       /* newest UID map of mailboxes in use (uidmap.c) */
	struct entry_cache *entries;     /* of mailboxes that were listed lately (entry_cache.c) */
	struct recent_marks *recent;     /* \Recent marks not written yet (recent.c) */
	struct pins *pins;               /* what views stand on (pin.c) */
	atomic_int_fast64_t last_stamp;  /* the latest stamp given out */
	atomic_int_fast64_t *seen;       /* SEEN_HASHES: content that came in lately, where its hash falls (message.c) */
	atomic_int_fast64_t *dirty;      /* DIRTY_MARKS: rows of dirty that this node committed lately, where their hash falls */
	pthread_mutex_t imports_lock;
	pthread_cond_t import_ended;
	struct import *imports;          /* that run (import.c) */
	atomic_uint_fast64_t deliveries, duplicates, changes;
};

/* A stamp for an account whose last one was `last`: later than it and than every other stamp of this node. */
int64_t service_stamp(struct service *s, int64_t last);

/* Did this node commit that row of `dirty`? Then a further change need not write it. (Purge takes no row of a slot that a stamp still
   falls into.) Forgets now and then. */
bool service_is_dirty(const struct service *s, int64_t slot, int64_t account);

/* ERR_UNAVAILABLE while this node's clock cannot be believed. */
int service_clock(const struct service *s);
/* The same, and ERR_FULL while the disk has no room for mail and changes. */
int service_room(const struct service *s);

/* What counts for the account. */
struct settings;
int service_settings(struct service *s, int64_t account, struct settings *out);

/* Runs fn in a transaction, the stages durable before it, and publishes what it touched. touched points into arg and is
   set by fn. */
struct touched;
int service_commit(struct service *s, struct blob_stage *const *stages, size_t n_stages, meta_fn *fn, void *arg,
                   const struct touched *touched, size_t n);

#endif
