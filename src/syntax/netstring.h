/* Netstrings: "5:hello,", a length in decimal without leading zeros, a colon, so many bytes, a comma. */
#ifndef NETSTRING_H
#define NETSTRING_H

#include "buffer.h"

enum netstring_answer {
	NETSTRING_OK,
	NETSTRING_MORE, /* the beginning of one */
	NETSTRING_BAD,  /* none, or longer than max: what follows cannot be understood */
};

/* Takes one off the front of *in; *out is its bytes, within *in. */
enum netstring_answer netstring_next(struct span *in, size_t max, struct span *out);
void netstring_put(struct buffer *b, struct span s);

#endif
