/* Bodies that are rows of the database yet (store/staged.h), read together before they are asked for: who goes through many
 * messages waits for the database once for a batch of them, not once for each. */
#ifndef AHEAD_H
#define AHEAD_H

#include "arena.h"
#include "view.h"

/* Starts as { 0 }; ends with ahead_drop(). Used by one thread at a time. */
struct ahead {
	struct arena memory;
	struct ahead_row *rows;
	size_t n;
};

/* The bytes of e[0] are wanted now, those of the n - 1 after it perhaps soon: entries as they were read with VIEW_PLACES, which know
   of `a` then (message_open_entry). Reads what it takes of them, up to some MiB, unless that was done; what was read before is
   given up then. OK also when there is nothing to read, or it is there no more: opening a message finds its bytes by itself. */
int ahead_read(struct service *s, struct ahead *a, struct entry *e, size_t n);
/* The record of a body, or nothing. Lives until the next call of the others. */
struct span ahead_find(const struct ahead *a, int64_t body);
void ahead_drop(struct ahead *a);

#endif
