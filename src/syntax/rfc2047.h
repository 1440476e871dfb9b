/* Header text for people: encoded words (RFC 2047) as UTF-8. Never fails: what is no encoded word stands for itself. */
#ifndef RFC2047_H
#define RFC2047_H

#include "mime_header.h"

/* A raw or unfolded value. Words broken up in the middle of a character are put together again. */
void rfc2047_decode(struct span value, struct buffer *out);

#endif
