/* A text in NFC stays as it is, and what was made is in NFC. */
#include <assert.h>

#include "fail.h"
#include "nfc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena arena = { 0 };
	struct span once, twice;
	if (nfc(&arena, span_from(data, n), &once) == OK && once.n <= NFC_MAX) {
		assert(nfc(&arena, once, &twice) == OK);
		assert(span_eq(once, twice));
	}
	arena_free(&arena);
	return 0;
}
