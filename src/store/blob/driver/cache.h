/* What was read from a store that is far away, kept in a file of bounded size: DIR/cache/blocks. Never a source of truth: it is empty
 * after a start, its bytes carry checksums (a block that is not what was written into it is not there), and what the store
 * says is gone goes from it too. Blocks of a fixed size are kept; the least recently used goes first. Who reads on where the last
 * read of a pack from the store ended gets more at a time. */
#ifndef CACHE_H
#define CACHE_H

#include "driver.h"

enum { CACHE_BLOCK = 64 * 1024, CACHE_AHEAD = 16 };

/* Wraps *b, which must have fetch; takes it also when that fails. o->cache_bytes: how much is kept, at least some blocks,
   at most a quarter of what the disk holds. */
int blob_cache_wrap(const struct blob_driver_options *o, struct blob_backend **b);

#endif
