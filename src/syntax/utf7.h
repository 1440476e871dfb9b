/* Modified UTF-7, as IMAP4rev1 writes mailbox names (RFC 3501, 5.1.3). */
#ifndef UTF7_H
#define UTF7_H

#include "arena.h"
#include "buffer.h"

/* From UTF-8. ERR_INVALID when it is not valid UTF-8 (out then holds a part of it). */
int utf7_encode(struct buffer *out, struct span utf8);
/* To UTF-8, NUL-terminated in the arena. Only the one canonical spelling of a name is taken, so that no mailbox has
   two names: ERR_INVALID for all others. ERR_LIMIT when the arena is full. */
int utf7_decode(struct arena *a, struct span in, struct span *utf8);

#endif
