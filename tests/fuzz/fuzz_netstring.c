/* What was taken is written the same again; whatever is cut off it makes it wait for more. */
#include <assert.h>

#include "netstring.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n), one, cut_one;
	struct buffer b = { 0 };
	if (netstring_next(&in, 4096, &one) != NETSTRING_OK)
		return 0;
	netstring_put(&b, one);
	assert(one.n <= 4096 && span_eq(buffer_span(&b), span_from(data, n - in.n)));
	struct span cut = span_from(data, n - in.n - 1);
	assert(netstring_next(&cut, 4096, &cut_one) == NETSTRING_MORE);
	buffer_free(&b);
	return 0;
}
