#include "entries.h"
#include "fail.h"
#include "reply.h"

/* EXPUNGE, and UID EXPUNGE (RFC 4315) of those in the set only. The door tells which are gone. */
enum imap_step cmd_expunge(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct imap_set uids;
	if ((c->uid && !read_messages(c, &uids)) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = view_expunge(s->view, c->uid ? &uids : NULL, &actor);
	c->tells_modseq = true;
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
