#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>

struct arena_block {
	struct arena_block *next;
	size_t n, cap;
	alignas(max_align_t) char data[];
};

enum { BLOCK_MIN = 512, BLOCK_KEEP = 256 << 10 };

static struct arena_block *add_block(struct arena *a, size_t n)
{
	size_t cap = a->head ? a->head->cap * 2 : BLOCK_MIN;
	if (cap > (1 << 20))
		cap = 1 << 20;
	if (cap < n)
		cap = n;
	struct arena_block *b = malloc(sizeof *b + cap);
	if (!b)
		return NULL;
	*b = (struct arena_block){ .next = a->head, .cap = cap };
	a->head = b;
	return b;
}

static void *take(struct arena *a, size_t n)
{
	if (n > SIZE_MAX / 2)
		return NULL;
	n = (n + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
	if (a->limit && (n > a->limit || a->used > a->limit - n))
		return NULL;
	struct arena_block *b = a->head;
	if ((!b || b->cap - b->n < n) && !(b = add_block(a, n)))
		return NULL;
	void *p = b->data + b->n;
	b->n += n;
	a->used += n;
	return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
	void *p = take(a, n);
	return p ? memset(p, 0, n) : NULL;
}

struct span arena_copy(struct arena *a, struct span s)
{
	char *p = s.n < SIZE_MAX ? take(a, s.n + 1) : NULL;
	if (p && s.n)
		memcpy(p, s.p, s.n);
	if (p)
		p[s.n] = '\0';
	return (struct span){ p, p ? s.n : 0 };
}

void arena_reset(struct arena *a)
{
	struct arena_block *keep = NULL;
	while (a->head) {
		struct arena_block *b = a->head;
		a->head = b->next;
		if (!keep && b->cap <= BLOCK_KEEP)
			keep = b;
		else
			free(b);
	}
	if (keep)
		keep->next = NULL, keep->n = 0;
	a->head = keep;
	a->used = 0;
}

void arena_free(struct arena *a)
{
	while (a->head) {
		struct arena_block *b = a->head;
		a->head = b->next;
		free(b);
	}
	a->used = 0;
}
