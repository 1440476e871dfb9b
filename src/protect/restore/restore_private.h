/* One run of restore, as its files share it: folders first (restore_folders.c), then the messages of each
   (restore_messages.c). */
#ifndef RESTORE_PRIVATE_H
#define RESTORE_PRIVATE_H

#include "change.h"
#include "match.h"
#include "pin.h"
#include "plan.h"
#include "restore.h"

struct target {
	const struct folder *then; /* the folder as it was; in the tree of then */
	int64_t id;                /* where its messages go; 0: to be made at path when the first message comes */
	struct span path;
	bool joins;                /* another folder has its name */
};

struct run {
	struct service *s;
	struct restore_request own; /* the request, its names in normal form */
	const struct restore_request *q; /* = &own */
	struct match match;
	struct tree then;
	struct arena arena;
	struct target *targets;
	size_t n;
	int64_t changeset;
	struct pin *pin; /* on the state of then, until the plan is in the store */
	struct progress progress; /* of an earlier start: what lies before it is done */
	struct restore_report report;
	uint64_t done, total;
};

/* Decides for each folder of then in scope where its messages go, and brings folders back. */
int restore_folders(struct run *r);
/* Brings back the messages of one folder. */
int restore_messages(struct run *r, struct target *t);
/* The living folder of that path; *id 0 when there is none. */
int restore_find_path(struct meta_txn *t, int64_t account, struct span path, int64_t *id);
/* The folder of that path, made where it is not there; within a change. */
int restore_ensure_path(struct change *c, struct span path, int64_t *id);

static inline int restore_cancelled(const struct run *r)
{
	return r->q->cancelled && r->q->cancelled(r->q->ctx);
}

#endif
