/* UTF-8, strictly: no overlong forms, no surrogates, nothing over U+10FFFF. */
#ifndef UTF8_H
#define UTF8_H

#include "buffer.h"

/* Takes one character off the front of *s; false when it is empty or does not start with one. */
bool utf8_next(struct span *s, uint32_t *c);
bool utf8_valid(struct span s);
/* c is at most 0x10ffff and no surrogate. */
void utf8_put(struct buffer *b, uint32_t c);

#endif
