/* Mailbox names as arguments. */
#ifndef NAMES_H
#define NAMES_H

#include "command.h"

/* Reads " mailbox" off the arguments, as sent; false: args.bad says why. */
bool read_mailbox_arg(struct command *c, struct span *sent);
/* What was sent as a normal name in UTF-8, in the command's arena: OK, ERR_INVALID, ERR_LIMIT. */
int mailbox_arg(struct command *c, struct span sent, struct span *name);
/* Is it in the past ("#at/...")? What would change it is refused with reply_past(). */
bool name_is_past(struct span name);

/* EMAILID (RFC 8474) of an email's id. */
void put_emailid(struct buffer *b, int64_t email);

/* One mailbox and nothing behind it. True, or the reply is set. */
bool read_one_mailbox(struct command *c, struct span *name);

#endif
