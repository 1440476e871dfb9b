/* Undo: what a range of changes did is reversed by new changes. Three-way: what was changed again since, by changes that
 * are not undone, stays as it is now and is counted as skipped.
 *
 * - A message that was expunged comes back with the flags it had before, a new UID and its EMAILID (\Deleted does not
 *   come back); one that was moved goes back, with what others have changed of its flags since; one that was appended,
 *   imported or copied goes.
 * - Flags and keywords are set back one by one.
 * - A folder that was deleted comes back as itself by one row; if its name is taken since, its messages join the folder
 *   that has it. A folder that was made goes, with what the same changes put there; it stays when there is more in it.
 *   A folder that was renamed gets its name back. Subscriptions likewise.
 * - A delivery is undone only where the client is named that made it.
 *
 * The whole is one changeset of small transactions, visible in history and itself to be undone. Its plan is kept in the
 * store until it is done or has failed, so that a crash in the middle is made good at the next start (undo_resume). */
#ifndef UNDO_H
#define UNDO_H

#include "instant.h"

struct undo_request {
	int64_t account;
	int64_t first, last; /* change numbers, both included: see undo_range */
	struct span client;  /* only changes of this client ("lmtp", "Thunderbird") or session, deliveries too; empty: all but those */
	struct span folder;  /* only what was done to this folder and all below it; empty: to all */
	bool dry_run;        /* nothing stays */
	const struct actor *actor;
	/* All may be NULL. say: a line for people, per folder. progress: done of total messages looked at, total growing from
	   folder to folder. cancelled: non-zero stops after the current transaction; what was undone stays so. */
	void (*say)(void *ctx, const char *line);
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct undo_report {
	uint64_t changes;       /* that are undone */
	uint64_t folders;       /* came back, went, got their names back */
	uint64_t messages;      /* came back, also those that moved back */
	uint64_t removed;       /* messages that went, without those that moved back */
	uint64_t flags;         /* messages whose flags were set back */
	uint64_t subscriptions; /* names */
	uint64_t skipped;       /* changed again since */
	int64_t changeset;      /* 0: nothing was to be done */
};

/* The changes from since to until, both included (@N and @M; times; names of snapshots). ERR_INVALID with a detail fit
   for the user. */
int undo_range(struct service *s, int64_t account, struct span since, struct span until, int64_t *first, int64_t *last);
/* ERR_INVALID with a detail fit for the user: nothing in that range was done by that client, or its past is purged. */
int undo_run(struct service *s, const struct undo_request *q, struct undo_report *out);
/* Goes on where a crash broke it off. say may be NULL. */
struct changeset;
int undo_resume(struct service *s, const struct changeset *c, void (*say)(void *ctx, const char *line), void *ctx);

#endif
