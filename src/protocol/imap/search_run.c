#include "search_run.h"

#include "clock.h"
#include "context.h"
#include "fail.h"
#include "log.h"
#include "modseq.h"
#include "reply.h"

#define SAY_SOMETHING_US (10 * SECOND_US)

void search_end(struct search_run *r)
{
	search_subject_end(&r->subject);
	ahead_drop(&r->ahead);
	arena_free(&r->memory);
	arena_free(&r->summary);
	buffer_free(&r->found);
	view_resync_free(&r->since);
}

void put_progress(struct command *c, int64_t *spoke, const char *doing, uint64_t at, uint64_t of)
{
	int64_t now = clock_mono();
	if (now - *spoke < SAY_SOMETHING_US)
		return;
	*spoke = now;
	buffer_printf(c->out, "* OK [INPROGRESS (\"%.*s\" %llu %llu)] %s\r\n", SPAN_ARG(c->tag), (unsigned long long)at,
	              (unsigned long long)of, doing);
}

static void add(struct search_run *r, uint32_t uid, int64_t change)
{
	struct found f = { uid, change };
	buffer_put(&r->found, &f, sizeof f);
}

static enum view_depth depth_of(const struct imap_search *root)
{
	enum search_round last = search_last_round(root);
	return last > ROUND_SUMMARY ? VIEW_PLACES : last > ROUND_ENTRY ? VIEW_SUMMARIES : VIEW_ENTRIES;
}

/* The summary of an entry that flags, dates and sizes could not decide. */
static int read_summary(struct search_run *r, struct search_subject *m)
{
	struct entry *e;
	size_t n;
	if (r->walk.depth == VIEW_ENTRIES) {
		arena_reset(&r->summary);
		struct imap_range range = { m->uid, m->uid };
		struct imap_set one = { &range, 1 };
		int rc = view_read_set(m->view, &one, 0, 1, depth_of(r->root), &r->summary, &e, &n);
		if (rc || n == 0)
			return rc ? rc : ERR_NOT_FOUND;
		m->entry = *e;
	}
	return mime_summary_open(m->entry.summary, &m->summary);
}

/* Its bytes will decide. They are read with those of the messages behind it, where all those were asked for. */
static int read_bytes(struct search_run *r, struct search_subject *m, struct entry *e)
{
	if (r->walk.depth != VIEW_PLACES)
		return OK;
	int rc = ahead_read(m->service, &r->ahead, e, r->n - r->i);
	m->entry.ahead = e->ahead;
	return rc;
}

/* Round by round. A message that its entry and summary cannot decide is SEARCH_LATER as long as its bytes are looked at. */
static int decide(struct command *c, struct search_run *r, struct entry *e, enum search_answer *answer)
{
	struct search_subject *m = &r->subject;
	if (r->open) {
		*answer = search_match_message(r->root, m, c->slice_ends);
		return m->failure;
	}
	struct view *v = r->view;
	*m = (struct search_subject){ .view = v, .service = c->session->node->service, .now = r->now, .uid = e->uid,
		                      .number = view_number(v, e->uid), .entry = *e, .round = ROUND_ENTRY };
	*answer = search_match(r->root, m);
	int rc = *answer == SEARCH_LATER ? read_summary(r, m) : OK;
	if (rc || *answer != SEARCH_LATER)
		return rc;
	m->round = ROUND_SUMMARY;
	*answer = search_match(r->root, m);
	if (*answer == SEARCH_LATER)
		rc = read_bytes(r, m, e);
	if (!rc && *answer == SEARCH_LATER)
		*answer = search_match_message(r->root, m, c->slice_ends);
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
static int look_at(struct command *c, struct search_run *r, struct entry *e)
{
	enum search_answer answer;
	int rc = decide(c, r, e, &answer);
	r->open = !rc && answer == SEARCH_LATER;
	if (r->open)
		return OK;
	search_subject_end(&r->subject);
	if (!rc && answer == SEARCH_YES)
		add(r, e->uid, e->change);
	return rc ? pass_over(c, e, rc) : OK;
}

/* Gives way to others. */
static int pause_search(struct command *c, struct search_run *r, uint32_t number)
{
	put_progress(c, &r->spoke, "Still searching", number, view_count(r->view));
	return SEARCH_MORE;
}

static int look_at_entries(struct command *c, struct search_run *r)
{
	for (;;) {
		while (r->i < r->n) {
			if (command_should_yield(c))
				return pause_search(c, r, view_number(r->view, r->batch[r->i].uid));
			int rc = look_at(c, r, &r->batch[r->i]);
			if (rc)
				return rc;
			r->i += !r->open;
			if (r->one_is_enough && r->found.n)
				return OK;
		}
		r->i = 0;
		int rc = entries_next(&r->walk, &r->memory, &r->batch, &r->n);
		if (rc || r->n == 0)
			return rc;
	}
}

/* Numbers alone decide: nothing is read. */
static int look_at_numbers(struct command *c, struct search_run *r)
{
	struct search_subject *m = &r->subject;
	for (; m->number <= view_count(m->view); m->number++) {
		if (m->number % 1024 == 0 && command_should_yield(c))
			return pause_search(c, r, m->number);
		m->uid = view_uid(m->view, m->number);
		if (search_match(r->root, m) == SEARCH_YES)
			add(r, m->uid, 0);
		if (r->one_is_enough && r->found.n)
			break;
	}
	return OK;
}

static bool is_numbers(const struct search_run *r)
{
	return !r->among && search_last_round(r->root) == ROUND_NUMBER;
}

int search_go_on(struct command *c, struct search_run *r)
{
	int rc = is_numbers(r) ? look_at_numbers(c, r) : look_at_entries(c, r);
	return rc == OK && !buffer_ok(&r->found) ? fail_with(ERR_UNAVAILABLE, "no memory") : rc;
}

/* What changed is asked for: the service knows where to look. */
static int plan_modseq(struct search_run *r, struct view *v, const struct imap_search *key)
{
	struct imap_set none = { 0 };
	if (key->number == 0 || r->since.changed.ranges) /* once is enough */
		return OK;
	int rc = view_resync(v, (int64_t)key->number - 1, &none, &r->since);
	if (!rc)
		r->uids = r->since.changed;
	return rc;
}

/* Among keys that must all hold, UIDs and mod-sequences say where to look, and what the entry alone decides spares reading
   summaries. */
static int plan(struct search_run *r, struct view *v)
{
	int rc = OK;
	bool and = r->root->op == SEARCH_AND;
	r->all = (struct imap_range){ 1, view_last_uid(v) };
	r->uids = (struct imap_set){ &r->all, r->all.last > 0 };
	r->walk = (struct entries){ .view = v, .uids = &r->uids, .depth = depth_of(r->root) };
	for (const struct imap_search *k = and ? r->root->child : r->root; k && !rc; k = and ? k->next : NULL) {
		if (k->op == SEARCH_UID)
			r->uids = k->set;
		if (k->op == SEARCH_MODSEQ && !r->among)
			rc = plan_modseq(r, v, k);
		if (search_last_round(k) == ROUND_ENTRY)
			r->walk.depth = VIEW_ENTRIES;
	}
	if (r->among)
		r->uids = *r->among;
	return rc;
}

static bool knows_charset(struct span name)
{
	return name.n == 0 || span_ieq(name, SPAN("UTF-8")) || span_ieq(name, SPAN("US-ASCII"));
}

int search_ready(struct command *c, const struct imap_search_query *q, struct search_run *r)
{
	struct view *v = r->view = r->view ? r->view : c->session->view;
	r->root = q->root;
	r->now = clock_now();
	r->spoke = clock_mono();
	r->subject = (struct search_subject){ .view = v, .round = ROUND_NUMBER, .number = 1 };
	int rc = search_prepare(q->root, v, &c->session->saved, r->arena ? r->arena : &c->arena);
	return rc || is_numbers(r) ? rc : plan(r, v);
}

/* False: the reply is set. */
static bool may_search(struct command *c, const struct imap_search_query *q, const struct view *v)
{
	if (q->numbers && c->session->uidonly)
		reply_uid_required(c);
	else if (q->modseq && view_info(v)->past)
		reply_bad(c, "This mailbox has no mod-sequences");
	else if (c->session->utf8_accept && q->charset.n && !span_ieq(q->charset, SPAN("UTF-8")))
		reply_bad(c, "Only UTF-8 after ENABLE UTF8=ACCEPT");
	else if (q->returns.update && context_has_tag(c->session, c->tag))
		reply_bad(c, "A result is kept up to date under this tag already");
	else if (!knows_charset(q->charset))
		reply_no(c, "[BADCHARSET (UTF-8 US-ASCII)] Only these charsets are known");
	else
		return true;
	return false;
}

bool search_begin(struct command *c, const struct imap_search_query *q, struct search_run *r)
{
	if (!may_search(c, q, r->view ? r->view : c->session->view))
		return false;
	int rc = search_ready(c, q, r);
	if (!rc && q->modseq)
		condstore_enable(c);
	c->keeps_numbers = q->numbers; /* RFC 7162, 3.2.10.2 */
	if (rc)
		reply_failure(c, rc);
	return rc == OK;
}
