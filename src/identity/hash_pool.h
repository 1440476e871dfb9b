/* Bounds how many passwords are hashed at a time: each costs 45 ms of a core and 19 MiB (up to 64 for hashes brought
   along), so without a bound a thousand wrong logins would exhaust the machine. A caller enters, hashes on its own
   thread, and leaves.

   Waiting is fair between peers: they take turns, and when the queue is full, the one that waits behind most others of
   its own peer is sent away. So one peer that guesses passwords delays others by one hash, not by its whole queue. */
#ifndef HASH_POOL_H
#define HASH_POOL_H

#include "span.h"

struct hash_pool;

/* parallel: hashes at a time, 0 for the number of cores; queue: how many may wait, 0 for 32 for each of those. */
int hash_pool_new(unsigned parallel, unsigned queue, struct hash_pool **out);
/* Nobody may be inside or waiting. Takes the pointer's address, sets it NULL. */
void hash_pool_free(struct hash_pool **p);

/* Waits for a place. peer: who asks (an address as text, may be empty), must live until it returns. ERR_UNAVAILABLE
   when too many wait. After OK, hash_pool_leave() when done. */
int hash_pool_enter(struct hash_pool *p, struct span peer);
void hash_pool_leave(struct hash_pool *p);
/* How many wait now. */
unsigned hash_pool_waiting(struct hash_pool *p);

#endif
