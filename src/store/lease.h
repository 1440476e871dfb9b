/* A lease: of all nodes that share the store, one does a job.
 *
 * No clock of anybody's decides. Whoever wants a lease that is held watches it: each sign of life of the holder moves the row's
 * beat, and a holder that gave none for `patience` of the watcher's own monotonic time is taken over; at once, when its node
 * is known to be stopped or silent (nodes.h). That is a guess, so
 * nothing rests on it: each holder has an epoch of its own, and what the job writes is written in transactions that
 * lease_hold() first. That changes the row, so that such a transaction and a take-over never both commit: on one database node the row's
 * lock has them follow one another, and the later one sees the other's epoch; on two, certification refuses one of them.
 *
 *     lease_init -> lease_take, ERR_CONFLICT: try again every few seconds -> lease_hold in each transaction -> lease_return
 *
 * A node has a name's lease once: two threads that want the same one settle that between themselves. What an earlier start of this
 * node held it takes over at once. One thread at a time uses a struct lease. */
#ifndef LEASE_H
#define LEASE_H

#include "meta.h"

struct store;

struct lease {
	struct meta *meta;  /* not owned */
	struct nodes *nodes; /* not owned */
	const char *name;   /* not owned */
	int64_t node;
	int64_t patience;   /* us */
	int64_t epoch;      /* ours; 0: not held */
	/* of the holder that is watched */
	int64_t seen_epoch, seen_beat, seen_at;
};

/* Holds nothing yet. A holder gives a sign of life (lease_take, lease_renew, lease_hold) several times in `patience` us. */
void lease_init(struct lease *l, struct store *s, const char *name, int64_t patience);

/* OK: it is ours, with a new epoch (also when it was already: a sign of life then). ERR_CONFLICT: another node has it, named in
   the detail. */
int lease_take(struct lease *l);
/* A sign of life. ERR_CONFLICT: it was taken over; the lease is not held any more. */
int lease_renew(struct lease *l);
/* Within a transaction, before what it writes: the same, for this transaction. The lease stays as it is: the transaction fails with
   ERR_CONFLICT, and so will lease_renew. */
int lease_hold(struct meta_txn *t, const struct lease *l);
/* Gives it back; what fails is left to the others' patience. Not held: nothing. */
void lease_return(struct lease *l);

static inline bool lease_held(const struct lease *l)
{
	return l->epoch != 0;
}

#endif
