/* What undo keeps in the store while it runs: the request with every name and time resolved, and how far it got. */
#ifndef UNDO_PLAN_H
#define UNDO_PLAN_H

#include "undo_private.h"

/* The plan of a new undo, within the transaction that is to hold it. */
int undo_plan_save(struct meta_txn *t, const struct undo *u);
int undo_progress_save(struct meta_txn *t, const struct undo *u, const struct undo_progress *p);
/* Spans and the actor's strings point into plan or the arena. head: the account's last change when the undo began. */
int undo_plan_read(struct span plan, struct arena *arena, struct undo_request *out, struct actor *actor, int64_t *head);
int undo_progress_read(struct span text, struct undo_progress *out);

#endif
