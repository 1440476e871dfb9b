#include "strict_base64.h"

#include "fail.h"

static const char letters[64] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_strict_put(struct buffer *b, struct span raw)
{
	const unsigned char *p = (const unsigned char *)raw.p;
	for (size_t i = 0; i < raw.n; i += 3) {
		size_t left = raw.n - i;
		uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
		char four[4] = { letters[v >> 18], letters[v >> 12 & 63], left > 1 ? letters[v >> 6 & 63] : '=',
			left > 2 ? letters[v & 63] : '=' };
		buffer_put(b, four, sizeof four);
	}
}

static int letter_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* n letters (2 to 4) as n - 1 bytes in *v, left-aligned in 24 bits; the bits that fall off the end must be 0. */
static bool group_value(const char *p, size_t n, uint32_t *v)
{
	*v = 0;
	for (size_t i = 0; i < n; i++) {
		int d = letter_value(p[i]);
		if (d < 0)
			return false;
		*v |= (uint32_t)d << (18 - 6 * i);
	}
	return n == 4 || (*v & (0xffffffu >> (8 * (n - 1)))) == 0;
}

int base64_strict_get(struct span text, char *out, size_t cap, size_t *n)
{
	size_t pads = 0, used = 0;
	if (text.n % 4)
		return fail_with(ERR_INVALID, "base64: not a multiple of four letters");
	while (pads < 2 && pads < text.n && text.p[text.n - 1 - pads] == '=')
		pads++;
	if (text.n / 4 * 3 - pads > cap)
		return fail_with(ERR_LIMIT, "base64: over %zu bytes", cap);
	for (size_t i = 0; i < text.n; i += 4) {
		size_t take = i + 4 == text.n ? 4 - pads : 4;
		uint32_t v;
		if (!group_value(text.p + i, take, &v))
			return fail_with(ERR_INVALID, "base64: bad letter");
		for (size_t k = 0; k + 1 < take; k++)
			out[used++] = (char)(v >> (16 - 8 * k));
	}
	*n = used;
	return OK;
}
