/* FETCH without a command: what NOTIFY tells of new messages (RFC 5465, 5.2). */
#ifndef FETCH_H
#define FETCH_H

#include "command.h"
#include "imap_fetch.h"

struct fetch;

/* For these UIDs of the selected mailbox; `what` lives as long, uids.ranges (of malloc) are its own from now on, also when it
   fails. */
int fetch_open(struct command *c, const struct imap_fetch *what, struct imap_set uids, struct fetch **out);
/* Writes lines: IMAP_DONE when all are written, or some cannot be had: then c->result says why. Anything else is to be
   returned. */
enum imap_step fetch_go_on(struct command *c, struct fetch *f);
/* Its memory is for others, until it goes on. */
void fetch_let_go(struct fetch *f);
void fetch_close(struct fetch **f);

/* Is it asked for? */
bool fetch_asks_for(const struct imap_fetch *what, enum imap_fetch_kind kind);

#endif
