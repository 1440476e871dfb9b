/* One run of restore, as its files share it: folders first (restore_folders.c), then the messages of each
   (restore_messages.c). */
#ifndef RESTORE_PRIVATE_H
#define RESTORE_PRIVATE_H

#include "change.h"
#include "match.h"
#include "pin.h"
#include "plan.h"
#include "replant.h"
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
	int64_t head; /* exact: the account's last change when it began; what is later is no business of ours */
	int64_t *gone; /* exact: the folders that end */
	size_t n_gone;
	struct replant replant; /* exact: where folders were to go */
	struct progress progress; /* of an earlier start: what lies before it is done */
	struct restore_report report;
	uint64_t done, total;
};

/* Decides for each folder of then in scope where its messages go, and brings folders back. */
int restore_folders(struct run *r);
/* Brings back the messages of one folder. */
int restore_messages(struct run *r, struct target *t);
/* exact, in place of restore_folders: what came since goes, all others to their places. */
int restore_exact_folders(struct run *r);
/* exact, after all messages are back: what came since goes, also subscriptions. */
int restore_exact_rest(struct run *r);
/* The steps that exact shares: which folders of then are meant; what subscriptions come back. */
int restore_choose(struct run *r);
int restore_subscribe(struct run *r);
bool restore_in_scope(const struct run *r, struct span path);
/* The versions of then that ended, by UID; free(). And the first UID that came into the target after then. */
int restore_ended(struct run *r, struct target *t, struct arena *keywords, struct version **out, size_t *n);
int restore_first_since(struct meta_txn *t, struct run *r, int64_t collection, uint32_t *uid);
void restore_say(const struct run *r, struct span path, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The living folder of that path; *id 0 when there is none. */
int restore_find_path(struct meta_txn *t, int64_t account, struct span path, int64_t *id);
/* The folder of that path, made where it is not there; within a change. */
int restore_ensure_path(struct change *c, struct span path, int64_t *id);

static inline int restore_cancelled(const struct run *r)
{
	return r->q->cancelled && r->q->cancelled(r->q->ctx);
}

#endif
