/* The line that begins a message in an mbox, as an export writes it: "From " WORD " " DATE in UTC, as asctime() has it. The
   bytes of the message follow unchanged, but that lines of any number of '>' and "From " get one more '>' (mboxrd), and a
   blank line ends it. All else that is known of the message stands in WORD, where other programs expect a sender and
   look no further:

       perdura*UIDVALIDITY*UID*SIZE*FOLDER[*FLAG]...

   SIZE is the bytes of the message; FOLDER its path in UTF-8; bytes that might end the word are written %XX. */
#ifndef MBOX_H
#define MBOX_H

#include "arena.h"
#include "buffer.h"

struct mbox_mark {
	int64_t uidvalidity;
	uint32_t uid;
	uint64_t size;
	struct span folder, flags; /* flags: "\Seen todo", as in IMAP */
};

/* The whole line with its end. date: us since 1970. */
void mbox_put_mark(struct buffer *b, const struct mbox_mark *m, int64_t date);
/* WORD; texts are copied to the arena. False for any other sender. */
bool mbox_parse_mark(struct arena *a, struct span word, struct mbox_mark *out);

/* Is it a line that mboxrd quotes: '>' in any number, and "From "? */
bool mbox_is_quotable(struct span line);

#endif
