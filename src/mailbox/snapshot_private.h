#ifndef SNAPSHOT_PRIVATE_H
#define SNAPSHOT_PRIVATE_H

#include "instant.h"
#include "meta.h"

/* All of them within the transaction, in order of time; a failure of fn ends it. */
int snapshot_each(struct meta_txn *t, int (*fn)(void *ctx, const struct snapshot *sn), void *ctx);
/* The account's last change stamped at or before the instant; 0: before the first. last: its newest. */
int instant_change_at(struct meta_txn *t, int64_t account, int64_t stamp, int64_t last, int64_t *out);
/* Within a transaction. ERR_NOT_FOUND with a detail fit for the user. */
int snapshot_find(struct meta_txn *t, struct span name, struct snapshot *out);

#endif
