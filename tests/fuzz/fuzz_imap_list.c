/* What is asked for keeps to its bounds. */
#include <assert.h>

#include "imap_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_list l;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_list_parse(&a, &l)) {
		assert(l.n >= 1 && l.n <= LIST_PATTERNS_MAX && l.returns.status < 1u << STATUS_ITEMS);
		assert(!l.select.recursive || l.select.subscribed || l.select.special_use);
	} else {
		assert(a.bad);
	}
	arena_free(&arena);
	return 0;
}
