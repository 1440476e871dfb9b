/* A command that comes byte by byte gets the same answers as one that comes at once. The first byte is the size of the
   pieces, and whether it is a tail. */
#include <assert.h>

#include "imap_frame.h"

struct outcome {
	enum imap_frame_answer answer;
	struct imap_frame_event ev;
	int continued;
};

static struct outcome run(struct span in, size_t piece, bool tail)
{
	struct imap_frame f = { .tail = tail };
	struct outcome o = { 0 };
	for (size_t got = 0;;) {
		o.answer = imap_frame_next(&f, span_sub(in, 0, got), 4096, &o.ev);
		o.continued += o.answer == IMAP_FRAME_CONTINUE;
		if (o.answer == IMAP_FRAME_MORE && got < in.n)
			got = piece < in.n - got ? got + piece : in.n;
		else if (o.answer != IMAP_FRAME_CONTINUE)
			return o;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	struct span in = span_from(data + 1, n - 1);
	struct outcome whole = run(in, SIZE_MAX, data[0] & 1), parts = run(in, 1 + data[0] / 2, data[0] & 1);
	if (whole.answer == IMAP_FRAME_TOO_LONG || parts.answer == IMAP_FRAME_TOO_LONG)
		return 0;
	assert(whole.answer == parts.answer && whole.continued == parts.continued);
	assert(whole.answer == IMAP_FRAME_MORE || (whole.ev.length == parts.ev.length && whole.ev.length <= in.n));
	return 0;
}
