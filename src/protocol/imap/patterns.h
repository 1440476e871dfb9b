/* The arguments of LIST and LSUB. */
#ifndef PATTERNS_H
#define PATTERNS_H

#include "command.h"
#include "mailbox_name.h"

/* "reference pattern", as sent. False: args.bad says why. */
bool read_pattern(struct command *c, struct span *reference, struct span *pattern);
/* One after the other, in UTF-8, in the command's arena; in NFC from who sends UTF-8. ERR_INVALID when it is none, or no modified
   UTF-7. */
int join_pattern(struct command *c, struct span reference, struct span pattern, struct span *out);
/* utf8: as the session sends names; then all forms of a name match. */
bool pattern_matches(struct mailbox_pattern *pattern, struct span name, bool utf8);

#endif
