/* AUTHENTICATE with PLAIN and LOGIN, also with an initial response (RFC 4959). */
#include "fail.h"
#include "login_end.h"
#include "sasl.h"

static struct sasl *sasl_of(const struct command *c)
{
	return &((struct login_job *)c->job)->sasl;
}

static void forget(struct command *c)
{
	sasl_end(sasl_of(c));
}

static enum imap_step challenge(struct command *c)
{
	buffer_puts(c->out, "+ ");
	buffer_put_span(c->out, sasl_challenge(sasl_of(c)));
	buffer_puts(c->out, "\r\n");
	return IMAP_MORE;
}

static int attempt(struct command *c, struct span peer, struct account *who)
{
	struct login_job *job = c->job;
	int rc = sasl_login(&job->sasl, c->session->node->identity, peer, who);
	job->pass = job->sasl.pass;
	return rc;
}

static enum imap_step take_answer(struct command *c, struct span line)
{
	struct login_job *job = c->job;
	int rc = sasl_answer(&job->sasl, line);
	if (rc == SASL_MORE)
		return challenge(c);
	if (rc != OK)
		return reply_bad(c, span_eq(line, SPAN("*")) ? "Authentication cancelled" : "No answer to the challenge");
	job->user = job->sasl.user;
	job->attempt = attempt;
	return login_try(c);
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
	if (!command_job(c, sizeof(struct login_job)))
		return IMAP_DONE;
	if (sasl_begin(sasl_of(c), mechanism) != OK)
		return reply_no(c, "[CANNOT] Only PLAIN and LOGIN are spoken here");
	c->cleanup = forget;
	c->resume = read_line;
	return has_initial ? take_answer(c, initial) : challenge(c);
}
