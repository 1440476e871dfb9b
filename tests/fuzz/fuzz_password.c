/* Verifiers, argon2id and brought along, and addresses. */
#include "address.h"
#include "argon.h"
#include "imported.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char out[ADDRESS_MAX];
	struct address_parts parts;
	struct span in = span_from(data, n);
	argon_verify(in, SPAN("password"));
	imported_verify(in, SPAN("password"));
	address_complete(in, SPAN("example.org"), out);
	address_split(in, &parts);
	if (parts.has_detail && parts.local.n + parts.detail.n >= n)
		__builtin_trap();
	return 0;
}
