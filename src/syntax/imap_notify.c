#include "imap_notify.h"

static const char *const event_names[NOTIFY_EVENTS] = {
	"MessageNew", "MessageExpunge", "FlagChange", "AnnotationChange", "MailboxName", "SubscriptionChange",
	"MailboxMetadataChange", "ServerMetadataChange",
};

const char *imap_notify_event_name(int i)
{
	return event_names[i];
}

static bool is_selected(const struct imap_notify_group *g)
{
	return g->filter.where == FILTER_SELECTED || g->filter.where == FILTER_SELECTED_DELAYED;
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
	if (!imap_filter_take(a, &g.filter, &out->names))
		return false;
	if (g.filter.where == FILTER_SUBTREE_ONE) /* of RFC 7377 */
		return imap_bad(a, "no such choice of mailboxes");
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
	out->names = (struct imap_filter_names){ .v = arena_alloc(a->arena, NOTIFY_NAMES_MAX * sizeof *out->names.v), .max = NOTIFY_NAMES_MAX };
	if (!out->groups || !out->names.v)
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
