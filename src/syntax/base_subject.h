/* What a subject is without "Re:", "[list]", "(fwd)" and the like (RFC 5256, 2.1 and 5): what SORT and THREAD go by. */
#ifndef BASE_SUBJECT_H
#define BASE_SUBJECT_H

#include "buffer.h"

/* Appends the base subject of a Subject field's raw value, in UTF-8, its case as it was. Returns whether it is a reply or
   a forwarded message. In linear time. */
bool base_subject(struct span value, struct buffer *out);

#endif
