#include "session.h"

#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "command.h"
#include "context.h"
#include "log.h"
#include "fail.h"
#include "notify.h"
#include "peer_net.h"
#include "reply.h"
#include "tally.h"

enum imap_step session_bye(struct imap_session *s, const char *why)
{
	if (!s->running || !s->running->in_literal) /* it would be taken for the end of the message */
		buffer_printf(&s->conn->out, "* BYE %s\r\n", why);
	log_line(LOG_INFO, "imap-bye", "session=%lld account=%lld peer=%s why=\"%s\"", (long long)s->conn->id,
	         (long long)s->account, s->conn->peer, why);
	return IMAP_CLOSE;
}

enum imap_step session_mailbox_gone(struct imap_session *s)
{
	if (s->view && view_purged(s->view))
		return session_bye(s, "This session has lagged behind for so long that what it stands on is purged");
	if (s->view && view_denied(s->view))
		return session_bye(s, "You may not read the selected mailbox any more");
	return session_bye(s, "The selected mailbox was deleted");
}

void session_unselect(struct imap_session *s)
{
	contexts_free(s);
	view_close(&s->view);
	free(s->mailbox);
	s->mailbox = NULL;
	free(s->saved.ranges);
	s->saved = (struct imap_set){ 0 };
	notify_reselect(s);
	conn_tell(s->conn, CONN_FOLDER, SPAN(""));
	if (s->state == STATE_SELECTED)
		s->state = STATE_USER;
}

struct actor session_actor(const struct imap_session *s)
{
	return (struct actor){ .name = s->user, .session = s->conn->id, .client = s->client };
}

/* Printable ASCII only, and only so much of it. */
static void add_word(struct imap_session *s, struct span word)
{
	enum { ROOM = sizeof "imap " + CLIENT_NAME_MAX };
	size_t n = strlen(s->client);
	if (word.n && n + 1 < ROOM)
		s->client[n++] = ' ';
	for (size_t i = 0; i < word.n && n + 1 < ROOM; i++)
		s->client[n++] = word.p[i] >= ' ' && word.p[i] < 0x7f ? word.p[i] : '?';
	s->client[n] = 0;
}

/* The peer's address without its port. */
static void add_peer(struct imap_session *s)
{
	const char *peer = s->conn->peer, *end = strrchr(peer, ':');
	size_t n = strlen(s->client);
	if (end)
		snprintf(s->client + n, sizeof s->client - n, " from %.*s", (int)(end - peer), peer);
}

void session_set_client(struct imap_session *s, struct span name, struct span version)
{
	strcpy(s->client, "imap");
	add_word(s, name);
	add_word(s, version);
	conn_tell(s->conn, CONN_CLIENT, span_trim(span_of(s->client + strlen("imap"))));
	add_peer(s);
}

bool session_channel(const struct imap_session *s, struct scram_channel *out)
{
	*out = (struct scram_channel){ 0 };
	out->exporter.n = conn_binding(s->conn, CONN_EXPORTER, out->exporter.bytes);
	out->end_point.n = conn_binding(s->conn, CONN_END_POINT, out->end_point.bytes);
	return out->exporter.n || out->end_point.n;
}

bool session_plaintext(const struct imap_session *s)
{
	return login_may_be_plain(s->node->plaintext, s->conn->tls, s->conn->local);
}

static struct span tally_key(const struct imap_session *s, char out[TALLY_KEY_MAX])
{
	char room[PEER_NET];
	struct span address = peer_net(conn_address(s->conn), room);
	size_t n = address.n < TALLY_KEY_MAX - sizeof s->account ? address.n : TALLY_KEY_MAX - sizeof s->account;
	memcpy(out, &s->account, sizeof s->account);
	memcpy(out + sizeof s->account, address.p, n);
	return span_from(out, sizeof s->account + n);
}

/* Of this machine's own addresses many users come by one program. */
static int count_session(struct imap_session *s)
{
	char key[TALLY_KEY_MAX];
	if (s->conn->local)
		return OK;
	int e = tally_add(s->node->tally, tally_key(s, key), s->node->user_max);
	s->counted = e == OK;
	return e == ERR_LIMIT ? fail_with(ERR_LIMIT, "Too many sessions of this user at this address: end some") : e;
}

static void uncount_session(struct imap_session *s)
{
	char key[TALLY_KEY_MAX];
	if (s->counted)
		tally_drop(s->node->tally, tally_key(s, key));
	s->counted = false;
}

int session_enter(struct imap_session *s, const struct login *who)
{
	s->account = who->account.id;
	int e = count_session(s);
	conn_enter(s->conn, who->account.id, who->app);
	if (!e) /* whoever ends the sessions of a login finds this one, or ended that login before */
		e = identity_login_stands(s->node->identity, who);
	if (e) {
		conn_enter(s->conn, 0, 0);
		uncount_session(s);
		s->account = 0;
		return e;
	}
	s->user = span_dup(span_of(who->account.address));
	s->state = STATE_USER;
	conn_tell(s->conn, CONN_USER, span_of(who->account.address));
	return OK;
}

static void forget_user(struct imap_session *s)
{
	notify_close(s);
	if (s->user)
		log_line(LOG_INFO, "imap-end", "session=%lld account=%lld", (long long)s->conn->id, (long long)s->account);
	uncount_session(s);
	free(s->user);
	s->user = NULL;
}

/* How long somebody who is not logged in may take for that. */
static void begin_login(struct imap_session *s)
{
	s->state = STATE_GREETED;
	s->login_until = clock_mono() + SESSION_LOGIN_US;
	conn_timeout(s->conn, SESSION_LOGIN_US);
}

void session_leave(struct imap_session *s)
{
	session_unselect(s);
	forget_user(s);
	conn_tell(s->conn, CONN_USER, SPAN(""));
	conn_enter(s->conn, 0, 0);
	session_set_client(s, (struct span){ 0 }, (struct span){ 0 });
	s->account = 0;
	s->rev2 = s->utf8_accept = s->utf8 = s->uidonly = s->condstore = s->qresync = false;
	begin_login(s);
}

bool session_may_leave(const struct imap_session *s)
{
	return s->node->unauthenticate && !conn_deflates(s->conn);
}

bool session_input_full(const struct imap_session *s)
{
	return s->conn->in.n >= (s->state == STATE_GREETED ? GREETED_INPUT_MAX : CONN_INPUT_MAX);
}

/* Frames what the client sent next and starts it. */
static enum imap_step next_command(struct imap_session *s)
{
	struct imap_frame_event ev;
	struct span in = s->conn->in;
	size_t literals = s->state == STATE_GREETED ? GREETED_LITERALS_MAX : SESSION_LITERALS_MAX;
	enum imap_frame_answer answer = imap_frame_next(&s->frame, in, literals, &ev);
	switch (answer) {
	case IMAP_FRAME_MORE:
		return session_input_full(s) ? session_bye(s, "Command too long") : IMAP_MORE;
	case IMAP_FRAME_TOO_LONG:
		return session_bye(s, "Command line too long");
	case IMAP_FRAME_CONTINUE:
		buffer_puts(&s->conn->out, "+ OK\r\n");
		return IMAP_DONE;
	default:
		s->frame = (struct imap_frame){ 0 };
		return command_start(s, span_sub(in, 0, ev.length), answer, &ev);
	}
}

/* Between commands the client hears of what it asked for (NOTIFY). */
static enum imap_step next_step(struct imap_session *s)
{
	enum imap_step step = next_command(s);
	if (step != IMAP_MORE || !s->notify || s->running)
		return step;
	return notify_due(s) ? command_tell(s) : IMAP_WAKE;
}

static int64_t patience(const struct imap_session *s)
{
	int64_t us = s->running ? 0 : notify_wait(s);
	return us ? us : SESSION_IDLE_US;
}

static void set_timeout(struct imap_session *s, enum imap_step step)
{
	s->draining = step == IMAP_DRAIN && s->state != STATE_GREETED;
	s->patient = false;
	if (s->draining)
		conn_timeout(s->conn, SESSION_READ_US);
	else if (s->state != STATE_GREETED && !(s->running && s->running->timeout))
		conn_timeout(s->conn, patience(s));
}

/* The peer does not read. */
static enum conn_next wait_for_reader(struct imap_session *s)
{
	if (s->patient) {
		session_bye(s, "Idle for too long");
		return CONN_CLOSE;
	}
	s->patient = true;
	command_let_go(s);
	conn_timeout(s->conn, SESSION_IDLE_US);
	return CONN_DRAIN;
}

/* Goes on until there is something to wait for, be it that a client which sends many commands at once and reads slowly
   should take some answers first. */
static enum conn_next run(struct imap_session *s, enum imap_step step)
{
	int64_t until = clock_mono() + COMMAND_SLICE_US;
	while (step == IMAP_DONE) {
		if ((step = s->begins) != IMAP_DONE)
			break;
		step = s->running ? command_go_on(s) : next_step(s);
		if (step == IMAP_DONE && (conn_flush_if_over(s->conn, CONN_OUTPUT_HIGH) || clock_mono() > until))
			step = IMAP_DRAIN;
	}
	set_timeout(s, step);
	switch (step) {
	case IMAP_DRAIN:
		return CONN_DRAIN;
	case IMAP_TLS:
		s->begins = IMAP_DONE;
		return CONN_TLS;
	case IMAP_DEFLATE:
		s->begins = IMAP_DONE;
		return CONN_DEFLATE;
	case IMAP_WAKE:
		return CONN_WAKE;
	case IMAP_CLOSE:
		return CONN_CLOSE;
	default:
		return CONN_MORE;
	}
}

static enum conn_next imap_open(struct conn *c)
{
	struct imap_session *s = calloc(1, sizeof *s);
	c->session = s;
	if (!s) {
		buffer_puts(&c->out, imap_protocol.refusal);
		return CONN_CLOSE;
	}
	s->conn = c;
	s->node = c->service;
	session_set_client(s, (struct span){ 0 }, (struct span){ 0 });
	begin_login(s);
	buffer_puts(&c->out, "* OK [CAPABILITY ");
	put_capabilities(&c->out, s);
	buffer_printf(&c->out, "] %s Perdura ready\r\n", s->node->host);
	return CONN_MORE;
}

static enum conn_next imap_input(struct conn *c)
{
	return run(c->session, IMAP_DONE);
}

static enum conn_next imap_timeout(struct conn *c)
{
	struct imap_session *s = c->session;
	if (s->draining)
		return wait_for_reader(s);
	if (s->running && s->running->timeout)
		return run(s, command_timed_out(s));
	if (!s->running && notify_wait(s))
		return run(s, IMAP_DONE);
	session_bye(s, s->state == STATE_GREETED ? "Too long without a login" : "Idle for too long");
	return CONN_CLOSE;
}

static void imap_shutdown(struct conn *c, const char *why)
{
	session_bye(c->session, why);
}

static void imap_close(struct conn *c)
{
	struct imap_session *s = c->session;
	if (!s)
		return;
	command_abort(s);
	contexts_free(s);
	view_close(&s->view);
	forget_user(s);
	free(s->mailbox);
	free(s->saved.ranges);
	free(s);
	c->session = NULL;
}

const struct conn_protocol imap_protocol = {
	.name = "imap",
	.refusal = "* BYE Too many connections, try again later\r\n",
	.certified = true,
	.strangers = true,
	.open = imap_open,
	.input = imap_input,
	.resume = imap_input,
	.timeout = imap_timeout,
	.shutdown = imap_shutdown,
	.close = imap_close,
};
