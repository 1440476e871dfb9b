/* A choice of mailboxes (filter-mailboxes of RFC 5465, 6, and RFC 7377, 2.2): `personal`, `subtree (a b)`. */
#ifndef IMAP_FILTER_H
#define IMAP_FILTER_H

#include "imap_args.h"

enum filter_where {
	FILTER_SELECTED,
	FILTER_SELECTED_DELAYED,
	FILTER_INBOXES,
	FILTER_PERSONAL,
	FILTER_SUBSCRIBED,
	FILTER_SUBTREE,
	FILTER_SUBTREE_ONE, /* and those right below it */
	FILTER_MAILBOXES,
};

struct imap_filter {
	enum filter_where where;
	size_t first, n; /* of its names: of FILTER_SUBTREE, _ONE and FILTER_MAILBOXES */
};

/* The names of all filters of a command, as sent. */
struct imap_filter_names {
	struct span *v;
	size_t n, max;
	bool too_many; /* there were more, which were passed over */
};

bool imap_filter_take(struct imap_args *a, struct imap_filter *out, struct imap_filter_names *names);
/* Does a name-less filter, or one of these names, in the form of `name`, hold it? FILTER_SUBSCRIBED is up to the caller, and the
   selected mailbox is held by no name. */
bool imap_filter_holds(const struct imap_filter *f, const struct span *names, struct span name);

#endif
