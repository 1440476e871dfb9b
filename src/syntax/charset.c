#include "charset.h"

#include <errno.h>

#include "utf8.h"

enum { NAME_MAX_BYTES = 40, PIECE = 4096 };

/* 0x80..0x9f of Windows-1252; the rest is Latin-1. */
static const uint16_t windows_1252[32] = {
	0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d,
	0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,
	0x017e, 0x0178,
};

static void put_latin1(struct buffer *out, unsigned char c)
{
	utf8_put(out, c >= 0x80 && c < 0xa0 ? windows_1252[c - 0x80] : c);
}

static size_t ascii_run(struct span s)
{
	size_t n = 0;
	for (; n + 8 <= s.n; n += 8) {
		uint64_t v;
		memcpy(&v, s.p + n, 8);
		if (v & UINT64_C(0x8080808080808080))
			break;
	}
	while (n < s.n && (unsigned char)s.p[n] < 0x80)
		n++;
	return n;
}

/* Bytes of the character that c begins, as far as c alone can tell. */
static size_t utf8_length(unsigned char c)
{
	return c >= 0xf0 && c < 0xf5 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
}

/* s begins a character and ends before it does. */
static bool is_partial(struct span s)
{
	if (utf8_length((unsigned char)s.p[0]) <= s.n)
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (((unsigned char)s.p[i] & 0xc0) != 0x80)
			return false;
	return true;
}

/* Returns how much of s was converted; what is left begins a character that is not complete. */
static size_t push_utf8(struct span s, bool last, struct buffer *out)
{
	struct span rest = s;
	while (rest.n) {
		size_t n = ascii_run(rest);
		buffer_put_span(out, span_sub(rest, 0, n));
		rest = span_sub(rest, n, SIZE_MAX);
		if (rest.n == 0)
			break;
		struct span at = rest;
		uint32_t c;
		if (utf8_next(&rest, &c)) {
			buffer_put(out, at.p, (size_t)(rest.p - at.p));
		} else if (!last && is_partial(rest)) {
			break;
		} else {
			put_latin1(out, (unsigned char)rest.p[0]);
			rest = span_sub(rest, 1, SIZE_MAX);
		}
	}
	return s.n - rest.n;
}

static size_t push_latin1(struct span s, struct buffer *out)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = ascii_run(span_sub(s, i, SIZE_MAX));
		buffer_put(out, s.p + i, n);
		i += n;
		for (; i < s.n && (unsigned char)s.p[i] >= 0x80; i++)
			put_latin1(out, (unsigned char)s.p[i]);
	}
	return s.n;
}

static size_t push_iconv(struct charset *c, struct span s, bool last, struct buffer *out)
{
	struct span rest = s;
	char piece[PIECE];
	while (rest.n) {
		char *from = (char *)(uintptr_t)rest.p, *to = piece;
		size_t room = sizeof piece;
		size_t rc = iconv(c->iconv, &from, &rest.n, &to, &room);
		int why = errno;
		buffer_put(out, piece, sizeof piece - room);
		rest.p = from;
		if (rc != (size_t)-1 || (why == E2BIG && room < sizeof piece))
			continue;
		if (why == EINVAL && !last && rest.n < sizeof c->held)
			break;
		utf8_put(out, 0xfffd);
		rest = span_sub(rest, 1, SIZE_MAX);
	}
	return s.n - rest.n;
}

static size_t push(struct charset *c, struct span s, bool last, struct buffer *out)
{
	switch (c->kind) {
	case CHARSET_LATIN1: return push_latin1(s, out);
	case CHARSET_ICONV: return push_iconv(c, s, last, out);
	default: return push_utf8(s, last, out);
	}
}

/* Completes the held character byte by byte. Returns how much of s it took. */
static size_t push_held(struct charset *c, struct span s, struct buffer *out)
{
	size_t taken = 0;
	while (c->held_n && taken < s.n) {
		c->held[c->held_n++] = s.p[taken++];
		size_t used = push(c, (struct span){ c->held, c->held_n }, c->held_n == sizeof c->held, out);
		c->held_n = (uint8_t)(c->held_n - used);
		memmove(c->held, c->held + used, c->held_n);
	}
	return taken;
}

void charset_push(struct charset *c, struct span s, struct buffer *out)
{
	s = span_sub(s, push_held(c, s, out), SIZE_MAX);
	if (s.n == 0)
		return;
	s = span_sub(s, push(c, s, false, out), SIZE_MAX);
	memcpy(c->held, s.p, s.n);
	c->held_n = (uint8_t)s.n;
}

void charset_close(struct charset *c, struct buffer *out)
{
	if (c->held_n)
		push(c, (struct span){ c->held, c->held_n }, true, out);
	if (c->kind == CHARSET_ICONV) {
		char piece[64], *to = piece;
		size_t room = sizeof piece;
		iconv(c->iconv, NULL, NULL, &to, &room); /* some keep a letter back to combine it with the next */
		buffer_put(out, piece, sizeof piece - room);
		iconv_close(c->iconv);
	}
	*c = (struct charset){ 0 };
}

/* Names that mail uses and iconv knows otherwise, or whose superset is what is really meant. */
static const char *iconv_name(struct span name)
{
	static const struct { const char *mail, *iconv; } alias[] = {
		{ "gb2312", "GB18030" }, { "gbk", "GB18030" }, { "x-gbk", "GB18030" }, { "gb_2312-80", "GB18030" },
		{ "ks_c_5601-1987", "CP949" }, { "ksc5601", "CP949" }, { "euc-kr", "CP949" }, { "shift_jis", "CP932" },
		{ "shift-jis", "CP932" }, { "x-sjis", "CP932" }, { "sjis", "CP932" }, { "iso-8859-8-i", "ISO-8859-8" },
		{ "unicode-1-1-utf-7", "UTF-7" }, { "big5", "BIG5-HKSCS" }, { "x-euc-jp", "EUC-JP" }, { "tis-620", "CP874" },
		{ "iso-8859-9", "CP1254" }, { "x-mac-roman", "MACINTOSH" },
	};
	for (size_t i = 0; i < sizeof alias / sizeof *alias; i++)
		if (span_ieq(name, span_of(alias[i].mail)))
			return alias[i].iconv;
	return NULL;
}

static bool is_one_of(struct span name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_ieq(name, span_of(names[i])))
			return true;
	return false;
}

/* The name comes from the mail: nothing but what charset names are made of may reach iconv. */
static bool is_plain_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = ascii_lower(name.p[i]);
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == ':' || c == '+'))
			return false;
	}
	return name.n > 0 && name.n <= NAME_MAX_BYTES;
}

void charset_open(struct charset *c, struct span name)
{
	static const char *const utf8[] = { "utf-8", "utf8", "us-ascii", "ascii", "ansi_x3.4-1968", "unknown-8bit" };
	static const char *const latin1[] = { "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1", "windows-1252", "cp1252" };
	char z[NAME_MAX_BYTES + 1] = "";
	*c = (struct charset){ .kind = CHARSET_UTF8 };
	if (!is_plain_name(name) || is_one_of(name, utf8, sizeof utf8 / sizeof *utf8))
		return;
	if (is_one_of(name, latin1, sizeof latin1 / sizeof *latin1)) {
		c->kind = CHARSET_LATIN1;
		return;
	}
	memcpy(z, name.p, name.n);
	const char *known = iconv_name(name);
	iconv_t cd = iconv_open("UTF-8", known ? known : z);
	if (cd == (iconv_t)-1)
		return;
	c->iconv = cd;
	c->kind = CHARSET_ICONV;
}

void charset_to_utf8(struct span name, struct span bytes, struct buffer *out)
{
	struct charset c;
	charset_open(&c, name);
	charset_push(&c, bytes, out);
	charset_close(&c, out);
}
