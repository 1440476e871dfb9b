#include "query.h"

#include "fail.h"
#include "utf8.h"

enum value { TEXT, WHEN, SIZE, WORD };

/* A WORD has one row for each word it may be followed by. */
static const struct keyword {
	struct span name, word;
	enum query_kind kind;
	enum value value;
	bool negated;
} keywords[] = {
	{ { "from", 4 }, { 0 }, QUERY_FROM, TEXT },
	{ { "to", 2 }, { 0 }, QUERY_TO, TEXT },
	{ { "cc", 2 }, { 0 }, QUERY_CC, TEXT },
	{ { "subject", 7 }, { 0 }, QUERY_SUBJECT, TEXT },
	{ { "body", 4 }, { 0 }, QUERY_BODY, TEXT },
	{ { "folder", 6 }, { 0 }, QUERY_FOLDER, TEXT },
	{ { "before", 6 }, { 0 }, QUERY_BEFORE, WHEN },
	{ { "after", 5 }, { 0 }, QUERY_AFTER, WHEN },
	{ { "larger", 6 }, { 0 }, QUERY_LARGER, SIZE },
	{ { "smaller", 7 }, { 0 }, QUERY_SMALLER, SIZE },
	{ { "has", 3 }, { "attachment", 10 }, QUERY_ATTACHMENT, WORD },
	{ { "is", 2 }, { "seen", 4 }, QUERY_SEEN, WORD },
	{ { "is", 2 }, { "unseen", 6 }, QUERY_SEEN, WORD, true },
	{ { "is", 2 }, { "flagged", 7 }, QUERY_FLAGGED, WORD },
	{ { "is", 2 }, { "unflagged", 9 }, QUERY_FLAGGED, WORD, true },
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span take(struct span *s, size_t n)
{
	struct span front = span_sub(*s, 0, n);
	*s = span_sub(*s, n, s->n);
	return front;
}

static int take_quoted(struct arena *a, struct span *s, struct span *out)
{
	char *to = arena_alloc(a, s->n);
	if (!to)
		return fail_with(ERR_LIMIT, "the query is too large");
	struct span text = { to, 0 };
	take(s, 1);
	while (s->n && s->p[0] != '"') {
		if (s->p[0] == '\\' && s->n > 1)
			take(s, 1);
		to[text.n++] = s->p[0];
		take(s, 1);
	}
	if (s->n == 0)
		return fail_with(ERR_INVALID, "a quote is not closed");
	take(s, 1);
	*out = text;
	return OK;
}

/* Up to the next blank, or within quotes. */
static int take_value(struct arena *a, struct span *s, struct span *out)
{
	int rc = OK;
	if (s->n && s->p[0] == '"') {
		rc = take_quoted(a, s, out);
	} else {
		size_t n = 0;
		while (n < s->n && !is_blank(s->p[n]))
			n++;
		*out = take(s, n);
	}
	if (rc == OK && out->n == 0)
		return fail_with(ERR_INVALID, "a word is missing, or a pair of quotes is empty");
	if (rc == OK && s->n && !is_blank(s->p[0]))
		return fail_with(ERR_INVALID, "a blank must follow a closing quote");
	return rc;
}

/* Length of the letters before a colon at the front, 0 when there is no such thing. */
static size_t name_length(struct span s)
{
	size_t n = 0;
	while (n < s.n && ascii_lower(s.p[n]) >= 'a' && ascii_lower(s.p[n]) <= 'z')
		n++;
	return n < s.n && s.p[n] == ':' ? n : 0;
}

static int parse_size(struct span s, uint64_t *out)
{
	int shift = 0;
	switch (ascii_lower(s.p[s.n - 1])) {
	case 'k':
		shift = 10;
		break;
	case 'm':
		shift = 20;
		break;
	case 'g':
		shift = 30;
		break;
	}
	if (!span_u64(span_sub(s, 0, s.n - (shift != 0)), INT64_MAX >> shift, out))
		return fail_with(ERR_INVALID, "not a size: use bytes, 10k, 5M or 1G");
	*out <<= shift;
	return OK;
}

static int parse_when(struct span s, struct when *out)
{
	struct when w = { .kind = WHEN_INSTANT };
	if (when_parse_day(s, &w.us) != OK &&
	    (when_parse(s, &w) != OK || (w.kind != WHEN_INSTANT && w.kind != WHEN_AGE)))
		return fail_with(ERR_INVALID, "not a time: use 2026-11-20, 2026-11-20T10:00:00Z or an age like 2h");
	*out = w;
	return OK;
}

static int fill(struct query_term *t, const struct keyword *k, struct span value)
{
	t->kind = k->kind;
	t->negated ^= k->negated;
	switch (k->value) {
	case TEXT:
		t->text = value;
		return OK;
	case WHEN:
		return parse_when(value, &t->when);
	case SIZE:
		return parse_size(value, &t->number);
	case WORD:
		return OK;
	}
	return ERR_INVALID;
}

/* A name nobody knows is refused, not searched for: "form:anna" is a slip, and restoring by it would miss mail. */
static int parse_named(struct arena *a, struct span name, struct span *s, struct query_term *t)
{
	struct span value;
	bool known = false;
	int rc = take_value(a, s, &value);
	if (rc != OK)
		return rc;
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++) {
		const struct keyword *k = &keywords[i];
		if (!span_ieq(name, k->name))
			continue;
		known = true;
		if (k->value != WORD || span_ieq(value, k->word))
			return fill(t, k, value);
	}
	return fail_with(ERR_INVALID, known ? "there is has:attachment and is:seen, is:unseen, is:flagged, is:unflagged"
	                                    : "no such term; to search for words with a colon, put them in quotes");
}

static int parse_term(struct arena *a, struct span *s, struct query_term *t)
{
	if (s->n > 1 && s->p[0] == '-' && !is_blank(s->p[1])) {
		t->negated = true;
		take(s, 1);
	}
	size_t n = name_length(*s);
	if (n == 0)
		return take_value(a, s, &t->text);
	struct span name = take(s, n);
	take(s, 1);
	return parse_named(a, name, s, t);
}

int query_parse(struct arena *a, struct span text, struct query *out)
{
	struct query_term terms[QUERY_TERMS_MAX];
	size_t n = 0;
	if (!utf8_valid(text) || span_find(text, 0) >= 0)
		return fail_with(ERR_INVALID, "the query is not valid UTF-8");
	for (text = span_trim(text); text.n; text = span_trim(text), n++) {
		if (n == QUERY_TERMS_MAX)
			return fail_with(ERR_LIMIT, "over %d terms", QUERY_TERMS_MAX);
		terms[n] = (struct query_term){ .kind = QUERY_TEXT };
		int rc = parse_term(a, &text, &terms[n]);
		if (rc != OK)
			return rc;
	}
	struct query_term *copy = arena_alloc(a, n * sizeof *copy);
	if (!copy)
		return fail_with(ERR_LIMIT, "the query is too large");
	if (n)
		memcpy(copy, terms, n * sizeof *copy);
	*out = (struct query){ copy, n };
	return OK;
}
