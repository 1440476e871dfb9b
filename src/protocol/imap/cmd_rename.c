#include "fail.h"
#include "names.h"
#include "reply.h"

enum imap_step cmd_rename(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span sent_from, sent_to, from, to;
	if (!read_mailbox_arg(c, &sent_from) || !read_mailbox_arg(c, &sent_to) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent_from, &from);
	if (!rc)
		rc = mailbox_arg(c, sent_to, &to);
	if (!rc && (name_is_past(from) || name_is_past(to)))
		return reply_past(c);
	if (!rc)
		rc = folder_rename(s->node->service, s->account, from, to, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
