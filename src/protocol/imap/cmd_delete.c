#include "fail.h"
#include "list_line.h"
#include "mailbox_name.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"

enum imap_step cmd_delete(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span sent, name;
	struct place p;
	if (!read_mailbox_arg(c, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc && name_is_past(name))
		return reply_past(c);
	if (!rc)
		rc = find_allowed(c, name, RIGHT_DELETE_MAILBOX, &p);
	if (!rc) {
		actor.viewer = p.viewer;
		rc = folder_delete(s->node->service, p.account, p.path, &actor);
	}
	if (rc == ERR_CANNOT && s->rev2 && !mailbox_name_is_inbox(name))
		return reply_no(c, "[HASCHILDREN] There are mailboxes below it: delete them first");
	if (rc)
		return reply_failure(c, rc);
	/* Who deletes what it has selected knows that it is gone: no reason for BYE. */
	if (s->view && !view_info(s->view)->past && view_info(s->view)->account == p.account &&
	    span_eq(view_info(s->view)->folder.path, p.path))
		session_unselect(s);
	put_old_name(c, name, mailbox_old_name(c, sent, name));
	return reply_completed(c);
}
