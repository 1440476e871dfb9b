/* How far back the past of an account reaches. Above its floor every state can be read. Below it only those that living
 * snapshots show: purge keeps the versions that they need, and the journal row of each of those changes. */
#ifndef PAST_H
#define PAST_H

#include "instant.h"
#include "meta.h"

struct past_floor {
	int64_t change; /* states from this change on can be read; 0: all of them */
	int64_t stamp;  /* its time; 0: the account's beginning */
};
int past_floor(struct service *s, int64_t account, struct past_floor *out);

/* Within a transaction: can the account be read as it was at that change? stamp: the instant that led to it; 0 when the
   change itself was named. ERR_INVALID with a detail fit for the user when it is purged. */
int past_check(struct meta_txn *t, int64_t account, int64_t change, int64_t stamp);
/* The same in a transaction of its own, for who has taken a pin (pin.h) on it. */
int past_check_now(struct service *s, int64_t account, int64_t change);

/* The time of that change, or of the first after it whose journal row is kept. ERR_NOT_FOUND: there is none. */
int past_stamp(struct meta_txn *t, int64_t account, int64_t change, int64_t *stamp);

/* Every snapshot, with the account's last change up to it; those from before the account are left out. */
int past_snapshots(struct meta_txn *t, int64_t account, int (*fn)(void *ctx, const struct snapshot *sn, int64_t change), void *ctx);

#endif
