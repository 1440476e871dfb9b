#include "login_end.h"

static int attempt(struct command *c, struct span peer, struct login *who)
{
	struct login_job *job = c->job;
	return identity_login_plain(c->session->node->identity, job->user, job->password, LOGIN_IMAP, peer, &job->pass, who);
}

enum imap_step cmd_login(struct command *c)
{
	struct span user, password;
	if (!imap_sp(&c->args) || !imap_astring(&c->args, &user) || !imap_sp(&c->args) ||
	    !imap_astring(&c->args, &password) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (!session_plaintext(c->session))
		return login_refuse_plaintext(c);
	struct login_job *job = command_job(c, sizeof *job);
	if (!job)
		return IMAP_DONE;
	job->user = user;
	job->password = password;
	job->attempt = attempt;
	return login_try(c);
}
