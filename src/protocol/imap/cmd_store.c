/* STORE, also with a condition (RFC 7162, 3.1.3). */
#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "imap_store.h"
#include "lines.h"
#include "modseq.h"
#include "news.h"
#include "reply.h"

struct store {
	struct imap_set uids;
	struct lines lines;
	bool silent;
	bool conditional;
	int64_t since; /* with conditional: what was changed later is left alone */
	int64_t known; /* up to here the client knows the flags */
	struct store_result result;
};

static void end_store(struct command *c)
{
	struct store *s = c->job;
	lines_end(&s->lines);
	free(s->result.modified);
}

static enum store_op op_of(enum imap_store_mode mode)
{
	return mode == IMAP_STORE_ADD ? STORE_ADD : mode == IMAP_STORE_REMOVE ? STORE_REMOVE : STORE_REPLACE;
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static bool was_refused(const struct store_result *r, uint32_t uid)
{
	return r->n_modified && bsearch(&uid, r->modified, r->n_modified, sizeof uid, compare_uids);
}

/* Are the flags of this entry what the client makes of its own copy and what it asked for? Only as long as nobody else
   came between. */
static bool is_known(const struct store *s, const struct entry *e)
{
	const struct store_result *r = &s->result;
	if (!s->silent || s->since > s->known || r->others_changed || was_refused(r, e->uid))
		return false;
	return e->change <= s->since || (r->first <= e->change && e->change <= r->last && r->changes == r->last - r->first + 1);
}

static void put_line(struct command *c, const struct entry *e)
{
	const struct store *s = c->job;
	if (is_known(s, e))
		put_modseq_line(c, e);
	else
		put_flags_line(c, e);
	news_told(c, e);
}

/* A silent STORE is answered by mod-sequences alone, to clients that know of those. */
static void put_quiet_line(struct command *c, const struct entry *e)
{
	if (c->quiet_from > e->change || e->change > c->quiet_to || !imap_set_contains(&c->quiet, e->uid))
		return;
	put_modseq_line(c, e);
	news_told(c, e);
}

/* Which of those that were named did not meet the condition. */
static enum imap_step reply_modified(struct command *c, const struct store *s)
{
	struct imap_set_writer w = { .b = &c->reply };
	reply_ok(c, "[MODIFIED ");
	for (size_t i = 0; i < s->result.n_modified; i++) {
		uint32_t uid = s->result.modified[i];
		imap_set_add(&w, c->uid ? uid : view_number(c->session->view, uid));
	}
	imap_set_finish(&w);
	buffer_puts(&c->reply, "] Changed by somebody else meanwhile");
	return IMAP_DONE;
}

static enum imap_step put_lines(struct command *c)
{
	struct store *s = c->job;
	bool quiet = s->silent && !s->conditional;
	int rc = lines_put(c, &s->lines, quiet ? put_quiet_line : put_line);
	if (rc == LINES_MORE)
		return IMAP_DRAIN;
	if (rc) /* it is stored: what cannot be read now comes with the news, be it later */
		c->quiet = (struct imap_set){ 0 };
	return s->result.n_modified ? reply_modified(c, s) : reply_completed(c);
}

/* The client takes the new flags of these as known: its own copy plus what it asked for. That holds only for messages
   that nobody else changed since it was told of them last, so they are stored on that condition; the others are stored
   without it, and their flags are told. */
static int store_silently(struct command *c, struct store_request *q, const struct actor *actor)
{
	struct view *v = c->session->view;
	struct store_result r = { 0 }, again = { 0 };
	q->has_unchanged_since = true;
	q->unchanged_since = view_change(v);
	int rc = view_store(v, q, actor, &r);
	if (!rc && r.changes && r.changes == r.last - r.first + 1) { /* else somebody came between, and too much is told */
		c->quiet = *q->uids;
		c->quiet_from = r.first;
		c->quiet_to = r.last;
	}
	struct imap_set others = { .ranges = arena_alloc(&c->arena, (r.n_modified + 1) * sizeof *others.ranges) };
	if (!rc && !others.ranges)
		rc = fail_with(ERR_LIMIT, "over a limit");
	for (size_t i = 0; !rc && i < r.n_modified; i++)
		others.ranges[others.n++] = (struct imap_range){ r.modified[i], r.modified[i] };
	q->has_unchanged_since = false;
	q->uids = &others;
	if (!rc && others.n)
		rc = view_store(v, q, actor, &again);
	free(r.modified);
	free(again.modified);
	return rc;
}

static int run(struct command *c, struct store *s, struct store_request *q)
{
	struct actor actor = session_actor(c->session);
	if (s->silent && !s->conditional)
		return store_silently(c, q, &actor);
	q->has_unchanged_since = s->conditional;
	q->unchanged_since = s->since;
	q->others_may_change = true;
	return view_store(c->session->view, q, &actor, &s->result);
}

enum imap_step cmd_store(struct command *c)
{
	struct store *s = command_job(c, sizeof *s);
	struct imap_store what;
	if (!s)
		return IMAP_DONE;
	if (!read_messages(c, &s->uids) || !imap_sp(&c->args) || !imap_store_parse(&c->args, &what))
		return reply_bad_args(c);
	if (what.has_unchangedsince && !has_modseq(c))
		return reply_bad(c, "This mailbox has no mod-sequences");
	if (what.has_unchangedsince)
		condstore_enable(c);
	struct store_request q = { .uids = &s->uids, .op = op_of(what.mode), .flags = what.flags.system,
		                   .keywords = what.flags.keywords };
	s->silent = what.silent;
	s->conditional = what.has_unchangedsince;
	s->since = (int64_t)what.unchangedsince;
	s->known = view_change(c->session->view);
	s->lines.walk = (struct entries){ .view = c->session->view, .uids = &s->uids };
	c->cleanup = end_store;
	c->resume = put_lines;
	int rc = run(c, s, &q);
	if (rc)
		return reply_failure(c, rc);
	return s->silent && !c->session->condstore ? reply_completed(c) : put_lines(c);
}
