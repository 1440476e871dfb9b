/* What clients ask of a message without reading it, in 1 to 1.5 KiB: made once at delivery, stored beside the message.

   Version 1, numbers little-endian:
     u8 version, u8 flags, i16 zone minutes of Date, i64 Date in seconds UTC, u64 size of the message,
     u32 x 5 lengths of the sections, then the sections:
     fields     raw common header fields in their order and folding, at most MIME_SUMMARY_FIELDS_MAX bytes
     envelope   IMAP ENVELOPE
     structure  IMAP BODYSTRUCTURE
     cuts       pairs of varints: bytes of the structure to keep, bytes to leave out; what remains is BODY
     parts      the parts in the order of the bytes, each: varints depth, kind | is-message << 2 | encoding << 3,
                header start, header length, body length, lines; then type ("text/plain") and charset, each a varint
                length and bytes
   The reader checks every bound and trusts nothing: a damaged summary is ERR_CORRUPT or not found, never a stray read. */
#ifndef MIME_SUMMARY_H
#define MIME_SUMMARY_H

#include "fail.h"
#include "mime_date.h"
#include "mime_scan.h"

enum { MIME_SUMMARY_VERSION = 1, MIME_SUMMARY_FIELDS_MAX = 16 * 1024 };

/* Appends the summary of a scanned message. ERR_LIMIT when out's limit or memory is reached. */
int mime_summary_build(const struct mime_tree *tree, struct buffer *out);

/* A summary opened in place: the spans point into the bytes it was opened on. */
struct mime_summary {
	struct span envelope;  /* ready to send, parentheses included; may hold literals */
	struct span structure; /* BODYSTRUCTURE, likewise */
	struct span fields;    /* raw header fields: for mime_header_next, mime_header_fields */
	struct span cuts, parts;
	uint64_t size;
	struct mime_date date; /* of the Date field; meaningless unless has_date */
	bool has_date, has_attachment;
	bool fields_cut;       /* not all common fields fitted */
	bool cut;              /* the scanner reached a limit */
};

/* OK or ERR_CORRUPT (also for a version this program does not know). */
int mime_summary_open(struct span bytes, struct mime_summary *view);

/* BODY: the structure without its extension data. */
int mime_summary_body(const struct mime_summary *view, struct buffer *out);

/* True when HEADER.FIELDS of these names can be answered from view->fields alone, absent ones included:
   mime_header_fields(view->fields, names, n, false, out). */
bool mime_summary_has_fields(const struct mime_summary *view, const struct span *names, size_t n);

struct mime_summary_part {
	uint32_t depth;
	enum mime_kind kind;
	bool is_message; /* the message itself, or the message within the part before it */
	enum mime_encoding encoding;
	uint64_t header_start, body_start, body_end; /* offsets in the message */
	uint64_t lines;
	struct span type;    /* "text/plain", in lower case */
	struct span charset; /* as written; empty when none was given */
};

/* All parts in the order of the bytes: start with *rest = view->parts. False at the end, and where the table makes no
   sense. */
bool mime_summary_next(const struct mime_summary *view, struct span *rest, struct mime_summary_part *out);

/* The part an IMAP section path names ("2.1" is {2, 1}); no path is the message itself. ERR_NOT_FOUND when there is none. */
int mime_summary_part(const struct mime_summary *view, const uint32_t *path, size_t n, struct mime_summary_part *out);

enum mime_section { MIME_SECTION_ALL, MIME_SECTION_HEADER, MIME_SECTION_TEXT, MIME_SECTION_MIME };

/* Which bytes of the message BODY[path.what] is: from *from up to, not including, *to. SECTION_HEADER also serves
   HEADER.FIELDS and HEADER.FIELDS.NOT. ERR_NOT_FOUND when there is no such part, when HEADER or TEXT is asked of a part
   that holds no message, or MIME of no part. */
int mime_summary_section(const struct mime_summary *view, const uint32_t *path, size_t n, enum mime_section what,
			 uint64_t *from, uint64_t *to);

#endif
