/* Writes strings the way IMAP wants them: an atom, in quotes, or as a literal, whichever the bytes allow. */
#ifndef IMAP_QUOTE_H
#define IMAP_QUOTE_H

#include "buffer.h"

/* In quotes; as a literal when it holds line ends, bytes over 0x7f, or is long. NUL, which nothing in IMAP may hold,
   becomes '?'. */
void imap_put_string(struct buffer *b, struct span s);
/* The same; NIL when s.p is NULL. */
void imap_put_nstring(struct buffer *b, struct span s);
/* The same; what holds NUL is a literal8 (RFC 3516). */
void imap_put_nstring8(struct buffer *b, struct span s);
/* An atom where possible. */
void imap_put_astring(struct buffer *b, struct span s);
/* A mailbox's name, in quotes: as it is for who reads UTF-8 (RFC 9051, 5.1; RFC 9755), else in modified UTF-7. */
void imap_put_mailbox(struct buffer *b, struct span name, bool utf8);
/* Text for the end of a response line: line ends and other control bytes become blanks, bytes over 0x7f '?'. */
void imap_put_text(struct buffer *b, struct span s);

#endif
