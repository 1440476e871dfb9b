/* Whole, and cut in two at a place the first byte names: the same message and the same end. */
#include <assert.h>

#include "buffer.h"
#include "smtp_dot.h"

static bool feed(struct smtp_dot *d, struct span *in, struct buffer *out)
{
	struct span run;
	for (;;)
		switch (smtp_dot_next(d, in, &run)) {
		case SMTP_DOT_MORE: return false;
		case SMTP_DOT_END: return true;
		case SMTP_DOT_RUN: buffer_put_span(out, run);
		}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	struct span in = span_from(data + 1, n - 1), whole = in;
	size_t cut = in.n ? data[0] % in.n : 0;
	struct span head = span_sub(in, 0, cut), tail = span_sub(in, cut, in.n);
	struct smtp_dot a = { 0 }, b = { 0 };
	struct buffer out_a = { 0 }, out_b = { 0 };
	bool end_a = feed(&a, &whole, &out_a);
	bool end_b = feed(&b, &head, &out_b);
	size_t left = head.n + tail.n;
	if (!end_b) {
		end_b = feed(&b, &tail, &out_b);
		left = tail.n;
	}
	assert(end_a == end_b && (!end_a || whole.n == left) && span_eq(buffer_span(&out_a), buffer_span(&out_b)));
	buffer_free(&out_a);
	buffer_free(&out_b);
	return 0;
}
