#include "fail.h"
#include "names.h"
#include "reply.h"

enum imap_step cmd_delete(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span name;
	if (!read_one_mailbox(c, &name))
		return IMAP_DONE;
	if (name_is_past(name))
		return reply_past(c);
	int rc = folder_delete(s->node->service, s->account, name, &actor);
	if (rc)
		return reply_failure(c, rc);
	/* Who deletes what it has selected knows that it is gone: no reason for BYE. */
	if (s->view && !view_info(s->view)->past && span_eq(view_info(s->view)->folder.path, name))
		session_unselect(s);
	return reply_completed(c);
}
