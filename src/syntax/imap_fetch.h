/* What FETCH asks for (RFC 3501, 6.4.5; RFC 3516, 7162, 8474, 8514, 8970, 9394). */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap_args.h"
#include "imap_partial.h"

enum {
	FETCH_ITEMS_MAX = 100,  /* each may cost a whole message */
	FETCH_FIELDS_MAX = 500, /* header names in one section */
	FETCH_DEPTH_MAX = 50,   /* numbers in a part's path */
};

enum imap_fetch_kind {
	FETCH_FLAGS,
	FETCH_INTERNALDATE,
	FETCH_ENVELOPE,
	FETCH_BODY, /* the structure without extensions */
	FETCH_BODYSTRUCTURE,
	FETCH_UID,
	FETCH_MODSEQ,
	FETCH_EMAILID,
	FETCH_THREADID,
	FETCH_RFC822_SIZE,
	FETCH_SAVEDATE, /* RFC 8514 */
	FETCH_PREVIEW,  /* RFC 8970 */
	/* These return bytes; `section` says which. The RFC822 ones are old names for a section. */
	FETCH_RFC822,
	FETCH_RFC822_HEADER,
	FETCH_RFC822_TEXT,
	FETCH_SECTION, /* BODY[...], BODY.PEEK[...] */
	FETCH_BINARY,  /* BINARY[1], BINARY.PEEK[1]: the part's content, decoded */
	FETCH_BINARY_SIZE,
};

enum imap_section_text {
	SECTION_ALL, /* of the message, or the part's content */
	SECTION_HEADER,
	SECTION_FIELDS,
	SECTION_FIELDS_NOT,
	SECTION_MIME, /* the part's own header; only with a path */
	SECTION_TEXT,
};

struct imap_section {
	const uint32_t *path; /* part numbers from 1; none means the whole message */
	size_t depth;
	enum imap_section_text text;
	const struct span *fields; /* SECTION_FIELDS*: names as sent */
	size_t n_fields;
};

struct imap_fetch_item {
	enum imap_fetch_kind kind;
	bool peek;    /* does not set \Seen */
	bool lazy;    /* of PREVIEW: not if it is any trouble */
	bool partial; /* <offset.length> */
	uint64_t offset, length;
	struct imap_section section;
};

struct imap_fetch {
	const struct imap_fetch_item *items; /* in the order asked, macros expanded */
	size_t n;
	bool sets_seen; /* some item is not a peek */
	bool changedsince, vanished, has_partial;
	uint64_t modseq; /* with changedsince */
	struct imap_partial partial; /* of the messages named, which changed since */
};

/* Everything behind the set, to the end of the command: `(FLAGS BODY[]<0.100>) (CHANGEDSINCE 5 PARTIAL 1:9)`, `FAST`. */
bool imap_fetch_parse(struct imap_args *a, struct imap_fetch *out);
/* The items alone: `(FLAGS UID)`. */
bool imap_fetch_items(struct imap_args *a, struct imap_fetch *out);
/* A section by itself, to the end of what is there: `1.2.MIME`. */
bool imap_section(struct imap_args *a, struct imap_section *out);
/* An item's name as it stands in the reply: "FLAGS", "BODY[1.HEADER.FIELDS (From)]<0>". */
void imap_fetch_put_name(struct buffer *b, const struct imap_fetch_item *item);

#endif
