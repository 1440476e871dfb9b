/* What LOGIN and AUTHENTICATE share. */
#ifndef LOGIN_END_H
#define LOGIN_END_H

#include "reply.h"
#include "sasl.h"

/* A login under way: the c->job of both. */
struct login_job {
	struct sasl sasl;           /* AUTHENTICATE */
	struct login_pass pass;     /* LOGIN, with what it says: */
	struct span user, password;
	int (*attempt)(struct command *c, struct span peer, struct login *who); /* may be LOGIN_WAIT: made again then */
	enum imap_step (*prove)(struct command *c, const struct login *who); /* NULL; else what follows on success: login_enter() later */
	struct login who;
};

/* Makes the attempt and ends the command: the session's account is set, or the refusal is held back for some seconds. It
   waits for its turn, and for that, without holding a worker; too many refusals end the session. */
enum imap_step login_try(struct command *c);
/* Ends the command with OK: the session is that user's. */
enum imap_step login_enter(struct command *c, const struct login *who, struct span user);
/* NO [PRIVACYREQUIRED] */
enum imap_step login_refuse_plaintext(struct command *c);

#endif
