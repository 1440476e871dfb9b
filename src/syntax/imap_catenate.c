#include "imap_catenate.h"

#include "percent.h"

static bool take_url(struct imap_args *a, struct imap_part *p)
{
	p->kind = PART_URL;
	if (!imap_sp(a))
		return false;
	p->comes = imap_peek(a, '{');
	return p->comes ? imap_upload(a, &p->text) : imap_astring(a, &p->url);
}

static bool take_text(struct imap_args *a, struct imap_part *p)
{
	p->kind = PART_TEXT;
	p->comes = true;
	return imap_sp(a) && imap_upload(a, &p->text);
}

bool imap_part_next(struct imap_args *a, struct imap_part *p)
{
	struct imap_part next = { 0 };
	bool first = p->kind == PART_END;
	if (p->comes && !imap_upload_end(a, &p->text))
		return false;
	if (!first && imap_take(a, ')')) {
		*p = next;
		return true;
	}
	if (!first && !imap_sp(a))
		return false;
	bool ok = imap_take_word(a, SPAN("URL"))    ? take_url(a, &next)
	          : imap_take_word(a, SPAN("TEXT")) ? take_text(a, &next)
	                                            : imap_bad(a, "TEXT or URL expected");
	if (ok)
		*p = next;
	return ok;
}

/* ---- URLs */

/* What stands before the first `mark` (in any case), which is dropped with it; .p is NULL where there is none. */
static struct span take_until(struct span *rest, struct span mark)
{
	for (size_t i = 0; i + mark.n <= rest->n; i++) {
		if (!span_istarts(span_sub(*rest, i, rest->n), mark))
			continue;
		struct span head = span_sub(*rest, 0, i);
		*rest = span_sub(*rest, i + mark.n, rest->n);
		return head;
	}
	return (struct span){ 0 };
}

static bool decode(struct span s, struct arena *arena, struct span *out)
{
	struct buffer b = { 0 };
	bool ok = percent_decode(s, &b) && buffer_ok(&b) && !(b.n && memchr(b.p, 0, b.n));
	*out = ok ? arena_copy(arena, buffer_span(&b)) : (struct span){ 0 };
	buffer_free(&b);
	return out->p;
}

/* "name" or "name;UIDVALIDITY=3". */
static const char *take_mailbox(struct span s, struct arena *arena, struct imap_url *out)
{
	struct span rest = s, name = take_until(&rest, SPAN(";UIDVALIDITY="));
	uint64_t n = 0;
	if (name.p && (!span_u64(rest, UINT32_MAX, &n) || n == 0))
		return "its UIDVALIDITY is no number";
	out->uidvalidity = (uint32_t)n;
	if (!name.p)
		name = s;
	if (name.n == 0 || span_find(name, '?') >= 0)
		return "it names no message";
	return decode(name, arena, &out->mailbox) ? NULL : "its mailbox is badly encoded";
}

static const char *take_section(struct span s, struct arena *arena, struct imap_fetch_item *what)
{
	struct span text;
	struct imap_args a;
	if (s.n == 0 || !decode(s, arena, &text))
		return "its section is badly encoded";
	imap_args_init(&a, text, arena);
	return imap_section(&a, &what->section) ? NULL : a.bad;
}

static const char *take_partial(struct span s, struct imap_fetch_item *what)
{
	struct span rest = s, offset = take_until(&rest, SPAN("."));
	what->partial = true;
	what->length = UINT64_MAX;
	bool ok = span_u64(offset.p ? offset : s, INT64_MAX, &what->offset) &&
	          (!offset.p || (span_u64(rest, INT64_MAX, &what->length) && what->length));
	return ok ? NULL : "its PARTIAL is no range like 0.1024";
}

/* Behind the UID: "/;SECTION=..." and "/;PARTIAL=...", either or both, in this order. */
static const char *take_what(struct span rest, struct arena *arena, struct imap_url *out)
{
	struct span section = rest, partial = rest;
	struct span before = take_until(&partial, SPAN("/;PARTIAL="));
	const char *why = NULL;
	if (before.p) {
		section = before;
		why = take_partial(partial, &out->what);
	}
	if (why || section.n == 0)
		return why;
	struct span nothing = take_until(&section, SPAN("/;SECTION="));
	return !nothing.p || nothing.n ? "nothing but SECTION and PARTIAL may follow the UID" : take_section(section, arena, &out->what);
}

static const char *parse(struct span url, struct arena *arena, struct imap_url *out)
{
	struct span rest = url;
	const char *why = NULL;
	if (rest.n && rest.p[0] == '/') {
		struct span mailbox = take_until(&rest, SPAN("/;UID="));
		why = mailbox.n < 2 ? "it names no message" : take_mailbox(span_sub(mailbox, 1, mailbox.n), arena, out);
	} else if (!span_istarts(rest, SPAN(";UID="))) {
		why = "it does not begin with '/', as those of this server do";
	} else {
		rest = span_sub(rest, 5, rest.n);
	}
	if (why)
		return why;
	ssize_t slash = span_find(rest, '/');
	struct span number = span_sub(rest, 0, slash < 0 ? rest.n : (size_t)slash);
	uint64_t uid;
	if (!span_u64(number, UINT32_MAX, &uid) || uid == 0)
		return "its UID is no number";
	out->uid = (uint32_t)uid;
	return take_what(span_sub(rest, number.n, rest.n), arena, out);
}

bool imap_url_parse(struct span url, struct arena *arena, struct imap_url *out, const char **why)
{
	struct imap_url u = { .what = { .kind = FETCH_SECTION, .peek = true } };
	*why = parse(url, arena, &u);
	if (!*why)
		*out = u;
	return !*why;
}
