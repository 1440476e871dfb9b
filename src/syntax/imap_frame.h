/* Where does a command end? Finds commands (a line and its literals, RFC 3501, 7888) in what a client sent so far.
   The state keeps what was looked at, so a command that comes byte by byte still costs O(its length).

   The input always starts at the command's first byte. A new command, or what follows a consumed part, starts with
   { 0 }, or with { .tail = true } for what follows a literal whose head was consumed (after APPEND and TOO_BIG). */
#ifndef IMAP_FRAME_H
#define IMAP_FRAME_H

#include "span.h"

enum { IMAP_TEXT_MAX = 65536 /* bytes of a command outside its literals */ };

enum imap_frame_answer {
	IMAP_FRAME_MORE,     /* read more, then ask again with the grown input */
	IMAP_FRAME_CONTINUE, /* send "+ ...", then ask again: the client waits before it sends the literal */
	IMAP_FRAME_DONE,     /* the first `length` bytes are a command */
	IMAP_FRAME_BAD,      /* so they are, but it holds NUL: answer BAD, go on behind it */
	IMAP_FRAME_APPEND,   /* `length` bytes are the head of an APPEND or REPLACE, `literal` bytes of message follow: see below */
	IMAP_FRAME_TOO_BIG,  /* `length` bytes are a command's head, its literals would exceed the bound: see below */
	IMAP_FRAME_TOO_LONG, /* over IMAP_TEXT_MAX: say BYE */
};

/* APPEND: parse the head up to the literal (imap_append_message). To take the message, send "+ ..." if `sync`, consume the
   head and `literal` bytes, then frame the tail: DONE when it ends the command, APPEND when it is the head of one more
   literal (RFC 3502).
   To refuse an APPEND, or after TOO_BIG: with `sync` the tagged NO ends the command and nothing follows the head;
   without it, the literal and the tail come anyway and are to be drained, or the connection closed. */
struct imap_frame_event {
	size_t length;    /* bytes of input this answer is about, line end included */
	uint64_t literal; /* APPEND, TOO_BIG, CONTINUE: the literal's size */
	bool sync;        /* the client waits for "+" */
	bool binary;      /* ~{n}: may hold NUL (RFC 3516) */
};

struct imap_frame {
	bool tail;
	/* private */
	bool known, append, binary, nul;
	size_t scanned; /* bytes looked at */
	size_t line;    /* where the current line starts */
	size_t mailbox; /* where that argument of an APPEND or REPLACE starts */
	size_t text, literals;
	uint64_t left; /* of the current literal */
};

/* literals_max bounds the sum of the literals that are kept in the input (an APPEND's message is not). *ev is set
   for all answers but MORE and TOO_LONG. */
enum imap_frame_answer imap_frame_next(struct imap_frame *f, struct span in, size_t literals_max,
                                       struct imap_frame_event *ev);

/* "{12}", "{12+}", "~{12}" at the end of a line (without its line end). */
struct imap_literal {
	uint64_t size; /* UINT64_MAX when it does not fit */
	size_t at;     /* where in the line it begins */
	bool sync, binary;
};
bool imap_literal_at_end(struct span line, struct imap_literal *out);

#endif
