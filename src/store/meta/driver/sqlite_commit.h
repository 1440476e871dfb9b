/* The committer: the thread that owns the writing connection. Callers queue jobs and wait; it takes what is queued
 * as a group, has the group's companions made durable, runs each job in a savepoint of one transaction, commits with one
 * sync, and wakes them all. A caller that finds it asleep, and nobody else under way, is lent the connection and commits by
 * itself. The thread alone checkpoints, between groups. */
#ifndef SQLITE_COMMIT_H
#define SQLITE_COMMIT_H

#include "sqlite_conn.h"
#include "sqlite_readers.h"

struct committer;

/* The writer is open; nobody else touches it until committer_stop. Nothing given is owned. */
int committer_start(struct conn *writer, struct readers *readers, const struct meta_driver *d,
	const struct meta_options *o, struct committer **out);
/* Commits what is queued. */
void committer_stop(struct committer **c);
int committer_run(struct committer *c, meta_fn *fn, void *arg, void *companion);
void committer_announce(struct committer *c, int by);
/* The log does not start over until it is released (sqlite_checkpoint.h). */
int committer_hold_log(struct committer *c);
void committer_release_log(struct committer *c);
void committer_stats(struct committer *c, struct meta_stats *out);

#endif
