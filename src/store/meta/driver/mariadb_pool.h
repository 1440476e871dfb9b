/* Connections to the nodes of a database cluster: bounded, shared by all threads. Each account has a node that it prefers, the
 * same one whoever asks, so that transactions which change the same rows meet on one node and wait there for one another. A
 * node that fails is avoided at once, by all, and taken again once it answers to a look that a thread has at it. */
#ifndef MARIADB_POOL_H
#define MARIADB_POOL_H

#include "mariadb_conn.h"

enum { MARIADB_WAIT_S = 5 }; /* for a connection */

struct mariadb_pool;
struct metrics;

/* u and metrics (may be NULL) are not owned. */
int mariadb_pool_start(const struct mariadb_url *u, struct metrics *metrics, struct mariadb_pool **out);
/* All connections were given back. */
void mariadb_pool_stop(struct mariadb_pool **p);

/* A connection to the account's node, or to another that works. writes: one that is set up for such transactions is
   preferred. ERR_UNAVAILABLE when there was none for MARIADB_WAIT_S. */
int mariadb_pool_take(struct mariadb_pool *p, int64_t account, bool writes, struct mariadb_conn **out);
/* Takes the pointer's address, sets it NULL. fault: how its last use ended. */
void mariadb_pool_give(struct mariadb_pool *p, struct mariadb_conn **c, enum mariadb_fault fault);

/* By how much this node's clock is ahead of the database's, us: of the middle one, where there are several, so that one that
   is wrong does not count. False: none has told the time lately, nor in the seconds that this waits. */
bool mariadb_pool_clock(struct mariadb_pool *p, int64_t *ahead, int64_t *unsure);
/* Size of the database, as of the last minute. */
uint64_t mariadb_pool_bytes(const struct mariadb_pool *p);

#endif
