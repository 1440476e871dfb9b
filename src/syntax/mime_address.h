/* Address lists of header fields (RFC 5322 section 3.4 and the obsolete forms of 4.4), read without ever failing: what
   is no address comes out as the best guess, so that no recipient is silently lost. */
#ifndef MIME_ADDRESS_H
#define MIME_ADDRESS_H

#include "buffer.h"

enum mime_address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP_START, ADDRESS_GROUP_END };

/* Text is unquoted and unfolded, encoded words are left as they are. The spans are the reader's and valid until the
   next call. */
struct mime_address {
	enum mime_address_kind kind;
	struct span name;    /* display name, the comment after a bare address, or the group's name; .p NULL when none */
	struct span route;   /* "@a,@b" of the obsolete form; .p NULL when none */
	struct span mailbox; /* local part; may be empty */
	struct span host;    /* domain; empty when the address has none */
};

struct mime_address_reader {
	struct span rest;
	bool in_group;
	struct buffer phrase, local, host, route, comment, scratch;
};

/* Reads the raw value of one field; start again with another value at will. Zero the struct before its first use. */
void mime_address_start(struct mime_address_reader *r, struct span value);
/* The next address, or false at the end. */
bool mime_address_next(struct mime_address_reader *r, struct mime_address *out);
void mime_address_free(struct mime_address_reader *r);

#endif
