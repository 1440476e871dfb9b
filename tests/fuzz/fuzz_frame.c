#include "frame.h"
#include "import_item.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct span in = span_from(data, n), payload;
	struct import_item item;
	enum frame_type type;
	while (frame_parse(&in, &type, &payload) == 0)
		import_item_parse(payload, &item);
	return 0;
}
