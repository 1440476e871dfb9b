/* Operations of several transactions (large STORE, COPY, MOVE and EXPUNGE; restore; undo): each keeps its plan in the store
 * and how far it got, so that what was cut short is finished (protect/resume). The plan's bytes are the operation's own. While
 * there is one, purge leaves the account alone.
 *
 * It belongs to a start of a node. When that is gone another node takes it over, perhaps wrongly, from one that only
 * hung: therefore each transaction of the operation changes the row under its owner's name (changeset_hold), and none of an owner
 * that was is committed after the take-over. */
#ifndef CHANGESET_H
#define CHANGESET_H

#include "arena.h"
#include "buffer.h"
#include "log_body.h"
#include "meta.h"

struct store;

struct changeset {
	int64_t account, id; /* id: minted, and in the journal row of each of its changes */
	enum change_kind kind;
	int64_t owner, epoch;
	struct span plan, progress;
};

/* Within a transaction: the plan, then with each step the progress; at the end both go. Every transaction of the operation
   but the first holds it; ERR_CONFLICT: it is another node's by now, and goes on there. */
int changeset_add(struct meta_txn *t, struct store *s, const struct changeset *c);
int changeset_hold(struct meta_txn *t, struct store *s, int64_t account, int64_t id);
int changeset_put(struct meta_txn *t, int64_t account, int64_t id, struct span progress);
int changeset_drop(struct meta_txn *t, struct store *s, int64_t account, int64_t id);

/* store_commit of a transaction that holds it first. */
int changeset_step(struct store *s, int64_t account, int64_t id, meta_fn *fn, void *arg);
/* In a transaction of its own, after the operation came to `result`: returns that, its detail untouched, or why the plan
   could not be dropped (it is left then). After ERR_STOPPED, and when it is another node's, it stays. */
int changeset_end(struct store *s, int64_t account, int64_t id, int result);
/* This start ceased to carry it out, and the plan may still be there under its name, as the store failed. */
void changeset_leave(struct store *s, int64_t account, int64_t id);

/* Is it left? */
bool changeset_left(struct store *s, const struct changeset *c);
/* Does its owner still carry it out, as far as anybody can tell? */
bool changeset_owned(struct store *s, const struct changeset *c);
/* Makes it this node's, and not left. ERR_CONFLICT: somebody else was faster, or it has ended. */
int changeset_take(struct store *s, struct changeset *c);

/* All there are: struct changeset each, by account and id, without plan and progress. */
int changeset_list(struct meta *m, struct buffer *out);
/* The two of one of them, in arena. ERR_NOT_FOUND: it has ended meanwhile. */
int changeset_read(struct meta *m, struct changeset *c, struct arena *arena);

#endif
