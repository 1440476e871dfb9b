/* Operations of several transactions (large STORE, COPY, MOVE and EXPUNGE; restore; undo): each keeps its plan in the store
 * and how far it got, so that what a crash cut short is finished at the next start (protect/resume). The plan's bytes are
 * the operation's own. While there is one, purge leaves the account alone. */
#ifndef CHANGESET_H
#define CHANGESET_H

#include "arena.h"
#include "buffer.h"
#include "log_body.h"
#include "meta.h"

struct changeset {
	int64_t account, id; /* id: minted, and in the journal row of each of its changes */
	enum change_kind kind;
	struct span plan, progress;
};

/* Within a transaction: the plan, then with each step the progress; at the end both go. */
int changeset_add(struct meta_txn *t, const struct changeset *c);
int changeset_put(struct meta_txn *t, int64_t account, int64_t id, struct span progress);
int changeset_drop(struct meta_txn *t, int64_t account, int64_t id);

/* In a transaction of its own, after the operation came to `result`: returns that, its detail untouched, or why the plan
   could not be dropped. After ERR_STOPPED it stays. */
int changeset_end(struct meta *m, int64_t account, int64_t id, int result);

/* All there are: struct changeset each, by account and id, without plan and progress. */
int changeset_list(struct meta *m, struct buffer *out);
/* The two of one of them, in arena. ERR_NOT_FOUND: it has ended meanwhile. */
int changeset_read(struct meta *m, struct changeset *c, struct arena *arena);

#endif
