/* The UIDs of a large mailbox, kept in the database as they were at some change: runs of them, so that some thousand that were
   never expunged take a few bytes. A shortcut, from which uidmap.c goes on to the present. */
#ifndef UIDMAP_SAVED_H
#define UIDMAP_SAVED_H

#include "buffer.h"
#include "uidmap.h"

/* NULL: there is none, or it cannot be read. */
struct uidmap *uidmap_saved_read(struct service *s, int64_t account, int64_t collection);
/* Where it cannot be written (a full disk) there will be none. */
void uidmap_saved_write(struct service *s, int64_t account, int64_t collection, const struct uidmap *m);

/* The runs: for each, varints of how many UIDs are left out before it, and of how many it has, less one. */
void uidmap_encode(const struct uidmap *m, struct buffer *out);
/* With one reference. NULL: no memory, or these are no runs of at most UIDMAP_MAX UIDs that grow up to 2^32 - 1. */
enum { UIDMAP_MAX = 64 << 20 };
struct uidmap *uidmap_decode(struct span runs);

#endif
