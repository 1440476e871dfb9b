#include "auth_request.h"

#include <stdio.h>

#include "clock.h"
#include "fail.h"
#include "log.h"

static const char unprotected[] = "Passwords are not taken without TLS";

static int wait_until(struct auth_request *r, int64_t us, int (*go_on)(struct auth_request *r))
{
	r->due = clock_mono() + us;
	r->go_on = go_on;
	r->answering = false;
	return REQUEST_WAITS;
}

void auth_put_failure(struct conn *c, uint32_t id, struct span user, bool later, const char *reason)
{
	buffer_printf(&c->out, "FAIL\t%u", id);
	if (user.n) {
		buffer_puts(&c->out, "\tuser=");
		auth_put_escaped(&c->out, user);
	}
	if (reason)
		buffer_printf(&c->out, "\treason=%s", reason);
	buffer_puts(&c->out, later ? "\ttemp\tcode=temp_fail\n" : "\n");
}

static int refuse(struct auth_request *r)
{
	if (r->later)
		return REQUEST_LATER;
	auth_put_failure(r->conn, r->id, r->sasl.user, false, NULL);
	return REQUEST_DONE;
}

static struct span asker(const struct auth_request *r)
{
	return *r->remote ? span_of(r->remote) : conn_address(r->conn);
}

static void log_end(const struct auth_request *r, int result, int64_t account)
{
	char user[256], service[64], app[LOGIN_APP_TEXT];
	struct span peer = asker(r);
	log_line(LOG_INFO, result ? "login-failed" : "login",
		"proto=auth session=%lld account=%lld service=%s peer=%.*s user=%s%s result=%s", (long long)r->conn->id,
		(long long)account, log_quote(service, sizeof service, span_of(r->service)), SPAN_ARG(peer),
		log_quote(user, sizeof user, r->sasl.user), login_app_text(&r->who, app), result ? fail_name(result) : "ok");
}

static int wait_for_answer(struct auth_request *r)
{
	struct span challenge = sasl_challenge(&r->sasl);
	buffer_printf(&r->conn->out, "CONT\t%u\t%.*s\n", r->id, SPAN_ARG(challenge));
	wait_until(r, AUTH_ANSWER_US, refuse);
	r->answering = true;
	return REQUEST_WAITS;
}

static int succeed(struct auth_request *r)
{
	buffer_printf(&r->conn->out, "OK\t%u\tuser=", r->id);
	auth_put_escaped(&r->conn->out, span_of(r->who.account.address));
	buffer_putc(&r->conn->out, '\n');
	return REQUEST_DONE;
}

static int try_login(struct auth_request *r)
{
	int rc = sasl_login(&r->sasl, asker(r), &r->who);
	r->answer_by = r->answer_by ? r->answer_by : clock_mono() + AUTH_TURN_MAX;
	if (rc == LOGIN_WAIT && clock_mono() + r->sasl.pass.wait <= r->answer_by)
		return wait_until(r, r->sasl.pass.wait, try_login);
	if (rc == LOGIN_WAIT)
		rc = ERR_LIMIT;
	log_end(r, rc, rc ? 0 : r->who.account.id);
	if (rc) {
		r->later = rc != ERR_DENIED;
		return wait_until(r, AUTH_REFUSAL_US, refuse);
	}
	r->proved = sasl_last(&r->sasl);
	return r->proved ? wait_for_answer(r) : succeed(r);
}

int auth_request_answer(struct auth_request *r, struct span line)
{
	if (r->proved)
		return line.n == 0 || span_eq(line, SPAN("=")) ? succeed(r) : refuse(r);
	int rc = sasl_answer(&r->sasl, line);
	if (rc == OK)
		return try_login(r);
	if (rc == SASL_MORE)
		return wait_for_answer(r);
	r->later = rc != ERR_INVALID && rc != ERR_LIMIT;
	return refuse(r);
}

/* Text that goes to logs and into look-ups of addresses. */
static void keep(char *out, size_t cap, struct span s)
{
	size_t n = s.n < cap ? s.n : 0;
	for (size_t i = 0; i < n; i++)
		out[i] = s.p[i] > ' ' && s.p[i] < 0x7f ? s.p[i] : '?';
	out[n] = 0;
}

static bool is_loopback(const struct auth_request *r)
{
	struct span a = asker(r);
	return *r->remote ? span_eq(a, SPAN("::1")) || span_istarts(a, SPAN("127.")) : r->conn->local;
}

int auth_request_begin(struct auth_request *r, struct conn *c, const struct auth_ask *ask)
{
	const struct auth_node *node = c->service;
	r->conn = c;
	r->id = ask->id;
	keep(r->service, sizeof r->service, ask->service);
	keep(r->remote, sizeof r->remote, ask->remote);
	const char *reason = NULL;
	const struct sasl_client client = { .protocol = login_protocol(ask->service) };
	if (sasl_begin(&r->sasl, ask->mechanism, node->identity, &client))
		reason = "This mechanism is not spoken here";
	else if (sasl_is_plain(&r->sasl) && !login_may_be_plain(node->plaintext, ask->secured, is_loopback(r)))
		reason = unprotected;
	if (!reason)
		return ask->has_response ? auth_request_answer(r, ask->response) : wait_for_answer(r);
	auth_put_failure(c, r->id, (struct span){ 0 }, false, reason);
	return REQUEST_DONE;
}
