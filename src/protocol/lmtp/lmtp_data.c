#include "fail.h"
#include "lmtp_private.h"
#include "log.h"
#include "metric.h"

enum lmtp_step lmtp_data(struct lmtp_session *s)
{
	int rc = incoming_new(s->node->service, &s->incoming);
	if (rc) {
		log_line(LOG_WARN, "lmtp-data", "session=%lld result=%s", (long long)s->conn->id, fail_name(rc));
		lmtp_reset(s);
		lmtp_reply(s, lmtp_status(rc));
		return LMTP_AGAIN;
	}
	s->dot = (struct smtp_dot){ 0 };
	s->refused = NULL;
	s->size = 0;
	s->begun = clock_mono();
	s->messages++;
	s->state = lmtp_state_body;
	lmtp_reply(s, "354 Go on, end with CRLF.CRLF");
	return LMTP_AGAIN;
}

/* The rest of the message is read and forgotten: its sender listens only at the end. */
static void refuse(struct lmtp_session *s, const char *why)
{
	s->refused = why;
	incoming_free(&s->incoming);
}

static void take_run(struct lmtp_session *s, struct span run)
{
	s->size += run.n;
	if (s->refused)
		return;
	if (s->size > s->message_max)
		refuse(s, lmtp_too_big);
	else if (memchr(run.p, 0, run.n))
		refuse(s, lmtp_has_nul);
	else
		incoming_write(s->incoming, run); /* a failure is told by incoming_finish() */
}

static void set_results(struct lmtp_session *s, int rc)
{
	for (size_t i = 0; i < s->to_n; i++)
		s->to[i].result = rc;
}

/* Every recipient gets a result of its own; none is OK unless deliver() said so. */
static void run_delivery(struct lmtp_session *s)
{
	struct actor actor = { .name = "", .session = s->conn->id, .client = "lmtp" };
	set_results(s, ERR_UNAVAILABLE);
	int rc = incoming_finish(s->incoming);
	if (rc == OK)
		rc = deliver(s->node->service, s->incoming, s->sender, s->to, s->to_n, &actor);
	if (rc)
		set_results(s, rc);
}

/* The id is what the reply carried: the log of the peer leads here. */
static void log_delivery(const struct lmtp_session *s, const struct recipient *r)
{
	char sender[256], rcpt[256], detail[256];
	bool failed = !s->refused && r->result;
	const char *result = s->refused == lmtp_has_nul ? "nul" : s->refused ? "too-big" : fail_name(r->result);
	log_line(s->refused || failed ? LOG_WARN : LOG_INFO, "deliver",
	         "session=%lld id=%llx-%u sender=%s rcpt=%s account=%lld uid=%u size=%llu result=%s%s detail=%s us=%lld",
	         (long long)s->conn->id, (unsigned long long)s->conn->id, s->messages,
	         log_quote(sender, sizeof sender, s->sender), log_quote(rcpt, sizeof rcpt, r->address), (long long)r->account,
	         r->uid, (unsigned long long)s->size, result, r->duplicate ? " duplicate=1" : "",
	         log_quote(detail, sizeof detail, span_of(failed ? fail_detail() : "")), (long long)(clock_mono() - s->begun));
}

static void count_delivery(const struct lmtp_session *s, const struct recipient *r)
{
	enum { DUPLICATE = METRIC_RESULTS, HAS_NUL, TOO_BIG };
	unsigned result = s->refused == lmtp_has_nul ? HAS_NUL : s->refused ? TOO_BIG : metric_result(r->result);
	metric_add(s->node->metrics, METRIC_DELIVERIES, r->duplicate && !result ? DUPLICATE : result, 1);
}

/* RFC 2033, 4.2: one reply for each RCPT that was accepted, in their order. */
static void answer_recipients(struct lmtp_session *s)
{
	for (size_t i = 0; i < s->to_n; i++) {
		const struct recipient *r = &s->to[i];
		const char *line = s->refused ? s->refused : lmtp_status(r->result);
		buffer_printf(&s->conn->out, "%s (%llx-%u)\r\n", line, (unsigned long long)s->conn->id, s->messages);
		log_delivery(s, r);
		count_delivery(s, r);
	}
}

static void end_message(struct lmtp_session *s)
{
	int64_t began = clock_mono();
	if (!s->refused)
		run_delivery(s);
	answer_recipients(s);
	metric_observe(s->node->metrics, METRIC_DELIVERY_SECONDS, 0, clock_mono() - began);
	metric_add(s->node->metrics, METRIC_DELIVERED_BYTES, 0, s->size);
	lmtp_reset(s);
	s->errors = s->commands = 0;
	s->state = lmtp_state_command;
	conn_timeout(s->conn, LMTP_IDLE_US);
}

/* The next bytes must come soon, and all of them within LMTP_DATA_US. */
static enum lmtp_step wait_for_more(struct lmtp_session *s)
{
	int64_t left = s->begun + LMTP_DATA_US - clock_mono();
	if (left <= 0)
		return lmtp_goodbye(s, "421 4.4.2 Timeout", "slow-message");
	conn_timeout(s->conn, left < LMTP_IDLE_US ? left : LMTP_IDLE_US);
	return LMTP_MORE;
}

enum lmtp_step lmtp_state_body(struct lmtp_session *s)
{
	struct span in = s->conn->in, run;
	enum smtp_dot_answer answer;
	while ((answer = smtp_dot_next(&s->dot, &in, &run)) == SMTP_DOT_RUN)
		take_run(s, run);
	conn_consume(s->conn, s->conn->in.n - in.n);
	if (answer == SMTP_DOT_MORE)
		return wait_for_more(s);
	end_message(s);
	return LMTP_AGAIN;
}
