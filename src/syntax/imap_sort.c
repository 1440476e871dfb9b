#include "imap_sort.h"

static const char *const names[] = {
	[SORT_ARRIVAL] = "ARRIVAL", [SORT_CC] = "CC", [SORT_DATE] = "DATE", [SORT_DISPLAYFROM] = "DISPLAYFROM",
	[SORT_DISPLAYTO] = "DISPLAYTO", [SORT_FROM] = "FROM", [SORT_SIZE] = "SIZE", [SORT_SUBJECT] = "SUBJECT", [SORT_TO] = "TO",
};

static bool take_key(struct imap_args *a, struct imap_sort *s)
{
	struct span word;
	if (s->n == SORT_KEYS_MAX)
		return imap_bad(a, "too many keys to sort by");
	s->keys[s->n].reverse = imap_take_word(a, SPAN("REVERSE"));
	if ((s->keys[s->n].reverse && !imap_sp(a)) || !imap_atom(a, &word))
		return false;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (span_ieq(word, span_of(names[i]))) {
			s->keys[s->n++].by = (enum imap_sort_by)i;
			return true;
		}
	return imap_bad(a, "no such key to sort by");
}

static bool take_search(struct imap_args *a, struct imap_search_query *q)
{
	return imap_sp(a) && imap_astring(a, &q->charset) && imap_sp(a) && imap_search_keys(a, q);
}

bool imap_sort_parse(struct imap_args *a, struct imap_sort *sort, struct imap_search_query *query)
{
	struct imap_sort s = { .n = 0 };
	struct imap_search_query q = { 0 };
	if (!imap_search_returns(a, &q.returns) || !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_key(a, &s))
			return false;
	if (s.n == 0)
		return imap_bad(a, "a key to sort by expected");
	if (!take_search(a, &q))
		return false;
	*sort = s;
	*query = q;
	return true;
}

bool imap_thread_parse(struct imap_args *a, enum thread_algorithm *algorithm, struct imap_search_query *query)
{
	struct imap_search_query q = { 0 };
	enum thread_algorithm alg = THREAD_REFERENCES;
	if (imap_take_word(a, SPAN("ORDEREDSUBJECT")))
		alg = THREAD_ORDEREDSUBJECT;
	else if (!imap_take_word(a, SPAN("REFERENCES")))
		return imap_bad(a, "REFERENCES or ORDEREDSUBJECT expected");
	if (!take_search(a, &q))
		return false;
	*algorithm = alg;
	*query = q;
	return true;
}
