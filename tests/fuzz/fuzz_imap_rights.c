/* What was read and is written reads as the same, but for what the obsolete letters behind it stand for; and that does. */
#include <assert.h>

#include "imap_rights.h"

static unsigned reread(unsigned rights)
{
	struct buffer b = { 0 };
	unsigned again = 0;
	imap_rights_put(&b, rights);
	assert(imap_rights_parse(buffer_span(&b), &again));
	buffer_free(&b);
	return again;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	enum rights_op op;
	unsigned rights;
	if (imap_rights_change(span_from(data, n), &op, &rights)) {
		assert(rights <= RIGHTS_ALL);
		unsigned again = reread(rights);
		assert((again & rights) == rights && reread(again) == again);
	}
	return 0;
}
