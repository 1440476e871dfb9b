#include "base_subject.h"

#include "rfc2047.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* (1): encoded words are decoded, runs of blanks are one space. In place. */
static struct span simplify(struct span value, struct buffer *text)
{
	rfc2047_decode(value, text);
	size_t n = 0;
	for (size_t i = 0; i < text->n; i++) {
		char c = is_blank(text->p[i]) ? ' ' : text->p[i];
		if (c != ' ' || n == 0 || text->p[n - 1] != ' ')
			text->p[n++] = c;
	}
	return (struct span){ text->p, n };
}

static struct span skip_blanks(struct span s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return span_sub(s, n, SIZE_MAX);
}

/* subj-blob: "[" no brackets "]" and blanks. */
static bool take_blob(struct span *s)
{
	size_t n = 1;
	if (s->n == 0 || s->p[0] != '[')
		return false;
	while (n < s->n && s->p[n] != '[' && s->p[n] != ']')
		n++;
	if (n == s->n || s->p[n] != ']')
		return false;
	*s = skip_blanks(span_sub(*s, n + 1, SIZE_MAX));
	return true;
}

/* subj-refwd: "re", "fw" or "fwd", blanks, a blob perhaps, ":" */
static bool take_refwd(struct span *s)
{
	struct span rest;
	if (span_istarts(*s, SPAN("re")))
		rest = span_sub(*s, 2, SIZE_MAX);
	else if (span_istarts(*s, SPAN("fwd")))
		rest = span_sub(*s, 3, SIZE_MAX);
	else if (span_istarts(*s, SPAN("fw")))
		rest = span_sub(*s, 2, SIZE_MAX);
	else
		return false;
	rest = skip_blanks(rest);
	take_blob(&rest);
	if (rest.n == 0 || rest.p[0] != ':')
		return false;
	*s = span_sub(rest, 1, SIZE_MAX);
	return true;
}

/* (2): "(fwd)" and blanks at the end. */
static struct span without_trailers(struct span s, bool *refwd)
{
	for (;;) {
		if (s.n && s.p[s.n - 1] == ' ') {
			s.n--;
		} else if (s.n >= 5 && span_ieq(span_sub(s, s.n - 5, 5), SPAN("(fwd)"))) {
			s.n -= 5;
			*refwd = true;
		} else {
			return s;
		}
	}
}

/* (3) to (5): leaders, and blobs that leave something. Blobs are taken one by one here: those of a leader are gone as well
   when the "Re:" behind them is, and where none follows the last thing left stays. `kept` is where the last blob began that
   may turn out to be all there is. */
static struct span without_leaders(struct span s, bool *refwd)
{
	struct span kept = { 0 };
	for (;;) {
		struct span before = s = skip_blanks(s);
		if (take_refwd(&s)) {
			*refwd = true;
			kept = (struct span){ 0 };
		} else if (take_blob(&s)) {
			kept = before;
		} else {
			return s.n || !kept.p ? s : kept;
		}
	}
}

/* (6): "[fwd: ... ]" */
static bool take_forward(struct span *s)
{
	if (!span_istarts(*s, SPAN("[fwd:")) || s->p[s->n - 1] != ']')
		return false;
	*s = span_sub(*s, 5, s->n - 6);
	return true;
}

bool base_subject(struct span value, struct buffer *out)
{
	struct buffer text = { 0 };
	bool refwd = false;
	struct span s = simplify(value, &text);
	do {
		s = without_leaders(without_trailers(s, &refwd), &refwd);
	} while (take_forward(&s) && (refwd = true));
	buffer_put_span(out, s);
	buffer_free(&text);
	return refwd;
}
