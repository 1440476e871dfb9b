/* The arguments of SORT and THREAD, and sort keys of whatever stands in a header. */
#include <assert.h>

#include "sort_key.h"

static void make_key(const struct imap_sort *sort, struct span s)
{
	struct sort_scratch w = { 0 };
	struct buffer key = { 0 };
	struct sort_message m = { .facts = { .subject = s, .from = s, .to = s, .cc = s } };
	sort_key_put(sort, &m, &w, &key);
	assert(key.n > 0 && key.n <= SORT_KEYS_MAX * (SORT_TEXT_MAX + 1));
	buffer_free(&key);
	sort_scratch_free(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct imap_sort all = { .keys = { { SORT_SUBJECT, false }, { SORT_FROM, true }, { SORT_DISPLAYTO, false } }, .n = 3 };
	struct arena arena = { .limit = 1 << 20 };
	struct imap_args a;
	struct imap_sort sort;
	struct imap_search_query q;
	enum thread_algorithm algorithm;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_sort_parse(&a, &sort, &q))
		make_key(&sort, span_from(data, n));
	else
		assert(a.bad);
	imap_args_init(&a, span_from(data, n), &arena);
	assert(imap_thread_parse(&a, &algorithm, &q) || a.bad);
	make_key(&all, span_from(data, n));
	arena_free(&arena);
	return 0;
}
