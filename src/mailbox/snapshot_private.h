#ifndef SNAPSHOT_PRIVATE_H
#define SNAPSHOT_PRIVATE_H

#include "instant.h"
#include "meta.h"

/* Within a transaction. ERR_NOT_FOUND with a detail fit for the user. */
int snapshot_find(struct meta_txn *t, struct span name, struct snapshot *out);

#endif
