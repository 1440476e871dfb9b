/* Whatever is written as a string reads as the same string. */
#include <assert.h>

#include "imap_args.h"
#include "imap_quote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { 0 };
	struct buffer b = { 0 };
	struct span in = span_from(data, n), out;
	void (*const put[])(struct buffer *, struct span) = { imap_put_string, imap_put_astring };
	for (int i = 0; i < 2; i++) {
		buffer_reset(&b);
		put[i](&b, in);
		struct imap_args a = { .rest = buffer_span(&b), .arena = &arena };
		assert(imap_astring(&a, &out) && a.rest.n == 0 && out.n == n);
		assert((n && memchr(data, 0, n)) || span_eq(in, out));
	}
	imap_put_text(&b, in);
	buffer_free(&b);
	arena_free(&arena);
	return 0;
}
