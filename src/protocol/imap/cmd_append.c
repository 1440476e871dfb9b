/* APPEND (with MULTIAPPEND, RFC 3502, and CATENATE, RFC 4469) and REPLACE (RFC 8508): messages go to the store as they come, through
   whatever handlers of the loop it takes, and are linked by one change when the last of them is there. What comes is one literal
   after the other; between them stand the command's words, and URLs, whose bytes come from the store. */
#include "entries.h"
#include "fail.h"
#include "folder.h"
#include "imap_catenate.h"
#include "imap_quote.h"
#include "mailbox_place.h"
#include "message.h"
#include "names.h"
#include "notify.h"
#include "reply.h"
#include "settings.h"
#include "url_source.h"

enum { APPEND_BYTES = 256 << 20 /* of all messages of one command, where it has several */ };

struct append {
	struct place place;
	bool may_create;
	uint32_t replaced; /* UID; 0: it is an APPEND */
	struct settings settings;
	struct imap_append head;    /* of the message that is coming */
	struct imap_part part;      /* of it, when it is put together */
	struct buffer url;          /* of the part, as its literal comes; until it is opened */
	struct url_source *source;  /* what it names, until it is copied */
	int failed;                 /* the copying */
	bool asked;                 /* a literal is to be taken */
	struct append_message messages[APPEND_MAX];
	size_t n;
	uint64_t bytes; /* of all of them */
	bool nul, binary; /* it holds one; it came as a literal8 */
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
	url_source_close(&a->source);
	buffer_free(&a->url);
}

static struct incoming *coming(const struct append *a)
{
	return a->messages[a->n - 1].in;
}

static struct span unwrap(struct append *a, struct span bytes, bool last)
{
	struct span open = span_of(wrapping);
	for (; bytes.n && a->opened < open.n && bytes.p[0] == open.p[a->opened]; a->opened++)
		bytes = span_sub(bytes, 1, bytes.n);
	if (a->opened < open.n && (bytes.n || last)) { /* a message like others */
		incoming_write(coming(a), span_sub(open, 0, a->opened));
		a->wrapped = false;
	} else if (last) {
		a->unclosed = !bytes.n || bytes.p[bytes.n - 1] != ')';
		bytes = span_sub(bytes, 0, bytes.n ? bytes.n - 1 : 0);
	}
	return bytes;
}

/* A failure of the store shows when the message is finished; what comes after it is read all the same. */
static void take_bytes(struct append *a, struct span bytes)
{
	if (memchr(bytes.p, 0, bytes.n))
		a->nul = true;
	incoming_write(coming(a), bytes);
}

static void take_literal(struct command *c, struct span bytes)
{
	struct append *a = c->job;
	if (a->part.kind == PART_URL)
		buffer_put_span(&a->url, bytes);
	else
		take_bytes(a, a->wrapped ? unwrap(a, bytes, bytes.n == c->unread) : bytes);
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
	int rc = incoming_finish(coming(a));
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

/* Is there room for so many bytes of the message? Nothing of one command may be stored without the rest. */
static const char *refusal(const struct append *a, uint64_t size)
{
	uint64_t has = incoming_size(coming(a)), max = (uint64_t)a->settings.message_max;
	if (size > max || has > max - size)
		return "[TOOBIG] The message is too big";
	if (a->settings.quota && a->bytes + size > (uint64_t)a->settings.quota)
		return "[OVERQUOTA] Over quota";
	return a->n > 1 && a->bytes + size > APPEND_BYTES ? "[LIMIT] Too many bytes in one APPEND: send the messages one by one" : NULL;
}

/* In what follows up to go_on(), true: there is more to take, else the reply is set. What is refused is read away by the door, if it
   comes anyway. */

static bool refuse(struct command *c, const char *why)
{
	reply_no(c, why);
	return false;
}

static bool make_room(struct command *c, uint64_t size)
{
	struct append *a = c->job;
	const char *why = refusal(a, size);
	if (why)
		return refuse(c, why);
	a->bytes += size;
	return true;
}

static bool ask_for(struct command *c, const struct imap_upload *u)
{
	struct append *a = c->job;
	a->asked = true;
	if (u->sync) {
		buffer_puts(c->out, "+ OK\r\n");
		c->unread = u->size;
		c->has_tail = true;
	}
	return true;
}

static bool expect_bytes(struct command *c, const struct imap_upload *u)
{
	struct append *a = c->job;
	a->binary |= u->binary;
	return make_room(c, u->size) && ask_for(c, u);
}

static bool begin_message(struct command *c)
{
	struct append *a = c->job;
	struct append_message m = { .flags = a->head.flags.system, .keywords = a->head.flags.keywords, .date = a->head.date_us };
	if (a->n == APPEND_MAX)
		return refuse(c, "[LIMIT] Too many messages in one APPEND: send no more than 64");
	if (!a->head.catenate && a->head.bytes.size == 0)
		return refuse(c, without_bytes);
	int rc = incoming_new(c->session->node->service, &m.in);
	if (rc)
		return reply_failure(c, rc), false;
	a->messages[a->n++] = m;
	a->part = (struct imap_part){ 0 };
	a->binary = false;
	a->wrapped = c->session->utf8_accept && !a->head.catenate && !a->head.bytes.utf8;
	a->opened = 0;
	return a->head.catenate || expect_bytes(c, &a->head.bytes);
}

/* All of it came; the words behind it are next. A literal8 (RFC 3516) is as good as any other as long as FETCH can give the message
   to everybody. */
static bool end_message(struct command *c)
{
	struct append *a = c->job;
	bool more = false;
	int rc = OK;
	if (!imap_append_next(&c->args, &a->head, &more))
		reply_bad_args(c);
	else if (a->unclosed)
		reply_bad(c, "A message in UTF8 ( is not closed");
	else if (incoming_size(coming(a)) == 0) /* "UTF8 ()", "CATENATE (TEXT {0}" */
		reply_no(c, without_bytes);
	else if (more && a->replaced)
		reply_bad(c, "One message takes the place of one");
	else if (a->nul)
		reply_no(c, a->binary ? "[UNKNOWN-CTE] A message that holds NUL cannot be stored" : "[CANNOT] The message holds NUL");
	else if (!more)
		store_messages(c);
	else if ((rc = incoming_finish(coming(a))))
		reply_failure(c, rc);
	else
		return begin_message(c);
	return false;
}

static bool refuse_url(struct command *c, struct span url, int rc)
{
	if (rc != ERR_INVALID && rc != ERR_NOT_FOUND && rc != ERR_DENIED && rc != ERR_CANNOT) {
		reply_failure(c, rc);
		return false;
	}
	c->result = rc;
	reply_no(c, "[BADURL \"");
	for (size_t i = 0; i < url.n; i++) /* a response code holds no "]" */
		buffer_putc(&c->reply, url.p[i] > ' ' && url.p[i] < 127 && !memchr("\"\\]", url.p[i], 3) ? url.p[i] : '?');
	buffer_puts(&c->reply, "\"] ");
	imap_put_text(&c->reply, span_of(fail_detail()));
	return false;
}

static bool open_url(struct command *c, struct span url)
{
	struct append *a = c->job;
	int rc = url_source_open(c, url, &a->source);
	if (rc)
		return refuse_url(c, url, rc);
	buffer_reset(&a->url);
	return make_room(c, url_source_size(a->source));
}

static bool expect_url(struct command *c, const struct imap_upload *u)
{
	return u->size == 0 || u->size > IMAP_URL_MAX ? refuse(c, "[LIMIT] A URL has 1 to 8192 bytes") : ask_for(c, u);
}

static bool next_part(struct command *c)
{
	struct append *a = c->job;
	if (!imap_part_next(&c->args, &a->part))
		return reply_bad_args(c), false;
	switch (a->part.kind) {
	case PART_TEXT: return expect_bytes(c, &a->part.text);
	case PART_URL: return a->part.comes ? expect_url(c, &a->part.text) : open_url(c, a->part.url);
	case PART_END: break;
	}
	return end_message(c);
}

static bool next(struct command *c)
{
	struct append *a = c->job;
	int rc = buffer_ok(&a->url) ? a->failed : fail_with(ERR_UNAVAILABLE, "no memory");
	if (rc)
		return reply_failure(c, rc), false;
	if (a->url.n)
		return open_url(c, buffer_span(&a->url));
	return a->head.catenate ? next_part(c) : end_message(c);
}

static enum imap_step copy_source(struct command *c)
{
	struct append *a = c->job;
	struct span bytes;
	while (!command_should_yield(c)) {
		a->failed = url_source_read(a->source, &bytes);
		if (a->failed || !bytes.n) {
			url_source_close(&a->source);
			return IMAP_DONE;
		}
		take_bytes(a, bytes);
	}
	return IMAP_DRAIN;
}

/* What the last words announced, if anything. */
static enum imap_step take(struct command *c)
{
	struct append *a = c->job;
	struct span tail;
	if (a->source)
		return copy_source(c);
	if (!a->asked)
		return IMAP_DONE;
	enum imap_step step = command_read_literal(c, take_literal, &tail);
	if (step != IMAP_DONE)
		return step;
	a->asked = false;
	command_args(c, tail);
	return IMAP_DONE;
}

static enum imap_step go_on(struct command *c)
{
	enum imap_step step;
	while ((step = take(c)) == IMAP_DONE && next(c))
		;
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

/* A client that waits before it sends is told of a missing mailbox before it sends, and nothing is copied for nothing. */
static int check_target(struct command *c, const struct append *a)
{
	struct imap_session *s = c->session;
	struct tree tree;
	if (!a->head.catenate && !a->head.bytes.sync)
		return OK;
	int rc = tree_read_path(s->node->service, a->place.account, a->place.path, &tree);
	if (rc)
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
	return begin_message(c) ? go_on(c) : IMAP_DONE;
}

enum imap_step cmd_append(struct command *c)
{
	return start(c, 0);
}

enum imap_step cmd_replace(struct command *c)
{
	const struct imap_session *s = c->session;
	uint32_t uid;
	if (!read_message(c, &uid))
		return reply_bad_args(c);
	if (view_info(s->view)->past || view_info(s->view)->read_only)
		return reply_no(c, "[CANNOT] the mailbox was opened read-only");
	if (~view_info(s->view)->rights & (RIGHT_DELETE | RIGHT_EXPUNGE))
		return reply_failure(c, fail_with(ERR_DENIED, "the owner does not allow it"));
	return uid ? start(c, uid) : reply_no(c, "There is no message of that UID");
}
