/* What GETMETADATA, SETMETADATA and LIST ask of annotations (RFC 5464, 5; RFC 9590). Names of entries are case-insensitive: what
   is found is in small letters, in the arena. */
#ifndef IMAP_METADATA_H
#define IMAP_METADATA_H

#include "imap_args.h"

enum {
	METADATA_ASKED_MAX = 100, /* entries in one command */
	METADATA_NAME_MAX = 250,  /* bytes of an entry's name */
};

enum imap_metadata_depth { METADATA_DEPTH_0, METADATA_DEPTH_1, METADATA_DEPTH_INFINITY };

struct imap_metadata_query {
	uint32_t max; /* octets of a value; UINT32_MAX: whatever it has */
	enum imap_metadata_depth depth;
	struct span *names;
	size_t n;
};

struct imap_metadata_value {
	struct span name, value; /* value.p NULL: NIL, the entry is to end */
};

/* Everything behind the word, to the end of the command: ` INBOX (DEPTH 1) (/shared/comment /private)`. The options stand before
   the mailbox, where the RFC's grammar has them, or behind it, where its examples have them. */
bool imap_getmetadata_parse(struct imap_args *a, struct span *mailbox, struct imap_metadata_query *out);
/* ` INBOX (/private/comment "x" /shared/comment NIL)`; *out in the arena. */
bool imap_setmetadata_parse(struct imap_args *a, struct span *mailbox, struct imap_metadata_value **out, size_t *n);
/* The entries of LIST's return option: `(/shared/comment)`, options before them. */
bool imap_metadata_take_query(struct imap_args *a, struct imap_metadata_query *out);

/* Does the query ask for that entry? */
bool imap_metadata_asks_for(const struct imap_metadata_query *q, struct span name);

#endif
