#include "mime_text.h"

enum { PIECE = 16 * 1024 };

void mime_text_open(struct mime_text *t, enum mime_encoding encoding, struct span charset)
{
	*t = (struct mime_text){ .decode = { .encoding = encoding } };
	charset_open(&t->charset, charset);
}

void mime_text_push(struct mime_text *t, struct span piece, struct buffer *out)
{
	while (piece.n) {
		buffer_reset(&t->bytes);
		buffer_reset(&t->text);
		mime_decode_push(&t->decode, span_sub(piece, 0, PIECE), &t->bytes);
		charset_push(&t->charset, buffer_span(&t->bytes), &t->text);
		text_fold(buffer_span(&t->text), out);
		piece = span_sub(piece, PIECE, SIZE_MAX);
	}
}

void mime_text_close(struct mime_text *t, struct buffer *out)
{
	buffer_reset(&t->bytes);
	buffer_reset(&t->text);
	mime_decode_end(&t->decode, &t->bytes);
	charset_push(&t->charset, buffer_span(&t->bytes), &t->text);
	charset_close(&t->charset, &t->text);
	text_fold(buffer_span(&t->text), out);
	buffer_free(&t->bytes);
	buffer_free(&t->text);
}
