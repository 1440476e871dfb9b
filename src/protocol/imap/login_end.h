/* What LOGIN and AUTHENTICATE share. */
#ifndef LOGIN_END_H
#define LOGIN_END_H

#include "identity.h"
#include "reply.h"

/* The end of a login: the session's account is set, or the refusal is held back for some seconds without holding a
   worker; too many refusals end the session. */
enum imap_step login_end(struct command *c, int result, const struct account *who, struct span user);
/* Who asks, as the address without its port. */
struct span login_peer(const struct imap_session *s);
/* NO [PRIVACYREQUIRED] */
enum imap_step login_refuse_plaintext(struct command *c);

#endif
