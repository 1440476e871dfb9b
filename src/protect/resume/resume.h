/* Resume: what a crash or a node's end cut short (changeset.h) is gone on with, beside everything else, when nobody carries it out:
 * of an earlier start of this node, of another node that died, and what this start had to leave, as its store failed. What clients
 * began comes first, as that is short; then restores and undos, a restore of all accounts last, as theirs are parts of it.
 *
 * Each is tried, and one that fails does not stand in the way of the others. Its plan is dropped, for nothing was
 * answered and what it had done stands in the account's history; only where the store or the disk is in the way it
 * stays, for the next run, which tells no failure of it again, or start. */
#ifndef RESUME_H
#define RESUME_H

#include "changeset.h"
#include "service.h"

struct resume_request {
	/* Both may be NULL. say: a line for people about what was done. failed: what one came to; again: its plan stays. */
	void (*say)(void *ctx, const char *line);
	void (*failed)(void *ctx, const struct changeset *c, int error, bool again);
	void *ctx;
};

/* A failure of its own: it could not be read what there is, or ERR_STOPPED. */
int resume_run(struct service *s, const struct resume_request *q);

#endif
