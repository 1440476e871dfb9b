#include "reply.h"

/* RFC 5161. No extension of ours needs it yet; unknown ones are passed over. */
enum imap_step cmd_enable(struct command *c)
{
	struct span name;
	do {
		if (!imap_sp(&c->args) || !imap_atom(&c->args, &name))
			return reply_bad_args(c);
	} while (imap_peek(&c->args, ' '));
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	buffer_puts(c->out, "* ENABLED\r\n");
	return reply_completed(c);
}
