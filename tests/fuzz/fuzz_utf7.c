/* One spelling for each name: what decodes encodes to the same bytes, and the other way round. */
#include <assert.h>

#include "utf7.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { 0 };
	struct buffer b = { 0 };
	struct span in = span_from(data, n), name, back;
	if (utf7_decode(&arena, in, &name) == 0) {
		assert(utf8_valid(name) && utf7_encode(&b, name) == 0 && span_eq(buffer_span(&b), in));
		buffer_reset(&b);
	}
	if (utf7_encode(&b, in) == 0)
		assert(utf7_decode(&arena, buffer_span(&b), &back) == 0 && span_eq(back, in));
	buffer_free(&b);
	arena_free(&arena);
	return 0;
}
