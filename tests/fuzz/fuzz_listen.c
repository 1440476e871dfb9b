#include "listener.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct listen_list list;
	listen_parse(span_from(data, n), &list);
	return 0;
}
