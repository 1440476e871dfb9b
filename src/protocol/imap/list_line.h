/* A line of LIST, asked for or not. */
#ifndef LIST_LINE_H
#define LIST_LINE_H

#include "command.h"

struct list_line {
	struct span name;
	bool utf8; /* as the session reads names */
	bool exists, has_children, subscribed;
	int64_t attributes; /* of enum folder_attribute */
	struct span old;    /* OLDNAME, where it is not empty */
};

/* "* LIST (\HasNoChildren) "/" name": what else stands behind the name, and the line's end, are the caller's. */
void put_list_line(struct buffer *b, const struct list_line *l);
/* The whole line of a mailbox that is there at a change of the account (0: now) as path. */
int put_mailbox_line(struct command *c, struct list_line line, struct span path, int64_t at);
/* The same for one that was made, renamed or deleted now by another form of its name; nothing where old is empty. */
void put_old_name(struct command *c, struct span name, struct span old);

#endif
