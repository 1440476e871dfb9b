/* Folder trees within a transaction. */
#ifndef TREE_PRIVATE_H
#define TREE_PRIVATE_H

#include "folder.h"
#include "meta.h"

/* tree_read for a transaction that is open already. */
int tree_load(struct meta_txn *t, int64_t account, int64_t at, struct tree *out);
/* The collection rows behind it, all kinds (COLLECTION_COLUMNS). */
int tree_rows(struct meta_txn *t, int64_t account, int64_t at, struct meta_rows *r);

#endif
