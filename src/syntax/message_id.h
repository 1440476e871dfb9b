/* Message identifiers in Message-ID, In-Reply-To and References (RFC 5322, 3.6.4 and 4.5.4). */
#ifndef MESSAGE_ID_H
#define MESSAGE_ID_H

#include "buffer.h"

/* Appends the next identifier that *rest holds, without "<" and ">", quotes and blanks, and takes it off the front; what is
   none is passed over. False when there is no further one (nothing is appended then). */
bool message_id_next(struct span *rest, struct buffer *out);

#endif
