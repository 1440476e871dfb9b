/* A part of a list, counted from its beginning or its end (RFC 9394): "1:500", "-1:-100". */
#ifndef IMAP_PARTIAL_H
#define IMAP_PARTIAL_H

#include "imap_args.h"

struct imap_partial {
	bool from_end;
	uint32_t first, last; /* from 1, as sent: either may be the larger */
};

bool imap_partial(struct imap_args *a, struct imap_partial *out);
/* As sent. */
void imap_partial_put(struct buffer *b, const struct imap_partial *p);
/* Which of a list of n that is: n of them from *from on; 0 where there are none. */
size_t imap_partial_of(const struct imap_partial *p, size_t n, size_t *from);

#endif
