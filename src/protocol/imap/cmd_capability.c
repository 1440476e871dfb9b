#include "reply.h"

enum imap_step cmd_capability(struct command *c)
{
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	buffer_puts(c->out, "* CAPABILITY ");
	put_capabilities(c->out, c->session);
	buffer_puts(c->out, "\r\n");
	return reply_completed(c);
}
