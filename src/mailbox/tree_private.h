/* Folder trees within a transaction. */
#ifndef TREE_PRIVATE_H
#define TREE_PRIVATE_H

#include "folder.h"
#include "meta.h"

/* tree_read for a transaction that is open already, which names what it asks for and knows at which change. */
int tree_load(struct meta_txn *t, int64_t account, int64_t at, struct tree *out);
/* Of what lives now, only the folders on the way down to path, as far as they are there: enough to tree_find() it and what
   it lies in, however many folders the account has. */
int tree_load_path(struct meta_txn *t, int64_t account, struct span path, struct tree *out);
/* One step of the way down: the folder of that name in parent, its row to be given back with meta_done. ERR_NOT_FOUND. */
int tree_step(struct meta_txn *t, int64_t account, int64_t parent, struct span component, struct meta_rows *r);
/* Names the steps that can be named before any is made (meta_expect). */
void tree_expect_path(struct meta_txn *t, int64_t account, struct span path);
/* The collection rows behind it, all kinds (COLLECTION_COLUMNS). */
void tree_expect_rows(struct meta_txn *t, int64_t account, int64_t at);

#endif
