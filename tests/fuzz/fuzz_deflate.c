/* A deflated stream that comes in small pieces, and whose inflater is given up wherever it rests, means the same as at once.
   The first byte is the size of the pieces. */
#include <assert.h>

#include "deflate.h"

enum { ROOM = 1 << 20 };

struct outcome {
	enum inflate_answer answer;
	struct buffer text;
};

static void rest(struct inflater *i)
{
	struct buffer past = { 0 };
	if (inflater_leave(i, &past)) {
		assert(past.n <= INFLATE_PAST);
		inflater_resume(i, buffer_span(&past));
	}
	buffer_free(&past);
}

static struct outcome run(struct span in, size_t piece)
{
	struct outcome o = { .text.limit = ROOM };
	struct inflater *i = NULL;
	assert(!inflater_new(&i));
	do {
		struct span some = span_sub(in, 0, piece);
		in = span_sub(in, some.n, in.n);
		do {
			size_t room = piece < 4096 ? piece : 4096;
			char *to = buffer_reserve(&o.text, room);
			if (!to)
				break;
			o.answer = inflater_get(i, &some, to, &room);
			o.text.n += room;
		} while (o.answer == INFLATE_FULL);
		if (o.answer == INFLATE_MORE)
			rest(i);
	} while (in.n && o.answer < INFLATE_END && buffer_ok(&o.text));
	inflater_free(&i);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (!n)
		return 0;
	struct span in = span_from(data + 1, n - 1);
	struct outcome whole = run(in, SIZE_MAX), parts = run(in, 1 + data[0]);
	if (buffer_ok(&whole.text) && buffer_ok(&parts.text)) {
		assert(whole.answer == parts.answer);
		assert(span_eq(buffer_span(&whole.text), buffer_span(&parts.text)));
	}
	buffer_free(&whole.text);
	buffer_free(&parts.text);
	return 0;
}
