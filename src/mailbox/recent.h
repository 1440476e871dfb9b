/* \Recent: a UID mark per mailbox, moved by the first read-write open. It is no change and has no number; marks wait in
   memory and are written once a second, together. A crash forgets at most that second: messages are \Recent once more. */
#ifndef RECENT_H
#define RECENT_H

#include "service.h"

struct recent_marks;
int recent_marks_new(struct service *s, struct recent_marks **out);
void recent_marks_free(struct recent_marks **m); /* writes what waits */
/* The UID from which on messages are \Recent to a session that opens the mailbox now; `stored` is what its row says. With
   take, the mark moves to uidnext. */
uint32_t recent_mark(struct recent_marks *m, int64_t account, int64_t collection, int64_t stored, int64_t uidnext, bool take);

#endif
