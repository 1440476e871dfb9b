/* What the undone changes, and others since, made of the entries of a run of UIDs: each entry's versions are told in order,
 * and what is to be set back is left. Memory is bounded by the run, however often its entries changed. */
#ifndef UNDO_WINDOW_H
#define UNDO_WINDOW_H

#include "undo_private.h"

enum { UNDO_WINDOW = 50000 };

struct undo_entry {
	struct version v;         /* as it is now, or was at its end */
	bool lives;
	int64_t end;              /* else: the change that ended it */
	bool made;                /* by an undone change */
	bool skipped;             /* somebody has changed again what was to be set back */
	bool held;                /* a version has been read whose follower has not */
	uint64_t set, clear;      /* flags to set back */
	struct span put, take;    /* keywords likewise */
};

struct undo_window {
	const struct undo *u;
	int64_t collection;
	bool all;                 /* also entries that nothing happened to */
	uint32_t from, to;        /* UIDs, both included */
	struct arena arena;
	uint32_t *at;             /* per UID: 1 + its index in entries; 0: nothing happened to it */
	struct buffer entries;    /* struct undo_entry each */
	size_t n;
	struct undo_entry **list; /* by UID */
};

/* all: also what nothing happened to. The window is freed whatever comes out. */
int undo_window_read(struct undo_window *w, const struct undo *u, int64_t collection, uint32_t from, uint32_t to, bool all);
void undo_window_free(struct undo_window *w);
/* The flags and keywords of v, which is this entry's now, set back; keywords in the arena. */
void undo_set_back(const struct undo_entry *k, const struct version *v, struct arena *a, uint64_t *flags, struct span *keywords);

#endif
