/* The table of commands and the one door they all go through: what is logged, limited and timed is so here. */
#include "command.h"

#include <stdlib.h>

#include "annotations.h"
#include "clock.h"
#include "fail.h"
#include "log.h"
#include "metric.h"
#include "modseq.h"
#include "news.h"
#include "notify.h"
#include "reply.h"

enum {
	DRAIN_MAX = 64 << 20, /* bytes of refused literals that are read away */
	ANY = STATE_GREETED | STATE_USER | STATE_SELECTED,
	LOGGED_IN = STATE_USER | STATE_SELECTED,
};
#define SLOW_US (2 * SECOND_US)

static const struct command_entry commands[] = {
	{ "APPEND", cmd_append, LOGGED_IN, 0 },
	{ "AUTHENTICATE", cmd_authenticate, STATE_GREETED, COMMAND_SECRET },
	{ "CANCELUPDATE", cmd_cancelupdate, STATE_SELECTED, 0 },
	{ "CAPABILITY", cmd_capability, ANY, 0 },
	{ "CHECK", cmd_check, STATE_SELECTED, 0 },
	{ "CLOSE", cmd_close, STATE_SELECTED, COMMAND_NO_NEWS },
	{ "COMPRESS", cmd_compress, LOGGED_IN, COMMAND_NO_NEWS },
	{ "COPY", cmd_copy, STATE_SELECTED, COMMAND_UID },
	{ "CREATE", cmd_create, LOGGED_IN, 0 },
	{ "DELETE", cmd_delete, LOGGED_IN, 0 },
	{ "DELETEACL", cmd_deleteacl, LOGGED_IN, 0 },
	{ "ENABLE", cmd_enable, LOGGED_IN, 0 },
	{ "ESEARCH", cmd_esearch, LOGGED_IN, 0 },
	{ "EXAMINE", cmd_examine, LOGGED_IN, COMMAND_NO_NEWS },
	{ "EXPUNGE", cmd_expunge, STATE_SELECTED, COMMAND_UID | COMMAND_ENDS },
	{ "FETCH", cmd_fetch, STATE_SELECTED, COMMAND_UID | COMMAND_NUMBERS },
	{ "GETACL", cmd_getacl, LOGGED_IN, 0 },
	{ "GETMETADATA", cmd_getmetadata, LOGGED_IN, 0 },
	{ "GETQUOTA", cmd_getquota, LOGGED_IN, 0 },
	{ "GETQUOTAROOT", cmd_getquotaroot, LOGGED_IN, 0 },
	{ "ID", cmd_id, ANY, 0 },
	{ "IDLE", cmd_idle, LOGGED_IN, 0 },
	{ "LIST", cmd_list, LOGGED_IN, 0 },
	{ "LISTRIGHTS", cmd_listrights, LOGGED_IN, 0 },
	{ "LOGIN", cmd_login, STATE_GREETED, COMMAND_SECRET },
	{ "LOGOUT", cmd_logout, ANY, COMMAND_NO_NEWS },
	{ "LSUB", cmd_lsub, LOGGED_IN, 0 },
	{ "MOVE", cmd_move, STATE_SELECTED, COMMAND_UID | COMMAND_ENDS },
	{ "MYRIGHTS", cmd_myrights, LOGGED_IN, 0 },
	{ "NAMESPACE", cmd_namespace, LOGGED_IN, 0 },
	{ "NOOP", cmd_noop, ANY, 0 },
	{ "NOTIFY", cmd_notify, LOGGED_IN, 0 },
	{ "RENAME", cmd_rename, LOGGED_IN, 0 },
	{ "REPLACE", cmd_replace, STATE_SELECTED, COMMAND_UID | COMMAND_ENDS },
	{ "SEARCH", cmd_search, STATE_SELECTED, COMMAND_UID | COMMAND_NUMBERS },
	{ "SELECT", cmd_select, LOGGED_IN, COMMAND_NO_NEWS },
	{ "STARTTLS", cmd_starttls, STATE_GREETED, COMMAND_NO_NEWS },
	{ "SETACL", cmd_setacl, LOGGED_IN, 0 },
	{ "SETMETADATA", cmd_setmetadata, LOGGED_IN, 0 },
	{ "SETQUOTA", cmd_setquota, LOGGED_IN, 0 },
	{ "SORT", cmd_sort, STATE_SELECTED, COMMAND_UID | COMMAND_NUMBERS },
	{ "STATUS", cmd_status, LOGGED_IN, 0 },
	{ "STORE", cmd_store, STATE_SELECTED, COMMAND_UID | COMMAND_NUMBERS },
	{ "SUBSCRIBE", cmd_subscribe, LOGGED_IN, 0 },
	{ "THREAD", cmd_thread, STATE_SELECTED, COMMAND_UID | COMMAND_NUMBERS },
	{ "UNAUTHENTICATE", cmd_unauthenticate, LOGGED_IN, COMMAND_NO_NEWS },
	{ "UNSELECT", cmd_unselect, STATE_SELECTED, COMMAND_NO_NEWS },
	{ "UNSUBSCRIBE", cmd_unsubscribe, LOGGED_IN, 0 },
};

/* Stands in until the command is known. */
static const struct command_entry unknown = { .word = "?", .flags = COMMAND_NO_NEWS };

static const struct command_entry *find(struct span word)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (span_ieq(word, span_of(commands[i].word)))
			return &commands[i];
	return NULL;
}

/* Place of the command in the metrics; 0 is none that there is. */
static unsigned metric_of(const struct command_entry *e)
{
	return e == &unknown ? 0 : (unsigned)(e - commands) + 1;
}

void imap_metrics(struct metrics *m)
{
	_Static_assert(sizeof commands / sizeof *commands < METRIC_NAMED, "commands have places in the metrics");
	metric_name(m, METRIC_IMAP_SECONDS, 0, unknown.word);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		metric_name(m, METRIC_IMAP_SECONDS, metric_of(&commands[i]), commands[i].word);
}

static bool read_words(struct command *c, struct span *word)
{
	if (!imap_tag(&c->args, &c->tag) || !imap_sp(&c->args) || !imap_atom(&c->args, word))
		return false;
	c->uid = span_ieq(*word, SPAN("UID"));
	return !c->uid || (imap_sp(&c->args) && imap_atom(&c->args, word));
}

static enum imap_step refuse_state(struct command *c)
{
	if (c->session->state == STATE_GREETED)
		return reply_bad(c, "Log in first");
	return reply_bad(c, c->entry->states & STATE_GREETED ? "Already logged in" : "Select a mailbox first");
}

static enum imap_step begin(struct command *c, enum imap_frame_answer answer)
{
	struct span word;
	if (!read_words(c, &word))
		return reply_bad_args(c);
	const struct command_entry *e = find(word);
	if (!e || (c->uid && !(e->flags & COMMAND_UID)))
		return reply_bad(c, "Unknown command");
	if (answer == IMAP_FRAME_BAD)
		return reply_bad(c, "NUL in a command");
	c->entry = e;
	if (!(e->states & c->session->state))
		return refuse_state(c);
	if (c->session->uidonly && !c->uid && e->run != cmd_expunge && (e->flags & COMMAND_UID))
		return reply_uid_required(c);
	if (answer == IMAP_FRAME_TOO_BIG)
		return e->run == cmd_setmetadata ? reply_metadata_size(c) : reply_no(c, "[LIMIT] That literal is too big");
	int rc = c->session->view ? view_allowed(c->session->view) : OK;
	if (rc)
		return rc == ERR_NOT_FOUND ? session_mailbox_gone(c->session) : reply_failure(c, rc);
	return e->run(c);
}

void command_args(struct command *c, struct span text)
{
	imap_args_init(&c->args, text, &c->arena);
	c->args.utf8 = c->session->utf8;
}

void *command_job(struct command *c, size_t n)
{
	c->job = arena_alloc(&c->arena, n);
	if (!c->job)
		reply_failure(c, fail_with(ERR_LIMIT, "out of memory"));
	return c->job;
}

bool command_should_yield(struct command *c)
{
	return conn_flush_if_over(c->session->conn, CONN_OUTPUT_HIGH) || clock_mono() > c->slice_ends;
}

/* ---- Literals that were left in the input */

static void expect_literal(struct command *c, const struct imap_frame_event *ev)
{
	c->has_literal = true;
	c->literal = *ev;
	if (ev->sync)
		return; /* nothing follows unless the command asks for it */
	c->unread = ev->literal;
	c->has_tail = true;
}

/* Of a literal that is read away nobody wants to see the tail. */
static enum imap_step take_tail(struct command *c, const struct imap_frame_event *ev, bool more, struct span *tail)
{
	struct imap_session *s = c->session;
	if (tail)
		*tail = arena_copy(&c->arena, span_sub(s->conn->in, 0, ev->length));
	conn_consume(s->conn, ev->length);
	s->frame = (struct imap_frame){ 0 };
	c->has_literal = c->has_tail = false;
	if (more)
		expect_literal(c, ev);
	return tail && !tail->p ? session_bye(s, "Command too long") : IMAP_DONE;
}

static enum imap_step read_tail(struct command *c, struct span *tail)
{
	struct imap_session *s = c->session;
	struct imap_frame_event ev;
	s->frame.tail = true;
	enum imap_frame_answer answer = imap_frame_next(&s->frame, s->conn->in, SESSION_LITERALS_MAX, &ev);
	if (answer == IMAP_FRAME_MORE && s->conn->in.n < CONN_INPUT_MAX)
		return IMAP_MORE;
	if (answer == IMAP_FRAME_MORE || answer == IMAP_FRAME_TOO_LONG)
		return session_bye(s, "Command too long");
	return take_tail(c, &ev, answer == IMAP_FRAME_APPEND, tail);
}

enum imap_step command_read_literal(struct command *c, void (*sink)(struct command *c, struct span bytes), struct span *tail)
{
	struct conn *conn = c->session->conn;
	struct span bytes = span_sub(conn->in, 0, c->unread < SIZE_MAX ? c->unread : SIZE_MAX);
	if (bytes.n && sink)
		sink(c, bytes);
	c->unread -= bytes.n;
	conn_consume(conn, bytes.n);
	if (c->unread)
		return IMAP_MORE;
	enum imap_step step = c->has_tail ? read_tail(c, tail) : IMAP_DONE;
	if (step == IMAP_MORE && !conn->in.n) /* some clients send a literal, and what follows it apart */
		conn_acknowledge(conn);
	return step;
}

/* Many may come behind one that is refused (RFC 3502). */
static enum imap_step discard(struct command *c)
{
	while (c->unread || c->has_tail) {
		size_t before = c->session->conn->in.n;
		if (c->drained > DRAIN_MAX || c->unread > DRAIN_MAX - c->drained)
			return session_bye(c->session, "That literal is too big");
		enum imap_step step = command_read_literal(c, NULL, NULL);
		c->drained += before - c->session->conn->in.n;
		if (step != IMAP_DONE)
			return step;
	}
	return IMAP_DONE;
}

/* ---- The end of a command */

static void release(struct command *c)
{
	if (c->cleanup)
		c->cleanup(c);
	c->session->running = NULL;
	news_end(c);
	notify_end(c);
	buffer_free(&c->told);
	buffer_free(&c->reply);
	if (c->entry->flags & COMMAND_SECRET)
		explicit_bzero(c->bytes, c->text.n);
	arena_free(&c->arena);
	free(c);
}

/* IDLE lasts as long as the client likes: it is counted, its time is not. */
static void count_command(const struct command *c, int64_t us)
{
	struct metrics *m = c->session->node->metrics;
	metric_observe(m, METRIC_IMAP_SECONDS, metric_of(c->entry), c->entry->run == cmd_idle ? 0 : us);
	metric_add(m, METRIC_IMAP_REPLIES, c->mistaken ? METRIC_RESULTS : metric_result(c->result), 1);
}

static void log_command(const struct command *c)
{
	int64_t us = clock_mono() - c->began;
	count_command(c, us);
	enum log_level level = us > SLOW_US && c->entry->run != cmd_idle ? LOG_INFO : LOG_DEBUG;
	log_line(level, "imap-command", "session=%lld account=%lld command=%s%s us=%lld result=%s",
	         (long long)c->session->conn->id, (long long)c->session->account, c->uid ? "UID-" : "", c->entry->word,
	         (long long)us, c->mistaken ? "bad" : c->result ? fail_name(c->result) : "ok");
}

static void put_reply(struct command *c)
{
	if (c->tag.n)
		buffer_put_span(c->out, c->tag);
	else
		buffer_putc(c->out, '*');
	buffer_putc(c->out, ' ');
	buffer_put_span(c->out, buffer_span(&c->reply));
	buffer_puts(c->out, "\r\n");
}

/* What happened in the mailbox is told before the tagged reply. A store that does not answer now is no reason to
   hold the reply back: the news comes with a later command. */
static int tell_news(struct command *c)
{
	struct imap_session *s = c->session;
	if (!s->view || c->mistaken || (c->entry->flags & COMMAND_NO_NEWS))
		return OK;
	if (!notify_selected(s) && !(c->entry->flags & COMMAND_ENDS)) {
		put_highest_if_ahead(c);
		return OK;
	}
	return news_send(c, !c->keeps_numbers && (c->uid || !(c->entry->flags & COMMAND_NUMBERS)));
}

/* The handler is done. */
static enum imap_step is_done(struct command *c)
{
	return IMAP_DONE;
}

/* May be entered several times, until all is read and told. */
static enum imap_step finish(struct command *c)
{
	struct imap_session *s = c->session;
	c->resume = discard;
	enum imap_step step = discard(c);
	if (step != IMAP_DONE)
		return step;
	int news = tell_news(c);
	if (news == NEWS_MORE) {
		c->resume = is_done;
		return IMAP_DRAIN;
	}
	if (c->tells_modseq && s->qresync && s->view && !c->mistaken && !c->result)
		reply_with_modseq(c);
	if (!c->unasked) {
		put_reply(c);
		log_command(c);
		s->mistakes = c->mistaken ? s->mistakes + 1 : 0;
	}
	release(c);
	if (news == ERR_NOT_FOUND)
		return session_mailbox_gone(s);
	return s->mistakes < SESSION_MISTAKES_MAX ? IMAP_DONE : session_bye(s, "Too many mistakes");
}

static enum imap_step settle(struct command *c, enum imap_step step)
{
	return step == IMAP_DONE ? finish(c) : step;
}

/* ---- In and out of the door */

static struct command *new_command(struct imap_session *s, const struct command_entry *e, struct span text)
{
	struct command *c = malloc(sizeof *c + text.n);
	if (!c)
		return NULL;
	*c = (struct command){ .session = s, .out = &s->conn->out, .entry = e, .began = clock_mono(),
		               .arena.limit = COMMAND_MEMORY_MAX, .text = { c->bytes, text.n } };
	memcpy(c->bytes, text.p, text.n);
	c->slice_ends = c->began + COMMAND_SLICE_US;
	s->running = c;
	return c;
}

enum imap_step command_start(struct imap_session *s, struct span text, enum imap_frame_answer answer,
                             const struct imap_frame_event *ev)
{
	struct command *c = new_command(s, &unknown, text);
	if (!c)
		return session_bye(s, "Out of memory");
	conn_consume(s->conn, text.n);
	if (answer == IMAP_FRAME_APPEND || answer == IMAP_FRAME_TOO_BIG)
		expect_literal(c, ev);
	command_args(c, c->text);
	return settle(c, begin(c, answer));
}

static enum imap_step tell(struct command *c)
{
	return notify_tell(c, false);
}

enum imap_step command_tell(struct imap_session *s)
{
	static const struct command_entry telling = { .word = "(NOTIFY)", .flags = COMMAND_NO_NEWS };
	struct command *c = new_command(s, &telling, SPAN(""));
	if (!c)
		return session_bye(s, "Out of memory");
	c->unasked = c->uid = true;
	c->resume = tell;
	c->let_go = notify_let_go;
	return settle(c, tell(c));
}

enum imap_step command_go_on(struct imap_session *s)
{
	struct command *c = s->running;
	c->slice_ends = clock_mono() + COMMAND_SLICE_US;
	return settle(c, c->resume(c));
}

enum imap_step command_timed_out(struct imap_session *s)
{
	struct command *c = s->running;
	c->slice_ends = clock_mono() + COMMAND_SLICE_US;
	return settle(c, c->timeout(c));
}

void command_let_go(struct imap_session *s)
{
	if (s->running && s->running->let_go)
		s->running->let_go(s->running);
}

void command_abort(struct imap_session *s)
{
	if (s->running)
		release(s->running);
}
