#include "varint.h"

void varint_put(struct buffer *b, uint64_t v)
{
	while (v >= 0x80) {
		buffer_putc(b, (char)(v | 0x80));
		v >>= 7;
	}
	buffer_putc(b, (char)v);
}

bool varint_get(struct span *in, uint64_t *v)
{
	uint64_t r = 0;
	for (unsigned i = 0, shift = 0; i < in->n && shift < 64; i++, shift += 7) {
		unsigned char c = (unsigned char)in->p[i];
		if (shift == 63 && c > 1)
			return false;
		r |= (uint64_t)(c & 0x7f) << shift;
		if (!(c & 0x80)) {
			in->p += i + 1;
			in->n -= i + 1;
			*v = r;
			return true;
		}
	}
	return false;
}

void varint_put_span(struct buffer *b, struct span s)
{
	varint_put(b, s.n);
	buffer_put_span(b, s);
}

bool varint_get_span(struct span *in, struct span *s)
{
	uint64_t n;
	if (!varint_get(in, &n) || n > in->n)
		return false;
	*s = (struct span){ in->p, (size_t)n };
	in->p += n;
	in->n -= n;
	return true;
}
