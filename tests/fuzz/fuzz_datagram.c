/* Datagrams of other nodes: whatever comes, opened and, as if the key were right, read. */
#include "change.h"
#include "datagram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const unsigned char key[LINK_KEY] = "0123456789abcdef0123456789abcde";
	struct span in = span_from(data, n), notices;
	struct datagram_sender from;
	struct touched t;
	datagram_open(in, key, &from, &notices);
	while (datagram_next(&in, &t) > 0)
		;
	return 0;
}
