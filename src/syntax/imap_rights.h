/* Rights to a mailbox as IMAP spells them (RFC 4314): a letter each. The obsolete letters stand for several: c for k, d for e, t
   and x; both are taken, and written where any of theirs is there. */
#ifndef IMAP_RIGHTS_H
#define IMAP_RIGHTS_H

#include "buffer.h"

enum right {
	RIGHT_LOOKUP = 1,       /* l: it shows in LIST */
	RIGHT_READ = 2,         /* r: SELECT, STATUS, COPY out of it */
	RIGHT_SEEN = 4,         /* s: \Seen is kept */
	RIGHT_WRITE = 8,        /* w: other flags, but \Deleted */
	RIGHT_INSERT = 16,      /* i: APPEND, COPY into it */
	RIGHT_POST = 32,        /* p: mail to its address; kept, and without a meaning here */
	RIGHT_CREATE = 64,      /* k: mailboxes below it */
	RIGHT_DELETE_MAILBOX = 128, /* x: DELETE, RENAME */
	RIGHT_DELETE = 256,     /* t: \Deleted */
	RIGHT_EXPUNGE = 512,    /* e */
	RIGHT_ADMIN = 1024,     /* a: SETACL and its like */
	RIGHTS_ALL = 2047,
	RIGHTS_FLAGS = RIGHT_SEEN | RIGHT_WRITE | RIGHT_DELETE,
};

/* The flags that may be set with these rights. */
uint64_t imap_rights_flags(unsigned rights);

/* False: a letter that is none, or stands there twice. */
bool imap_rights_parse(struct span text, unsigned *out);
void imap_rights_put(struct buffer *b, unsigned rights);

/* What SETACL asks for: rights instead of those there are, in addition ("+"), or not any more ("-"). */
enum rights_op { RIGHTS_SET, RIGHTS_ADD, RIGHTS_REMOVE };
bool imap_rights_change(struct span text, enum rights_op *op, unsigned *rights);

#endif
