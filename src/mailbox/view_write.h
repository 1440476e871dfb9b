/* Large operations on the entries of a mailbox: cut into transactions of BULK_CHUNK entries (or BULK_RANGE), all in one changeset. What
 * is larger than one transaction keeps its plan and progress in the store, written by the transactions themselves, so
 * that a crash in the middle is made good at the next start (bulk_resume). */
#ifndef VIEW_WRITE_H
#define VIEW_WRITE_H

#include "view_private.h"

enum {
	BULK_CHUNK = 300,
	BULK_RANGE = 10000, /* of STORE, where one rule changes the flags of all and the database is this node's alone */
};

struct bulk {
	struct view *v;
	enum change_kind kind; /* CHANGE_FLAGS, _COPY, _MOVE or _EXPUNGE */
	const struct actor *actor;
	const uint32_t *uids; /* all of the view's, ascending */
	size_t n;
	/* CHANGE_FLAGS */
	struct store_request store;
	struct store_result *stored;
	/* CHANGE_COPY, CHANGE_MOVE: target 0 is found by path in the first transaction */
	struct span path;
	int64_t target;
	struct copy_result *copied;
	int64_t quota; /* of CHANGE_COPY; 0: no bound. What a crash left of one was allowed before */
	/* how far it got */
	int64_t changeset;
	size_t done; /* of uids */
};

/* Runs it from b->done to its end. After a failure what was done stays done, and no plan is left behind unless the
   store cannot even take that. */
int bulk_run(struct bulk *b);
/* Goes on where a crash broke it off. ERR_NOT_FOUND: its folder is gone since. */
struct changeset;
int bulk_resume(struct service *s, const struct changeset *c);

void bulk_plan_write(const struct bulk *b, struct buffer *out);

#endif
