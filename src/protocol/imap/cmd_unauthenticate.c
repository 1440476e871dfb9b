/* UNAUTHENTICATE (RFC 8437): the connection is as it was before anybody logged in, but for TLS. */
#include "reply.h"

enum imap_step cmd_unauthenticate(struct command *c)
{
	struct imap_session *s = c->session;
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	if (!session_may_leave(s))
		return reply_bad(c, "That is not offered here");
	session_leave(s);
	reply_ok(c, "[CAPABILITY ");
	put_capabilities(&c->reply, s);
	buffer_puts(&c->reply, "] Log in again");
	return IMAP_DONE;
}
