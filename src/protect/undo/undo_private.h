/* One run of undo, as its files share it: folders first (undo_folders.c), then the messages of each (undo_messages.c), then
   items that have a name (undo_items.c). */
#ifndef UNDO_PRIVATE_H
#define UNDO_PRIVATE_H

#include "changes.h"
#include "moves.h"
#include "replant.h"
#include "undo.h"

/* What is done, in the order it is done in; written with each transaction. */
struct undo_progress {
	int64_t collection; /* all before it are done; */
	uint32_t from;      /* in it all windows before this one; */
	uint32_t pass;      /* in the window all passes before it; */
	uint32_t uid;       /* and in that pass all up to here */
};

/* A folder whose messages are looked at. */
struct undo_folder {
	int64_t id;
	int64_t target;   /* where what comes back goes: itself, or the folder that has its name by now */
	struct span path;
	bool in_scope;
	bool gone;        /* it has ended by this undo: only to know its scope */
	int64_t uidnext;
};

struct undo {
	struct service *s;
	struct undo_request own;       /* the request, the folder's name in normal form */
	const struct undo_request *q;  /* = &own */
	struct arena arena;
	struct changes changes;
	struct moves moves;
	int64_t changeset;
	struct undo_progress progress; /* of an earlier start: what lies before it is done */
	struct undo_folder *folders;   /* by id */
	size_t n;
	struct replant replant;        /* where folders were to go */
	struct undo_report report;
	uint64_t done, total;
};

/* Brings folders back, ends and renames them; then u->folders is set. */
int undo_folders(struct undo *u);
int undo_messages(struct undo *u, const struct undo_folder *f);
int undo_items(struct undo *u);

/* Is path the folder that was asked for, or below it? */
bool undo_in_scope(const struct undo *u, struct span path);
void undo_say(const struct undo *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static inline int undo_cancelled(const struct undo *u)
{
	return u->q->cancelled && u->q->cancelled(u->q->ctx);
}

#endif
