/* What is asked for keeps to its bounds, and events that go together are together. */
#include <assert.h>

#include "imap_notify.h"

static void check_group(const struct imap_notify *q, const struct imap_notify_group *g)
{
	assert(g->filter.first + g->filter.n <= q->names.n && (g->events & ~q->events) == 0);
	assert(!(g->events & NOTIFY_MESSAGE) || (g->events & 3) == 3);
	assert(g->filter.where > FILTER_SELECTED_DELAYED || !(g->events & ~NOTIFY_MESSAGE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_notify q;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_notify_parse(&a, &q)) {
		assert(q.set || (!q.events && !q.n && !q.status));
		assert(q.n <= NOTIFY_GROUPS_MAX && q.names.n <= NOTIFY_NAMES_MAX);
		for (size_t i = 0; i < q.n; i++)
			check_group(&q, &q.groups[i]);
	} else {
		assert(a.bad);
	}
	arena_free(&arena);
	return 0;
}
