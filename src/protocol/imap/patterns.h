/* The arguments of LIST and LSUB. */
#ifndef PATTERNS_H
#define PATTERNS_H

#include "command.h"

/* "reference pattern", as sent. False: args.bad says why. */
bool read_pattern(struct command *c, struct span *reference, struct span *pattern);
/* One after the other, in UTF-8, in the command's arena. ERR_INVALID when it is no modified UTF-7. */
int join_pattern(struct command *c, struct span reference, struct span pattern, struct span *out);

#endif
