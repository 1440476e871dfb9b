#include "message_id.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The bytes behind "<", up to and with ">". False: it ends early or another "<" begins. */
static bool take_id(struct span *s, struct buffer *out)
{
	bool quoted = false;
	size_t i = 0;
	for (; i < s->n; i++) {
		char c = s->p[i];
		if (!quoted && (c == '>' || c == '<'))
			break;
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\' && quoted && i + 1 < s->n)
			buffer_putc(out, s->p[++i]);
		else if (quoted || !is_blank(c))
			buffer_putc(out, c);
	}
	bool ended = i < s->n && s->p[i] == '>';
	*s = span_sub(*s, i + ended, SIZE_MAX);
	return ended;
}

/* Something, "@", and something. */
static bool is_id(struct span id)
{
	ssize_t at = span_find(id, '@');
	return at > 0 && (size_t)at + 1 < id.n;
}

bool message_id_next(struct span *rest, struct buffer *out)
{
	size_t start = out->n;
	ssize_t at;
	while ((at = span_find(*rest, '<')) >= 0) {
		*rest = span_sub(*rest, (size_t)at + 1, SIZE_MAX);
		if (take_id(rest, out) && is_id(span_sub(buffer_span(out), start, SIZE_MAX)))
			return true;
		out->n = start;
	}
	return false;
}
