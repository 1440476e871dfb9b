#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "imap_store.h"
#include "news.h"
#include "reply.h"

static enum store_op op_of(enum imap_store_mode mode)
{
	return mode == IMAP_STORE_ADD ? STORE_ADD : mode == IMAP_STORE_REMOVE ? STORE_REMOVE : STORE_REPLACE;
}

/* One line for each message that was named, whether it changed or not. */
struct lines {
	struct imap_set uids;
	struct entries walk;
	struct arena batch;
	struct entry *e;
	size_t n, i;
};

static void end_lines(struct command *c)
{
	struct lines *l = c->job;
	arena_free(&l->batch);
}

static enum imap_step put_lines(struct command *c)
{
	struct lines *l = c->job;
	for (;;) {
		for (; l->i < l->n; l->i++) {
			if (command_should_yield(c))
				return IMAP_DRAIN;
			put_flags_line(c, view_number(c->session->view, l->e[l->i].uid), &l->e[l->i]);
			news_told(c, &l->e[l->i]);
		}
		l->i = 0;
		int rc = entries_next(&l->walk, &l->batch, &l->e, &l->n);
		if (rc)
			return reply_failure(c, rc);
		if (l->n == 0)
			return reply_completed(c);
	}
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

static enum imap_step store_and_tell(struct command *c, const struct store_request *q, const struct actor *actor)
{
	struct lines *l = command_job(c, sizeof *l);
	struct store_result r = { 0 };
	if (!l)
		return IMAP_DONE;
	int rc = view_store(c->session->view, q, actor, &r);
	free(r.modified);
	if (rc)
		return reply_failure(c, rc);
	l->uids = *q->uids;
	l->walk = (struct entries){ .view = c->session->view, .uids = &l->uids };
	c->cleanup = end_lines;
	c->resume = put_lines;
	return put_lines(c);
}

enum imap_step cmd_store(struct command *c)
{
	struct actor actor = session_actor(c->session);
	struct imap_store what;
	struct imap_set uids;
	if (!read_messages(c, &uids) || !imap_sp(&c->args) || !imap_store_parse(&c->args, &what))
		return reply_bad_args(c);
	if (what.has_unchangedsince)
		return reply_bad(c, "UNCHANGEDSINCE is not supported");
	struct store_request q = { .uids = &uids, .op = op_of(what.mode), .flags = what.flags.system,
		                   .keywords = what.flags.keywords };
	if (!what.silent)
		return store_and_tell(c, &q, &actor);
	int rc = store_silently(c, &q, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
