/* What login and directory share; not for users of the library. */
#ifndef IDENTITY_PRIVATE_H
#define IDENTITY_PRIVATE_H

#include <openssl/types.h>
#include <stdatomic.h>

#include "hash_pool.h"
#include "identity.h"
#include "login_cache.h"
#include "login_guard.h"
#include "memo.h"

struct identity {
	struct meta *meta;
	char domain[ADDRESS_MAX];
	struct metrics *metrics;
	struct hash_pool *pool;
	struct login_cache *cache;
	struct login_guard *guard;
	struct memo *memo;
	EVP_MAC_CTX *mac;      /* HMAC-SHA256 with the key of this process; copied for each use, never changed */
	EVP_MAC_CTX *salts;    /* the same with a key that all nodes have: what unknown users are answered with */
	atomic_bool no_scram;
	atomic_uint_fast64_t ended; /* counts identity_logins_ended() */
	int64_t remember;      /* us */
};

/* The parts of directory_find, for a name that is complete: the remembered answer; the store's, which can be named before
   (meta_expect); remembering it. */
struct meta_txn;
bool directory_recall(struct identity *i, struct span name, struct account *out);
void directory_expect(struct meta_txn *t, struct span name);
int directory_read(struct meta_txn *t, struct span name, struct account *out);
void directory_remember(struct identity *i, uint64_t since, const struct account *a);

#endif
