/* The counters of a mailbox, for STATUS and for LIST (RFC 5819). */
#ifndef STATUS_H
#define STATUS_H

#include "command.h"
#include "folder.h"
#include "imap_status.h"

/* "* STATUS name (items)". name may be in the past; f: the folder as it was found, of the present (counters included), or
   NULL to look it up. ERR_NOT_FOUND, ERR_CANNOT: it cannot be selected. */
int status_put(struct command *c, struct span name, const struct folder *f, unsigned items);

#endif
