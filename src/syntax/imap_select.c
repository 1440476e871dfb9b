#include "imap_select.h"

/* Without '*', in ascending order. */
static bool take_known(struct imap_args *a, struct imap_set *out)
{
	if (!imap_set(a, out))
		return false;
	for (size_t i = 0; i < out->n; i++) {
		struct imap_range r = out->ranges[i];
		if (r.first == 0 || r.last == 0)
			return imap_bad(a, "* is not allowed there");
		if (r.first > r.last || (i && out->ranges[i - 1].last >= r.first))
			return imap_bad(a, "numbers in ascending order expected");
	}
	imap_set_resolve(out, 0);
	return true;
}

static bool take_match(struct imap_args *a, struct imap_select *s)
{
	s->has_match = true;
	if (!take_known(a, &s->numbers) || !imap_sp(a) || !take_known(a, &s->uids))
		return false;
	if (imap_set_count(&s->numbers) != imap_set_count(&s->uids))
		return imap_bad(a, "as many UIDs as message numbers expected");
	return imap_take(a, ')') || imap_bad(a, "a list is not closed");
}

static bool take_qresync(struct imap_args *a, struct imap_select *s)
{
	s->qresync = true;
	if (!imap_sp(a) || !imap_list_open(a) || !imap_nz_number(a, &s->uidvalidity) || !imap_sp(a) ||
	    !imap_number64(a, &s->modseq))
		return false;
	if (!imap_peek(a, ')') && !imap_sp(a))
		return false;
	if (!imap_peek(a, ')') && !imap_peek(a, '(')) {
		s->has_known = true;
		if (!take_known(a, &s->known) || (!imap_peek(a, ')') && !imap_sp(a)))
			return false;
	}
	if (imap_take(a, '(') && !take_match(a, s))
		return false;
	return imap_take(a, ')') || imap_bad(a, "a list is not closed");
}

static bool take_parameter(struct imap_args *a, struct imap_select *s)
{
	if (imap_take_word(a, SPAN("CONDSTORE")))
		s->condstore = true;
	else if (s->qresync || !imap_take_word(a, SPAN("QRESYNC")))
		return imap_bad(a, "CONDSTORE or QRESYNC expected");
	else
		return take_qresync(a, s);
	return true;
}

bool imap_select_parse(struct imap_args *a, struct imap_select *out)
{
	struct imap_select s = { 0 };
	if (span_trim(a->rest).n == 0) {
		*out = s;
		return imap_end(a);
	}
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_parameter(a, &s))
			return false;
	if (!s.condstore && !s.qresync)
		return imap_bad(a, "CONDSTORE or QRESYNC expected");
	if (!imap_end(a))
		return false;
	*out = s;
	return true;
}

uint32_t imap_select_match(const struct imap_select *s, uint32_t count, uint32_t (*uid_of)(const void *ctx, uint32_t number),
                           const void *ctx)
{
	uint32_t matched = 0, uid = 0;
	for (uint32_t n = imap_set_next(&s->numbers, 1); n && n <= count; n = imap_set_next(&s->numbers, (uint64_t)n + 1)) {
		uid = imap_set_next(&s->uids, (uint64_t)uid + 1);
		if (uid_of(ctx, n) == uid)
			matched = uid;
	}
	return matched;
}
