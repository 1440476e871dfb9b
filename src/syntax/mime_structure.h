/* ENVELOPE and BODYSTRUCTURE as IMAP sends them (RFC 3501 section 7.4.2 and 9), rendered from a message's tree. What
   comes out is always correct syntax, however wrong the mail is: strings over 16 KiB are cut, those with
   bytes that may not be quoted are literals, a multipart or message without anything inside is shown with its body as one
   text part. */
#ifndef MIME_STRUCTURE_H
#define MIME_STRUCTURE_H

#include "mime_scan.h"

/* The fields an ENVELOPE is made of; address fields may occur again, and are then merged. */
struct mime_envelope {
	struct span header;
	struct span date, subject, in_reply_to, message_id;     /* raw values; .p NULL when there is none */
	struct span from, sender, reply_to, to, cc, bcc;
	uint32_t repeated; /* 1 << enum mime_field_id of the address fields that occur more than once */
};

/* Remembers f if the envelope needs it. Zero the struct and set .header first. */
void mime_envelope_field(struct mime_envelope *e, enum mime_field_id id, const struct mime_field *f);
void mime_envelope_write(const struct mime_envelope *e, struct buffer *out);

/* BODYSTRUCTURE goes to `out`. `cuts` gets pairs of varints, bytes to keep and bytes to leave out, which make BODY of it. */
void mime_bodystructure_write(const struct mime_tree *tree, struct buffer *out, struct buffer *cuts);

#endif
