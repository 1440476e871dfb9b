/* Scanned whole and cut in two: one summary, which opens, and whose parts lie within the message. */
#include <assert.h>

#include "mime_summary.h"

static void summarize(struct span head, struct span tail, struct buffer *out)
{
	struct mime_scan *s = mime_scan_new(NULL);
	struct mime_tree tree;
	mime_scan_push(s, head);
	mime_scan_push(s, tail);
	mime_scan_end(s, &tree);
	assert(mime_summary_build(&tree, out) == OK);
	mime_scan_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 2)
		return 0;
	struct span in = span_from(data + 2, n - 2);
	size_t cut = in.n ? (data[0] | (size_t)data[1] << 8) % in.n : 0, parts = 0;
	struct buffer whole = { 0 }, pieces = { 0 };
	struct mime_summary view;
	struct mime_summary_part part;
	summarize(in, SPAN(""), &whole);
	summarize(span_sub(in, 0, cut), span_sub(in, cut, SIZE_MAX), &pieces);
	assert(span_eq(buffer_span(&whole), buffer_span(&pieces)));
	assert(mime_summary_open(buffer_span(&whole), &view) == OK && view.size == in.n);
	for (struct span rest = view.parts; rest.n; parts++)
		assert(mime_summary_next(&view, &rest, &part));
	assert(parts > 0);
	buffer_free(&whole);
	buffer_free(&pieces);
	return 0;
}
