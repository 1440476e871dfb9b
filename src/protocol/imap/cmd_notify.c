/* NOTIFY (RFC 5465): what the client wants to be told of without asking. */
#include "fail.h"
#include "fetch.h"
#include "modseq.h"
#include "news.h"
#include "notify.h"
#include "reply.h"

/* With all that can be had (RFC 5465, 3.1). */
static enum imap_step bad_event(struct command *c)
{
	const char *before = "[BADEVENT (";
	reply_no(c, "");
	for (int i = 0; i < NOTIFY_EVENTS; i++) {
		if (!(NOTIFY_SUPPORTED & 1 << i))
			continue;
		buffer_printf(&c->reply, "%s%s", before, imap_notify_event_name(i));
		before = " ";
	}
	buffer_puts(&c->reply, ")] There are no other events here");
	return IMAP_DONE;
}

static enum imap_step too_much(struct command *c)
{
	return reply_no(c, "[NOTIFICATIONOVERFLOW] Too many mailboxes or groups");
}

static enum imap_step put_status(struct command *c)
{
	int rc = notify_put_status(c);
	if (rc == NEWS_MORE)
		return IMAP_DRAIN;
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step cmd_notify(struct command *c)
{
	struct imap_notify what;
	if (!imap_notify_parse(&c->args, &what))
		return reply_bad_args(c);
	if (what.events & ~(unsigned)NOTIFY_SUPPORTED)
		return bad_event(c);
	if (what.too_many || what.names.too_many)
		return too_much(c);
	int rc = notify_set(c, &what);
	if (rc)
		return rc == ERR_LIMIT ? too_much(c) : reply_failure(c, rc);
	if (what.has_fetch && fetch_asks_for(&what.fetch, FETCH_MODSEQ))
		condstore_enable(c);
	if (!what.status)
		return reply_completed(c);
	c->resume = put_status;
	return put_status(c);
}
