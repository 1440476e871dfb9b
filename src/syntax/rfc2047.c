#include "rfc2047.h"

#include "charset.h"
#include "mime_decode.h"
#include "utf8.h"

struct word {
	struct span charset, text, whole;
	enum mime_encoding encoding;
};

/* "=?charset*language?B?text?=" at the front of s. Blanks within the text are wrong, and let pass. *end remembers where
   the next "?=" is (the end of s if nowhere), so that many beginnings without an end do not each search for one. */
static bool parse_word(struct span s, const char **end, struct word *w)
{
	enum { CHARSET_MAX = 60 };
	struct span rest = span_sub(s, 2, SIZE_MAX);
	ssize_t mark = span_find(span_sub(rest, 0, CHARSET_MAX), '?');
	if (mark < 1 || rest.n < (size_t)mark + 5 || rest.p[mark + 2] != '?')
		return false;
	char encoding = ascii_lower(rest.p[mark + 1]);
	if (encoding != 'b' && encoding != 'q')
		return false;
	struct span name = span_sub(rest, 0, (size_t)mark);
	ssize_t star = span_find(name, '*');
	struct span text = span_sub(rest, (size_t)mark + 3, SIZE_MAX);
	if (!*end || *end < text.p) {
		const char *found = memmem(text.p, text.n, "?=", 2);
		*end = found ? found : text.p + text.n;
	}
	if (*end == text.p + text.n)
		return false;
	w->charset = span_sub(name, 0, star < 0 ? name.n : (size_t)star);
	w->encoding = encoding == 'b' ? MIME_BASE64 : MIME_QP;
	w->text = span_sub(text, 0, (size_t)(*end - text.p));
	w->whole = span_sub(s, 0, (size_t)(*end + 2 - s.p));
	return true;
}

/* The next encoded word, its place in s included; false when there is none. */
static bool find_word(struct span s, struct word *w, size_t *at)
{
	const char *end = NULL;
	for (size_t from = 0; from < s.n;) {
		const char *found = memmem(s.p + from, s.n - from, "=?", 2);
		if (!found)
			return false;
		*at = (size_t)(found - s.p);
		if (parse_word(span_sub(s, *at, SIZE_MAX), &end, w))
			return true;
		from = *at + 2;
	}
	return false;
}

static bool is_blank(struct span s)
{
	return span_trim(s).n == 0;
}

/* Raw 8-bit text is wrong but common: it is UTF-8 as a whole, or not at all. */
static void put_plain(struct span s, struct buffer *out)
{
	charset_to_utf8(utf8_valid(s) ? SPAN("utf-8") : SPAN("windows-1252"), s, out);
}

static void push_word(struct charset *c, const struct word *w, struct buffer *scratch, struct buffer *out)
{
	struct mime_decode d = { .encoding = w->encoding, .underscore = true };
	buffer_reset(scratch);
	mime_decode_push(&d, w->text, scratch);
	mime_decode_end(&d, scratch);
	charset_push(c, buffer_span(scratch), out);
}

static void decode_unfolded(struct span s, struct buffer *out)
{
	struct charset c = { 0 };
	struct span charset = { NULL, 0 };
	struct buffer scratch = { 0 };
	struct word w;
	size_t at;
	while (find_word(s, &w, &at)) {
		bool glued = charset.p && is_blank(span_sub(s, 0, at));
		if (!glued || !span_ieq(charset, w.charset)) {
			charset_close(&c, out);
			if (!glued)
				put_plain(span_sub(s, 0, at), out);
			charset_open(&c, w.charset);
		}
		charset = w.charset;
		push_word(&c, &w, &scratch, out);
		s = span_sub(s, at + w.whole.n, SIZE_MAX);
	}
	charset_close(&c, out);
	put_plain(s, out);
	buffer_free(&scratch);
}

void rfc2047_decode(struct span value, struct buffer *out)
{
	struct buffer plain = { 0 };
	mime_unfold(value, &plain);
	decode_unfolded(buffer_span(&plain), out);
	buffer_free(&plain);
}
