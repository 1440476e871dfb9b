/* The UIDs of a mailbox in order, as they were at one change: message number n is uid[n - 1]. Immutable and shared by all
   sessions that see this state. */
#ifndef UIDMAP_H
#define UIDMAP_H

#include <stdatomic.h>

#include "service.h"

struct uidmap {
	atomic_int refs;
	int64_t change; /* the mailbox's change it shows */
	uint32_t n;
	uint32_t *uid;        /* own, or that of: */
	struct uidmap *like;  /* an earlier state with the same UIDs; or NULL */
	uint32_t own[];
};

struct uidmap_cache;
int uidmap_cache_new(struct uidmap_cache **out);
void uidmap_cache_free(struct uidmap_cache **c);

/* With room for n UIDs and one reference. NULL: no memory. */
struct uidmap *uidmap_new(uint32_t n);
struct uidmap *uidmap_ref(struct uidmap *m);
void uidmap_unref(struct uidmap **m);
/* Index of the first UID >= uid; n when there is none. */
uint32_t uidmap_lower(const struct uidmap *m, uint32_t uid);

/* The mailbox as it was when its last change was `change` (0: as it is now), or later. messages: how many it had lately; of few
   nothing is saved. ERR_NOT_FOUND: there is no such collection. */
int uidmap_latest(struct service *s, int64_t account, int64_t collection, int64_t change, int64_t messages, struct uidmap **out);

/* Saves the present for those to come that see it first. Asked for behind a change by which a mailbox came past a multiple of so
   many UIDs, so that no more than these are read from rows. */
enum { UIDMAP_STEP = 4096 };
void uidmap_save(struct service *s, int64_t account, int64_t collection);
/* Is the state that is reached from what is saved (uidmap_saved.h) the one that the rows tell? *good also where nothing is
   saved. For check. */
int uidmap_verify(struct service *s, int64_t account, int64_t collection, bool *good);

#endif
