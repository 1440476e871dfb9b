#include "flags.h"

#include "fail.h"
#include "imap_chars.h"

static const struct known {
	struct span name;
	uint64_t bit;
} known[] = {
	{ { "\\Seen", 5 }, FLAG_SEEN },
	{ { "\\Answered", 9 }, FLAG_ANSWERED },
	{ { "\\Flagged", 8 }, FLAG_FLAGGED },
	{ { "\\Deleted", 8 }, FLAG_DELETED },
	{ { "\\Draft", 6 }, FLAG_DRAFT },
	{ { "$Forwarded", 10 }, FLAG_FORWARDED },
	{ { "$MDNSent", 8 }, FLAG_MDNSENT },
	{ { "$Junk", 5 }, FLAG_JUNK },
	{ { "$NotJunk", 8 }, FLAG_NOTJUNK },
	{ { "$Phishing", 9 }, FLAG_PHISHING },
	{ { "$Important", 10 }, FLAG_IMPORTANT },
	{ { "$SubmitPending", 14 }, FLAG_SUBMITPENDING },
	{ { "$Submitted", 10 }, FLAG_SUBMITTED },
};
enum { KNOWN = sizeof known / sizeof *known };

static bool is_keyword(struct span name)
{
	if (name.n == 0 || name.n > KEYWORD_MAX)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (!imap_is_atom_char(name.p[i]))
			return false;
	return true;
}

int flag_parse(struct span name, uint64_t *bit)
{
	for (size_t i = 0; i < KNOWN; i++)
		if (span_ieq(name, known[i].name)) {
			*bit = known[i].bit;
			return OK;
		}
	if (span_ieq(name, SPAN("\\Recent")))
		return fail_with(ERR_CANNOT, "\\Recent cannot be set");
	if (!is_keyword(name))
		return fail_with(ERR_INVALID, "not the name of a flag");
	*bit = 0;
	return OK;
}

static int add_keyword(struct flags_builder *f, struct span name)
{
	size_t at = 0;
	while (at < f->n && span_icmp(f->names[at], name) < 0)
		at++;
	if (at < f->n && span_ieq(f->names[at], name))
		return OK;
	if (f->n == KEYWORDS_MAX)
		return fail_with(ERR_LIMIT, "over %d keywords", KEYWORDS_MAX);
	memmove(f->names + at + 1, f->names + at, (f->n - at) * sizeof *f->names);
	f->names[at] = name;
	f->n++;
	return OK;
}

int flags_add(struct flags_builder *f, struct span name)
{
	uint64_t bit;
	int rc = flag_parse(name, &bit);
	if (rc == ERR_CANNOT)
		return OK;
	if (rc != OK)
		return rc;
	f->system |= bit;
	return bit ? OK : add_keyword(f, name);
}

int flags_finish(const struct flags_builder *f, struct arena *a, struct imap_flags *out)
{
	size_t n = 0;
	for (size_t i = 0; i < f->n; i++)
		n += f->names[i].n + 1;
	char *text = arena_alloc(a, n + 1), *to = text;
	if (!text)
		return fail_with(ERR_LIMIT, "no room for keywords");
	for (size_t i = 0; i < f->n; i++) {
		if (i)
			*to++ = ' ';
		memcpy(to, f->names[i].p, f->names[i].n);
		to += f->names[i].n;
	}
	*out = (struct imap_flags){ f->system, { text, (size_t)(to - text) } };
	return OK;
}

static void put_word(struct buffer *b, size_t start, struct span word)
{
	if (b->n > start)
		buffer_putc(b, ' ');
	buffer_put_span(b, word);
}

void flags_put(struct buffer *b, const struct imap_flags *f, bool recent)
{
	size_t start = b->n;
	if (recent)
		put_word(b, start, SPAN("\\Recent"));
	for (size_t i = 0; i < KNOWN; i++)
		if (f->system & known[i].bit)
			put_word(b, start, known[i].name);
	if (f->keywords.n)
		put_word(b, start, f->keywords);
}

bool keywords_next(struct span *set, struct span *name)
{
	if (set->n == 0)
		return false;
	ssize_t end = span_find(*set, ' ');
	*name = span_sub(*set, 0, end < 0 ? set->n : (size_t)end);
	*set = span_sub(*set, name->n + 1, set->n);
	return true;
}

/* One step through two sorted sets: takes the smaller name off its set, or the equal names off both. */
static int merge_next(struct span *a, struct span *b, struct span *name)
{
	struct span rest_a = *a, rest_b = *b, in_a, in_b;
	bool has_a = keywords_next(&rest_a, &in_a), has_b = keywords_next(&rest_b, &in_b);
	int order = !has_b ? -1 : !has_a ? 1 : span_icmp(in_a, in_b);
	*name = order <= 0 ? in_a : in_b;
	if (order <= 0)
		*a = rest_a;
	if (order >= 0)
		*b = rest_b;
	return order;
}

int keywords_union(struct buffer *out, struct span a, struct span b)
{
	size_t start = out->n, count = 0;
	struct span name;
	while (a.n || b.n) {
		merge_next(&a, &b, &name);
		if (++count > KEYWORDS_MAX)
			return fail_with(ERR_LIMIT, "over %d keywords", KEYWORDS_MAX);
		put_word(out, start, name);
	}
	return OK;
}

void keywords_minus(struct buffer *out, struct span a, struct span b)
{
	size_t start = out->n;
	struct span name;
	while (a.n)
		if (merge_next(&a, &b, &name) < 0)
			put_word(out, start, name);
}

bool keywords_contains(struct span set, struct span name)
{
	struct span one;
	while (keywords_next(&set, &one))
		if (span_ieq(one, name))
			return true;
	return false;
}
