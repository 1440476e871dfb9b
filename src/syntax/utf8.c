#include "utf8.h"

/* Length of the sequence a byte begins, 0 for none, and its payload bits. */
static size_t lead(unsigned char b, uint32_t *bits)
{
	static const struct { unsigned char mask, mark; } form[] = {
		{ 0x80, 0x00 }, { 0xe0, 0xc0 }, { 0xf0, 0xe0 }, { 0xf8, 0xf0 },
	};
	for (size_t i = 0; i < 4; i++)
		if ((b & form[i].mask) == form[i].mark) {
			*bits = b & (unsigned char)~form[i].mask;
			return i + 1;
		}
	return 0;
}

bool utf8_next(struct span *s, uint32_t *c)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint32_t v = 0;
	size_t n = s->n ? lead((unsigned char)s->p[0], &v) : 0;
	if (n == 0 || n > s->n)
		return false;
	for (size_t i = 1; i < n; i++) {
		if ((s->p[i] & 0xc0) != 0x80)
			return false;
		v = v << 6 | (s->p[i] & 0x3f);
	}
	if (v < smallest[n] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return false;
	*c = v;
	*s = span_sub(*s, n, s->n);
	return true;
}

bool utf8_valid(struct span s)
{
	uint32_t c;
	while (utf8_next(&s, &c))
		;
	return s.n == 0;
}

void utf8_put(struct buffer *b, uint32_t c)
{
	if (c < 0x80) {
		buffer_putc(b, (char)c);
		return;
	}
	int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
	static const unsigned char mark[] = { 0, 0xc0, 0xe0, 0xf0 };
	buffer_putc(b, (char)(mark[more] | c >> (6 * more)));
	while (more-- > 0)
		buffer_putc(b, (char)(0x80 | ((c >> (6 * more)) & 0x3f)));
}
