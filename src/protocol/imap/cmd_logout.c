#include "reply.h"

/* The one command whose tagged reply is not the last word of the door: the connection ends with it. */
enum imap_step cmd_logout(struct command *c)
{
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	buffer_puts(c->out, "* BYE Logging out\r\n");
	buffer_put_span(c->out, c->tag);
	buffer_puts(c->out, " OK LOGOUT completed\r\n");
	return IMAP_CLOSE;
}
