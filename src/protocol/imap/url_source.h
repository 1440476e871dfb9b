/* The bytes that an IMAP URL names (imap_catenate.h), for CATENATE. */
#ifndef URL_SOURCE_H
#define URL_SOURCE_H

#include "command.h"

struct url_source;

/* As the user may read them, of a mailbox of the past too; reading them sets no \Seen. ERR_INVALID, ERR_NOT_FOUND, ERR_DENIED, ERR_CANNOT:
   there are none for him, and the detail says why. */
int url_source_open(struct command *c, struct span url, struct url_source **out);
uint64_t url_source_size(const struct url_source *s);
/* The next bytes, which live until the next call; none at the end. */
int url_source_read(struct url_source *s, struct span *bytes);
void url_source_close(struct url_source **s);

#endif
