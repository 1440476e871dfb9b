#include "login.h"
#include "login_end.h"

enum imap_step cmd_login(struct command *c)
{
	struct span user, password;
	struct account who;
	struct imap_session *s = c->session;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &user) || !imap_sp(&c->args) ||
	    !imap_astring(&c->args, &password) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (!session_plaintext(s))
		return login_refuse_plaintext(c);
	int rc = identity_login_plain(s->node->identity, user, password, login_peer(s), &who);
	return login_end(c, rc, &who, user);
}
