/* Restore of all accounts to one time, several at once. Each is a restore of its own (restore.h); this one keeps which are
 * done in the store as well, so that a crash in the middle is made good at the next start.
 *
 * Accounts that were removed since come back. Accounts that were made since stay as they are, also with exact: there was
 * nothing then that they could become. An account that fails does not stop the others. */
#ifndef RESTORE_ALL_H
#define RESTORE_ALL_H

#include "restore.h"

struct restore_all_request {
	int64_t at; /* the instant, us */
	struct span folder, match, into;
	bool exact, with_deliveries, dry_run;
	const struct actor *actor;
	/* May be NULL. Called from one thread at a time, though not always the same. account: what came of one of them; error
	   and why for one that failed. report is NULL for one that was removed and is back:
	   its mail follows. */
	void (*account)(void *ctx, struct span address, const struct restore_report *report, int error, const char *why);
	void (*progress)(void *ctx, uint64_t done, uint64_t total); /* accounts */
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct restore_all_report {
	uint64_t accounts, revived, younger, failed; /* younger: made since */
	uint64_t entries; /* domains, aliases and settings that came back */
	struct restore_report sum;
};

int restore_all_run(struct service *s, const struct restore_all_request *q, struct restore_all_report *out);
/* Goes on where a crash broke it off: a changeset of the system log. say may be NULL. */
int restore_all_resume(struct service *s, const struct changeset *c, void (*say)(void *ctx, const char *line), void *ctx);

#endif
