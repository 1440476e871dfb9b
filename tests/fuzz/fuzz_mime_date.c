/* A date is within the years that IMAP can write. */
#include <assert.h>

#include "mime_date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mime_date d;
	if (mime_date_parse(span_from(data, n), &d))
		assert(d.zone >= -1440 && d.zone <= 1440 && d.seconds > INT64_C(-62200000000) && d.seconds < INT64_C(253500000000));
	return 0;
}
