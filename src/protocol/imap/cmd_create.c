/* CREATE, also for a special use (RFC 6154). */
#include "fail.h"
#include "folder.h"
#include "list_line.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"
#include "special_use.h"

/* " (USE (\\Drafts \\Sent))". *unknown: a use that no mailbox can have here. */
static bool take_special_use(struct imap_args *a, int64_t *special, bool *unknown)
{
	struct span word;
	if (!imap_peek(a, ' '))
		return true;
	if (!imap_sp(a) || !imap_list_open(a) || !imap_atom(a, &word) || !span_ieq(word, SPAN("USE")) || !imap_sp(a) ||
	    !imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		if (!imap_take(a, '\\') || !imap_atom(a, &word))
			return false;
		*unknown = *unknown || !special_use_find(word);
		*special |= special_use_find(word);
	}
	return !a->bad && imap_take(a, ')');
}

static enum imap_step create(struct command *c, const struct place *p, struct span name, struct span old, int64_t special)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	char objectid[FOLDER_OBJECTID];
	int64_t id;
	actor.viewer = p->viewer;
	int rc = folder_create_for(s->node->service, p->account, p->path, special, &actor, &id);
	if (rc == ERR_DENIED && special)
		return reply_no(c, "[USEATTR] Another mailbox is for that use");
	if (rc)
		return reply_failure(c, rc);
	put_old_name(c, name, old);
	folder_objectid(p->account, id, objectid);
	reply_ok(c, "");
	buffer_printf(&c->reply, "[MAILBOXID (%s)] CREATE completed", objectid);
	return IMAP_DONE;
}

enum imap_step cmd_create(struct command *c)
{
	struct span sent, name;
	int64_t special = 0;
	bool unknown = false;
	struct place p;
	if (!read_mailbox_arg(c, &sent) || !take_special_use(&c->args, &special, &unknown) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc && name_is_past(name))
		return reply_past(c);
	if (unknown)
		return reply_no(c, "[USEATTR] No mailbox can be for that use");
	if (!rc)
		rc = find_above(c, name, &p);
	return rc ? reply_failure(c, rc) : create(c, &p, name, mailbox_old_name(c, sent, name), special);
}
