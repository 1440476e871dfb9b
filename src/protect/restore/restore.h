/* Restore: what was there at an instant and is not there now comes back, by new changes; no message byte is copied.
 *
 * - A folder that was deleted returns as itself: one row, with MAILBOXID, UIDVALIDITY and UIDs. If its name is taken by
 *   now, its messages join the folder of that name. A folder that was renamed or moved gets its old name back where that
 *   is free, or becomes free when others get theirs. Names that were subscribed are subscribed again.
 * - A message that left its folder returns to it with its flags, keywords and dates of then, a new UID, its old EMAILID.
 * - A message that is still there gets back the flags and keywords it has lost since.
 * What came since stays: messages, flags, folders, the copy of a moved message in its new folder.
 *
 * exact makes the state what it was: messages, folders and subscriptions that came since go, flags and keywords become
 * those of then (\Deleted too), folders get their places back even where two have changed them. But a message that was
 * delivered since stays where it is, and so does every copy of it, and the folder it is in: with_deliveries takes them
 * too. With a folder given, what was moved into it from elsewhere stays. What comes while the restore runs stays.
 *
 * The whole is one changeset of small transactions. Its plan is kept in the store until it is done or has failed, so that
 * a crash in the middle is made good at the next start (restore_resume). */
#ifndef RESTORE_H
#define RESTORE_H

#include "instant.h"

struct restore_request {
	int64_t account;
	struct instant at;
	struct span folder; /* this folder and all below it; empty: the whole account */
	struct span match;  /* QUERY: only these messages (then folders and subscriptions do not return); empty: all */
	struct span into;   /* where messages go instead of their folders, with the folders below as they were; or empty */
	bool exact, with_deliveries; /* not with match or into */
	bool dry_run;       /* nothing stays; with more than 100 folders what would move is an estimate */
	const struct actor *actor;
	/* All may be NULL. say: a line for people, per folder. progress: done of total messages looked at. cancelled: non-zero
	   stops after the current transaction; what was restored stays. */
	void (*say)(void *ctx, const char *line);
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct restore_report {
	uint64_t folders; /* returned, renamed back or made */
	uint64_t messages; /* came back */
	uint64_t flags;    /* messages that got flags back */
	uint64_t subscriptions; /* names subscribed again, or (exact) no more; a dry run does not look */
	/* exact: */
	uint64_t removed;         /* messages that went */
	uint64_t folders_removed; /* with what was in them */
	uint64_t kept;            /* messages that came since and stay */
	int64_t changeset; /* 0: nothing was to be done */
};

/* With a detail fit for the user: ERR_NOT_FOUND: no such folder then; ERR_INVALID: a bad query. */
int restore_run(struct service *s, const struct restore_request *q, struct restore_report *out);
/* Goes on where a crash broke it off. say may be NULL. */
struct changeset;
int restore_resume(struct service *s, const struct changeset *c, void (*say)(void *ctx, const char *line), void *ctx);
/* An account that was removed: its address works again, with its log and password as they were. ERR_NOT_FOUND: there never was one
   or it is not removed; ERR_EXISTS: the address is in use again. */
int restore_account(struct service *s, struct span address, const struct actor *a, int64_t *account);

#endif
