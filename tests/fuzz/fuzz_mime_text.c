/* A body whole and cut in two gives the same UTF-8, and the needle is found in both or neither. The first bytes choose
   encoding, charset and place of the cut. */
#include <assert.h>

#include "mime_text.h"
#include "utf8.h"

static bool decode(const uint8_t *how, struct span head, struct span tail, struct buffer *out)
{
	static const char *const charsets[] = { "utf-8", "iso-8859-1", "shift_jis", "iso-2022-jp", "koi8-r", "gb2312", "utf-7",
		"utf-16", "big5", "euc-kr", "hz-gb-2312", "cp1258" };
	struct mime_text t;
	struct text_find f = { 0 };
	mime_text_open(&t, (enum mime_encoding)(how[0] % (MIME_OTHER + 1)), span_of(charsets[how[1] % 12]));
	mime_text_push(&t, head, out);
	size_t first = out->n;
	mime_text_push(&t, tail, out);
	mime_text_close(&t, out);
	text_find_start(&f, SPAN("aab"));
	text_find_push(&f, span_sub(buffer_span(out), 0, first));
	bool found = text_find_push(&f, span_sub(buffer_span(out), first, SIZE_MAX));
	text_find_free(&f);
	return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	if (n < 4)
		return 0;
	struct span in = span_from(data + 3, n - 3);
	size_t cut = data[2] % in.n;
	struct buffer a = { 0 }, b = { 0 };
	bool found_a = decode(data, in, SPAN(""), &a);
	bool found_b = decode(data, span_sub(in, 0, cut), span_sub(in, cut, SIZE_MAX), &b);
	assert(span_eq(buffer_span(&a), buffer_span(&b)) && found_a == found_b && utf8_valid(buffer_span(&a)));
	buffer_free(&a);
	buffer_free(&b);
	return 0;
}
