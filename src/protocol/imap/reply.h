/* Tagged replies, and what the service's errors mean in IMAP. Each function sets the command's reply and returns
   IMAP_DONE, so that a handler ends in `return reply_ok(c, "SELECT completed")`. */
#ifndef REPLY_H
#define REPLY_H

#include "command.h"

/* "OK text"; text may begin with a response code. */
enum imap_step reply_ok(struct command *c, const char *text);
/* "OK NAME completed", with UID before it in the UID form. */
enum imap_step reply_completed(struct command *c);
enum imap_step reply_no(struct command *c, const char *text);
enum imap_step reply_bad(struct command *c, const char *why);
/* BAD with what the argument parser says. */
enum imap_step reply_bad_args(struct command *c);
/* BAD [UIDREQUIRED], for message numbers after ENABLE UIDONLY (RFC 9586, 3). */
enum imap_step reply_uid_required(struct command *c);
/* What a failure of the service means to the client: the only place that says so. */
enum imap_step reply_failure(struct command *c, int error);
/* The same where a missing mailbox could be made by the client (COPY, MOVE, APPEND): [TRYCREATE]. */
enum imap_step reply_target_failure(struct command *c, int error);
/* Puts [HIGHESTMODSEQ n] into an OK that is set already. */
void reply_with_modseq(struct command *c);
/* NO [CANNOT] for whoever would change the past. */
enum imap_step reply_past(struct command *c);

/* "IMAP4rev1 ..." as the session may use it now. */
void put_capabilities(struct buffer *b, const struct imap_session *s);

#endif
