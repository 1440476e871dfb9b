/* Names of mailboxes, in UTF-8: components joined by '/'. INBOX is written so in whatever case it comes, also as the
   first component of "inbox/x". Names that begin with '#' are not mailboxes of the user ("#at/..." is the past). */
#ifndef MAILBOX_NAME_H
#define MAILBOX_NAME_H

#include "arena.h"

enum {
	MAILBOX_NAME_MAX = 1000,     /* bytes */
	MAILBOX_COMPONENT_MAX = 255, /* bytes */
	MAILBOX_DEPTH_MAX = 50,      /* components */
};

/* May a mailbox be called so? ERR_INVALID: empty, or has an empty component, "." or "..", control characters, '%' or
   '*', invalid UTF-8. ERR_LIMIT: too long or too deep. ERR_CANNOT: begins with '#'. fail_detail() fits for users. */
int mailbox_name_check(struct span name);
/* A copy in the arena with INBOX in capitals. ERR_LIMIT when the arena is full. */
int mailbox_name_normal(struct arena *a, struct span name, struct span *out);
/* What an IMAP client sent, in UTF-8 or modified UTF-7, as UTF-8 in the arena. ERR_INVALID when it is none. */
int mailbox_name_decode(struct arena *a, struct span sent, bool utf8, struct span *out);
/* The same as a normal name. One '/' at the end is dropped: CREATE "a/" means "a". The name is not checked otherwise, for
   it may be one out of the past. */
int mailbox_name_read(struct arena *a, struct span sent, bool utf8, struct span *out);

bool mailbox_name_is_inbox(struct span name);
/* Takes the first component off *rest; false when nothing is left. */
bool mailbox_name_next(struct span *rest, struct span *component);
/* What stands before the last '/': empty for a mailbox at the top. */
struct span mailbox_name_parent(struct span name);
/* What stands behind it. */
struct span mailbox_name_leaf(struct span name);
/* Is name below parent ("a/b" below "a")? */
bool mailbox_name_below(struct span name, struct span parent);

/* LIST's patterns: '*' stands for anything, '%' for anything without '/'; INBOX matches in any case. Compiled once for
   many names; a match takes at most |name| * |pattern| steps, whatever the pattern. */
struct mailbox_pattern {
	const char *p; /* wildcards in a row are one */
	size_t n;
	bool *now, *then; /* n + 1 each */
};

/* ERR_LIMIT over MAILBOX_NAME_MAX bytes or when the arena is full. */
int mailbox_pattern_init(struct mailbox_pattern *m, struct arena *a, struct span pattern);
/* Not for two threads at once. */
bool mailbox_pattern_match(struct mailbox_pattern *m, struct span name);

#endif
