#include "reply.h"

#include "fail.h"
#include "imap_quote.h"
#include "log.h"
#include "sasl.h"
#include "settings.h"
#include "tls.h"

static enum imap_step reply(struct command *c, const char *status, const char *text)
{
	buffer_reset(&c->reply);
	buffer_puts(&c->reply, status);
	buffer_puts(&c->reply, text);
	return IMAP_DONE;
}

enum imap_step reply_ok(struct command *c, const char *text)
{
	return reply(c, "OK ", text);
}

enum imap_step reply_completed(struct command *c)
{
	reply(c, "OK ", c->uid ? "UID " : "");
	buffer_puts(&c->reply, c->entry->word);
	buffer_puts(&c->reply, " completed");
	return IMAP_DONE;
}

enum imap_step reply_no(struct command *c, const char *text)
{
	return reply(c, "NO ", text);
}

enum imap_step reply_bad(struct command *c, const char *why)
{
	c->mistaken = true;
	return reply(c, "BAD ", why);
}

enum imap_step reply_uid_required(struct command *c)
{
	return reply_bad(c, "[UIDREQUIRED] Message numbers are not used after ENABLE UIDONLY");
}

enum imap_step reply_bad_args(struct command *c)
{
	return reply_bad(c, c->args.bad ? c->args.bad : "arguments make no sense");
}

/* What the client learns of an error. Where detail is set, the thread's detail was written for users. */
struct meaning {
	int error;
	const char *code, *text;
	bool detail;
};

static const struct meaning meanings[] = {
	{ ERR_NOT_FOUND, "[NONEXISTENT] ", "There is no such mailbox", false },
	{ ERR_EXISTS, "[ALREADYEXISTS] ", "There is a mailbox of that name", false },
	{ ERR_INVALID, "[CANNOT] ", "That cannot be", true },
	{ ERR_DENIED, "[NOPERM] ", "Not allowed", false },
	{ ERR_CANNOT, "[CANNOT] ", "That is not possible", true },
	{ ERR_LIMIT, "[LIMIT] ", "Over a limit", true },
	{ ERR_QUOTA, "[OVERQUOTA] ", "Over quota", false },
	{ ERR_FULL, "[UNAVAILABLE] ", "No space is left on the server, nothing was changed", false },
	{ ERR_UNAVAILABLE, "[UNAVAILABLE] ", "A store does not answer, try again later", false },
	{ ERR_CORRUPT, "[UNAVAILABLE] ", "What was asked for is damaged on the server", false },
	{ ERR_CONFLICT, "[INUSE] ", "Somebody else changed it meanwhile, try again", false },
	{ ERR_TIMEOUT, "[UNAVAILABLE] ", "It took too long, try again later", false },
	{ ERR_STOPPED, "[UNAVAILABLE] ", "The server is going down", false },
};
static const struct meaning meaning_of_others = { 0, "[SERVERBUG] ", "That failed", false };

static const struct meaning *meaning_of(int error)
{
	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (meanings[i].error == error)
			return &meanings[i];
	return &meaning_of_others;
}

/* Trouble of the server's own goes to the log with its detail; what users did wrong does not. */
static void log_failure(const struct command *c, int error)
{
	char detail[512];
	switch (error) {
	case ERR_FULL: case ERR_UNAVAILABLE: case ERR_CORRUPT: case ERR_TIMEOUT:
		log_line(LOG_WARN, "imap-failed", "session=%lld account=%lld command=%s error=%s detail=%s",
		         (long long)c->session->conn->id, (long long)c->session->account, c->entry->word, fail_name(error),
		         log_quote(detail, sizeof detail, span_of(fail_detail())));
		break;
	default:
		break;
	}
}

enum imap_step reply_failure(struct command *c, int error)
{
	const struct meaning *m = meaning_of(error);
	c->result = error;
	log_failure(c, error);
	reply(c, "NO ", m->code);
	imap_put_text(&c->reply, span_of(m->detail && *fail_detail() ? fail_detail() : m->text));
	return IMAP_DONE;
}

enum imap_step reply_target_failure(struct command *c, int error)
{
	if (error != ERR_NOT_FOUND)
		return reply_failure(c, error);
	c->result = error;
	return reply_no(c, "[TRYCREATE] There is no such mailbox");
}

void reply_with_modseq(struct command *c)
{
	struct buffer text = c->reply;
	c->reply = (struct buffer){ 0 };
	buffer_printf(&c->reply, "OK [HIGHESTMODSEQ %lld] ", (long long)view_settled(c->session->view));
	buffer_put_span(&c->reply, span_sub(buffer_span(&text), strlen("OK "), text.n));
	buffer_free(&text);
}

enum imap_step reply_past(struct command *c)
{
	return reply_no(c, "[CANNOT] the past is read-only: copy it out instead");
}

/* APPENDLIMIT without a number: the client is to ask by STATUS (RFC 7889). */
static void put_by_settings(struct buffer *b, const struct imap_session *s)
{
	struct settings settings;
	bool known = settings_of(s->node->identity, s->account, &settings) == OK;
	if (known && strcmp(settings.quota_admin, s->user) == 0)
		buffer_puts(b, " QUOTASET");
	buffer_puts(b, " APPENDLIMIT");
	if (known)
		buffer_printf(b, "=%lld", (long long)settings.message_max);
}

static void put_extensions(struct buffer *b, const struct imap_session *s)
{
	buffer_puts(b, " NAMESPACE ACL RIGHTS=texk LIST-MYRIGHTS METADATA LIST-METADATA UNSELECT IDLE UIDPLUS MOVE SPECIAL-USE CREATE-SPECIAL-USE CHILDREN CONDSTORE QRESYNC ESEARCH"
	               " LIST-EXTENDED LIST-STATUS OBJECTID STATUS=SIZE QUOTA QUOTA=RES-STORAGE"
	               " BINARY MULTIAPPEND CATENATE REPLACE COMPRESS=DEFLATE UTF8=ACCEPT MULTISEARCH SEARCHRES PARTIAL WITHIN SAVEDATE PREVIEW INPROGRESS SORT SORT=DISPLAY ESORT CONTEXT=SEARCH CONTEXT=SORT NOTIFY UIDONLY THREAD=REFERENCES THREAD=ORDEREDSUBJECT I18NLEVEL=1");
	if (session_may_leave(s))
		buffer_puts(b, " UNAUTHENTICATE");
	put_by_settings(b, s);
}

struct mechanisms {
	struct buffer *out;
	bool plain, plus; /* may passwords travel as they are; is there a TLS session to bind to? */
};

static void put_mechanism(void *ctx, const char *name, bool plain, bool plus)
{
	const struct mechanisms *m = ctx;
	if ((m->plain || !plain) && (m->plus || !plus))
		buffer_printf(m->out, " AUTH=%s", name);
}

static void put_mechanisms(struct buffer *b, const struct imap_session *s)
{
	struct scram_channel channel;
	char names[CONN_NAMES_MAX];
	struct mechanisms m = { b, session_plaintext(s), session_channel(s, &channel) };
	sasl_each(s->node->identity, conn_client_names(s->conn, names) > 0, put_mechanism, &m);
	if (!m.plain)
		buffer_puts(b, " LOGINDISABLED");
}

void put_capabilities(struct buffer *b, const struct imap_session *s)
{
	buffer_puts(b, "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE");
	if (s->state != STATE_GREETED)
		put_extensions(b, s);
	else
		put_mechanisms(b, s);
	if (s->state == STATE_GREETED && !s->conn->tls && tls_ready(s->node->tls))
		buffer_puts(b, " STARTTLS");
}
