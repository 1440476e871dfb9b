/* The body of DATA (RFC 5321, 4.5.2): ends at CRLF.CRLF and nowhere else; a dot that begins a line is taken off, and
   a line begins only after CRLF. A CR or LF that stands alone is a byte like any other. Nothing is copied: runs of
   the message point into the input, and whatever the borders of the input, their concatenation is the same. */
#ifndef SMTP_DOT_H
#define SMTP_DOT_H

#include "span.h"

enum smtp_dot_state { SMTP_DOT_LINE, SMTP_DOT_TEXT, SMTP_DOT_CR, SMTP_DOT_DOT, SMTP_DOT_DOT_CR };

/* Starts as { 0 }. */
struct smtp_dot {
	enum smtp_dot_state state;
};

enum smtp_dot_answer {
	SMTP_DOT_MORE, /* *in is used up, the body goes on */
	SMTP_DOT_RUN,  /* *run holds at least one byte of the message; ask again */
	SMTP_DOT_END,  /* the body is whole; *in begins with the next command */
};

/* Takes bytes off the front of *in. *run is set for SMTP_DOT_RUN only; it points into *in or to static text. */
enum smtp_dot_answer smtp_dot_next(struct smtp_dot *d, struct span *in, struct span *run);

#endif
