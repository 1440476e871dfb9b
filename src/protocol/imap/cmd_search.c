/* SEARCH: message numbers or UIDs of what matches. Long ones run in slices, so that they hold no worker for long. */
#include "clock.h"
#include "entries.h"
#include "fail.h"
#include "log.h"
#include "reply.h"
#include "search_match.h"

#define SAY_SOMETHING_US (10 * SECOND_US)

struct search {
	struct imap_search *root;
	struct imap_set uids;   /* where to look */
	struct imap_range all;
	struct entries walk;
	struct arena memory, summary;
	struct entry *batch;
	size_t n, i;
	bool open;              /* the message was begun */
	struct search_subject subject;
	struct buffer found;    /* uint32_t each */
	int64_t now, spoke;
};

static void end_search(struct command *c)
{
	struct search *s = c->job;
	search_subject_end(&s->subject);
	arena_free(&s->memory);
	arena_free(&s->summary);
	buffer_free(&s->found);
}

static void add(struct command *c, struct search *s, uint32_t uid)
{
	uint32_t v = c->uid ? uid : view_number(c->session->view, uid);
	buffer_put(&s->found, &v, sizeof v);
}

/* The summary of an entry that flags, dates and sizes could not decide. */
static int read_summary(struct search *s, struct search_subject *m)
{
	struct entry *e;
	size_t n;
	if (!s->walk.summaries) {
		arena_reset(&s->summary);
		int rc = view_read(m->view, m->uid, m->uid, 1, true, &s->summary, &e, &n);
		if (rc || n == 0)
			return rc ? rc : ERR_NOT_FOUND;
		m->entry = *e;
	}
	return mime_summary_open(m->entry.summary, &m->summary);
}

/* Round by round. A message that its entry and summary cannot decide is SEARCH_LATER as long as its bytes are looked at. */
static int decide(struct command *c, struct search *s, const struct entry *e, enum search_answer *answer)
{
	struct search_subject *m = &s->subject;
	if (s->open) {
		*answer = search_match_message(s->root, m, c->slice_ends);
		return m->failure;
	}
	struct view *v = c->session->view;
	*m = (struct search_subject){ .view = v, .service = c->session->node->service, .now = s->now, .uid = e->uid,
		                      .number = view_number(v, e->uid), .entry = *e, .round = ROUND_ENTRY };
	*answer = search_match(s->root, m);
	int rc = *answer == SEARCH_LATER ? read_summary(s, m) : OK;
	if (rc || *answer != SEARCH_LATER)
		return rc;
	m->round = ROUND_SUMMARY;
	*answer = search_match(s->root, m);
	if (*answer == SEARCH_LATER)
		*answer = search_match_message(s->root, m, c->slice_ends);
	return m->failure;
}

static int pass_over(struct command *c, const struct entry *e, int rc)
{
	char detail[512];
	if (rc == ERR_NOT_FOUND) /* purged meanwhile */
		return OK;
	log_line(LOG_ERROR, "imap-search-damaged", "session=%lld account=%lld email=%lld error=%s detail=%s",
	         (long long)c->session->conn->id, (long long)c->session->account, (long long)e->email, fail_name(rc),
	         log_quote(detail, sizeof detail, span_of(fail_detail())));
	return rc == ERR_CORRUPT ? OK : rc;
}

/* A damaged message does not match, and the log knows it. */
static int look_at(struct command *c, struct search *s, const struct entry *e)
{
	enum search_answer answer;
	int rc = decide(c, s, e, &answer);
	s->open = !rc && answer == SEARCH_LATER;
	if (s->open)
		return OK;
	search_subject_end(&s->subject);
	if (!rc && answer == SEARCH_YES)
		add(c, s, e->uid);
	return rc ? pass_over(c, e, rc) : OK;
}

static enum imap_step put_found(struct command *c, const struct search *s)
{
	const uint32_t *v = (const uint32_t *)(const void *)s->found.p;
	buffer_puts(c->out, "* SEARCH");
	for (size_t i = 0; i < s->found.n / sizeof *v; i++) {
		buffer_putc(c->out, ' ');
		buffer_put_u64(c->out, v[i]);
	}
	buffer_puts(c->out, "\r\n");
	return reply_completed(c);
}

/* Gives way to others; now and then it says that it is still at work. */
static enum imap_step pause_search(struct command *c, struct search *s)
{
	int64_t now = clock_mono();
	if (now - s->spoke > SAY_SOMETHING_US) {
		buffer_puts(c->out, "* OK Still searching\r\n");
		s->spoke = now;
	}
	return IMAP_DRAIN;
}

static enum imap_step go_on(struct command *c)
{
	struct search *s = c->job;
	for (;;) {
		while (s->i < s->n) {
			if (command_should_yield(c))
				return pause_search(c, s);
			int rc = look_at(c, s, &s->batch[s->i]);
			if (rc)
				return reply_failure(c, rc);
			s->i += !s->open;
		}
		s->i = 0;
		int rc = entries_next(&s->walk, &s->memory, &s->batch, &s->n);
		if (rc)
			return reply_failure(c, rc);
		if (s->n == 0)
			return put_found(c, s);
	}
}

/* Numbers alone decide: nothing is read. */
static enum imap_step go_on_numbers(struct command *c)
{
	struct search *s = c->job;
	struct search_subject *m = &s->subject;
	for (; m->number <= view_count(m->view); m->number++) {
		if (m->number % 1024 == 0 && command_should_yield(c))
			return pause_search(c, s);
		m->uid = view_uid(m->view, m->number);
		if (search_match(s->root, m) == SEARCH_YES)
			add(c, s, m->uid);
	}
	return put_found(c, s);
}

static enum imap_step search_numbers(struct command *c, struct search *s)
{
	s->subject = (struct search_subject){ .view = c->session->view, .round = ROUND_NUMBER, .number = 1 };
	c->resume = go_on_numbers;
	return go_on_numbers(c);
}

/* Among keys that must all hold, UIDs say where to look, and what the entry alone decides spares reading summaries. */
static void plan(struct search *s, struct view *v)
{
	bool and = s->root->op == SEARCH_AND;
	s->all = (struct imap_range){ 1, view_last_uid(v) };
	s->uids = (struct imap_set){ &s->all, s->all.last > 0 };
	s->walk = (struct entries){ .view = v, .uids = &s->uids, .summaries = search_last_round(s->root) > ROUND_ENTRY };
	for (const struct imap_search *k = and ? s->root->child : s->root; k; k = and ? k->next : NULL) {
		if (k->op == SEARCH_UID)
			s->uids = k->set;
		if (search_last_round(k) == ROUND_ENTRY)
			s->walk.summaries = false;
	}
}

static bool knows_charset(struct span name)
{
	return name.n == 0 || span_ieq(name, SPAN("UTF-8")) || span_ieq(name, SPAN("US-ASCII"));
}

enum imap_step cmd_search(struct command *c)
{
	struct view *v = c->session->view;
	struct search *s = command_job(c, sizeof *s);
	struct imap_search_query q;
	if (!s)
		return IMAP_DONE;
	if (!imap_sp(&c->args) || !imap_search_parse(&c->args, &q))
		return reply_bad_args(c);
	if (!knows_charset(q.charset))
		return reply_no(c, "[BADCHARSET (UTF-8 US-ASCII)] Only these charsets are known");
	int rc = search_prepare(q.root, v, &c->arena);
	if (rc)
		return rc == ERR_INVALID ? reply_bad(c, fail_detail()) : reply_failure(c, rc);
	*s = (struct search){ .root = q.root, .now = clock_now(), .spoke = clock_mono() };
	c->cleanup = end_search;
	if (search_last_round(s->root) == ROUND_NUMBER)
		return search_numbers(c, s);
	plan(s, v);
	c->resume = go_on;
	return go_on(c);
}
