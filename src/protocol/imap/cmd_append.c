/* APPEND (with MULTIAPPEND, RFC 3502) and REPLACE (RFC 8508): messages go to the store as they come, through whatever handlers
   of the loop it takes, and are linked by one change when the last of them is there. */
#include "entries.h"
#include "fail.h"
#include "folder.h"
#include "mailbox_place.h"
#include "message.h"
#include "names.h"
#include "notify.h"
#include "reply.h"
#include "settings.h"

enum { APPEND_BYTES = 256 << 20 /* of all messages of one command, where it has several */ };

struct append {
	struct place place;
	bool may_create;
	uint32_t replaced; /* UID; 0: it is an APPEND */
	struct settings settings;
	struct imap_append head; /* of the message that is coming */
	struct append_message messages[APPEND_MAX];
	size_t n;
	uint64_t bytes; /* of all of them */
	bool nul;
	bool wrapped, unclosed; /* the literal may be one of wrapping[]; it is, and does not end so */
	size_t opened;          /* bytes of wrapping[] that were seen */
};

/* Older versions of Python's imaplib put what belongs around a literal8 (RFC 6855) into the literal, once UTF8=ACCEPT is on. No
   message begins so: it is taken off, and the ")" at the end. */
static const char wrapping[] = "UTF8 (";

static void end_append(struct command *c)
{
	struct append *a = c->job;
	for (size_t i = 0; i < a->n; i++)
		incoming_free(&a->messages[i].in);
}

static struct span unwrap(struct append *a, struct span bytes, bool last)
{
	struct span open = span_of(wrapping);
	for (; bytes.n && a->opened < open.n && bytes.p[0] == open.p[a->opened]; a->opened++)
		bytes = span_sub(bytes, 1, bytes.n);
	if (a->opened < open.n && (bytes.n || last)) { /* a message like others */
		incoming_write(a->messages[a->n - 1].in, span_sub(open, 0, a->opened));
		a->wrapped = false;
	} else if (last) {
		a->unclosed = !bytes.n || bytes.p[bytes.n - 1] != ')';
		bytes = span_sub(bytes, 0, bytes.n ? bytes.n - 1 : 0);
	}
	return bytes;
}

/* A failure of the store shows when the message is finished; what comes after it is read all the same. */
static void take_bytes(struct command *c, struct span bytes)
{
	struct append *a = c->job;
	if (memchr(bytes.p, 0, bytes.n))
		a->nul = true;
	if (a->wrapped)
		bytes = unwrap(a, bytes, bytes.n == c->unread);
	incoming_write(a->messages[a->n - 1].in, bytes);
}

static enum imap_step appended(struct command *c, const struct append_result *r, size_t n)
{
	reply_ok(c, "");
	buffer_printf(&c->reply, "[APPENDUID %lld %u", (long long)r->uidvalidity, r->uid);
	if (n > 1)
		buffer_printf(&c->reply, ":%u", r->uid + (uint32_t)n - 1);
	buffer_puts(&c->reply, "] APPEND completed");
	return IMAP_DONE;
}

/* APPENDUID comes first, then the EXPUNGE (from the door), then the tagged reply. */
static enum imap_step replaced(struct command *c, const struct append_result *r)
{
	buffer_printf(c->out, "* OK [APPENDUID %lld %u] Replaced\r\n", (long long)r->uidvalidity, r->uid);
	c->tells_modseq = true;
	return reply_completed(c);
}

static enum imap_step refuse_target(struct command *c, const struct append *a, int rc)
{
	return a->may_create ? reply_target_failure(c, rc) : reply_failure(c, rc);
}

static enum imap_step store_messages(struct command *c)
{
	struct append *a = c->job;
	struct imap_session *s = c->session;
	struct actor actor = session_actor(s);
	struct append_result r;
	actor.viewer = a->place.viewer;
	int rc = incoming_finish(a->messages[a->n - 1].in);
	if (!rc && a->replaced)
		rc = replace(s->view, a->replaced, a->place.path, a->messages, &actor, &r);
	else if (!rc)
		rc = append(s->node->service, a->place.account, a->place.path, a->messages, a->n, &actor, &r);
	if (rc == ERR_CONFLICT && a->replaced)
		return reply_no(c, "[EXPUNGEISSUED] The message to be replaced is not there any more");
	if (rc)
		return refuse_target(c, a, rc);
	for (uint32_t i = 0; i < a->n; i++)
		notify_own(s, a->place.account, r.uidvalidity, &(uint32_t){ r.uid + i }, 1);
	return a->replaced ? replaced(c, &r) : appended(c, &r, a->n);
}

static const char without_bytes[] = "A message without any bytes: nothing is stored"; /* which is how a client cancels (RFC 3502) */

/* Is there room for the message that the head announces? Nothing of one command may be stored without the rest. */
static const char *refusal(const struct append *a)
{
	uint64_t size = a->head.size;
	if (size == 0)
		return without_bytes;
	if (size > (uint64_t)a->settings.message_max)
		return "[TOOBIG] The message is too big";
	if (a->settings.quota && a->bytes + size > (uint64_t)a->settings.quota)
		return "[OVERQUOTA] Over quota";
	if (a->n == APPEND_MAX)
		return "[LIMIT] Too many messages in one APPEND: send no more than 64";
	return a->n && a->bytes + size > APPEND_BYTES ? "[LIMIT] Too many bytes in one APPEND: send the messages one by one" : NULL;
}

/* Flags that the user may not set there are passed over (RFC 4314, 4). */
static void cut_flags(struct append *a)
{
	struct imap_flags *f = &a->head.flags;
	unsigned rights = a->place.rights;
	bool write = rights & RIGHT_WRITE;
	f->system &= (rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (rights & RIGHT_DELETE ? FLAG_DELETED : 0) |
	             (write ? ~(uint64_t)(FLAG_SEEN | FLAG_DELETED) : 0);
	f->keywords = write ? f->keywords : (struct span){ 0 };
}

/* True when the message may come, else the reply is set. What is refused is read away by the door, if it comes anyway. */
static bool expect_message(struct command *c)
{
	struct append *a = c->job;
	cut_flags(a);
	struct append_message m = { .flags = a->head.flags.system, .keywords = a->head.flags.keywords, .date = a->head.date_us };
	const char *why = refusal(a);
	int rc = why ? OK : incoming_new(c->session->node->service, &m.in);
	if (why)
		reply_no(c, why);
	else if (rc)
		reply_failure(c, rc);
	if (why || rc)
		return false;
	a->messages[a->n++] = m;
	a->bytes += a->head.size;
	a->wrapped = c->session->utf8_accept && !a->head.utf8;
	a->opened = 0;
	if (a->head.sync) {
		buffer_puts(c->out, "+ OK\r\n");
		c->unread = a->head.size;
		c->has_tail = true;
	}
	return true;
}

/* A literal8 (RFC 3516) is as good as any other as long as FETCH can give the message to everybody. */
static enum imap_step refuse_nul(struct command *c, bool binary)
{
	return reply_no(c, binary ? "[UNKNOWN-CTE] A message that holds NUL cannot be stored" : "[CANNOT] The message holds NUL");
}

/* All of a message came, and the line behind it. True when that announces one more, else the reply is set. */
static bool end_message(struct command *c, struct span tail)
{
	struct append *a = c->job;
	bool binary = a->head.binary, more = false;
	imap_args_init(&c->args, tail, &c->arena);
	if (!imap_append_next(&c->args, &a->head, &more))
		reply_bad_args(c);
	else if (a->unclosed)
		reply_bad(c, "A message in UTF8 ( is not closed");
	else if (incoming_size(a->messages[a->n - 1].in) == 0) /* "UTF8 ()" */
		reply_no(c, without_bytes);
	else if (more && a->replaced)
		reply_bad(c, "One message takes the place of one");
	else if (a->nul)
		refuse_nul(c, binary);
	else if (more)
		return true;
	else
		store_messages(c);
	return false;
}

static enum imap_step go_on(struct command *c)
{
	struct append *a = c->job;
	enum imap_step step;
	struct span tail;
	while ((step = command_read_literal(c, take_bytes, &tail)) == IMAP_DONE && end_message(c, tail)) {
		int rc = incoming_finish(a->messages[a->n - 1].in);
		if (rc)
			return reply_failure(c, rc);
		if (!expect_message(c))
			return IMAP_DONE;
	}
	return step;
}

/* A message may take the place of one of the same owner's only. */
static int find_place_of(struct command *c, struct append *a, struct span name)
{
	const struct view_info *info = a->replaced ? view_info(c->session->view) : NULL;
	int rc = find_target(c, name, &a->place, &a->may_create);
	if (!rc && info && a->place.account != info->account)
		return fail_with(ERR_CANNOT, "it has another owner: append and expunge instead");
	return rc;
}

/* A client that waits before it sends is told of a missing mailbox before it sends. */
static int check_target(struct command *c, const struct append *a)
{
	struct imap_session *s = c->session;
	struct tree tree;
	int rc = a->head.sync ? tree_read_path(s->node->service, a->place.account, a->place.path, &tree) : OK;
	if (rc || !a->head.sync)
		return rc;
	const struct folder *f = tree_find(&tree, a->place.path);
	rc = f && !(f->attributes & FOLDER_NOSELECT) ? OK : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return rc;
}

/* From the mailbox on. "May I?" */
static enum imap_step start(struct command *c, uint32_t uid)
{
	struct append *a = command_job(c, sizeof *a);
	struct span sent, name;
	if (!a)
		return IMAP_DONE;
	a->replaced = uid;
	if (!read_mailbox_arg(c, &sent) || !imap_sp(&c->args) || !imap_append_message(&c->args, &a->head))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (rc)
		return reply_failure(c, rc);
	if (name_is_past(name))
		return reply_past(c);
	rc = find_place_of(c, a, name);
	if (!rc)
		rc = settings_of(c->session->node->identity, a->place.account, &a->settings);
	if (!rc)
		rc = check_target(c, a);
	if (rc)
		return refuse_target(c, a, rc);
	c->cleanup = end_append;
	c->resume = go_on;
	return expect_message(c) ? go_on(c) : IMAP_DONE;
}

enum imap_step cmd_append(struct command *c)
{
	return c->has_literal ? start(c, 0) : reply_bad(c, "A mailbox and a literal expected");
}

enum imap_step cmd_replace(struct command *c)
{
	const struct imap_session *s = c->session;
	uint32_t uid;
	if (!c->has_literal)
		return reply_bad(c, "A message, a mailbox and a literal expected");
	if (!read_message(c, &uid))
		return reply_bad_args(c);
	if (view_info(s->view)->past || view_info(s->view)->read_only)
		return reply_no(c, "[CANNOT] the mailbox was opened read-only");
	if (~view_info(s->view)->rights & (RIGHT_DELETE | RIGHT_EXPUNGE))
		return reply_failure(c, fail_with(ERR_DENIED, "the owner does not allow it"));
	return uid ? start(c, uid) : reply_no(c, "There is no message of that UID");
}
