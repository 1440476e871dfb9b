/* Mailbox names as arguments. */
#ifndef NAMES_H
#define NAMES_H

#include "command.h"

/* Reads " mailbox" off the arguments, as sent; false: args.bad says why. */
bool read_mailbox_arg(struct command *c, struct span *sent);
/* What was sent as a normal name in UTF-8, in the command's arena: OK, ERR_INVALID, ERR_LIMIT. From who sends UTF-8 it is in NFC,
   but for as much of it as is there as it was sent; to look that up may fail as find_place() does. */
int mailbox_arg(struct command *c, struct span sent, struct span *name);
/* The same of what is UTF-8 in any session. */
int mailbox_utf8(struct command *c, struct span sent, struct span *name);
/* An IMAP4rev2 client that wrote the name otherwise ("inbox", or not in NFC) is to be told (RFC 9051, 6.3.9.7): what it sent, or
   empty where nothing is to be told. */
struct span mailbox_old_name(const struct command *c, struct span sent, struct span name);
/* Is it in the past ("#at/...")? What would change it is refused with reply_past(). */
bool name_is_past(struct span name);

/* Of spans, and of what begins with one, as the store sorts names: for qsort() and bsearch(). */
int compare_names(const void *a, const void *b);

/* EMAILID (RFC 8474) of an email's id. */
void put_emailid(struct buffer *b, int64_t email);

/* One mailbox and nothing behind it. True, or the reply is set. */
bool read_one_mailbox(struct command *c, struct span *name);

#endif
