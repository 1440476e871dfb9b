/* A preview is at most so many whole characters on one line. */
#include <assert.h>

#include "preview.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	for (int html = 0; html < 2; html++) {
		struct mime_summary_part p = { .type = html ? SPAN("text/html") : SPAN("text/plain") };
		struct buffer out = { 0 };
		preview_put(&p, span_from(data, n), &out);
		size_t characters = 0;
		uint32_t c;
		for (struct span s = buffer_span(&out); s.n; characters++)
			assert(utf8_next(&s, &c) && c >= ' ');
		assert(characters <= PREVIEW_MAX);
		buffer_free(&out);
	}
	return 0;
}
