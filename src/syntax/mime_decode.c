#include "mime_decode.h"

/* Value + 1 of the 64 characters; 0 is any other. */
static const uint8_t base64_value[256] = {
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
	['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
	['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['/'] = 64, ['-'] = 63, ['_'] = 64,
};

/* The bytes that the characters gathered so far are good for: 2 make 1, 3 make 2. */
static size_t flush_base64(struct mime_decode *d, char *to)
{
	size_t n = d->bits_n > 1 ? d->bits_n - 1u : 0;
	uint32_t v = d->bits << (6 * (4 - d->bits_n));
	if (n > 0)
		to[0] = (char)(v >> 16);
	if (n > 1)
		to[1] = (char)(v >> 8);
	d->bits = 0;
	d->bits_n = 0;
	return n;
}

static size_t decode_base64(struct mime_decode *d, struct span in, char *to)
{
	char *start = to;
	for (size_t i = 0; i < in.n; i++) {
		uint32_t v = base64_value[(unsigned char)in.p[i]];
		if (v) {
			d->bits = d->bits << 6 | (v - 1);
			if (++d->bits_n < 4)
				continue;
			*to++ = (char)(d->bits >> 16);
			*to++ = (char)(d->bits >> 8);
			*to++ = (char)d->bits;
			d->bits = 0;
			d->bits_n = 0;
		} else if (in.p[i] == '=') {
			to += flush_base64(d, to);
		}
	}
	return (size_t)(to - start);
}

/* One byte behind a held '='. What turns out to be no escape comes out as it stood. */
static char *after_equals(struct mime_decode *d, char c, char *to)
{
	if (c == '\n') {
		d->held_n = 0;
	} else if (d->held_n == 1 && (c == '\r' || c == ' ' || c == '\t' || hex_digit(c) >= 0)) {
		d->held[d->held_n++] = c;
	} else if (d->held_n == 2 && (d->held[1] == ' ' || d->held[1] == '\t') && (c == ' ' || c == '\t' || c == '\r')) {
		; /* blanks between a soft line break and the line end: added by some relay */
	} else if (d->held_n == 2 && hex_digit(d->held[1]) >= 0 && hex_digit(c) >= 0) {
		*to++ = (char)(hex_digit(d->held[1]) << 4 | hex_digit(c));
		d->held_n = 0;
	} else {
		for (unsigned i = 0; i < d->held_n; i++)
			*to++ = d->held[i];
		d->held_n = c == '=';
		if (c != '=')
			*to++ = c;
	}
	return to;
}

static size_t decode_qp(struct mime_decode *d, struct span in, char *to)
{
	char *start = to;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (d->held_n) {
			to = after_equals(d, c, to);
		} else if (c == '=') {
			d->held[0] = '=';
			d->held_n = 1;
		} else {
			*to++ = c == '_' && d->underscore ? ' ' : c;
		}
	}
	return (size_t)(to - start);
}

void mime_decode_push(struct mime_decode *d, struct span in, struct buffer *out)
{
	if (d->encoding != MIME_BASE64 && d->encoding != MIME_QP) {
		buffer_put_span(out, in);
		return;
	}
	char *to = buffer_reserve(out, in.n + 4);
	if (to)
		out->n += d->encoding == MIME_BASE64 ? decode_base64(d, in, to) : decode_qp(d, in, to);
}

void mime_decode_end(struct mime_decode *d, struct buffer *out)
{
	char *to = buffer_reserve(out, 4);
	if (to && d->encoding == MIME_BASE64)
		out->n += flush_base64(d, to);
	else if (d->encoding == MIME_QP)
		buffer_put(out, d->held, d->held_n);
	d->held_n = 0;
}
