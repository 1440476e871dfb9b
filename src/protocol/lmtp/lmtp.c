#include "lmtp.h"

#include <stdlib.h>

#include "lmtp_private.h"
#include "log.h"

void lmtp_reply(struct lmtp_session *s, const char *line)
{
	buffer_puts(&s->conn->out, line);
	buffer_puts(&s->conn->out, "\r\n");
}

enum lmtp_step lmtp_goodbye(struct lmtp_session *s, const char *line, const char *why)
{
	lmtp_reply(s, line);
	log_line(LOG_WARN, "lmtp-closed", "session=%lld peer=%s why=%s", (long long)s->conn->id, s->conn->peer, why);
	return LMTP_CLOSE;
}

enum lmtp_step lmtp_mistake(struct lmtp_session *s, const char *line)
{
	if (++s->errors > LMTP_ERRORS_MAX)
		return lmtp_goodbye(s, "421 4.7.0 Too many errors", "errors");
	lmtp_reply(s, line);
	return LMTP_AGAIN;
}

void lmtp_reset(struct lmtp_session *s)
{
	incoming_free(&s->incoming);
	free(s->to);
	free(s->rcpt);
	s->to = NULL;
	s->rcpt = NULL;
	s->to_n = s->to_cap = s->rcpt_n = s->rcpt_cap = 0;
	s->sender = (struct span){ 0 };
	s->has_mail = s->chunked = false;
	s->refused = NULL;
	arena_free(&s->arena); /* an idle session keeps no memory for its next transaction */
}

enum lmtp_step lmtp_state_skip(struct lmtp_session *s)
{
	struct conn *c = s->conn;
	const char *lf = c->in.n ? memchr(c->in.p, '\n', c->in.n) : NULL;
	size_t n = lf ? (size_t)(lf - c->in.p) + 1 : c->in.n;
	conn_consume(c, n);
	s->skipped += n;
	if (s->skipped > LMTP_SKIP_MAX)
		return lmtp_goodbye(s, "421 4.7.0 Line too long", "line-too-long");
	if (!lf)
		return LMTP_MORE;
	s->state = lmtp_state_command;
	return lmtp_mistake(s, "500 5.5.2 Line too long");
}

static enum lmtp_step skip_line(struct lmtp_session *s)
{
	s->skipped = 0;
	s->state = lmtp_state_skip;
	return LMTP_AGAIN;
}

/* The line stays in the input until it was run: what it says is not copied. */
enum lmtp_step lmtp_state_command(struct lmtp_session *s)
{
	struct span rest = s->conn->in, line = { 0 };
	enum smtp_line_answer answer = smtp_line_next(&rest, &line);
	size_t taken = s->conn->in.n - rest.n;
	if (answer == SMTP_LINE_MORE && rest.n <= LMTP_LINE_MAX)
		return LMTP_MORE;
	if (answer == SMTP_LINE_MORE || taken > LMTP_LINE_MAX)
		return skip_line(s);
	conn_timeout(s->conn, LMTP_IDLE_US); /* only whole lines count: who sends a byte now and then is timed out */
	enum lmtp_step step;
	if (answer == SMTP_LINE_BAD)
		step = lmtp_mistake(s, "500 5.5.2 A line ends in CRLF and holds no CR, LF or NUL before that");
	else
		step = lmtp_command(s, line);
	conn_consume(s->conn, taken);
	return step;
}

static enum conn_next lmtp_open(struct conn *c)
{
	struct lmtp_session *s = calloc(1, sizeof *s);
	c->session = s;
	if (!s) {
		buffer_puts(&c->out, lmtp_protocol.refusal);
		return CONN_CLOSE;
	}
	s->conn = c;
	s->node = c->service;
	s->state = lmtp_state_command;
	s->arena.limit = LMTP_ENVELOPE_MAX;
	buffer_printf(&c->out, "220 %s LMTP Perdura\r\n", s->node->host);
	conn_timeout(c, LMTP_IDLE_US);
	return CONN_MORE;
}

static enum conn_next lmtp_input(struct conn *c)
{
	struct lmtp_session *s = c->session;
	enum lmtp_step step;
	do
		step = s->state(s);
	while (step == LMTP_AGAIN);
	return step == LMTP_CLOSE ? CONN_CLOSE : step == LMTP_TLS ? CONN_TLS : CONN_MORE;
}

static enum conn_next lmtp_timeout(struct conn *c)
{
	lmtp_goodbye(c->session, "421 4.4.2 Timeout", "timeout");
	return CONN_CLOSE;
}

static void lmtp_shutdown(struct conn *c, const char *why)
{
	buffer_printf(&c->out, "421 4.3.2 %s\r\n", why);
}

static void lmtp_close(struct conn *c)
{
	struct lmtp_session *s = c->session;
	if (!s)
		return;
	if (s->state == lmtp_state_body || s->chunked)
		log_line(LOG_WARN, "lmtp-dropped", "session=%lld peer=%s size=%llu", (long long)c->id, c->peer,
		         (unsigned long long)s->size);
	lmtp_reset(s);
	free(s);
	c->session = NULL;
}

const struct conn_protocol lmtp_protocol = {
	.name = "lmtp",
	.refusal = "421 4.3.2 Too many connections, try again later\r\n",
	.open = lmtp_open,
	.input = lmtp_input,
	.resume = lmtp_input,
	.timeout = lmtp_timeout,
	.shutdown = lmtp_shutdown,
	.close = lmtp_close,
};
