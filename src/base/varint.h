/* Unsigned LEB128: seven bits a byte, low ones first. The compact bodies of the journal and of summaries use it. */
#ifndef VARINT_H
#define VARINT_H

#include "buffer.h"

void varint_put(struct buffer *b, uint64_t v);
/* Takes a number off the front of *in; false when it is cut short or over 64 bits. */
bool varint_get(struct span *in, uint64_t *v);
/* A length and so many bytes. */
void varint_put_span(struct buffer *b, struct span s);
bool varint_get_span(struct span *in, struct span *s);

#endif
