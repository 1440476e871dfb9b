#include "reply.h"

/* RFC 3691: CLOSE without expunging. */
enum imap_step cmd_unselect(struct command *c)
{
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	session_unselect(c->session);
	return reply_completed(c);
}
