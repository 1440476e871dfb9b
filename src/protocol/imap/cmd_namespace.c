#include "mailbox_place.h"
#include "reply.h"

/* RFC 2342. The past ("#at/") is left out: clients would take it for mail to be synchronized. */
enum imap_step cmd_namespace(struct command *c)
{
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	buffer_puts(c->out, "* NAMESPACE ((\"\" \"/\")) ((\"" OTHERS "/\" \"/\")) NIL\r\n");
	return reply_completed(c);
}
