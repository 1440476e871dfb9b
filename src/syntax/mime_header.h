/* Header fields of a message or part, read straight from its raw bytes (RFC 5322 section 2.2, RFC 2045 section 5).
   Lines end at LF; a CR before it belongs to the end. Nothing here allocates unless it says so. */
#ifndef MIME_HEADER_H
#define MIME_HEADER_H

#include "arena.h"
#include "buffer.h"

struct mime_field {
	struct span name;  /* without the colon; empty for a line that is no field (mbox "From ", garbage) */
	struct span value; /* raw: what follows the colon, folding included, without the last line end and outer blanks */
	struct span raw;   /* the whole field as it stands, folding and last line end included */
};

/* The fields that something here knows by name. */
enum mime_field_id {
	FIELD_OTHER, FIELD_BCC, FIELD_CC, FIELD_CONTENT_DESCRIPTION, FIELD_CONTENT_DISPOSITION, FIELD_CONTENT_ID,
	FIELD_CONTENT_LANGUAGE, FIELD_CONTENT_LOCATION, FIELD_CONTENT_MD5, FIELD_CONTENT_TRANSFER_ENCODING,
	FIELD_CONTENT_TYPE, FIELD_DATE, FIELD_DISPOSITION_NOTIFICATION_TO, FIELD_FROM, FIELD_IMPORTANCE,
	FIELD_IN_REPLY_TO, FIELD_LIST_ID, FIELD_LIST_POST, FIELD_LIST_UNSUBSCRIBE, FIELD_MESSAGE_ID, FIELD_MIME_VERSION,
	FIELD_PRIORITY, FIELD_REFERENCES, FIELD_REPLY_TO, FIELD_RETURN_RECEIPT_TO, FIELD_SENDER, FIELD_SUBJECT, FIELD_TO,
	FIELD_X_PRIORITY,
};

/* Takes the next field off the front of *rest; false at the blank line that ends a header, or at the end of *rest. */
bool mime_header_next(struct span *rest, struct mime_field *f);
enum mime_field_id mime_field_id(struct span name);

/* Appends a raw value with each line end removed (the blanks after it stay) and NUL, bare CR and LF as a blank. */
void mime_unfold(struct span value, struct buffer *out);

/* HEADER.FIELDS, or HEADER.FIELDS.NOT when `except` (RFC 3501 section 6.4.5): the matching fields as they stand and in
   their order, then the blank line. Names are compared without regard to case. */
void mime_header_fields(struct span header, const struct span *names, size_t n, bool except, struct buffer *out);

struct mime_param {
	struct span name;  /* in lower case, with any RFC 2231 asterisks */
	struct span value; /* unquoted and unfolded, not decoded */
};

struct mime_params {
	const struct mime_param *p;
	uint32_t n;
};

enum { MIME_PARAMS_MAX = 200 };

/* Reads "word; name=value; ..." (Content-Type, Content-Disposition). The word goes to *head, in lower case and without
   comments; what makes no sense is skipped. Everything is copied to the arena; at its limit the rest is left out. */
void mime_params_parse(struct span value, struct arena *a, struct span *head, struct mime_params *out);
/* A single value, unfolded, trimmed and without comments, in lower case: Content-Transfer-Encoding. */
struct span mime_token_parse(struct span value, struct arena *a);
/* A value unfolded and trimmed. */
struct span mime_value_copy(struct span value, struct arena *a);
/* The value of a parameter; .p is NULL when there is none. */
struct span mime_param(const struct mime_params *params, struct span name);

#endif
