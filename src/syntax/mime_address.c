#include "mime_address.h"

/* How one address is gathered: words go to the phrase (a name, as far as anyone knows yet) and to the local part or,
   after '@', to the host. What turns up next (a '<', a ':', a comma) tells what the phrase was. */
struct gather {
	struct mime_address_reader *r;
	bool space;      /* blanks stood before the next word */
	bool dot;        /* the last word was a dot */
	bool at;         /* '@' was seen */
	bool bracketed;  /* an address in angle brackets was read */
	size_t name_end; /* of the phrase before the word that became the local part */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == 0;
}

static bool is_special(char c)
{
	return is_blank(c) || c == '(' || c == ')' || c == '<' || c == '>' || c == '@' || c == ',' || c == ';' || c == ':' ||
	       c == '"' || c == '.' || c == '[';
}

static void skip(struct span *s, size_t n)
{
	*s = span_sub(*s, n, SIZE_MAX);
}

/* A comment's text without the outer brackets, unescaped. */
static void take_comment(struct span *s, struct buffer *out)
{
	unsigned depth = 1;
	size_t i = 1;
	for (; i < s->n; i++) {
		char c = s->p[i];
		if (c == '(')
			depth++;
		else if (c == ')' && --depth == 0)
			break;
		else if (c == '\\' && i + 1 < s->n)
			c = s->p[++i];
		if (c != '\r' && c != '\n')
			buffer_putc(out, c ? c : ' ');
	}
	skip(s, i + 1);
}

/* A quoted string's text, unescaped; one that is never closed ends with the value. */
static void take_quoted(struct span *s, struct buffer *out)
{
	size_t i = 1;
	for (; i < s->n && s->p[i] != '"'; i++) {
		if (s->p[i] == '\\' && i + 1 < s->n)
			i++;
		if (s->p[i] != '\r' && s->p[i] != '\n')
			buffer_putc(out, s->p[i] ? s->p[i] : ' ');
	}
	skip(s, i + 1);
}

enum { LOOK_AHEAD = 500 }; /* bytes; without a bound every '<' of a hostile list could cost its whole length */

/* An encoded word is one word even where it wrongly holds specials; else up to a special. */
static struct span take_atom(struct span *s)
{
	size_t n = 0;
	if (s->n > 2 && s->p[0] == '=' && s->p[1] == '?') {
		unsigned marks = 1;
		for (size_t i = 2; i < s->n && i < LOOK_AHEAD && !is_blank(s->p[i]) && s->p[i] != '"' && s->p[i] != '<'; i++)
			if (s->p[i] == '?' && marks++ >= 3 && i + 1 < s->n && s->p[i + 1] == '=') {
				n = i + 2;
				break;
			}
	}
	while (n < s->n && !is_special(s->p[n]))
		n++;
	struct span atom = span_sub(*s, 0, n ? n : 1);
	skip(s, atom.n);
	return atom;
}

/* One word into the phrase, and into the local part or the host: there a blank begins anew, but not around a dot. */
static void add_word(struct gather *g, struct span word, bool is_dot)
{
	struct mime_address_reader *r = g->r;
	bool apart = g->space && !g->dot && !is_dot;
	if (apart && !g->at) {
		buffer_reset(&r->local);
		g->name_end = r->phrase.n;
	}
	if (g->space && r->phrase.n)
		buffer_putc(&r->phrase, ' ');
	buffer_put_span(&r->phrase, word);
	if (!g->at)
		buffer_put_span(&r->local, word);
	else if (!apart || r->host.n == 0)
		buffer_put_span(&r->host, word);
	g->space = false;
	g->dot = is_dot;
}

static void add_quoted(struct gather *g)
{
	struct buffer *text = &g->r->scratch;
	buffer_reset(text);
	take_quoted(&g->r->rest, text);
	add_word(g, buffer_span(text), false);
}

/* "a@b@c": the last '@' counts. */
static void add_at(struct gather *g)
{
	struct mime_address_reader *r = g->r;
	skip(&r->rest, 1);
	if (g->at && r->host.n) {
		buffer_putc(&r->local, '@');
		buffer_put_span(&r->local, buffer_span(&r->host));
		buffer_reset(&r->host);
	}
	g->at = true;
	buffer_putc(&r->phrase, '@');
	g->space = false;
	g->dot = true;
}

static struct span take_literal(struct span *s)
{
	size_t n = 1;
	while (n < s->n && s->p[n] != ']' && s->p[n] != '>' && s->p[n] != ',' && !is_blank(s->p[n]))
		n++;
	if (n < s->n && s->p[n] == ']')
		n++;
	struct span literal = span_sub(*s, 0, n);
	skip(s, n);
	return literal;
}

/* "@a,@b:" at the start of an angle address. */
static void take_route(struct mime_address_reader *r)
{
	size_t colon = 0;
	while (colon < r->rest.n && colon < LOOK_AHEAD && r->rest.p[colon] != ':' && r->rest.p[colon] != '>')
		colon++;
	if (colon == r->rest.n || r->rest.p[colon] != ':')
		return;
	for (size_t i = 0; i < colon; i++)
		if (!is_blank(r->rest.p[i]))
			buffer_putc(&r->route, r->rest.p[i]);
	skip(&r->rest, colon + 1);
}

static void skip_blanks(struct span *s)
{
	while (s->n && is_blank(s->p[0]))
		skip(s, 1);
}

/* What stands between angle brackets; a missing '>' ends at the comma after the host, or with the value. */
static void take_angle(struct gather *g)
{
	struct mime_address_reader *r = g->r;
	skip(&r->rest, 1);
	skip_blanks(&r->rest);
	buffer_reset(&r->local);
	buffer_reset(&r->host);
	g->at = false;
	if (r->rest.n && r->rest.p[0] == '@')
		take_route(r);
	struct buffer *to = &r->local;
	while (r->rest.n && r->rest.p[0] != '>' && !(g->at && (r->rest.p[0] == ',' || r->rest.p[0] == ';'))) {
		char c = r->rest.p[0];
		if (is_blank(c)) {
			skip(&r->rest, 1);
		} else if (c == '(') {
			buffer_reset(&r->scratch);
			take_comment(&r->rest, &r->scratch);
		} else if (c == '"') {
			take_quoted(&r->rest, to);
		} else if (c == '@' && !g->at) {
			skip(&r->rest, 1);
			g->at = true;
			to = &r->host;
		} else {
			buffer_putc(to, c);
			skip(&r->rest, 1);
		}
	}
	if (r->rest.n && r->rest.p[0] == '>')
		skip(&r->rest, 1);
	g->bracketed = true;
}

static struct span or_none(struct span s)
{
	s = span_trim(s);
	return s.n ? s : (struct span){ NULL, 0 };
}

static void finish_bare(const struct gather *g, struct mime_address *out)
{
	struct mime_address_reader *r = g->r;
	struct span phrase = buffer_span(&r->phrase);
	*out = (struct mime_address){ .kind = ADDRESS_MAILBOX };
	if (g->at) {
		out->name = or_none(span_sub(phrase, 0, g->name_end));
		out->mailbox = buffer_span(&r->local);
	} else {
		out->mailbox = span_trim(phrase);
	}
}

static void finish(const struct gather *g, struct mime_address *out)
{
	struct mime_address_reader *r = g->r;
	if (g->bracketed)
		*out = (struct mime_address){ .kind = ADDRESS_MAILBOX, .name = or_none(buffer_span(&r->phrase)),
			.mailbox = buffer_span(&r->local) };
	else
		finish_bare(g, out);
	if (!out->name.p)
		out->name = or_none(buffer_span(&r->comment));
	out->route = or_none(buffer_span(&r->route));
	out->host = buffer_span(&r->host);
}

static bool gathered(const struct gather *g)
{
	return g->bracketed || g->at || g->r->phrase.n;
}

/* One token outside angle brackets. */
static void take_token(struct gather *g)
{
	struct mime_address_reader *r = g->r;
	char c = r->rest.p[0];
	if (is_blank(c)) {
		g->space = true;
		skip(&r->rest, 1);
	} else if (c == '(') {
		buffer_reset(&r->comment);
		take_comment(&r->rest, &r->comment);
		g->space = true;
	} else if (g->bracketed) {
		skip(&r->rest, 1); /* nothing belongs behind an angle address */
	} else if (c == '"') {
		add_quoted(g);
	} else if (c == '@') {
		add_at(g);
	} else if (c == '[' && g->at) {
		add_word(g, take_literal(&r->rest), false);
	} else {
		add_word(g, take_atom(&r->rest), c == '.');
	}
}

static bool group_end(struct mime_address_reader *r, struct mime_address *out)
{
	r->in_group = false;
	*out = (struct mime_address){ .kind = ADDRESS_GROUP_END };
	return true;
}

static bool group_start(struct mime_address_reader *r, struct mime_address *out)
{
	r->in_group = true;
	skip(&r->rest, 1);
	*out = (struct mime_address){ .kind = ADDRESS_GROUP_START, .name = span_trim(buffer_span(&r->phrase)) };
	return true;
}

static void clear(struct mime_address_reader *r)
{
	buffer_reset(&r->phrase);
	buffer_reset(&r->local);
	buffer_reset(&r->host);
	buffer_reset(&r->route);
	buffer_reset(&r->comment);
}

void mime_address_start(struct mime_address_reader *r, struct span value)
{
	r->rest = value;
	r->in_group = false;
}

bool mime_address_next(struct mime_address_reader *r, struct mime_address *out)
{
	struct gather g = { .r = r };
	clear(r);
	while (r->rest.n) {
		char c = r->rest.p[0];
		if (c == ',' || c == ';') {
			if (gathered(&g))
				break;
			skip(&r->rest, 1);
			if (c == ';' && r->in_group)
				return group_end(r, out);
		} else if (c == '<') {
			if (g.bracketed)
				break;
			take_angle(&g);
		} else if (c == ':' && !r->in_group && !g.at && !g.bracketed && r->phrase.n) {
			return group_start(r, out);
		} else {
			take_token(&g);
		}
	}
	if (!gathered(&g))
		return r->in_group ? group_end(r, out) : false;
	finish(&g, out);
	return true;
}

void mime_address_free(struct mime_address_reader *r)
{
	buffer_free(&r->phrase);
	buffer_free(&r->local);
	buffer_free(&r->host);
	buffer_free(&r->route);
	buffer_free(&r->comment);
	buffer_free(&r->scratch);
}
