/* Header values and parameters come out as UTF-8, whatever went in. */
#include <assert.h>

#include "rfc2047.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n), head;
	struct buffer out = { 0 };
	struct arena arena = { .limit = 1 << 20 };
	struct mime_params params;
	rfc2047_decode(in, &out);
	mime_params_parse(in, &arena, &head, &params);
	mime_param_text(&params, SPAN("name"), &out);
	assert(utf8_valid(buffer_span(&out)));
	buffer_free(&out);
	arena_free(&arena);
	return 0;
}
