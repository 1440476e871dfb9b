#include "fail.h"
#include "names.h"
#include "reply.h"

/* RFC 6154 lets clients ask for a special use. Ours are given to the folders every account has, so it is passed over. */
static bool skip_special_use(struct imap_args *a)
{
	struct span word;
	if (!imap_peek(a, ' '))
		return true;
	if (!imap_sp(a) || !imap_list_open(a) || !imap_atom(a, &word) || !span_ieq(word, SPAN("USE")) || !imap_sp(a) ||
	    !imap_list_open(a))
		return false;
	while (imap_list_next(a))
		if (!imap_take(a, '\\') || !imap_atom(a, &word))
			return false;
	return !a->bad && imap_take(a, ')');
}

enum imap_step cmd_create(struct command *c)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct span sent, name;
	if (!read_mailbox_arg(c, &sent) || !skip_special_use(&c->args) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc && name_is_past(name))
		return reply_past(c);
	if (!rc)
		rc = folder_create(s->node->service, s->account, name, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
