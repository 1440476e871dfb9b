#include "preview.h"

#include "charset.h"
#include "mime_decode.h"
#include "utf8.h"

bool preview_part(const struct mime_summary *s, struct mime_summary_part *out)
{
	struct span rest = s->parts;
	struct mime_summary_part p;
	uint32_t attached = UINT32_MAX; /* what is deeper belongs to another message */
	bool found = false;
	while (mime_summary_next(s, &rest, &p)) {
		if (p.depth > attached)
			continue;
		attached = p.kind == MIME_MESSAGE ? p.depth : UINT32_MAX;
		bool plain = span_eq(p.type, SPAN("text/plain")), html = span_eq(p.type, SPAN("text/html"));
		if (p.kind != MIME_LEAF || (!plain && (!html || found)))
			continue;
		*out = p;
		found = true;
		if (plain)
			break;
	}
	return found;
}

/* Characters go out on one line. */
struct line {
	struct buffer *out;
	size_t n;   /* characters */
	bool blank; /* before the next one */
};

/* Shown as nothing: they fill up the first line of many newsletters. */
static bool is_invisible(uint32_t c)
{
	return c == 0xad || c == 0x34f || (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x2064) || c == 0xfeff;
}

static bool is_blank(uint32_t c)
{
	return c <= ' ' || (c >= 0x7f && c <= 0xa0) || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	       c == 0x3000;
}

/* False: the line is full. */
static bool put(struct line *l, uint32_t c)
{
	if (is_invisible(c))
		return true;
	if (is_blank(c)) {
		l->blank = l->n > 0;
		return true;
	}
	if (l->n + l->blank >= PREVIEW_MAX)
		return false;
	if (l->blank)
		buffer_putc(l->out, ' ');
	utf8_put(l->out, c);
	l->n += 1 + l->blank;
	l->blank = false;
	return true;
}

static struct span skip_line(struct span s)
{
	ssize_t end = span_find(s, '\n');
	return span_sub(s, end < 0 ? s.n : (size_t)end, SIZE_MAX);
}

/* Lines that quote another message are left out. */
static void put_plain(struct line *l, struct span s)
{
	bool begins = true;
	uint32_t c;
	while (s.n) {
		if (begins && s.p[0] == '>')
			s = skip_line(s);
		if (!utf8_next(&s, &c) || !put(l, c))
			return;
		begins = c == '\n';
	}
}

static struct span behind(struct span s, struct span what)
{
	const char *at = memmem(s.p, s.n, what.p, what.n);
	return at ? span_sub(s, (size_t)(at - s.p) + what.n, SIZE_MAX) : (struct span){ 0 };
}

/* Behind the end of an element whose text is not shown. */
static struct span behind_element(struct span s, struct span name)
{
	while (s.n) {
		s = behind(s, SPAN("</"));
		if (span_istarts(s, name))
			return behind(s, SPAN(">"));
	}
	return s;
}

/* s begins with "<". */
static struct span skip_tag(struct span s)
{
	static const struct span hidden[] = { { "style", 5 }, { "script", 6 }, { "title", 5 } };
	if (span_istarts(s, SPAN("<!--")))
		return behind(s, SPAN("-->"));
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		if (span_istarts(span_sub(s, 1, SIZE_MAX), hidden[i]))
			return behind_element(s, hidden[i]);
	return behind(s, SPAN(">"));
}

/* "&amp;" and "&#38;": s begins with "&". */
static uint32_t take_entity(struct span *s)
{
	static const struct { struct span name; uint32_t c; } names[] = {
		{ { "amp;", 4 }, '&' }, { { "lt;", 3 }, '<' }, { { "gt;", 3 }, '>' }, { { "quot;", 5 }, '"' }, { { "apos;", 5 }, '\'' },
		{ { "nbsp;", 5 }, ' ' }, { { "zwnj;", 5 }, 0x200c }, { { "shy;", 4 }, 0xad },
	};
	struct span rest = span_sub(*s, 1, 10);
	ssize_t end = span_find(rest, ';');
	uint64_t c;
	*s = span_sub(*s, 1, SIZE_MAX);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_istarts(rest, names[i].name)) {
			*s = span_sub(*s, names[i].name.n, SIZE_MAX);
			return names[i].c;
		}
	if (end < 2 || rest.p[0] != '#' || !span_u64(span_sub(rest, 1, (size_t)end - 1), 0x10ffff, &c))
		return '&';
	*s = span_sub(*s, (size_t)end + 1, SIZE_MAX);
	return c >= 0xd800 && c < 0xe000 ? ' ' : (uint32_t)c;
}

static void put_html(struct line *l, struct span s)
{
	uint32_t c;
	while (s.n) {
		if (s.p[0] == '<') {
			s = skip_tag(s);
			c = ' ';
		} else if (s.p[0] == '&') {
			c = take_entity(&s);
		} else if (!utf8_next(&s, &c)) {
			return;
		}
		if (!put(l, c))
			return;
	}
}

void preview_put(const struct mime_summary_part *p, struct span body, struct buffer *out)
{
	struct mime_decode decode = { .encoding = p->encoding };
	struct buffer bytes = { 0 }, text = { 0 };
	struct line line = { .out = out };
	mime_decode_push(&decode, span_sub(body, 0, PREVIEW_BYTES), &bytes);
	charset_to_utf8(p->charset, buffer_span(&bytes), &text);
	if (span_eq(p->type, SPAN("text/html")))
		put_html(&line, buffer_span(&text));
	else
		put_plain(&line, buffer_span(&text));
	buffer_free(&bytes);
	buffer_free(&text);
}
