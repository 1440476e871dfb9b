/* Undoes a Content-Transfer-Encoding (RFC 2045 section 6), in pieces. Never fails: what is no base64 is skipped, what is
   no quoted-printable stands for itself; an encoding nobody knows is passed on as it is. */
#ifndef MIME_DECODE_H
#define MIME_DECODE_H

#include "mime_scan.h"

struct mime_decode {
	enum mime_encoding encoding;
	uint32_t bits;   /* base64: what was gathered of four characters */
	uint8_t bits_n;  /* base64: how many of them */
	uint8_t held_n;  /* quoted-printable: "=", "=X" or "= " that the piece ended in */
	char held[2];
	bool underscore; /* quoted-printable of encoded words: '_' is a blank (RFC 2047) */
};

/* Zero the struct and set .encoding first. The output is not longer than the input, but for held bytes. */
void mime_decode_push(struct mime_decode *d, struct span in, struct buffer *out);
void mime_decode_end(struct mime_decode *d, struct buffer *out);

#endif
