#include "undo.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "fail.h"
#include "mailbox_name.h"
#include "store.h"
#include "undo_plan.h"
#include "when.h"

bool undo_in_scope(const struct undo *u, struct span path)
{
	struct span f = u->q->folder;
	return f.n == 0 || span_eq(path, f) || mailbox_name_below(path, f);
}

void undo_say(const struct undo *u, const char *fmt, ...)
{
	char line[2400];
	va_list args;
	if (!u->q->say)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof line, fmt, args);
	va_end(args);
	u->q->say(u->q->ctx, line);
}

static int read_head(struct meta_txn *t, void *arg)
{
	struct undo *u = arg;
	struct head h;
	int e = change_head(t, u->q->account, &h);
	if (e)
		return e;
	if (u->q->first <= h.floor)
		return fail_with(ERR_INVALID, "changes up to @%lld are purged: what they replaced is not kept any more", (long long)h.floor);
	if (!u->changes.head)
		u->changes.head = h.change;
	return OK;
}

/* head: of an earlier start, or 0. */
static int open_run(struct undo *u, struct service *s, const struct undo_request *q, int64_t changeset, int64_t head)
{
	*u = (struct undo){ .s = s, .own = *q, .changeset = changeset, .moves = { .account = q->account },
		            .changes = { .first = q->first, .last = q->last, .head = head } };
	u->q = &u->own;
	int e = mailbox_name_normal(&u->arena, q->folder, &u->own.folder);
	if (!e)
		e = meta_read(service_store(s)->meta, read_head, u);
	if (!e)
		e = changes_read(s, q->account, q->client, changeset, &u->changes);
	return e;
}

static void close_run(struct undo *u)
{
	changes_free(&u->changes);
	moves_free(&u->moves);
	arena_free(&u->arena);
}

static int check_any(const struct undo *u)
{
	if (u->changes.n)
		return OK;
	if (u->q->client.n)
		return fail_with(ERR_INVALID, "nothing from @%lld to @%lld was done by %.*s", (long long)u->q->first, (long long)u->q->last,
		                 SPAN_ARG(u->q->client));
	return fail_with(ERR_INVALID, "from @%lld to @%lld there is nothing to undo (deliveries are only undone with --client lmtp)",
	                 (long long)u->q->first, (long long)u->q->last);
}

/* Everything after the plan is in the store: the same at the first try and after a crash. */
static int carry_out(struct undo *u)
{
	int e = undo_folders(u);
	for (size_t i = 0; !e && i < u->n && !undo_cancelled(u); i++)
		e = undo_messages(u, &u->folders[i]);
	if (!e && !undo_cancelled(u))
		e = replant_held(&u->replant);
	return e || undo_cancelled(u) ? e : undo_items(u);
}

static int add_plan(struct meta_txn *t, void *arg)
{
	return undo_plan_save(t, arg);
}

/* The plan goes also after a failure: whoever asked is told and asks again. Only a crash and the node's end leave one. */
static int finish(struct undo *u, int e)
{
	return u->q->dry_run ? e : changeset_end(service_store(u->s), u->q->account, u->changeset, e);
}

int undo_run(struct service *s, const struct undo_request *q, struct undo_report *out)
{
	struct undo u;
	int e = open_run(&u, s, q, service_mint(s), 0);
	if (!e)
		e = check_any(&u);
	if (!e && !q->dry_run)
		e = meta_run(service_store(s)->meta, add_plan, &u, NULL);
	if (!e) { /* from the plan on purge keeps what is needed; it may have come just before */
		e = meta_read(service_store(s)->meta, read_head, &u);
		e = finish(&u, e ? e : carry_out(&u));
	}
	struct undo_report *r = &u.report;
	r->changes = u.changes.n;
	r->changeset = r->folders + r->messages + r->removed + r->flags + r->subscriptions ? u.changeset : 0;
	if (!e)
		*out = *r;
	close_run(&u);
	return e;
}

int undo_resume(struct service *s, const struct changeset *c, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct undo_request q;
	struct actor actor;
	struct undo_progress progress;
	struct undo u;
	struct arena arena = { 0 };
	int64_t head;
	int e = undo_plan_read(c->plan, &arena, &q, &actor, &head);
	if (!e)
		e = undo_progress_read(c->progress, &progress);
	if (!e) {
		q.say = say;
		q.ctx = ctx;
		e = open_run(&u, s, &q, c->id, head);
		u.progress = progress;
		if (!e)
			e = carry_out(&u);
		close_run(&u);
	}
	arena_free(&arena);
	return e;
}

/* --- Which changes --- */

/* The first change at or after it, or (last) the last at or before it. */
static int change_of(struct service *s, int64_t account, struct span text, bool last, int64_t *out)
{
	struct when w;
	struct instant at;
	int64_t stamp;
	int e = when_parse(text, &w);
	if (!e && w.kind == WHEN_CHANGE) {
		e = instant_resolve(s, account, text, &at);
		*out = e ? 0 : at.change;
		return e;
	}
	if (!e)
		e = instant_stamp(s, account, text, &stamp);
	if (!e)
		e = instant_change(s, account, last ? stamp : stamp - 1, out);
	*out += !e && !last;
	return e;
}

int undo_range(struct service *s, int64_t account, struct span since, struct span until, int64_t *first, int64_t *last)
{
	int e = change_of(s, account, since, false, first);
	if (!e)
		e = change_of(s, account, until, true, last);
	if (!e && *first > *last)
		e = fail_with(ERR_INVALID, "nothing was done from %.*s to %.*s", SPAN_ARG(since), SPAN_ARG(until));
	return e;
}
