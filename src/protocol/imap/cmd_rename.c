#include "fail.h"
#include "list_line.h"
#include "mailbox_name.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"

enum imap_step cmd_rename(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span sent_from, sent_to, from, to;
	struct place source, target;
	if (!read_mailbox_arg(c, &sent_from) || !read_mailbox_arg(c, &sent_to) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent_from, &from);
	if (!rc)
		rc = mailbox_arg(c, sent_to, &to);
	if (!rc && (name_is_past(from) || name_is_past(to)))
		return reply_past(c);
	if (!rc)
		rc = find_allowed(c, from, RIGHT_DELETE_MAILBOX, &source);
	if (!rc && source.viewer && mailbox_name_is_inbox(source.path))
		rc = fail_with(ERR_DENIED, "it would move all messages of the owner");
	if (!rc)
		rc = find_above(c, to, &target);
	if (!rc && source.account != target.account)
		rc = fail_with(ERR_CANNOT, "a mailbox stays with its owner: copy its messages");
	if (!rc) {
		actor.viewer = source.viewer;
		rc = folder_rename(s->node->service, source.account, source.path, target.path, &actor);
	}
	if (rc)
		return reply_failure(c, rc);
	struct span old = mailbox_old_name(c, sent_from, from);
	if (!old.n && mailbox_old_name(c, sent_to, to).n)
		old = from;
	if (mailbox_name_is_inbox(from)) /* it stays */
		old.n = 0;
	put_old_name(c, to, old);
	return reply_completed(c);
}
