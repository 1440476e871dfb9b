/* What was read and is written reads as the same. */
#include <assert.h>

#include "imap_rights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct buffer b = { 0 };
	enum rights_op op;
	unsigned rights, again;
	if (imap_rights_change(span_from(data, n), &op, &rights)) {
		assert(rights <= RIGHTS_ALL);
		imap_rights_put(&b, rights);
		assert(imap_rights_parse(buffer_span(&b), &again) && again == rights);
	}
	buffer_free(&b);
	return 0;
}
