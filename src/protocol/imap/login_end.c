#include "login_end.h"

#include "clock.h"
#include "fail.h"
#include "log.h"

#define WRONG_DELAY_US (2 * SECOND_US)

static const char wrong[] = "[AUTHENTICATIONFAILED] Wrong user or password";

enum imap_step login_refuse_plaintext(struct command *c)
{
	return reply_no(c, "[PRIVACYREQUIRED] Passwords are not taken on this connection without TLS");
}

static void log_login(const struct command *c, const char *event, struct span user, const struct login *who, int result)
{
	const struct imap_session *s = c->session;
	char text[256], app[LOGIN_APP_TEXT];
	log_line(LOG_INFO, event, "proto=imap session=%lld account=%lld peer=%s tls=%s user=%s%s result=%s",
	         (long long)s->conn->id, (long long)s->account, s->conn->peer, s->conn->tls ? s->conn->tls : "none",
	         log_quote(text, sizeof text, user), login_app_text(who, app), result ? fail_name(result) : "ok");
}

enum imap_step login_enter(struct command *c, const struct login *who, struct span user)
{
	struct imap_session *s = c->session;
	int e = session_enter(s, who);
	if (e) {
		log_login(c, "login-failed", user, who, e);
		return e == ERR_DENIED ? reply_no(c, wrong) : reply_failure(c, e);
	}
	log_login(c, "login", user, who, OK);
	reply_ok(c, "[CAPABILITY ");
	put_capabilities(&c->reply, s);
	buffer_puts(&c->reply, "] Logged in");
	return IMAP_DONE;
}

/* Nothing the client sends meanwhile is looked at. */
static enum imap_step wait(struct command *c)
{
	return session_input_full(c->session) ? session_bye(c->session, "Command too long") : IMAP_MORE;
}

static enum imap_step refuse(struct command *c)
{
	struct imap_session *s = c->session;
	int64_t left = s->login_until - clock_mono();
	conn_timeout(s->conn, left > 1 ? left : 1);
	c->timeout = NULL;
	if (c->result != ERR_DENIED)
		return IMAP_DONE;
	if (++s->wrong_logins >= SESSION_LOGINS_MAX) {
		buffer_put_span(c->out, c->tag);
		buffer_printf(c->out, " NO %s\r\n", wrong);
		return session_bye(s, "Too many failed logins");
	}
	return reply_no(c, wrong);
}

static enum imap_step end(struct command *c, int result, const struct login *who, struct span user)
{
	struct login_job *job = c->job;
	if (result == OK)
		return job->prove ? job->prove(c, who) : login_enter(c, who, user);
	log_login(c, "login-failed", user, who, result);
	c->result = result;
	if (result != ERR_DENIED) /* said after the delay too: who asks at once again makes it worse */
		reply_failure(c, result);
	conn_timeout(c->session->conn, WRONG_DELAY_US);
	c->resume = wait;
	c->timeout = refuse;
	return IMAP_MORE;
}

enum imap_step login_try(struct command *c)
{
	struct login_job *job = c->job;
	struct login who;
	int rc = job->attempt(c, conn_address(c->session->conn), &who);
	if (rc != LOGIN_WAIT)
		return end(c, rc, &who, job->user);
	conn_timeout(c->session->conn, job->pass.wait);
	c->resume = wait;
	c->timeout = login_try;
	return IMAP_MORE;
}
