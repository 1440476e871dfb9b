#include "imap_list.h"

/* REMOTE adds nothing: there are no remote mailboxes here. */
static bool take_selection(struct imap_args *a, struct imap_list *l)
{
	struct span word;
	bool some = false;
	l->extended = true;
	while (imap_list_next(a)) {
		if (!imap_atom(a, &word))
			return false;
		if (span_ieq(word, SPAN("SUBSCRIBED")))
			l->select.subscribed = some = true;
		else if (span_ieq(word, SPAN("SPECIAL-USE")))
			l->select.special_use = some = true;
		else if (span_ieq(word, SPAN("RECURSIVEMATCH")))
			l->select.recursive = true;
		else if (!span_ieq(word, SPAN("REMOTE")))
			return imap_bad(a, "a selection option of LIST is not known");
	}
	if (l->select.recursive && !some)
		return imap_bad(a, "RECURSIVEMATCH needs another selection option");
	l->returns.subscribed = l->select.subscribed;
	l->returns.special_use = l->select.special_use;
	return imap_sp(a);
}

static bool take_patterns(struct imap_args *a, struct imap_list *l)
{
	struct span *list = arena_alloc(a->arena, LIST_PATTERNS_MAX * sizeof *list);
	if (!list)
		return imap_bad(a, "the command is too large");
	l->patterns = list;
	if (!imap_take(a, '(')) {
		l->n = 1;
		return imap_list_mailbox(a, list);
	}
	l->extended = true;
	while (imap_list_next(a)) {
		if (l->n == LIST_PATTERNS_MAX)
			return imap_bad(a, "too many patterns");
		if (!imap_list_mailbox(a, &list[l->n]))
			return false;
		l->n++;
	}
	return l->n || imap_bad(a, "a mailbox pattern expected");
}

/* CHILDREN is told always. */
static bool take_return(struct imap_args *a, struct imap_list *l)
{
	struct span word;
	if (!imap_atom(a, &word))
		return false;
	if (span_ieq(word, SPAN("SUBSCRIBED")))
		l->returns.subscribed = true;
	else if (span_ieq(word, SPAN("SPECIAL-USE")))
		l->returns.special_use = true;
	else if (span_ieq(word, SPAN("MYRIGHTS")))
		l->returns.myrights = true;
	else if (span_ieq(word, SPAN("STATUS")))
		return imap_sp(a) && imap_status_items(a, &l->returns.status);
	else if (span_ieq(word, SPAN("METADATA")))
		return imap_sp(a) && imap_metadata_take_query(a, &l->returns.metadata);
	else if (!span_ieq(word, SPAN("CHILDREN")))
		return imap_bad(a, "a return option of LIST is not known");
	return true;
}

static bool take_returns(struct imap_args *a, struct imap_list *l)
{
	l->extended = true;
	if (!imap_sp(a) || !imap_take_word(a, SPAN("RETURN")))
		return imap_bad(a, "RETURN expected");
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_return(a, l))
			return false;
	return true;
}

bool imap_list_parse(struct imap_args *a, struct imap_list *out)
{
	struct imap_list l = { 0 };
	if (!imap_sp(a) || (imap_take(a, '(') && !take_selection(a, &l)))
		return false;
	if (!imap_astring(a, &l.reference) || !imap_sp(a) || !take_patterns(a, &l))
		return false;
	if (span_trim(a->rest).n && !take_returns(a, &l))
		return false;
	if (!imap_end(a))
		return false;
	*out = l;
	return true;
}
