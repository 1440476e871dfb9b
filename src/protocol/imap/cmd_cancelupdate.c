/* CANCELUPDATE (RFC 5267, 4.3.5): results that are kept up to date no more. */
#include "context.h"
#include "reply.h"

static bool take_tag(struct imap_args *a, struct span *out)
{
	if (!imap_sp(a))
		return false;
	return imap_peek(a, '"') ? imap_string(a, out) : imap_bad(a, "a tag in quotes expected");
}

static bool each_tag(struct imap_session *s, struct imap_args *a, bool cancel)
{
	struct span tag;
	do {
		if (!take_tag(a, &tag))
			return false;
		if (cancel)
			context_cancel(s, tag);
		else if (!context_has_tag(s, tag))
			return imap_bad(a, "no result of that tag is kept up to date");
	} while (span_trim(a->rest).n);
	return true;
}

/* All or none. */
enum imap_step cmd_cancelupdate(struct command *c)
{
	struct imap_args again = c->args;
	if (!each_tag(c->session, &c->args, false))
		return reply_bad_args(c);
	each_tag(c->session, &again, true);
	return reply_completed(c);
}
