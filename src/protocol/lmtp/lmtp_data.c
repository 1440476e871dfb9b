#include "fail.h"
#include "lmtp_private.h"
#include "log.h"
#include "metric.h"

/* NULL, or the line that says why no message can be taken now. */
static const char *begin(struct lmtp_session *s)
{
	int rc = incoming_new(s->node->service, &s->incoming);
	if (rc) {
		log_line(LOG_WARN, "lmtp-data", "session=%lld result=%s", (long long)s->conn->id, fail_name(rc));
		return lmtp_status(rc);
	}
	s->dot = (struct smtp_dot){ 0 };
	s->refused = NULL;
	s->size = 0;
	s->begun = clock_mono();
	s->messages++;
	return NULL;
}

enum lmtp_step lmtp_data(struct lmtp_session *s)
{
	const char *why = begin(s);
	if (why) {
		lmtp_reset(s);
		lmtp_reply(s, why);
		return LMTP_AGAIN;
	}
	s->state = lmtp_state_body;
	lmtp_reply(s, "354 Go on, end with CRLF.CRLF");
	return LMTP_AGAIN;
}

enum lmtp_step lmtp_chunk(struct lmtp_session *s, struct smtp_chunk chunk, const char *refused)
{
	if (!refused && !s->chunked)
		refused = begin(s);
	if (refused)
		s->begun = clock_mono();
	else
		s->chunked = true;
	s->chunk = chunk.size;
	s->last = chunk.last;
	s->chunk_refused = refused;
	s->state = lmtp_state_chunk;
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

/* Which of two replies an alias gets whose accounts have different ones: trying again does no harm to those who have it
   already, and a refusal must be heard of. */
static bool is_worse(const char *a, const char *b)
{
	return *b != '4' && (*a == '4' || (*a == '5' && *b == '2'));
}

static const char *answer_to(const struct lmtp_session *s, const struct lmtp_rcpt *r)
{
	const char *line = lmtp_status(s->to[r->first].result);
	for (size_t i = 1; i < r->n; i++) {
		const char *other = lmtp_status(s->to[r->first + i].result);
		if (is_worse(other, line))
			line = other;
	}
	return line;
}

/* RFC 2033, 4.2: one reply for each RCPT that was accepted, in their order. */
static void answer_recipients(struct lmtp_session *s)
{
	for (size_t i = 0; i < s->rcpt_n; i++) {
		const char *line = s->refused ? s->refused : answer_to(s, &s->rcpt[i]);
		buffer_printf(&s->conn->out, "%s (%llx-%u)\r\n", line, (unsigned long long)s->conn->id, s->messages);
	}
	for (size_t i = 0; i < s->to_n; i++) {
		log_delivery(s, &s->to[i]);
		count_delivery(s, &s->to[i]);
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

/* The chunk is whole. */
static enum lmtp_step end_chunk(struct lmtp_session *s)
{
	s->state = lmtp_state_command;
	conn_timeout(s->conn, LMTP_IDLE_US);
	if (s->chunk_refused)
		return lmtp_mistake(s, s->chunk_refused);
	if (s->last) {
		end_message(s);
	} else if (s->refused) {
		lmtp_reply(s, s->refused);
		lmtp_reset(s);
	} else {
		lmtp_reply(s, "250 2.0.0 Go on");
	}
	return LMTP_AGAIN;
}

enum lmtp_step lmtp_state_chunk(struct lmtp_session *s)
{
	struct span run = s->conn->in;
	if (run.n > s->chunk)
		run.n = (size_t)s->chunk;
	if (run.n && !s->chunk_refused)
		take_run(s, run);
	s->chunk -= run.n;
	conn_consume(s->conn, run.n);
	return s->chunk ? wait_for_more(s) : end_chunk(s);
}
