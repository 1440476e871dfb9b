/* What is written for a set reads as the same set. */
#include <assert.h>

#include "imap_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { .limit = 1 << 20 };
	struct buffer b = { 0 };
	struct imap_set s, again;
	if (imap_set_parse(&arena, span_from(data, n), &s) == 0) {
		imap_set_resolve(&s, (uint32_t)n);
		struct imap_set_writer w = { .b = &b };
		for (size_t i = 0; i < s.n; i++) {
			imap_set_add_range(&w, s.ranges[i]);
			assert(imap_set_contains(&s, s.ranges[i].first) && imap_set_next(&s, s.ranges[i].first) == s.ranges[i].first);
		}
		imap_set_finish(&w);
		if (s.n) {
			assert(imap_set_parse(&arena, buffer_span(&b), &again) == 0);
			imap_set_resolve(&again, 1);
			assert(again.n == s.n && imap_set_count(&again) == imap_set_count(&s));
		}
	}
	buffer_free(&b);
	arena_free(&arena);
	return 0;
}
