/* Command lines of SMTP and LMTP (RFC 5321, 4.1; RFC 2033; RFC 6531 for addresses in UTF-8). Pure: spans point into the line. */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "span.h"

enum smtp_line_answer {
	SMTP_LINE_MORE, /* no line end yet */
	SMTP_LINE_OK,   /* *line is a line without its CRLF, taken off *in */
	SMTP_LINE_BAD,  /* a line was taken off, but holds NUL, a bare CR or ends in a bare LF: refuse it as a whole */
};
/* Only CRLF ends a line of commands; a bare LF ends one that is refused, so that its sender hears of it. */
enum smtp_line_answer smtp_line_next(struct span *in, struct span *line);

struct smtp_command {
	struct span word; /* letters; empty when there is none */
	struct span args; /* without blanks at its ends */
};
struct smtp_command smtp_command_parse(struct span line);

/* A mailbox between angle brackets. */
struct smtp_path {
	struct span given;  /* as sent, without brackets and source route; empty for <> */
	struct span local;  /* as sent: perhaps quoted, see smtp_local_write() */
	struct span domain; /* empty when there is none */
	bool utf8;          /* has other letters than ASCII: only within SMTPUTF8 (RFC 6531) */
};

enum smtp_answer {
	SMTP_OK,
	SMTP_SYNTAX,      /* not `KEYWORD:<...>` at all */
	SMTP_BAD_ADDRESS, /* what stands between the brackets is no address */
};
/* Takes `FROM:<path>` off the front of *args; keyword is "FROM" or "TO". A source route (`@a,@b:`) is skipped, as
   RFC 5321 (4.1.1.3) wants it. */
enum smtp_answer smtp_path_take(struct span *args, struct span keyword, struct smtp_path *out);

/* The local part without quotes and escapes. out has room for local.n bytes; returns how many were written. */
size_t smtp_local_write(struct span local, char *out);

/* `NAME=value` or `NAME` after the path. */
struct smtp_param {
	struct span name, value;
	bool has_value;
};
/* Takes one parameter off *args: SMTP_OK, or SMTP_SYNTAX when what comes next is none. Not to be asked of empty args. */
enum smtp_answer smtp_param_take(struct span *args, struct smtp_param *out);

/* What follows BDAT (RFC 3030): the number of octets, and whether they are the last. */
struct smtp_chunk {
	uint64_t size;
	bool last;
};
enum smtp_answer smtp_chunk_parse(struct span args, struct smtp_chunk *out);

#endif
