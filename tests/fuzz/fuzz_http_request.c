/* A head that was taken ends where its own bytes end, and whatever is cut off it makes it wait for more, not fail later. */
#include <assert.h>

#include "http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n);
	struct http_request r, again;
	if (http_request_next(&in, &r) != HTTP_OK)
		return 0;
	struct span head = span_from(data, n - in.n), cut = span_sub(head, 0, head.n - 1);
	assert(head.n && *r.path.p == '/' && r.n_headers <= HTTP_HEADERS_MAX && !(r.chunked && r.length));
	assert(http_request_next(&cut, &again) == HTTP_MORE && cut.n == head.n - 1);
	assert(http_request_next(&head, &again) == HTTP_OK && head.n == 0 && again.n_headers == r.n_headers);
	return 0;
}
