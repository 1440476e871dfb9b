/* SEARCH (and ESEARCH, RFC 4731): message numbers or UIDs of what matches. Long ones run in slices, so that they hold no
   worker for long. */
#include "ahead.h"
#include "clock.h"
#include "entries.h"
#include "fail.h"
#include "log.h"
#include "modseq.h"
#include "reply.h"
#include "search_match.h"

#define SAY_SOMETHING_US (10 * SECOND_US)

struct search {
	struct imap_search *root;
	struct imap_set uids;   /* where to look */
	struct imap_range all;
	struct entries walk;
	struct arena memory, summary;
	struct ahead ahead;     /* of the batch */
	struct entry *batch;
	size_t n, i;
	bool open;              /* the message was begun */
	struct search_subject subject;
	struct buffer found;    /* uint32_t each */
	unsigned returns;       /* of enum imap_search_return */
	bool modseq;            /* the reply names the highest of: */
	int64_t first, last, highest; /* the changes of the first and last that were found, and of all */
	struct view_resync since; /* where to look, when MODSEQ says it */
	int64_t now, spoke;
};

static void end_search(struct command *c)
{
	struct search *s = c->job;
	search_subject_end(&s->subject);
	ahead_drop(&s->ahead);
	arena_free(&s->memory);
	arena_free(&s->summary);
	buffer_free(&s->found);
	view_resync_free(&s->since);
}

static void add(struct command *c, struct search *s, uint32_t uid, int64_t change)
{
	uint32_t v = c->uid ? uid : view_number(c->session->view, uid);
	if (s->found.n == 0)
		s->first = change;
	s->last = change;
	if (change > s->highest)
		s->highest = change;
	buffer_put(&s->found, &v, sizeof v);
}

static enum view_depth depth_of(const struct imap_search *root)
{
	enum search_round last = search_last_round(root);
	return last > ROUND_SUMMARY ? VIEW_PLACES : last > ROUND_ENTRY ? VIEW_SUMMARIES : VIEW_ENTRIES;
}

/* The summary of an entry that flags, dates and sizes could not decide. */
static int read_summary(struct search *s, struct search_subject *m)
{
	struct entry *e;
	size_t n;
	if (s->walk.depth == VIEW_ENTRIES) {
		arena_reset(&s->summary);
		struct imap_range r = { m->uid, m->uid };
		struct imap_set one = { &r, 1 };
		int rc = view_read_set(m->view, &one, 0, 1, depth_of(s->root), &s->summary, &e, &n);
		if (rc || n == 0)
			return rc ? rc : ERR_NOT_FOUND;
		m->entry = *e;
	}
	return mime_summary_open(m->entry.summary, &m->summary);
}

/* Its bytes will decide. They are read with those of the messages behind it, where all those were asked for. */
static int read_bytes(struct search *s, struct search_subject *m, struct entry *e)
{
	if (s->walk.depth != VIEW_PLACES)
		return OK;
	int rc = ahead_read(m->service, &s->ahead, e, s->n - s->i);
	m->entry.ahead = e->ahead;
	return rc;
}

/* Round by round. A message that its entry and summary cannot decide is SEARCH_LATER as long as its bytes are looked at. */
static int decide(struct command *c, struct search *s, struct entry *e, enum search_answer *answer)
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
		rc = read_bytes(s, m, e);
	if (!rc && *answer == SEARCH_LATER)
		*answer = search_match_message(s->root, m, c->slice_ends);
	return rc ? rc : m->failure;
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
static int look_at(struct command *c, struct search *s, struct entry *e)
{
	enum search_answer answer;
	int rc = decide(c, s, e, &answer);
	s->open = !rc && answer == SEARCH_LATER;
	if (s->open)
		return OK;
	search_subject_end(&s->subject);
	if (!rc && answer == SEARCH_YES)
		add(c, s, e->uid, e->change);
	return rc ? pass_over(c, e, rc) : OK;
}

static void put_plain(struct command *c, const struct search *s, const uint32_t *v, size_t n)
{
	buffer_puts(c->out, "* SEARCH");
	for (size_t i = 0; i < n; i++) {
		buffer_putc(c->out, ' ');
		buffer_put_u64(c->out, v[i]);
	}
	if (s->modseq && n)
		buffer_printf(c->out, " (MODSEQ %lld)", (long long)s->highest);
	buffer_puts(c->out, "\r\n");
}

/* RFC 4731, 3.2: of the messages that are named. */
static int64_t extended_modseq(const struct search *s)
{
	switch (s->returns) {
	case SEARCH_RETURN_MIN:
		return s->first;
	case SEARCH_RETURN_MAX:
		return s->last;
	case SEARCH_RETURN_MIN | SEARCH_RETURN_MAX:
		return s->first > s->last ? s->first : s->last;
	default:
		return s->highest;
	}
}

static void put_extended(struct command *c, const struct search *s, const uint32_t *v, size_t n)
{
	struct buffer *b = c->out;
	buffer_printf(b, "* ESEARCH (TAG \"%.*s\")%s", SPAN_ARG(c->tag), c->uid ? " UID" : "");
	if (n && (s->returns & SEARCH_RETURN_MIN))
		buffer_printf(b, " MIN %u", v[0]);
	if (n && (s->returns & SEARCH_RETURN_MAX))
		buffer_printf(b, " MAX %u", v[n - 1]);
	if (n && (s->returns & SEARCH_RETURN_ALL)) {
		buffer_puts(b, " ALL ");
		imap_set_put(b, v, n);
	}
	if (s->returns & SEARCH_RETURN_COUNT)
		buffer_printf(b, " COUNT %zu", n);
	if (n && s->modseq)
		buffer_printf(b, " MODSEQ %lld", (long long)extended_modseq(s));
	buffer_puts(b, "\r\n");
}

static enum imap_step put_found(struct command *c, const struct search *s)
{
	const uint32_t *v = (const uint32_t *)(const void *)s->found.p;
	size_t n = s->found.n / sizeof *v;
	if (!buffer_ok(&s->found))
		return reply_failure(c, fail_with(ERR_UNAVAILABLE, "no memory"));
	if (s->returns)
		put_extended(c, s, v, n);
	else
		put_plain(c, s, v, n);
	return reply_completed(c);
}

/* Is one match all that is asked for? */
static bool is_enough(const struct search *s)
{
	return s->returns == SEARCH_RETURN_MIN && s->found.n > 0;
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
			if (is_enough(s))
				return put_found(c, s);
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
			add(c, s, m->uid, 0);
		if (is_enough(s))
			break;
	}
	return put_found(c, s);
}

static enum imap_step search_numbers(struct command *c, struct search *s)
{
	s->subject = (struct search_subject){ .view = c->session->view, .round = ROUND_NUMBER, .number = 1 };
	c->resume = go_on_numbers;
	return go_on_numbers(c);
}

/* What changed is asked for: the service knows where to look. */
static int plan_modseq(struct search *s, struct view *v, const struct imap_search *key)
{
	struct imap_set none = { 0 };
	if (key->number == 0 || s->since.changed.ranges) /* once is enough */
		return OK;
	int rc = view_resync(v, (int64_t)key->number - 1, &none, &s->since);
	if (!rc)
		s->uids = s->since.changed;
	return rc;
}

/* Among keys that must all hold, UIDs and mod-sequences say where to look, and what the entry alone decides spares reading
   summaries. */
static int plan(struct search *s, struct view *v)
{
	int rc = OK;
	bool and = s->root->op == SEARCH_AND;
	s->all = (struct imap_range){ 1, view_last_uid(v) };
	s->uids = (struct imap_set){ &s->all, s->all.last > 0 };
	s->walk = (struct entries){ .view = v, .uids = &s->uids, .depth = depth_of(s->root) };
	for (const struct imap_search *k = and ? s->root->child : s->root; k && !rc; k = and ? k->next : NULL) {
		if (k->op == SEARCH_UID)
			s->uids = k->set;
		if (k->op == SEARCH_MODSEQ)
			rc = plan_modseq(s, v, k);
		if (search_last_round(k) == ROUND_ENTRY)
			s->walk.depth = VIEW_ENTRIES;
	}
	return rc;
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
	if (q.modseq && !has_modseq(c))
		return reply_bad(c, "This mailbox has no mod-sequences");
	int rc = search_prepare(q.root, v, &c->arena);
	if (rc)
		return reply_failure(c, rc);
	if (q.modseq)
		condstore_enable(c);
	c->keeps_numbers = q.numbers; /* RFC 7162, 3.2.10.2 */
	*s = (struct search){ .root = q.root, .returns = q.returns, .modseq = q.modseq, .now = clock_now(),
		              .spoke = clock_mono() };
	c->cleanup = end_search;
	if (search_last_round(s->root) == ROUND_NUMBER)
		return search_numbers(c, s);
	rc = plan(s, v);
	if (rc)
		return reply_failure(c, rc);
	c->resume = go_on;
	return go_on(c);
}
