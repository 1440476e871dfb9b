/* Header values come out as UTF-8, whatever went in. */
#include <assert.h>

#include "rfc2047.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buffer out = { 0 };
	rfc2047_decode(span_from(data, n), &out);
	assert(utf8_valid(buffer_span(&out)));
	buffer_free(&out);
	return 0;
}
