/* A follower reads the log of every account, in each account's own order, and stands at an acknowledged position in each.
 *
 * It keeps two things in the store: per account the last change it has taken (`position`), and the slot of `dirty` below which it
 * has read all (`follower`). A step reads the dirty accounts of the slots from there on, hands the rows beyond each account's
 * position to rows(), and stores the positions. Rows are handed over at least once: after a crash, or when another node takes
 * over, those whose positions were not stored yet come again.
 *
 * Why nothing is missed although commits become visible in any order. Within an account they do not: each changes the head. Which
 * accounts to look at is told by (slot of the change's stamp, account), written in the change's transaction, so it is seen
 * exactly when the change is. A slot is read again and again until no transaction can add to it any more:
 *   - no node that lives has a transaction open that could give a stamp in it: the horizon that nodes publish (nodes.h), and
 *   - it is FOLLOW_SETTLE_US old. That is for what no living node knows of: a transaction of a node that died, was cut off, or hangs
 *     and was given up. The database ends one that waits for its node's next word within seconds (MARIADB_STALL_S), and decides a
 *     COMMIT it works on within its own timeouts, seconds too, whatever anybody heard of it. This is more than a minute above both.
 * Only then, after a step that began when both held and took all it saw, the slot is closed. Should it ever be wrong (a clock that
 * is set back under a running node, a database stopped for minutes in mid-commit), a sweep over all heads finds the account, and the
 * rows whose slot was closed before they were taken are counted: misses, which must be 0. */
#ifndef FOLLOW_H
#define FOLLOW_H

#include "change.h"
#include "clock.h"

#define FOLLOW_SETTLE_US (120 * SECOND_US)

struct follow;
struct service;

/* A row of the journal (log_body.h reads its body). Spans live as long as the call they are given to. */
struct follow_row {
	int64_t account, change, stamp, changeset, session;
	enum change_kind kind;
	struct span actor, client, body;
};

struct follow_options {
	struct service *service;
	const char *name;   /* not owned */
	bool required;      /* purge keeps what it has not read */
	bool alone;         /* of all nodes one follows, under a lease of that name; else this node does in any case */
	int64_t sweep;      /* us between sweeps */
	int64_t (*horizon)(void *ctx); /* NULL: what the nodes say (nodes.h) */
	/* Takes rows of one account, ascending. Anything but OK: they come again, later. */
	int (*rows)(void *ctx, const struct follow_row *rows, size_t n);
	void *ctx;
};

int follow_open(const struct follow_options *o, struct follow **out);
/* Gives the lease back. Takes the pointer's address, sets it NULL. */
void follow_close(struct follow **f);

/* Takes what there is to take. now: clock_now(). ERR_CONFLICT: another node follows. Anything else but OK: a part may be left, and
   comes with a later step. */
int follow_step(struct follow *f, int64_t now);
/* It is no follower any more: forgotten in the store, as it may not hold up purge. Its positions stay. */
int follow_forget(struct service *s, const char *name);

struct follow_stats {
	bool here;         /* this node follows */
	int64_t since;     /* all that was committed before this time is taken, us since 1970; 0: not known */
	uint64_t rows;     /* taken */
	uint64_t misses;   /* of them: found after their slot was closed */
	uint64_t failures; /* steps */
};
void follow_stats(const struct follow *f, struct follow_stats *out);
/* How old the news may be that it has not taken, us; 0 where it does not follow here. */
static inline int64_t follow_lag(const struct follow_stats *s, int64_t now)
{
	return s->here && s->since && now > s->since ? now - s->since : 0;
}

#endif
