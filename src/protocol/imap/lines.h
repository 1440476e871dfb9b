/* A line for each entry of a set, written in slices. */
#ifndef LINES_H
#define LINES_H

#include "entries.h"

enum { LINES_MORE = 1 };

/* Start with { .walk = { .view, .uids } }. */
struct lines {
	struct entries walk;
	struct arena batch;
	struct entry *e;
	size_t n, i;
};

/* Calls put for one entry after the other. LINES_MORE: give way (IMAP_DRAIN), then call again; OK: all are written. */
int lines_put(struct command *c, struct lines *l, void (*put)(struct command *c, const struct entry *e));
void lines_end(struct lines *l);

#endif
