#include "reply.h"

/* Every change is on stable storage before it is answered, so there is nothing to do. */
enum imap_step cmd_check(struct command *c)
{
	return imap_end(&c->args) ? reply_completed(c) : reply_bad_args(c);
}
