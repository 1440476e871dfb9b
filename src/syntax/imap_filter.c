#include "imap_filter.h"

#include "mailbox_name.h"

/* By enum filter_where. */
static const char *const words[] = {
	"SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED", "SUBTREE", "SUBTREE-ONE", "MAILBOXES",
};
enum { WORDS = sizeof words / sizeof *words };

static bool add_name(struct imap_args *a, struct imap_filter *f, struct imap_filter_names *names)
{
	struct span name;
	if (!imap_astring(a, &name))
		return false;
	if (names->n == names->max) {
		names->too_many = true;
		return true;
	}
	names->v[names->n++] = name;
	f->n++;
	return true;
}

static bool take_names(struct imap_args *a, struct imap_filter *f, struct imap_filter_names *names)
{
	f->first = names->n;
	if (!imap_peek(a, '('))
		return add_name(a, f, names);
	if (!imap_list_open(a))
		return false;
	bool any = false;
	while (imap_list_next(a)) {
		if (!add_name(a, f, names))
			return false;
		any = true;
	}
	return any || imap_bad(a, "a mailbox expected");
}

bool imap_filter_take(struct imap_args *a, struct imap_filter *out, struct imap_filter_names *names)
{
	struct imap_filter f = { 0 };
	struct span word;
	int i = 0;
	if (!imap_atom(a, &word))
		return false;
	while (i < WORDS && !span_ieq(word, span_of(words[i])))
		i++;
	if (i == WORDS)
		return imap_bad(a, "no such choice of mailboxes");
	f.where = (enum filter_where)i;
	if (f.where >= FILTER_SUBTREE && (!imap_sp(a) || !take_names(a, &f, names)))
		return false;
	*out = f;
	return true;
}

static bool is_child(struct span name, struct span parent)
{
	return mailbox_name_below(name, parent) && span_find(span_sub(name, parent.n + 1, name.n), '/') < 0;
}

bool imap_filter_holds(const struct imap_filter *f, const struct span *names, struct span name)
{
	if (f->where < FILTER_SUBTREE)
		return f->where > FILTER_SELECTED_DELAYED;
	for (size_t i = f->first; i < f->first + f->n; i++)
		if (span_eq(names[i], name) || (f->where == FILTER_SUBTREE && mailbox_name_below(name, names[i])) ||
		    (f->where == FILTER_SUBTREE_ONE && is_child(name, names[i])))
			return true;
	return false;
}
