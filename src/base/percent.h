/* Percent-encoding (RFC 3986, 2.1). */
#ifndef PERCENT_H
#define PERCENT_H

#include "buffer.h"

/* Appends what stands for s; false when a '%' is not followed by two hexadecimal digits. */
bool percent_decode(struct span s, struct buffer *out);

#endif
