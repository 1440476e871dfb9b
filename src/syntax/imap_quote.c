#include "imap_quote.h"

#include "imap_chars.h"
#include "utf7.h"

enum { QUOTED_MAX = 1000 };

static bool fits_quotes(struct span s)
{
	if (s.n > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '\r' || s.p[i] == '\n' || (unsigned char)s.p[i] >= 0x80)
			return false;
	return true;
}

static void put_quoted(struct buffer *b, struct span s)
{
	buffer_putc(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buffer_putc(b, '\\');
		buffer_putc(b, s.p[i] ? s.p[i] : '?');
	}
	buffer_putc(b, '"');
}

static void put_literal(struct buffer *b, struct span s)
{
	buffer_printf(b, "{%zu}\r\n", s.n);
	char *to = buffer_reserve(b, s.n);
	if (!to)
		return;
	for (size_t i = 0; i < s.n; i++)
		to[i] = s.p[i] ? s.p[i] : '?';
	b->n += s.n;
}

void imap_put_string(struct buffer *b, struct span s)
{
	if (fits_quotes(s))
		put_quoted(b, s);
	else
		put_literal(b, s);
}

void imap_put_nstring(struct buffer *b, struct span s)
{
	if (s.p)
		imap_put_string(b, s);
	else
		buffer_puts(b, "NIL");
}

void imap_put_nstring8(struct buffer *b, struct span s)
{
	if (span_find(s, '\0') < 0) {
		imap_put_nstring(b, s);
		return;
	}
	buffer_printf(b, "~{%zu}\r\n", s.n);
	buffer_put_span(b, s);
}

/* NIL as an atom would be no string; ']' is avoided because response codes end at it. */
void imap_put_astring(struct buffer *b, struct span s)
{
	bool atom = s.n > 0 && !span_ieq(s, SPAN("NIL"));
	for (size_t i = 0; i < s.n && atom; i++)
		atom = imap_is_atom_char(s.p[i]);
	if (atom)
		buffer_put_span(b, s);
	else
		imap_put_string(b, s);
}

/* A name that is only told back, of no mailbox there is, may hold line ends. */
static void put_utf8(struct buffer *b, struct span name)
{
	if (span_find(name, '\r') < 0 && span_find(name, '\n') < 0)
		put_quoted(b, name);
	else
		put_literal(b, name);
}

void imap_put_mailbox(struct buffer *b, struct span name, bool utf8)
{
	struct buffer text = { 0 };
	if (utf8) {
		put_utf8(b, name);
		return;
	}
	utf7_encode(&text, name);
	imap_put_string(b, buffer_span(&text));
	buffer_free(&text);
}

void imap_put_text(struct buffer *b, struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		buffer_putc(b, c >= 0x7f ? '?' : c < ' ' ? ' ' : (char)c);
	}
}
