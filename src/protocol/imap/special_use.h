/* Special uses of mailboxes, by name (RFC 6154). */
#ifndef SPECIAL_USE_H
#define SPECIAL_USE_H

#include "buffer.h"

/* The attribute (folder.h) of a name without its backslash; 0: no such use here. */
int64_t special_use_find(struct span name);
/* " \Drafts \Sent": those among the attributes. */
void special_use_put(struct buffer *b, int64_t attributes);

#endif
