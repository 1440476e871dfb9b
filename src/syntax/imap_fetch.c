#include "imap_fetch.h"

#include "imap_chars.h"
#include "imap_quote.h"

static const struct name {
	struct span word;
	enum imap_fetch_kind kind;
	enum imap_section_text text;
	bool peek;
} names[] = {
	{ { "FLAGS", 5 }, FETCH_FLAGS, SECTION_ALL, true },
	{ { "INTERNALDATE", 12 }, FETCH_INTERNALDATE, SECTION_ALL, true },
	{ { "ENVELOPE", 8 }, FETCH_ENVELOPE, SECTION_ALL, true },
	{ { "BODY", 4 }, FETCH_BODY, SECTION_ALL, true },
	{ { "BODYSTRUCTURE", 13 }, FETCH_BODYSTRUCTURE, SECTION_ALL, true },
	{ { "UID", 3 }, FETCH_UID, SECTION_ALL, true },
	{ { "MODSEQ", 6 }, FETCH_MODSEQ, SECTION_ALL, true },
	{ { "EMAILID", 7 }, FETCH_EMAILID, SECTION_ALL, true },
	{ { "THREADID", 8 }, FETCH_THREADID, SECTION_ALL, true },
	{ { "RFC822.SIZE", 11 }, FETCH_RFC822_SIZE, SECTION_ALL, true },
	{ { "SAVEDATE", 8 }, FETCH_SAVEDATE, SECTION_ALL, true },
	{ { "PREVIEW", 7 }, FETCH_PREVIEW, SECTION_ALL, true },
	{ { "RFC822", 6 }, FETCH_RFC822, SECTION_ALL, false },
	{ { "RFC822.HEADER", 13 }, FETCH_RFC822_HEADER, SECTION_HEADER, true },
	{ { "RFC822.TEXT", 11 }, FETCH_RFC822_TEXT, SECTION_TEXT, false },
};

static const struct section_name {
	struct span word;
	enum imap_section_text text;
} section_names[] = {
	{ { "HEADER", 6 }, SECTION_HEADER },
	{ { "HEADER.FIELDS", 13 }, SECTION_FIELDS },
	{ { "HEADER.FIELDS.NOT", 17 }, SECTION_FIELDS_NOT },
	{ { "MIME", 4 }, SECTION_MIME },
	{ { "TEXT", 4 }, SECTION_TEXT },
};

/* What is followed by a section. */
static const struct sectioned {
	struct span word;
	enum imap_fetch_kind kind;
	bool peek;
} sectioned[] = {
	{ { "BODY", 4 }, FETCH_SECTION, false },
	{ { "BODY.PEEK", 9 }, FETCH_SECTION, true },
	{ { "BINARY", 6 }, FETCH_BINARY, false },
	{ { "BINARY.PEEK", 11 }, FETCH_BINARY, true },
	{ { "BINARY.SIZE", 11 }, FETCH_BINARY_SIZE, true },
};

/* FULL is all three, ALL without BODY, FAST without ENVELOPE too. */
static const struct imap_fetch_item full[] = {
	{ .kind = FETCH_FLAGS, .peek = true },         { .kind = FETCH_INTERNALDATE, .peek = true },
	{ .kind = FETCH_RFC822_SIZE, .peek = true },   { .kind = FETCH_ENVELOPE, .peek = true },
	{ .kind = FETCH_BODY, .peek = true },
};
static const struct macro {
	struct span word;
	size_t n;
} macros[] = { { { "FAST", 4 }, 3 }, { { "ALL", 3 }, 4 }, { { "FULL", 4 }, 5 } };

/* A list that grows in the arena. */
struct items {
	struct imap_fetch_item *v;
	size_t n, cap;
};

static struct imap_fetch_item *add(struct imap_args *a, struct items *l)
{
	if (l->n == FETCH_ITEMS_MAX) {
		imap_bad(a, "too many items to fetch");
		return NULL;
	}
	if (l->n == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 8;
		struct imap_fetch_item *v = arena_alloc(a->arena, cap * sizeof *v);
		if (!v) {
			imap_bad(a, "the command is too large");
			return NULL;
		}
		if (l->n)
			memcpy(v, l->v, l->n * sizeof *v);
		l->v = v;
		l->cap = cap;
	}
	return &l->v[l->n++];
}

/* Letters, digits and dots. */
static struct span take_name(struct imap_args *a)
{
	size_t n = 0;
	while (n < a->rest.n) {
		char c = a->rest.p[n], l = ascii_lower(c);
		if (!imap_is_digit(c) && c != '.' && !(l >= 'a' && l <= 'z'))
			break;
		n++;
	}
	struct span name = span_sub(a->rest, 0, n);
	a->rest = span_sub(a->rest, n, a->rest.n);
	return name;
}

/* Takes one number of a part's path, and the dot behind it, off the front of name. */
static bool take_part(struct imap_args *a, struct span *name, uint32_t *part)
{
	size_t n = 0;
	while (n < name->n && imap_is_digit(name->p[n]))
		n++;
	uint64_t v;
	if (!span_u64(span_sub(*name, 0, n), UINT32_MAX, &v) || v == 0)
		return imap_bad(a, "part numbers begin at 1");
	bool dot = n < name->n;
	if (dot && (name->p[n] != '.' || n + 1 == name->n))
		return imap_bad(a, "no such section");
	*part = (uint32_t)v;
	*name = span_sub(*name, n + dot, name->n);
	return true;
}

/* "1.2.3.MIME" comes as one name: takes the numbers off its front. */
static bool take_path(struct imap_args *a, struct span *name, struct imap_section *s)
{
	uint32_t path[FETCH_DEPTH_MAX];
	for (; name->n && imap_is_digit(name->p[0]); s->depth++) {
		if (s->depth == FETCH_DEPTH_MAX)
			return imap_bad(a, "the part's path is too long");
		if (!take_part(a, name, &path[s->depth]))
			return false;
	}
	if (s->depth == 0)
		return true;
	uint32_t *copy = arena_alloc(a->arena, s->depth * sizeof *path);
	if (!copy)
		return imap_bad(a, "the command is too large");
	s->path = memcpy(copy, path, s->depth * sizeof *path);
	return true;
}

static bool take_text(struct imap_args *a, struct span name, struct imap_section *s)
{
	if (name.n == 0)
		return true;
	for (size_t i = 0; i < sizeof section_names / sizeof *section_names; i++) {
		if (!span_ieq(name, section_names[i].word))
			continue;
		s->text = section_names[i].text;
		if (s->text == SECTION_MIME && s->depth == 0)
			return imap_bad(a, "MIME needs the number of a part");
		return true;
	}
	return imap_bad(a, "no such section");
}

static bool take_fields(struct imap_args *a, struct imap_section *s)
{
	struct span fields[FETCH_FIELDS_MAX];
	size_t n = 0;
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		if (n == FETCH_FIELDS_MAX)
			return imap_bad(a, "too many header fields");
		if (!imap_astring(a, &fields[n]))
			return false;
		n++;
	}
	if (n == 0)
		return imap_bad(a, "the name of a header field expected");
	struct span *copy = arena_alloc(a->arena, n * sizeof *copy);
	if (!copy)
		return imap_bad(a, "the command is too large");
	s->fields = memcpy(copy, fields, n * sizeof *copy);
	s->n_fields = n;
	return true;
}

static bool take_section(struct imap_args *a, struct imap_section *s)
{
	struct span name = take_name(a);
	if (!take_path(a, &name, s) || !take_text(a, name, s))
		return false;
	return (s->text != SECTION_FIELDS && s->text != SECTION_FIELDS_NOT) || take_fields(a, s);
}

bool imap_section(struct imap_args *a, struct imap_section *out)
{
	struct imap_section s = { 0 };
	if (!take_section(a, &s) || !imap_end(a))
		return false;
	*out = s;
	return true;
}

/* Behind the '[', up to and with the ']'. */
static bool take_bracketed(struct imap_args *a, struct imap_section *s)
{
	return take_section(a, s) && (imap_take(a, ']') || imap_bad(a, "a section is not closed"));
}

static bool take_partial(struct imap_args *a, struct imap_fetch_item *item)
{
	if (!imap_take(a, '<'))
		return true;
	item->partial = true;
	if (!imap_number64(a, &item->offset) || !imap_take(a, '.') || !imap_number64(a, &item->length) || !item->length ||
	    !imap_take(a, '>'))
		return imap_bad(a, "a range like <0.1024> expected");
	return true;
}

/* PREVIEW (LAZY). Behind a PREVIEW alone, the modifiers of FETCH are in parentheses too. */
static bool take_lazy(struct imap_args *a, struct imap_fetch_item *item)
{
	struct imap_args ahead = *a;
	if (item->kind != FETCH_PREVIEW || !imap_peek(a, ' ') || !imap_sp(&ahead) || !imap_take(&ahead, '(') ||
	    !imap_take_word(&ahead, SPAN("LAZY")))
		return true;
	item->lazy = true;
	*a = ahead;
	return imap_take(a, ')') || imap_bad(a, "PREVIEW (LAZY) expected");
}

/* Of BINARY only parts can be asked, and of BINARY.SIZE no range. */
static bool take_sectioned(struct imap_args *a, struct imap_fetch_item *item)
{
	if (!take_bracketed(a, &item->section))
		return false;
	if (item->kind != FETCH_SECTION && item->section.text != SECTION_ALL)
		return imap_bad(a, "BINARY is of a part");
	return item->kind == FETCH_BINARY_SIZE || take_partial(a, item);
}

static const struct sectioned *find_sectioned(struct span word)
{
	for (size_t i = 0; i < sizeof sectioned / sizeof *sectioned; i++)
		if (span_ieq(word, sectioned[i].word))
			return &sectioned[i];
	return NULL;
}

static const struct name *find_name(struct span word)
{
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_ieq(word, names[i].word))
			return &names[i];
	return NULL;
}

static bool take_item(struct imap_args *a, struct items *l)
{
	struct span word = take_name(a);
	struct imap_fetch_item *item = add(a, l);
	if (!item)
		return false;
	const struct sectioned *s = find_sectioned(word);
	if (s && imap_take(a, '[')) {
		*item = (struct imap_fetch_item){ .kind = s->kind, .peek = s->peek };
		return take_sectioned(a, item);
	}
	const struct name *name = find_name(word);
	if (!name)
		return imap_bad(a, "no such item to fetch");
	*item = (struct imap_fetch_item){ .kind = name->kind, .peek = name->peek, .section.text = name->text };
	return take_lazy(a, item);
}

/* *took stays false when the next word is no macro. */
static bool take_macro(struct imap_args *a, struct items *l, bool *took)
{
	for (size_t i = 0; i < sizeof macros / sizeof *macros; i++) {
		if (!imap_take_word(a, macros[i].word))
			continue;
		*took = true;
		for (size_t k = 0; k < macros[i].n; k++) {
			struct imap_fetch_item *item = add(a, l);
			if (!item)
				return false;
			*item = full[k];
		}
		break;
	}
	return true;
}

static bool take_items(struct imap_args *a, struct items *l)
{
	bool macro = false;
	if (!take_macro(a, l, &macro) || macro)
		return macro;
	if (!imap_take(a, '('))
		return take_item(a, l);
	while (imap_list_next(a))
		if (!take_item(a, l))
			return false;
	return l->n || imap_bad(a, "something to fetch expected");
}

static bool take_modifier(struct imap_args *a, struct imap_fetch *f)
{
	if (imap_take_word(a, SPAN("VANISHED")))
		return f->vanished = true;
	if (!f->changedsince && imap_take_word(a, SPAN("CHANGEDSINCE")))
		return f->changedsince = imap_sp(a) && imap_number64(a, &f->modseq);
	if (!f->has_partial && imap_take_word(a, SPAN("PARTIAL")))
		return f->has_partial = imap_sp(a) && imap_partial(a, &f->partial);
	return imap_bad(a, "CHANGEDSINCE or PARTIAL expected, once");
}

/* RFC 7162, 9394: (CHANGEDSINCE 5 VANISHED PARTIAL 1:50) */
static bool take_modifiers(struct imap_args *a, struct imap_fetch *f)
{
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_modifier(a, f))
			return false;
	return f->changedsince || (f->has_partial && !f->vanished) || imap_bad(a, "CHANGEDSINCE or PARTIAL expected");
}

bool imap_fetch_items(struct imap_args *a, struct imap_fetch *out)
{
	struct items l = { 0 };
	if (!take_items(a, &l))
		return false;
	*out = (struct imap_fetch){ .items = l.v, .n = l.n };
	for (size_t i = 0; i < l.n; i++)
		out->sets_seen |= !l.v[i].peek;
	return true;
}

bool imap_fetch_parse(struct imap_args *a, struct imap_fetch *out)
{
	struct imap_fetch f;
	if (!imap_fetch_items(a, &f))
		return false;
	if (span_trim(a->rest).n && !take_modifiers(a, &f))
		return false;
	if (!imap_end(a))
		return false;
	*out = f;
	return true;
}

static void put_fields(struct buffer *b, const struct imap_section *s)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		buffer_puts(b, i ? " " : " (");
		imap_put_astring(b, s->fields[i]);
	}
	if (s->n_fields)
		buffer_putc(b, ')');
}

static void put_section(struct buffer *b, const struct imap_section *s)
{
	buffer_putc(b, '[');
	for (size_t i = 0; i < s->depth; i++) {
		if (i)
			buffer_putc(b, '.');
		buffer_put_u64(b, s->path[i]);
	}
	if (s->depth && s->text != SECTION_ALL)
		buffer_putc(b, '.');
	for (size_t i = 0; i < sizeof section_names / sizeof *section_names; i++)
		if (section_names[i].text == s->text)
			buffer_put_span(b, section_names[i].word);
	put_fields(b, s);
	buffer_putc(b, ']');
}

void imap_fetch_put_name(struct buffer *b, const struct imap_fetch_item *item)
{
	bool named = false;
	for (size_t i = 0; !named && i < sizeof sectioned / sizeof *sectioned; i++)
		if ((named = sectioned[i].kind == item->kind))
			buffer_put_span(b, sectioned[i].word);
	if (named)
		put_section(b, &item->section);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].kind == item->kind)
			buffer_put_span(b, names[i].word);
	if (item->partial)
		buffer_printf(b, "<%llu>", (unsigned long long)item->offset);
}
