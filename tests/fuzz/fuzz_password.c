/* Verifier texts, over what is cheap to compute: hashes brought along, and addresses. */
#include "address.h"
#include "imported.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char out[ADDRESS_MAX];
	struct address_parts parts;
	struct span in = span_from(data, n);
	imported_verify(in, SPAN("password"));
	address_complete(in, SPAN("example.org"), out);
	address_split(in, &parts);
	return parts.has_detail && parts.local.n + parts.detail.n >= n ? __builtin_trap(), 0 : 0;
}
