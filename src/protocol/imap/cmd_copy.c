/* COPY and MOVE (RFC 6851), with COPYUID (RFC 4315). Out of the past, COPY is how any client restores. */
#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "mailbox_place.h"
#include "names.h"
#include "notify.h"
#include "reply.h"

static void put_copyuid(struct buffer *b, const struct copy_result *r)
{
	buffer_printf(b, "[COPYUID %lld ", (long long)r->uidvalidity);
	imap_set_put(b, r->from, r->n);
	buffer_putc(b, ' ');
	imap_set_put(b, r->to, r->n);
	buffer_puts(b, "] ");
}

static enum imap_step copied(struct command *c, const struct copy_result *r)
{
	reply_ok(c, "");
	if (r->n)
		put_copyuid(&c->reply, r);
	buffer_puts(&c->reply, r->n ? "Copied" : "There was nothing to copy");
	return IMAP_DONE;
}

/* COPYUID comes first, then the EXPUNGEs (from the door), then the tagged reply. */
static enum imap_step moved(struct command *c, const struct copy_result *r)
{
	if (r->n) {
		buffer_puts(c->out, "* OK ");
		put_copyuid(c->out, r);
		buffer_puts(c->out, "Moved\r\n");
	}
	c->tells_modseq = true;
	return reply_completed(c);
}

static enum imap_step copy(struct command *c, bool move)
{
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct copy_result result;
	struct imap_set uids;
	struct span sent, name;
	struct place p;
	bool may_create = false;
	if (!read_messages(c, &uids) || !read_mailbox_arg(c, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc && name_is_past(name))
		return reply_past(c);
	if (!rc)
		rc = find_target(c, name, &p, &may_create);
	if (!rc)
		rc = view_copy_to(s->view, &uids, p.account, p.viewer, p.path, move, &actor, &result);
	if (rc)
		return may_create ? reply_target_failure(c, rc) : reply_failure(c, rc);
	notify_own(s, p.account, result.uidvalidity, result.to, result.n);
	enum imap_step step = move ? moved(c, &result) : copied(c, &result);
	free(result.from);
	free(result.to);
	return step;
}

enum imap_step cmd_copy(struct command *c)
{
	return copy(c, false);
}

enum imap_step cmd_move(struct command *c)
{
	return copy(c, true);
}
