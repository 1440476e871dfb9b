#include "auth.h"

#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "auth_request.h"

enum {
	LINE_MAX_BYTES = 8192,
	REQUESTS_MAX = 64, /* of a connection, at a time */
};

struct auth_session {
	struct conn *conn;
	bool greeted; /* a VERSION we speak was said */
	bool lost;    /* the connection ends, for a reply that cannot be given otherwise */
	struct auth_request *requests;
	unsigned n;
};

/* ---- Requests */

static struct auth_request **find(struct auth_session *s, uint32_t id)
{
	struct auth_request **at = &s->requests;
	while (*at && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void drop(struct auth_session *s, struct auth_request **at)
{
	struct auth_request *r = *at;
	*at = r->next;
	s->n--;
	sasl_end(&r->sasl);
	free(r);
}

/* Postfix takes any FAIL for a wrong password and tells its client so, who then asks the user for another; a connection that
   ends is a temporary failure to it (454), and to Exim. So that is how one is told, unless others use the connection too. */
static void put_later(struct auth_session *s, const struct auth_request *r)
{
	if (s->n == 1)
		s->lost = true;
	else
		auth_put_failure(s->conn, r->id, r->sasl.user, true, "Temporary authentication failure");
}

/* Replies go out as they come: the next request may take its time. True when the request is gone. */
static bool settle(struct auth_session *s, struct auth_request **at, int step)
{
	if (step == REQUEST_LATER)
		put_later(s, *at);
	if (step != REQUEST_WAITS)
		drop(s, at);
	conn_flush_if_over(s->conn, 0);
	return step != REQUEST_WAITS;
}

/* ---- Commands: false ends the connection */

static bool cmd_version(struct auth_session *s, struct span args)
{
	struct span major;
	s->greeted = auth_field_next(&args, &major) && span_eq(major, SPAN("1"));
	return s->greeted;
}

static bool cmd_auth(struct auth_session *s, struct span args)
{
	struct auth_ask ask;
	if (!s->greeted || auth_ask_parse(args, &ask) || *find(s, ask.id))
		return false;
	struct auth_request *r = s->n < REQUESTS_MAX ? calloc(1, sizeof *r) : NULL;
	if (!r) {
		auth_put_failure(s->conn, ask.id, (struct span){ 0 }, true, "Too many logins at once");
		return true;
	}
	r->id = ask.id;
	r->next = s->requests;
	s->requests = r;
	s->n++;
	settle(s, &s->requests, auth_request_begin(r, s->conn, &ask));
	return true;
}

static bool cmd_cont(struct auth_session *s, struct span args)
{
	uint32_t id;
	struct span data;
	if (auth_cont_parse(args, &id, &data))
		return false;
	struct auth_request **at = find(s, id);
	if (*at && (*at)->answering) /* else it came too late */
		settle(s, at, auth_request_answer(*at, data));
	return true;
}

static bool cmd_cancel(struct auth_session *s, struct span args)
{
	uint32_t id;
	struct span data;
	if (auth_cont_parse(args, &id, &data))
		return false;
	struct auth_request **at = find(s, id);
	if (*at)
		drop(s, at);
	return true;
}

static const struct command {
	struct span word;
	bool (*run)(struct auth_session *s, struct span args);
} commands[] = {
	{ SPAN("AUTH"), cmd_auth }, { SPAN("CONT"), cmd_cont }, { SPAN("CANCEL"), cmd_cancel }, { SPAN("VERSION"), cmd_version },
};

/* What else there is (CPID) does not matter here. */
static bool run_line(struct auth_session *s, struct span line)
{
	struct span word = { 0 };
	auth_field_next(&line, &word);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (span_eq(word, commands[i].word))
			return commands[i].run(s, line);
	return true;
}

/* ---- The connection */

static enum conn_next goodbye(struct auth_session *s, const char *why)
{
	log_line(LOG_WARN, "auth-closed", "session=%lld peer=%s why=\"%s\"", (long long)s->conn->id, s->conn->peer, why);
	return CONN_CLOSE;
}

static enum conn_next wait(struct auth_session *s)
{
	int64_t due = 0, left;
	if (s->lost)
		return CONN_CLOSE;
	for (const struct auth_request *r = s->requests; r; r = r->next)
		due = due == 0 || r->due < due ? r->due : due;
	left = due - clock_mono();
	conn_timeout(s->conn, due == 0 ? 0 : left > 0 ? left : 1);
	return CONN_MORE;
}

static enum conn_next auth_input(struct conn *c)
{
	struct auth_session *s = c->session;
	struct span rest = c->in, line;
	bool fine = true;
	while (fine && !s->lost && auth_line_next(&rest, &line)) {
		fine = line.n <= LINE_MAX_BYTES && run_line(s, line);
		conn_consume(c, line.n + 1);
	}
	if (!fine)
		return goodbye(s, "a line that makes no sense");
	if (c->in.n > LINE_MAX_BYTES)
		return goodbye(s, "line too long");
	return wait(s);
}

static enum conn_next auth_timeout(struct conn *c)
{
	struct auth_session *s = c->session;
	int64_t now = clock_mono();
	for (struct auth_request **at = &s->requests, **next; *at; at = next) {
		struct auth_request *r = *at;
		next = &r->next;
		if (r->due > now)
			continue;
		if (settle(s, at, r->go_on(r)))
			next = at;
	}
	return wait(s);
}

/* Whoever asks has the TLS session, if there is one: nothing to bind to here. */
static void put_mechanism(void *ctx, const char *name, bool plain, bool plus)
{
	if (!plus)
		buffer_printf(ctx, "MECH\t%s\t%s\n", name, plain ? "plaintext" : "mutual-auth");
}

static enum conn_next auth_open(struct conn *c)
{
	unsigned char cookie[16];
	struct auth_session *s = calloc(1, sizeof *s);
	c->session = s;
	if (!s || getrandom(cookie, sizeof cookie, 0) != (ssize_t)sizeof cookie)
		return CONN_CLOSE;
	s->conn = c;
	buffer_puts(&c->out, "VERSION\t1\t2\n");
	sasl_each(((const struct auth_node *)c->service)->identity, false, put_mechanism, &c->out);
	buffer_printf(&c->out, "SPID\t%d\nCUID\t%lld\nCOOKIE\t", (int)getpid(), (long long)c->id);
	for (size_t i = 0; i < sizeof cookie; i++)
		buffer_printf(&c->out, "%02x", cookie[i]);
	buffer_puts(&c->out, "\nDONE\n");
	return CONN_MORE;
}

static void auth_shutdown(struct conn *c, const char *why)
{
}

static void auth_close(struct conn *c)
{
	struct auth_session *s = c->session;
	while (s && s->requests)
		drop(s, &s->requests);
	free(s);
	c->session = NULL;
}

const struct conn_protocol auth_protocol = {
	.name = "auth",
	.refusal = "",
	.open = auth_open,
	.input = auth_input,
	.resume = auth_input,
	.timeout = auth_timeout,
	.shutdown = auth_shutdown,
	.close = auth_close,
};
