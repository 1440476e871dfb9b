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
static int put_lines(struct command *c, const struct imap_set *uids)
{
	struct view *v = c->session->view;
	struct arena batch = { 0 };
	struct entries walk = { .view = v, .uids = uids };
	struct entry *e;
	size_t n;
	int rc;
	while ((rc = entries_next(&walk, &batch, &e, &n)) == OK && n)
		for (size_t i = 0; i < n; i++) {
			put_flags_line(c, view_number(v, e[i].uid), &e[i]);
			news_told(c, &e[i]);
		}
	arena_free(&batch);
	return rc;
}

/* The client takes the new flags of these as known: its own copy plus what it asked for. That holds only for messages
   that nobody else changed since it was told of them last, so they are stored on that condition; the others are stored
   without it, and their flags are told. */
static int store_silently(struct command *c, struct store_request *q, const struct actor *actor)
{
	struct view *v = c->session->view;
	struct store_result r;
	q->has_unchanged_since = true;
	q->unchanged_since = view_change(v);
	int rc = view_store(v, q, actor, &r);
	if (rc)
		return rc;
	if (r.changes && r.changes == r.last - r.first + 1) { /* else somebody came between, and too much is told */
		c->quiet = *q->uids;
		c->quiet_from = r.first;
		c->quiet_to = r.last;
	}
	struct imap_set others = { .ranges = arena_alloc(&c->arena, (r.n_modified + 1) * sizeof *others.ranges) };
	if (!others.ranges)
		rc = fail_with(ERR_LIMIT, "over a limit");
	for (size_t i = 0; !rc && i < r.n_modified; i++)
		others.ranges[others.n++] = (struct imap_range){ r.modified[i], r.modified[i] };
	free(r.modified);
	q->has_unchanged_since = false;
	q->uids = &others;
	return rc || !others.n ? rc : view_store(v, q, actor, &r);
}

static int store_and_tell(struct command *c, const struct store_request *q, const struct actor *actor)
{
	struct store_result r;
	int rc = view_store(c->session->view, q, actor, &r);
	return rc ? rc : put_lines(c, q->uids);
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
	int rc = what.silent ? store_silently(c, &q, &actor) : store_and_tell(c, &q, &actor);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
