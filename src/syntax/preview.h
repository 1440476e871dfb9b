/* The first words of a message, for people (RFC 8970): of its first plain text, else of its first HTML. */
#ifndef PREVIEW_H
#define PREVIEW_H

#include "mime_summary.h"

enum {
	PREVIEW_MAX = 200,        /* characters */
	PREVIEW_BYTES = 64 * 1024, /* of the part's body that are looked at */
};

/* The part to look at; false: the message has no text of its own. */
bool preview_part(const struct mime_summary *s, struct mime_summary_part *out);
/* Appends what the beginning of that part's body amounts to, in UTF-8, on one line; perhaps nothing. */
void preview_put(const struct mime_summary_part *p, struct span body, struct buffer *out);

#endif
