#include "imap_notify.h"

static const char *const event_names[NOTIFY_EVENTS] = {
	"MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange", "MailboxName", "SubscriptionChange",
	"MailboxMetadataChange", "ServerMetadataChange",
};

/* By enum notify_where. */
static const char *const filters[] = {
	"SELECTED", "SELECTED-DELAYED", "INBOXES", "PERSONAL", "SUBSCRIBED", "SUBTREE", "MAILBOXES",
};
enum { FILTERS = sizeof filters / sizeof *filters };

const char *imap_notify_event_name(int i)
{
	return event_names[i];
}

static bool is_selected(const struct imap_notify_group *g)
{
	return g->where == NOTIFY_SELECTED || g->where == NOTIFY_SELECTED_DELAYED;
}

static unsigned event_of(struct span word)
{
	for (unsigned i = 0; i < NOTIFY_EVENTS; i++)
		if (span_ieq(word, span_of(event_names[i])))
			return 1u << i;
	return NOTIFY_OTHER;
}

/* "MessageNew (UID FLAGS)" */
static bool take_fetch(struct imap_args *a, struct imap_notify *out, const struct imap_notify_group *g)
{
	struct imap_args ahead = *a;
	if (!imap_peek(a, ' ') || !imap_sp(&ahead) || !imap_peek(&ahead, '('))
		return true;
	if (!is_selected(g))
		return imap_bad(a, "items are for the selected mailbox only");
	*a = ahead;
	out->has_fetch = true;
	out->items = ahead.rest;
	if (!imap_fetch_items(a, &out->fetch))
		return false;
	out->items.n -= a->rest.n;
	return true;
}

static bool take_event(struct imap_args *a, struct imap_notify *out, struct imap_notify_group *g)
{
	struct span word;
	if (!imap_atom(a, &word))
		return false;
	unsigned event = event_of(word);
	g->events |= event;
	return event != NOTIFY_MESSAGE_NEW || take_fetch(a, out, g);
}

/* Which go together (RFC 5465, 5 and 6.1). */
static const char *objection(const struct imap_notify_group *g)
{
	enum { BOTH = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE };
	if ((g->events & NOTIFY_MESSAGE) && (g->events & BOTH) != BOTH)
		return "MessageNew and MessageExpunge go together, and come with FlagChange";
	if (is_selected(g) && (g->events & ~NOTIFY_MESSAGE))
		return "only events of messages are in the selected mailbox";
	return NULL;
}

static bool take_events(struct imap_args *a, struct imap_notify *out, struct imap_notify_group *g)
{
	if (imap_take_word(a, SPAN("NONE")))
		return true;
	if (!imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!take_event(a, out, g))
			return false;
	const char *why = g->events ? objection(g) : "an event expected";
	return !why || imap_bad(a, why);
}

static bool add_name(struct imap_args *a, struct imap_notify *out, struct imap_notify_group *g)
{
	struct span name;
	if (!imap_astring(a, &name))
		return false;
	if (out->n_names == NOTIFY_NAMES_MAX) {
		out->too_many = true;
		return true;
	}
	out->names[out->n_names++] = name;
	g->n++;
	return true;
}

static bool take_names(struct imap_args *a, struct imap_notify *out, struct imap_notify_group *g)
{
	g->first = out->n_names;
	if (!imap_peek(a, '('))
		return add_name(a, out, g);
	if (!imap_list_open(a))
		return false;
	bool any = false;
	while (imap_list_next(a)) {
		if (!add_name(a, out, g))
			return false;
		any = true;
	}
	return any || imap_bad(a, "a mailbox expected");
}

static bool take_filter(struct imap_args *a, struct imap_notify *out, struct imap_notify_group *g)
{
	struct span word;
	int i = 0;
	if (!imap_atom(a, &word))
		return false;
	while (i < FILTERS && !span_ieq(word, span_of(filters[i])))
		i++;
	if (i == FILTERS)
		return imap_bad(a, "no such choice of mailboxes");
	g->where = (enum notify_where)i;
	if (g->where != NOTIFY_SUBTREE && g->where != NOTIFY_MAILBOXES)
		return true;
	return imap_sp(a) && take_names(a, out, g);
}

static bool has_selected(const struct imap_notify *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (is_selected(&n->groups[i]))
			return true;
	return false;
}

static bool take_group(struct imap_args *a, struct imap_notify *out)
{
	struct imap_notify_group g = { 0 };
	if (!imap_take(a, '('))
		return imap_bad(a, "a group of events expected");
	if (!take_filter(a, out, &g))
		return false;
	if (is_selected(&g) && has_selected(out))
		return imap_bad(a, "the selected mailbox is named twice");
	if (!imap_sp(a) || !take_events(a, out, &g))
		return false;
	if (!imap_take(a, ')'))
		return imap_bad(a, "a list is not closed");
	out->events |= g.events;
	if (out->n == NOTIFY_GROUPS_MAX)
		out->too_many = true;
	else
		out->groups[out->n++] = g;
	return true;
}

static bool take_set(struct imap_args *a, struct imap_notify *out)
{
	out->set = true;
	out->groups = arena_alloc(a->arena, NOTIFY_GROUPS_MAX * sizeof *out->groups);
	out->names = arena_alloc(a->arena, NOTIFY_NAMES_MAX * sizeof *out->names);
	if (!out->groups || !out->names)
		return imap_bad(a, "that is too long");
	if (!imap_sp(a))
		return false;
	out->status = imap_take_word(a, SPAN("STATUS"));
	if (out->status && !imap_sp(a))
		return false;
	do {
		if (!take_group(a, out))
			return false;
	} while (span_trim(a->rest).n && imap_sp(a));
	return imap_end(a);
}

bool imap_notify_parse(struct imap_args *a, struct imap_notify *out)
{
	struct imap_notify n = { 0 };
	if (!imap_sp(a))
		return false;
	if (imap_take_word(a, SPAN("NONE"))) {
		if (!imap_end(a))
			return false;
	} else if (!imap_take_word(a, SPAN("SET"))) {
		return imap_bad(a, "SET or NONE expected");
	} else if (!take_set(a, &n)) {
		return false;
	}
	*out = n;
	return true;
}
