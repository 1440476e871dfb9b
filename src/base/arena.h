/* Memory that follows a lifetime (a session, a command): allocate many, free once. Bounded; overflow returns NULL
   and is an ordinary refusal for the caller. Not for sharing between threads. */
#ifndef ARENA_H
#define ARENA_H

#include "span.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t used;  /* bytes handed out since the last reset */
	size_t limit; /* bytes; 0 means no bound but memory */
};

/* Zeroed and aligned for any type, or NULL over the limit. */
void *arena_alloc(struct arena *a, size_t n);
/* A NUL-terminated copy; .p is NULL over the limit. */
struct span arena_copy(struct arena *a, struct span s);
/* Everything is given back; one block is kept for the next use. */
void arena_reset(struct arena *a);
void arena_free(struct arena *a);

#endif
