/* Addresses looked up lately. An answer counts as long as nothing in the system log changed since before it was read
   (directory_changed); so a cached answer is never older than the last change that was announced. */
#ifndef DIRECTORY_CACHE_H
#define DIRECTORY_CACHE_H

#include "identity.h"

struct directory_cache;
struct directory_cache *directory_cache_new(void);
void directory_cache_free(struct directory_cache **c);

/* Before a look-up in the store; hand it to directory_cache_put with what was found. */
uint64_t directory_cache_now(const struct directory_cache *c);
bool directory_cache_get(struct directory_cache *c, const char *address, struct account *out);
void directory_cache_put(struct directory_cache *c, uint64_t since, const struct account *a);
/* Everything cached so far is forgotten. */
void directory_cache_forget(struct directory_cache *c);

#endif
