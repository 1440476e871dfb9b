#include "imap_metadata.h"

static size_t count(struct span s, char c)
{
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static bool begins_with(struct span name, struct span root)
{
	return name.n >= root.n && memcmp(name.p, root.p, root.n) == 0 && (name.n == root.n || name.p[root.n] == '/');
}

/* RFC 5464, 3.2. */
static const char *objection(struct span name)
{
	if (name.n > METADATA_NAME_MAX)
		return "the name of an entry is too long";
	for (size_t i = 0; i < name.n; i++) {
		unsigned char k = (unsigned char)name.p[i];
		if (k < 0x20 || k >= 0x7f || k == '*' || k == '%')
			return "a character that no entry has in its name";
		if (k == '/' && (i + 1 == name.n || name.p[i + 1] == '/'))
			return "an empty component in the name of an entry";
	}
	if (!begins_with(name, SPAN("/shared")) && !begins_with(name, SPAN("/private")))
		return "entries begin with /shared/ or /private/";
	return NULL;
}

/* What has a value lies below the roots, also below those of vendors. */
static bool has_value(struct span name)
{
	bool vendor = begins_with(name, SPAN("/shared/vendor")) || begins_with(name, SPAN("/private/vendor"));
	return count(name, '/') >= (vendor ? 4 : 2);
}

static bool take_name(struct imap_args *a, struct span *out)
{
	struct span sent;
	if (!imap_astring(a, &sent))
		return false;
	char *name = arena_alloc(a->arena, sent.n + 1);
	if (!name)
		return imap_bad(a, "the command is too large");
	for (size_t i = 0; i < sent.n; i++)
		name[i] = ascii_lower(sent.p[i]);
	*out = span_from(name, sent.n);
	const char *why = objection(*out);
	return !why || imap_bad(a, why);
}

/* ---- GETMETADATA */

static bool take_depth(struct imap_args *a, struct imap_metadata_query *q)
{
	struct span word;
	if (!imap_sp(a) || !imap_atom(a, &word))
		return false;
	if (span_eq(word, SPAN("0")))
		q->depth = METADATA_DEPTH_0;
	else if (span_eq(word, SPAN("1")))
		q->depth = METADATA_DEPTH_1;
	else if (span_ieq(word, SPAN("infinity")))
		q->depth = METADATA_DEPTH_INFINITY;
	else
		return imap_bad(a, "DEPTH is 0, 1 or infinity");
	return true;
}

static bool take_option(struct imap_args *a, struct imap_metadata_query *q)
{
	if (imap_take_word(a, SPAN("MAXSIZE")))
		return imap_sp(a) && imap_number(a, &q->max);
	if (imap_take_word(a, SPAN("DEPTH")))
		return take_depth(a, q);
	return imap_bad(a, "an option of GETMETADATA is not known");
}

static bool take_options(struct imap_args *a, struct imap_metadata_query *q)
{
	if (!imap_list_open(a))
		return false;
	bool any = false;
	while (imap_list_next(a)) {
		if (!take_option(a, q))
			return false;
		any = true;
	}
	return (any || imap_bad(a, "an option expected")) && imap_sp(a);
}

/* Entries are in a list too, but they all begin with "/". */
static bool comes_option(const struct imap_args *a)
{
	struct imap_args ahead = *a;
	struct span word;
	return imap_take(&ahead, '(') && imap_atom(&ahead, &word) && word.n && word.p[0] != '/';
}

static bool add_name(struct imap_args *a, struct imap_metadata_query *q)
{
	if (q->n == METADATA_ASKED_MAX)
		return imap_bad(a, "too many entries");
	return take_name(a, &q->names[q->n]) && ++q->n;
}

static bool take_names(struct imap_args *a, struct imap_metadata_query *q)
{
	q->names = arena_alloc(a->arena, METADATA_ASKED_MAX * sizeof *q->names);
	if (!q->names)
		return imap_bad(a, "the command is too large");
	if (!imap_peek(a, '('))
		return add_name(a, q);
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!add_name(a, q))
			return false;
	return q->n || imap_bad(a, "an entry expected");
}

static bool take_query(struct imap_args *a, struct imap_metadata_query *q)
{
	return (!comes_option(a) || take_options(a, q)) && take_names(a, q);
}

bool imap_metadata_take_query(struct imap_args *a, struct imap_metadata_query *out)
{
	struct imap_metadata_query q = { .max = UINT32_MAX };
	if (!take_query(a, &q))
		return false;
	*out = q;
	return true;
}

bool imap_getmetadata_parse(struct imap_args *a, struct span *mailbox, struct imap_metadata_query *out)
{
	struct imap_metadata_query q = { .max = UINT32_MAX };
	struct span name;
	if (!imap_sp(a) || (comes_option(a) && !take_options(a, &q)))
		return false;
	if (!imap_astring(a, &name) || !imap_sp(a) || !take_query(a, &q) || !imap_end(a))
		return false;
	*mailbox = name;
	*out = q;
	return true;
}

static bool covers(struct span root, struct span name, enum imap_metadata_depth depth)
{
	if (name.n == root.n || depth == METADATA_DEPTH_0 || !begins_with(name, root))
		return span_eq(name, root);
	return depth == METADATA_DEPTH_INFINITY || count(span_sub(name, root.n, name.n), '/') == 1;
}

bool imap_metadata_asks_for(const struct imap_metadata_query *q, struct span name)
{
	for (size_t i = 0; i < q->n; i++)
		if (covers(q->names[i], name, q->depth))
			return true;
	return false;
}

/* ---- SETMETADATA */

static bool take_value(struct imap_args *a, struct imap_metadata_value *out)
{
	if (!take_name(a, &out->name))
		return false;
	if (!has_value(out->name))
		return imap_bad(a, "that is no entry, but what others lie below");
	return imap_sp(a) && imap_nstring(a, &out->value);
}

bool imap_setmetadata_parse(struct imap_args *a, struct span *mailbox, struct imap_metadata_value **out, size_t *n)
{
	struct imap_metadata_value *list = arena_alloc(a->arena, METADATA_ASKED_MAX * sizeof *list);
	struct span name;
	size_t got = 0;
	if (!list)
		return imap_bad(a, "the command is too large");
	if (!imap_sp(a) || !imap_astring(a, &name) || !imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		if (got == METADATA_ASKED_MAX)
			return imap_bad(a, "too many entries");
		if (!take_value(a, &list[got]))
			return false;
		got++;
	}
	if (!got)
		return imap_bad(a, "an entry expected");
	if (!imap_end(a))
		return false;
	*mailbox = name;
	*out = list;
	*n = got;
	return true;
}
