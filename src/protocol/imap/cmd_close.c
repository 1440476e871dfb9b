#include "fail.h"
#include "reply.h"

/* Expunges without telling, unless the mailbox was opened read-only. */
enum imap_step cmd_close(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	int rc = view_info(s->view)->read_only || !(view_info(s->view)->rights & RIGHT_EXPUNGE) ? OK : view_expunge(s->view, NULL, &actor);
	if (rc && rc != ERR_NOT_FOUND)
		return reply_failure(c, rc);
	session_unselect(s);
	return reply_completed(c);
}
