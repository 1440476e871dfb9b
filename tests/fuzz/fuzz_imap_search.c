/* A tree keeps to its bounds. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_search_query q;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_search_parse(&a, &q))
		assert(count(q.root, 0) <= SEARCH_KEYS_MAX);
	else
		assert(a.bad);
	arena_free(&arena);
	return 0;
}
