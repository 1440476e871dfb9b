/* Mod-sequences (RFC 7162). A message's is the change number of its entry, a mailbox's that of its last change. The past
   has none (NOMODSEQ). */
#ifndef MODSEQ_H
#define MODSEQ_H

#include "command.h"

/* Does the selected mailbox have any? */
bool has_modseq(const struct command *c);
/* The client shows that it knows of mod-sequences (a "CONDSTORE enabling command"). From now on FETCH lines it did not
   ask for name them; the first time it is told the selected mailbox's. */
void condstore_enable(struct command *c);
/* "MODSEQ (715194045319)"; remembers the highest that was told. */
void put_modseq(struct command *c, int64_t change);
/* "* OK [HIGHESTMODSEQ n] ..." up to where the client knows everything, when a higher one was told although changes below it
   were not: the client must not go by that. */
void put_highest_if_ahead(struct command *c);
/* "* VANISHED (EARLIER) 41,43:116"; nothing when the set is empty. */
void put_vanished_earlier(struct command *c, const struct imap_set *uids);
/* "* VANISHED 405,407" in place of EXPUNGE. */
void put_vanished(struct command *c, const struct view_gone *gone, size_t n);

#endif
