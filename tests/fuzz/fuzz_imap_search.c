/* A tree keeps to its bounds, and a text that is read again is the same search: contexts do that. */
#include <assert.h>

#include "imap_search.h"

static size_t count(const struct imap_search *s, int depth)
{
	size_t n = 1;
	assert(depth <= 2 * SEARCH_DEPTH_MAX + 2);
	assert((s->op == SEARCH_AND || s->op == SEARCH_OR || s->op == SEARCH_NOT) == (s->child != NULL));
	for (const struct imap_search *c = s->child; c; c = c->next)
		n += count(c, depth + 1);
	return n;
}

static void read_again(struct imap_args a, const struct imap_search_query *q)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_search_query again;
	a.arena = &arena;
	assert(imap_search_parse(&a, &again));
	assert(again.returns.what == q->returns.what && again.returns.update == q->returns.update && count(again.root, 0) == count(q->root, 0));
	assert(again.numbers == q->numbers && again.saved == q->saved && again.ages == q->ages && again.last == q->last);
	arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_search_query q;
	imap_args_init(&a, span_from(data, n), &arena);
	struct imap_args start = a;
	if (imap_search_parse(&a, &q)) {
		assert(count(q.root, 0) <= SEARCH_KEYS_MAX);
		read_again(start, &q);
	} else
		assert(a.bad);
	arena_free(&arena);
	return 0;
}
