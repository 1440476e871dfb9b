/* AUTHENTICATE with PLAIN and LOGIN, also with an initial response (RFC 4959). */
#include "fail.h"
#include "login_end.h"
#include "sasl.h"

static void forget(struct command *c)
{
	sasl_end(c->job);
}

static enum imap_step challenge(struct command *c)
{
	buffer_puts(c->out, "+ ");
	buffer_put_span(c->out, sasl_challenge(c->job));
	buffer_puts(c->out, "\r\n");
	return IMAP_MORE;
}

static enum imap_step take_answer(struct command *c, struct span line)
{
	struct sasl *sasl = c->job;
	struct imap_session *s = c->session;
	struct account who;
	int rc = sasl_answer(sasl, line);
	if (rc == SASL_MORE)
		return challenge(c);
	if (rc != OK)
		return reply_bad(c, span_eq(line, SPAN("*")) ? "Authentication cancelled" : "No answer to the challenge");
	rc = sasl_login(sasl, s->node->identity, login_peer(s), &who);
	return login_end(c, rc, &who, sasl->user);
}

static enum imap_step read_line(struct command *c)
{
	struct conn *conn = c->session->conn;
	ssize_t lf = span_find(conn->in, '\n');
	if (lf < 0)
		return conn->in.n <= SASL_LINE_MAX + 2 ? IMAP_MORE : session_bye(c->session, "Line too long");
	struct span line = span_sub(conn->in, 0, (size_t)lf);
	if (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	conn_consume(conn, (size_t)lf + 1);
	return take_answer(c, line);
}

enum imap_step cmd_authenticate(struct command *c)
{
	struct span mechanism, initial = { 0 };
	if (!imap_sp(&c->args) || !imap_atom(&c->args, &mechanism))
		return reply_bad_args(c);
	bool has_initial = imap_peek(&c->args, ' ');
	if (has_initial && (!imap_sp(&c->args) || !imap_astring(&c->args, &initial)))
		return reply_bad_args(c);
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	if (!session_plaintext(c->session))
		return login_refuse_plaintext(c);
	if (!command_job(c, sizeof(struct sasl)))
		return IMAP_DONE;
	if (sasl_begin(c->job, mechanism) != OK)
		return reply_no(c, "[CANNOT] Only PLAIN and LOGIN are spoken here");
	c->cleanup = forget;
	c->resume = read_line;
	return has_initial ? take_answer(c, initial) : challenge(c);
}
