#include "utf7.h"

#include "fail.h"
#include "utf8.h"

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static bool is_direct(uint32_t c)
{
	return c >= 0x20 && c <= 0x7e;
}

/* Bits on their way between 16-bit units and base64 digits. */
struct bits {
	uint32_t v;
	int n;
};

static void put_unit(struct buffer *out, struct bits *bits, uint32_t unit)
{
	bits->v = bits->v << 16 | unit;
	for (bits->n += 16; bits->n >= 6; bits->n -= 6)
		buffer_putc(out, base64[bits->v >> (bits->n - 6) & 63]);
}

static void put_shifted(struct buffer *out, struct bits *bits, uint32_t c)
{
	if (c < 0x10000) {
		put_unit(out, bits, c);
		return;
	}
	put_unit(out, bits, 0xd800 + ((c - 0x10000) >> 10));
	put_unit(out, bits, 0xdc00 + ((c - 0x10000) & 0x3ff));
}

static void end_shift(struct buffer *out, struct bits *bits)
{
	if (bits->n)
		buffer_putc(out, base64[bits->v << (6 - bits->n) & 63]);
	buffer_putc(out, '-');
	*bits = (struct bits){ 0 };
}

int utf7_encode(struct buffer *out, struct span utf8)
{
	struct bits bits = { 0 };
	bool shifted = false;
	uint32_t c;
	while (utf8_next(&utf8, &c)) {
		if (shifted && is_direct(c))
			end_shift(out, &bits);
		if (!shifted && !is_direct(c))
			buffer_putc(out, '&');
		shifted = !is_direct(c);
		if (shifted)
			put_shifted(out, &bits, c);
		else
			buffer_putc(out, (char)c);
		if (c == '&')
			buffer_putc(out, '-');
	}
	if (shifted)
		end_shift(out, &bits);
	return utf8.n ? fail_with(ERR_INVALID, "not UTF-8") : OK;
}

/* A unit joins the surrogate before it, or stands alone; false for surrogates without their half. */
static bool take_unit(struct buffer *out, uint32_t *high, uint32_t unit)
{
	bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
	if (is_low != (*high != 0))
		return false;
	if (is_low) {
		utf8_put(out, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
	} else if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
	} else {
		utf8_put(out, unit);
	}
	return true;
}

/* What stands between & and -. */
static bool decode_shifted(struct buffer *out, struct span in)
{
	struct bits bits = { 0 };
	uint32_t high = 0;
	for (size_t i = 0; i < in.n; i++) {
		const char *digit = in.p[i] ? strchr(base64, in.p[i]) : NULL;
		if (!digit)
			return false;
		bits.v = bits.v << 6 | (uint32_t)(digit - base64);
		bits.n += 6;
		if (bits.n < 16)
			continue;
		bits.n -= 16;
		if (!take_unit(out, &high, bits.v >> bits.n & 0xffff))
			return false;
	}
	return high == 0;
}

static bool decode(struct buffer *out, struct span in)
{
	while (in.n) {
		if (in.p[0] != '&') {
			buffer_putc(out, in.p[0]);
			in = span_sub(in, 1, in.n);
			continue;
		}
		ssize_t end = span_find(in, '-');
		if (end < 0)
			return false;
		struct span shifted = span_sub(in, 1, (size_t)end - 1);
		if (shifted.n == 0)
			buffer_putc(out, '&');
		else if (!decode_shifted(out, shifted))
			return false;
		in = span_sub(in, (size_t)end + 1, in.n);
	}
	return true;
}

/* A spelling is canonical if encoding what it means gives it again. */
static bool is_canonical(struct span in, struct span utf8)
{
	struct buffer again = { 0 };
	bool same = utf7_encode(&again, utf8) == OK && buffer_ok(&again) && span_eq(buffer_span(&again), in);
	buffer_free(&again);
	return same;
}

int utf7_decode(struct arena *a, struct span in, struct span *utf8)
{
	struct buffer out = { 0 };
	int rc = OK;
	if (!decode(&out, in) || !buffer_ok(&out) || !is_canonical(in, buffer_span(&out)))
		rc = fail_with(ERR_INVALID, "not canonical modified UTF-7");
	struct span copy = rc == OK ? arena_copy(a, buffer_span(&out)) : (struct span){ 0 };
	buffer_free(&out);
	if (rc == OK && !copy.p)
		return fail_with(ERR_LIMIT, "no room for a name");
	if (rc == OK)
		*utf8 = copy;
	return rc;
}
