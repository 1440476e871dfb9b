/* A list of addresses ends, and comes to no more text than went in, but for the blanks between words. */
#include <assert.h>

#include "mime_address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mime_address_reader r = { 0 };
	struct mime_address a;
	size_t count = 0;
	mime_address_start(&r, span_from(data, n));
	while (mime_address_next(&r, &a))
		count++;
	assert(count <= n + 1);
	mime_address_free(&r);
	return 0;
}
