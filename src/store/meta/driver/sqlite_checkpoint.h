/* Checkpoints: the log's pages go into the database, so that the log can start over. Called by the committer, between groups;
 * nobody else checkpoints (SQLite before 3.51.3 may corrupt when a checkpoint meets another connection's commit).
 *
 * A checkpoint all at once would keep the committer away for tens of milliseconds. It goes in steps:
 *
 *   every STEP       what came since is copied to the database, without a sync. A read transaction of our own, begun at the
 *                    end of the log, keeps the log from starting over: after a power cut all of it is replayed.
 *   at FULL          another thread syncs the database, while commits go on.
 *   when it has      the read transaction ends, the rest is copied and synced, which is little by now, and the next commit
 *                    starts the log over. */
#ifndef SQLITE_CHECKPOINT_H
#define SQLITE_CHECKPOINT_H

#include "sqlite_conn.h"
#include "sqlite_readers.h"

struct checkpointer;

/* Nothing given is owned. metrics: may be NULL. */
int checkpointer_start(struct conn *writer, struct readers *readers, struct metrics *metrics, struct checkpointer **out);
/* Before the writer is closed. Takes the pointer's address, sets it NULL. */
void checkpointer_stop(struct checkpointer **k);
/* The committer holds no transaction. */
void checkpointer_run(struct checkpointer *k);
/* A run would do something; cheap. */
bool checkpointer_due(const struct checkpointer *k);
/* The disk is full: the next run tries to finish, as a log that starts over may make room. */
void checkpointer_hurry(struct checkpointer *k);
/* While it is held, steps go on but the log does not start over: whatever is written to the database is in the log as well, so
   that a copy of the database, taken meanwhile in whatever order, and then of the log, is as good as a database that lost
   power. Counts from the end of the checkpointer_run() after it; holds add up. Any thread. */
void checkpointer_hold(struct checkpointer *k);
void checkpointer_release(struct checkpointer *k);
uint64_t checkpointer_finished(struct checkpointer *k);

#endif
