#include "reply.h"

enum imap_step cmd_noop(struct command *c)
{
	return imap_end(&c->args) ? reply_completed(c) : reply_bad_args(c);
}
