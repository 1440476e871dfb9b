/* What happened in the selected mailbox, as untagged lines. */
#ifndef NEWS_H
#define NEWS_H

#include "lines.h"

enum { NEWS_MORE = LINES_MORE };

/* Brings the view up to date and writes EXPUNGE or VANISHED (unless told to wait with those), EXISTS, RECENT and FETCH lines, and what
   enters and leaves results that are kept up to date; what the command told already (c->told, c->quiet) is left out. NEWS_MORE: give way (IMAP_DRAIN), then call again.
   ERR_NOT_FOUND: the mailbox itself is gone. */
int news_send(struct command *c, bool expunges);
/* Forgets what was not told yet, at the end of the command. */
void news_end(struct command *c);
/* Remembers that the client knows this entry's flags. In ascending order of UIDs. */
void news_told(struct command *c, const struct entry *e);
/* "* 5 FETCH (", after ENABLE UIDONLY "* 7 UIDFETCH (" (RFC 9586, 3.3), which needs no UID in it. */
void begin_fetch_line(struct command *c, uint32_t uid);
/* "* 5 FETCH (UID 7 MODSEQ (9) FLAGS (\Seen))": the UID if the command is a UID form, the session IMAP4rev2, or it used NOTIFY;
   UID and MODSEQ if the client knows of mod-sequences. */
void put_flags_line(struct command *c, const struct entry *e);
/* The same without flags, for who knows them. */
void put_modseq_line(struct command *c, const struct entry *e);
/* "FLAGS (\Seen \Recent)"; IMAP4rev2 has no \Recent, and no RECENT. */
void put_flags(struct command *c, const struct entry *e);
/* "* 5 EXISTS", "* 1 RECENT" */
void put_exists(struct command *c);

#endif
