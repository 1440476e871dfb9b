/* The structure of a message, found in one pass over its bytes as they arrive (RFC 5322, RFC 2045, RFC 2046).

   A push scanner: chunks of any size in, a tree of parts out; how the message is cut into chunks makes no difference.
   It holds the headers and the tree, never a body, and every byte is looked at about once, so a message of any size
   costs bounded memory. Nothing is an error: what cannot be understood is the body of the part it stands in.

   Offsets are those of IMAP's BODY[...] sections: the line end before a boundary belongs to the boundary; a header
   includes the blank line that ends it. Lines end at LF, normally CRLF; a lone CR is an ordinary byte.

   A scanner serves one message after another (reset in between) and is not for sharing between threads. */
#ifndef MIME_SCAN_H
#define MIME_SCAN_H

#include "mime_header.h"

struct mime_limits {
	uint32_t parts;        /* further boundaries are text of the last part */
	uint32_t depth;        /* a multipart or message nested deeper is opaque */
	uint32_t fields;       /* header fields looked at in the whole message */
	uint32_t header_bytes; /* header bytes held for the whole message; what comes later only counts for the offsets */
};

/* 1,000 parts, 50 levels, 10,000 fields, 1 MiB of headers. */

enum { MIME_NONE = -1, MIME_BOUNDARY_MAX = 1000 };

/* What a Content-Transfer-Encoding amounts to. */
enum mime_encoding { MIME_7BIT, MIME_8BIT, MIME_BINARY, MIME_QP, MIME_BASE64, MIME_UUENCODE, MIME_OTHER };

enum mime_kind {
	MIME_LEAF,      /* no children */
	MIME_MULTIPART, /* children are its parts; may have none when no boundary came */
	MIME_MESSAGE,   /* message/rfc822 or message/global: one child, the message within; none past a limit */
};

/* Spans point into the scanner and are empty (.p NULL) where the header has no such field. */
struct mime_part {
	int32_t parent, child, next; /* indices into the tree, or MIME_NONE; parts stand in the order of the bytes */
	uint16_t depth;              /* 0 for the message itself */
	enum mime_kind kind;
	bool is_message;       /* the message itself, or the one inside a MIME_MESSAGE: its header is a message header */
	bool has_type;         /* a Content-Type was given; else type and params are the default ones */
	enum mime_encoding encoding;
	uint64_t header_start; /* bytes from the start of the message */
	uint64_t body_start;   /* = end of the header and its blank line */
	uint64_t body_end;
	uint64_t lines;        /* line ends (LF) in the body */
	struct span header;    /* raw; shorter than the offsets say where a limit cut it */
	struct span type, subtype; /* in lower case, never empty */
	struct mime_params params;
	struct span encoding_name; /* in lower case */
	struct span id, description, location, md5, language; /* unfolded */
	struct span disposition;   /* in lower case */
	struct mime_params disposition_params;
};

struct mime_tree {
	const struct mime_part *parts; /* parts[0] is the message itself */
	uint32_t count;
	uint64_t size; /* bytes of the message */
	bool cut;      /* a limit was reached */
};

struct mime_scan;

/* NULL only when memory is out. `limits` NULL for the default ones. */
struct mime_scan *mime_scan_new(const struct mime_limits *limits);
/* The next bytes; they are not kept. */
void mime_scan_push(struct mime_scan *scan, struct span bytes);
/* The message is complete. The tree is the scanner's and is valid until it is freed. */
void mime_scan_end(struct mime_scan *scan, struct mime_tree *tree);
void mime_scan_free(struct mime_scan **scan);

#endif
