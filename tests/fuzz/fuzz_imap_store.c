/* Flags that were taken are canonical: written and read again they are the same; so are sums and differences. */
#include <assert.h>

#include "imap_store.h"

static void check(struct arena *arena, const struct imap_flags *flags)
{
	struct buffer b = { 0 };
	struct imap_flags again;
	buffer_putc(&b, '(');
	flags_put(&b, flags, false);
	buffer_putc(&b, ')');
	struct imap_args a = { .rest = buffer_span(&b), .arena = arena };
	assert(imap_flag_list(&a, &again));
	assert(again.system == flags->system && span_eq(again.keywords, flags->keywords));
	buffer_reset(&b);
	assert(keywords_union(&b, flags->keywords, again.keywords) == 0 && span_eq(buffer_span(&b), flags->keywords));
	buffer_reset(&b);
	keywords_minus(&b, flags->keywords, again.keywords);
	assert(b.n == 0);
	buffer_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { 0 };
	struct imap_args a;
	struct imap_store s;
	imap_args_init(&a, span_from(data, n), &arena);
	if (imap_store_parse(&a, &s))
		check(&arena, &s.flags);
	arena_free(&arena);
	return 0;
}
