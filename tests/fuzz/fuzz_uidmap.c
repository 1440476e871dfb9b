/* A saved list of UIDs: what is taken is written the same way again. */
#include <stdlib.h>

#include "uidmap_saved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buffer runs = { 0 };
	struct uidmap *m = uidmap_decode(span_from(data, n)), *again;
	if (!m)
		return 0;
	for (uint32_t i = 1; i < m->n; i++)
		if (m->uid[i] <= m->uid[i - 1])
			abort();
	uidmap_encode(m, &runs);
	again = uidmap_decode(buffer_span(&runs));
	if (!again || again->n != m->n)
		abort();
	uidmap_unref(&again);
	uidmap_unref(&m);
	buffer_free(&runs);
	return 0;
}
