/* Folders and their entries within a change: for the files of the service and for protect. */
#ifndef FOLDER_PRIVATE_H
#define FOLDER_PRIVATE_H

#include "change.h"

/* The folder of that path, for messages to go in. ERR_NOT_FOUND: there is none, or only a name with folders below it. What
   leads there can be named before (tree_expect_path). */
int folder_selectable(struct change *c, struct span path, struct collection **out);
/* The folder of that path for messages to go in: created with its parents where it is not there; a name alone becomes one.
   The tree is as of before this change. */
int folder_ensure_selectable(struct change *c, const struct tree *tree, struct span path, int64_t *id);
/* Living entries with from <= uid <= to, ascending, at most max; in the change's arena. */
void folder_expect_versions(struct meta_txn *t, int64_t account, int64_t collection, uint32_t from, uint32_t to, size_t max);
int folder_versions(struct change *c, int64_t collection, uint32_t from, uint32_t to, size_t max, struct version **out, size_t *n);
/* What a query with ENTRY_COLUMNS finds, likewise; ends the query. */
int folder_take_versions(struct change *c, struct meta_rows *r, struct version **out, size_t *n);

#endif
