/* A cursor over a complete command as imap_frame.h found it. Each function takes one thing off the front and returns
   true, or false with `bad` saying why (for the BAD reply), the result untouched. After a false the rest of the
   command is not to be parsed. Spans point into the command, or into the arena where a quoted string held escapes. */
#ifndef IMAP_ARGS_H
#define IMAP_ARGS_H

#include "arena.h"
#include "flags.h"
#include "imap_set.h"

struct imap_args {
	struct span rest;
	struct arena *arena;
	const char *bad;
	bool utf8; /* quoted strings that are no UTF-8 are refused (RFC 9755, 3); else they hold any bytes */
};

/* command includes its line end. */
void imap_args_init(struct imap_args *a, struct span command, struct arena *arena);
/* Sets why unless something failed before; returns false. For parsers built on these. */
bool imap_bad(struct imap_args *a, const char *why);

bool imap_tag(struct imap_args *a, struct span *out);
bool imap_atom(struct imap_args *a, struct span *out);
/* One blank or more. */
bool imap_sp(struct imap_args *a);
/* Nothing but blanks is left. */
bool imap_end(struct imap_args *a);
/* Is c the next byte? imap_take() also takes it. Neither sets bad. */
bool imap_peek(const struct imap_args *a, char c);
bool imap_take(struct imap_args *a, char c);
/* Takes the word if it comes next (without case, not followed by an atom's character). Does not set bad. */
bool imap_take_word(struct imap_args *a, struct span word);

bool imap_string(struct imap_args *a, struct span *out);       /* quoted or literal */
bool imap_astring(struct imap_args *a, struct span *out);      /* or an atom */
bool imap_nstring(struct imap_args *a, struct span *out);      /* or NIL: .p is NULL */
bool imap_list_mailbox(struct imap_args *a, struct span *out); /* an astring that may hold % and * */

bool imap_number(struct imap_args *a, uint32_t *out);
bool imap_nz_number(struct imap_args *a, uint32_t *out);
bool imap_number64(struct imap_args *a, uint64_t *out); /* up to 2^63-1: mod-sequences, sizes */
bool imap_set(struct imap_args *a, struct imap_set *out); /* not resolved */
bool imap_date(struct imap_args *a, int64_t *day);        /* days since 1970; quotes optional */
bool imap_date_time(struct imap_args *a, int64_t *us);    /* us since 1970 */

/* if (!imap_list_open(&a)) return false; while (imap_list_next(&a)) if (!imap_astring(&a, &s)) return false;
   An unclosed list fails in the item that is missing. */
bool imap_list_open(struct imap_args *a);
bool imap_list_next(struct imap_args *a);

/* "(\Seen $x)", and the same without parentheses up to the end of the command. */
bool imap_flag_list(struct imap_args *a, struct imap_flags *out);
bool imap_flags_bare(struct imap_args *a, struct imap_flags *out);

/* A literal whose bytes are yet to come, to the end of what is there. */
struct imap_upload {
	uint64_t size;
	bool sync, binary;
	bool utf8; /* `UTF8 (~{n}` (RFC 6855): a ")" follows the bytes */
};
bool imap_upload(struct imap_args *a, struct imap_upload *out);
/* What belongs to it behind the bytes. */
bool imap_upload_end(struct imap_args *a, const struct imap_upload *u);

/* One message of an APPEND or a REPLACE: `[flags] [date-time] {n}`, or `... CATENATE (`, whose parts follow (imap_catenate.h). */
struct imap_append {
	struct imap_flags flags;
	bool has_date;
	int64_t date_us;
	bool catenate;
	struct imap_upload bytes; /* else */
};
bool imap_append_message(struct imap_args *a, struct imap_append *out);
/* What follows m: nothing, or (*more) one more message, which m becomes. */
bool imap_append_next(struct imap_args *a, struct imap_append *m, bool *more);

#endif
