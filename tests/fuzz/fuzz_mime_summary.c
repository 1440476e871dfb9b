/* A summary from a damaged store: whatever is asked of it, the answer lies within the message. */
#include <assert.h>

#include "mime_summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 4)
		return 0;
	uint32_t path[] = { data[0] % 5u, data[1] % 5u, data[2] % 5u };
	struct mime_summary view;
	struct buffer out = { 0 };
	if (mime_summary_open(span_from(data + 4, n - 4), &view) == OK) {
		uint64_t from = 0, to = 0;
		mime_summary_body(&view, &out);
		if (mime_summary_section(&view, path, data[3] & 3, (enum mime_section)(data[3] >> 2 & 3), &from, &to) == OK)
			assert(from <= to && to <= view.size);
	}
	buffer_free(&out);
	return 0;
}
