/* AUTHENTICATE with the mechanisms of sasl.h, also with an initial response (RFC 4959). */
#include "fail.h"
#include "login_end.h"
#include "sasl.h"

_Static_assert((int)CONN_NAMES_MAX <= (int)SASL_NAMES, "SASL takes all names that a certificate may hold");

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

static int attempt(struct command *c, struct span peer, struct login *who)
{
	struct login_job *job = c->job;
	int rc = sasl_login(&job->sasl, peer, who);
	job->pass = job->sasl.pass;
	return rc;
}

static enum imap_step read_last(struct command *c);

/* The client has proved that it knows the password; now the server does. */
static enum imap_step prove(struct command *c, const struct login *who)
{
	struct login_job *job = c->job;
	job->who = *who;
	c->timeout = NULL;
	c->resume = read_last;
	return challenge(c);
}

static enum imap_step take_answer(struct command *c, struct span line)
{
	struct login_job *job = c->job;
	int rc = sasl_answer(&job->sasl, line);
	if (rc == SASL_MORE)
		return challenge(c);
	if (rc != OK && rc != ERR_INVALID && rc != ERR_LIMIT)
		return reply_failure(c, rc);
	if (rc != OK)
		return reply_bad(c, span_eq(line, SPAN("*")) ? "Authentication cancelled" : "No answer to the challenge");
	job->user = job->sasl.user;
	job->attempt = attempt;
	job->prove = sasl_last(&job->sasl) ? prove : NULL;
	return login_try(c);
}

/* OK and the line; SASL_MORE: it is not here yet; ERR_LIMIT: it never ends. It is consumed with the next call. */
static int next_line(struct command *c, struct span *line)
{
	struct conn *conn = c->session->conn;
	ssize_t lf = span_find(conn->in, '\n');
	if (lf < 0)
		return conn->in.n <= SASL_LINE_MAX + 2 ? SASL_MORE : ERR_LIMIT;
	*line = span_sub(conn->in, 0, (size_t)lf);
	if (line->n && line->p[line->n - 1] == '\r')
		line->n--;
	conn_consume(conn, (size_t)lf + 1);
	return OK;
}

static enum imap_step read_then(struct command *c, enum imap_step (*take)(struct command *c, struct span line))
{
	struct span line;
	int rc = next_line(c, &line);
	if (rc == SASL_MORE)
		return IMAP_MORE;
	return rc ? session_bye(c->session, "Line too long") : take(c, line);
}

static enum imap_step read_line(struct command *c)
{
	return read_then(c, take_answer);
}

static enum imap_step take_last(struct command *c, struct span line)
{
	struct login_job *job = c->job;
	return line.n ? reply_bad(c, "An empty line was expected") : login_enter(c, &job->who, job->user);
}

static enum imap_step read_last(struct command *c)
{
	return read_then(c, take_last);
}

/* What is not spoken here, or not without TLS, is refused before the client says anything. */
static enum imap_step begin(struct command *c, struct span mechanism)
{
	struct imap_session *s = c->session;
	struct scram_channel channel;
	char names[CONN_NAMES_MAX];
	struct sasl_client client = { .protocol = LOGIN_IMAP, .names = span_from(names, conn_client_names(s->conn, names)) };
	if (session_channel(s, &channel))
		client.channel = &channel;
	if (sasl_begin(sasl_of(c), mechanism, s->node->identity, &client) != OK)
		return reply_no(c, "[CANNOT] This mechanism is not spoken here: see CAPABILITY");
	return sasl_is_plain(sasl_of(c)) && !session_plaintext(s) ? login_refuse_plaintext(c) : IMAP_MORE;
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
	if (!command_job(c, sizeof(struct login_job)) || begin(c, mechanism) == IMAP_DONE)
		return IMAP_DONE;
	c->cleanup = forget;
	c->resume = read_line;
	return has_initial ? take_answer(c, initial) : challenge(c);
}
