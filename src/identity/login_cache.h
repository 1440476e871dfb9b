/* Remembers logins that succeeded, as tags: HMACs under a key of this process over account, version of its credentials
   and password. A tag that is found says that this password was right for this version; another password, a changed one
   or a removed account make another tag. Of a fixed size; the oldest of a set makes room. Any thread. */
#ifndef LOGIN_CACHE_H
#define LOGIN_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOGIN_TAG = 32, LOGIN_CACHE_WAYS = 6 };

struct login_cache;

/* Room for sets * LOGIN_CACHE_WAYS tags, 40 bytes each; sets is a power of two. NULL when out of memory. */
struct login_cache *login_cache_new(size_t sets);
void login_cache_free(struct login_cache **c);

/* Times are clock_mono(), us. */
bool login_cache_has(struct login_cache *c, const unsigned char *tag, int64_t now);
void login_cache_put(struct login_cache *c, const unsigned char *tag, int64_t until);

#endif
