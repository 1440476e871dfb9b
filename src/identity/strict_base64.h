/* Base64 (RFC 4648, section 4) for credentials: padding is required, blanks, line ends, other letters and stray bits in
   the last letter are refused, so that every value has one spelling only. (Mail bodies need the forgiving kind.) */
#ifndef STRICT_BASE64_H
#define STRICT_BASE64_H

#include "buffer.h"

void base64_strict_put(struct buffer *b, struct span raw);
/* Decodes into out (room for cap bytes) and sets *n. ERR_INVALID when malformed, ERR_LIMIT over cap. */
int base64_strict_get(struct span text, char *out, size_t cap, size_t *n);

#endif
