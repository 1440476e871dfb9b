/* A transaction until its end is known. What a try can come to, and what follows:
 *
 *   all answered with OK                                 done
 *   a statement or COMMIT refused for another's sake     again, with the same commit id
 *     (1213), a wait for a row that was too long (1205),
 *     a server that takes no work (1047), a connection
 *     lost before COMMIT went out
 *   COMMIT answered with anything else (1180, 1047), or  open: what was sent may be committed, or may yet be
 *     a connection lost after it went out
 *   anything else                                        rolled back, and the caller is told
 *
 * Each transaction writes a row `commit_id` under an id that was chosen before its first try. Where the end is open, a transaction
 * of its own writes a row of the same id, the fence: one of the two can be committed, never both. If the fence is, the
 * transaction runs again under a new id; if the id is taken, it was committed. The fence is repeated, on whatever node answers,
 * until that is known or time is up.
 *
 * A server shows what is committed before its log is written, and when all nodes die at that moment, nobody has it. So nothing is
 * answered on what was only seen: behind a commit that the fence found, and behind a transaction that found nothing left to change,
 * a row of commit_id is committed. */
#ifndef MARIADB_RUN_H
#define MARIADB_RUN_H

#include "mariadb_txn.h"

enum {
	MARIADB_RUN_S = 20, /* no try begins later than this */
};

struct mariadb_runner {
	struct meta *meta; /* for its node's number */
	struct mariadb_pool *pool;
	struct metrics *metrics;
	struct mariadb_known known[META_STATEMENTS];
	atomic_int_fast64_t last_id;
	atomic_uint_fast64_t commits;
};

void mariadb_runner_init(struct mariadb_runner *r, struct meta *m, struct mariadb_pool *p, struct metrics *metrics);
int mariadb_run(struct mariadb_runner *r, meta_fn *fn, void *arg);
int mariadb_read(struct mariadb_runner *r, meta_fn *fn, void *arg);

#endif
