/* APPEND: the message goes to the store as it comes, through whatever handlers of the loop it takes. */
#include "fail.h"
#include "folder.h"
#include "message.h"
#include "names.h"
#include "reply.h"
#include "settings.h"

struct append {
	struct imap_append head;
	struct span name;
	struct incoming *incoming;
	bool nul;
};

static void end_append(struct command *c)
{
	struct append *a = c->job;
	if (a->incoming)
		incoming_free(&a->incoming);
}

/* A failure of the store shows when the message is finished; what comes after it is read all the same. */
static void take_bytes(struct command *c, struct span bytes)
{
	struct append *a = c->job;
	if (memchr(bytes.p, 0, bytes.n))
		a->nul = true;
	incoming_write(a->incoming, bytes);
}

static enum imap_step store_message(struct command *c)
{
	struct append *a = c->job;
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct append_result r;
	int rc = incoming_finish(a->incoming);
	if (!rc)
		rc = append(s->node->service, s->account, a->name, a->incoming, a->head.flags.system, a->head.flags.keywords,
		            a->head.has_date ? a->head.date_us : 0, &actor, &r);
	if (rc)
		return reply_target_failure(c, rc);
	reply_ok(c, "");
	buffer_printf(&c->reply, "[APPENDUID %lld %u] APPEND completed", (long long)r.uidvalidity, r.uid);
	return IMAP_DONE;
}

/* A literal8 (RFC 3516) is as good as any other as long as FETCH can give the message to everybody. */
static enum imap_step refuse_nul(struct command *c)
{
	const struct append *a = c->job;
	return reply_no(c, a->head.binary ? "[UNKNOWN-CTE] A message that holds NUL cannot be stored" : "[CANNOT] The message holds NUL");
}

static enum imap_step go_on(struct command *c)
{
	struct append *a = c->job;
	bool rest;
	enum imap_step step = command_read_literal(c, take_bytes, &rest);
	if (step != IMAP_DONE)
		return step;
	if (rest)
		return reply_bad(c, "Nothing may follow the message");
	return a->nul ? refuse_nul(c) : store_message(c);
}

/* A client that waits before it sends is told of a missing mailbox before it sends. */
static int check_target(struct command *c, const struct append *a)
{
	struct imap_session *s = c->session;
	struct tree tree;
	int rc = a->head.sync ? tree_read_path(s->node->service, s->account, a->name, &tree) : OK;
	if (rc || !a->head.sync)
		return rc;
	const struct folder *f = tree_find(&tree, a->name);
	rc = f && !(f->attributes & FOLDER_NOSELECT) ? OK : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return rc;
}

static enum imap_step start(struct command *c)
{
	struct append *a = c->job;
	int rc = check_target(c, a);
	if (!rc)
		rc = incoming_new(c->session->node->service, &a->incoming);
	if (rc)
		return reply_target_failure(c, rc);
	c->cleanup = end_append;
	c->resume = go_on;
	if (a->head.sync) {
		buffer_puts(c->out, "+ OK\r\n");
		c->unread = a->head.size;
		c->has_tail = true;
	}
	return go_on(c);
}

/* "May I?" What is refused here is read away by the door, if it comes anyway. */
enum imap_step cmd_append(struct command *c)
{
	struct append *a = command_job(c, sizeof *a);
	struct settings settings;
	if (!a)
		return IMAP_DONE;
	imap_args_init(&c->args, c->text, &c->arena);
	if (!c->has_literal)
		return reply_bad(c, "A mailbox and a literal expected");
	if (!imap_append_head(&c->args, &a->head))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, a->head.mailbox, &a->name);
	if (rc)
		return reply_failure(c, rc);
	if (name_is_past(a->name))
		return reply_past(c);
	rc = settings_of(c->session->node->identity, c->session->account, &settings);
	if (rc)
		return reply_failure(c, rc);
	if (a->head.size > (uint64_t)settings.message_max)
		return reply_no(c, "[TOOBIG] The message is too big");
	return start(c);
}
