/* An instant that was taken and written reads as the same instant. */
#include <assert.h>

#include "when.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct when w, again;
	struct buffer b = { 0 };
	int64_t us;
	if (when_parse(span_from(data, n), &w) == 0 && w.kind == WHEN_INSTANT) {
		when_put(&b, w.us);
		assert(when_parse(buffer_span(&b), &again) == 0 && again.kind == WHEN_INSTANT);
		bool clipped = w.us < INT64_C(-62167219200000000) || w.us >= INT64_C(253402300800000000);
		assert(clipped || again.us == w.us);
	}
	when_parse_day(span_from(data, n), &us);
	buffer_free(&b);
	return 0;
}
