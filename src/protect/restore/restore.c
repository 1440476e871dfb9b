#include "restore.h"

#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "directory_write.h"
#include "fail.h"
#include "flags.h"
#include "mailbox_name.h"
#include "past.h"
#include "restore_private.h"
#include "store.h"
#include "system.h"

static int add_plan(struct meta_txn *t, void *arg)
{
	struct run *r = arg;
	struct buffer plan = { 0 }, progress = { 0 };
	plan_write(r->q, r->head, &plan);
	progress_write(&r->progress, &progress);
	int e = changeset_add(t, service_store(r->s), &(struct changeset){ .account = r->q->account, .id = r->changeset,
	                          .kind = CHANGE_RESTORE, .plan = buffer_span(&plan), .progress = buffer_span(&progress) });
	buffer_free(&plan);
	buffer_free(&progress);
	return e;
}

static int by_source(const void *a, const void *b)
{
	int64_t x = ((const struct target *)a)->then->id, y = ((const struct target *)b)->then->id;
	return (x > y) - (x < y);
}

/* Everything after the plan is in the store: the same at the first try and after a crash. */
static int carry_out(struct run *r)
{
	int e = r->q->exact ? restore_exact_folders(r) : restore_folders(r);
	if (!e) /* in the order progress is counted in */
		qsort(r->targets, r->n, sizeof *r->targets, by_source);
	for (size_t i = 0; !e && i < r->n && !restore_cancelled(r); i++)
		if (r->targets[i].then->id >= r->progress.collection && !(r->targets[i].then->attributes & FOLDER_NOSELECT))
			e = restore_messages(r, &r->targets[i]);
	return e || !r->q->exact || restore_cancelled(r) ? e : restore_exact_rest(r);
}

static int read_head(struct meta_txn *t, void *arg)
{
	struct run *r = arg;
	struct head h;
	int e = change_head(t, r->q->account, &h);
	if (!e && !r->head)
		r->head = h.change;
	return e;
}

/* head: of an earlier start, or 0. */
static int open_run(struct run *r, struct service *s, const struct restore_request *q, int64_t changeset, int64_t head)
{
	*r = (struct run){ .s = s, .own = *q, .changeset = changeset, .head = head };
	r->q = &r->own;
	int e = q->exact && (q->match.n || q->into.n) ? fail_with(ERR_INVALID, "--exact goes neither with --match nor with --into") : OK;
	if (!e)
		e = meta_read(service_store(s)->meta, read_head, r);
	if (!e)
		e = mailbox_name_normal(&r->arena, q->folder, &r->own.folder);
	if (!e)
		e = mailbox_name_normal(&r->arena, q->into, &r->own.into);
	if (!e && q->into.n)
		e = mailbox_name_check(q->into);
	if (!e)
		e = match_open(&r->match, q->match, q->at.stamp);
	if (!e)
		e = pin_new(s, q->account, 0, PIN_AT, q->at.change, &r->pin);
	return e ? e : tree_read(s, q->account, q->at.change, &r->then);
}

static void close_run(struct run *r)
{
	pin_free(&r->pin);
	match_close(&r->match);
	tree_free(&r->then);
	arena_free(&r->arena);
}

/* The plan goes also after a failure: whoever asked is told and asks again, while a plan that stayed would bring back at
   some later start what was deleted by then. Only a crash and the node's end leave one. */
static int finish(struct run *r, int e)
{
	return r->q->dry_run ? e : changeset_end(service_store(r->s), r->q->account, r->changeset, e);
}

int restore_run(struct service *s, const struct restore_request *q, struct restore_report *out)
{
	struct run r;
	int e = open_run(&r, s, q, service_mint(s), 0);
	if (!e && !q->dry_run)
		e = meta_run(service_store(s)->meta, add_plan, &r, NULL);
	if (!e) { /* from the plan on purge keeps what is needed; it may have come just before */
		e = past_check_now(s, q->account, q->at.change);
		e = finish(&r, e ? e : carry_out(&r));
	}
	const struct restore_report *k = &r.report;
	r.report.changeset = k->folders + k->messages + k->flags + k->subscriptions + k->removed + k->folders_removed ? r.changeset : 0;
	if (!e)
		*out = r.report;
	close_run(&r);
	return e;
}

int restore_resume(struct service *s, const struct changeset *c, void (*say)(void *, const char *), void *ctx)
{
	struct restore_request q;
	struct actor actor;
	struct progress progress;
	struct run r;
	struct arena arena = { 0 };
	int64_t head;
	int e = plan_read(c->plan, &arena, &q, &actor, &head);
	if (!e)
		e = progress_read(c->progress, &progress);
	if (!e) {
		q.say = say;
		q.ctx = ctx;
		e = open_run(&r, s, &q, c->id, head);
		r.progress = progress;
		if (!e)
			e = carry_out(&r);
		close_run(&r);
	}
	arena_free(&arena);
	return e;
}

struct account_request {
	struct service *s;
	struct span address;
	const struct actor *actor;
	int64_t account;
	struct touched touched;
};

static int revive_account(struct meta_txn *t, void *arg)
{
	struct account_request *q = arg;
	struct change c;
	struct meta_rows row;
	uint32_t uid;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ACCOUNT_RESTORE, q->actor, 0);
	if (!e)
		e = meta_one(t, &row, META_PAST_ITEM_LAST, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, q->address);
	if (!e) {
		q->account = meta_int(&row, 0);
		struct span data = arena_copy(&c.arena, meta_span(&row, 1));
		meta_done(&row);
		e = change_item_add(&c, SYSTEM_ACCOUNTS, (uint32_t)q->account, q->address, 0, data, &uid);
		if (!e)
			e = domain_ensure(&c, q->address);
	}
	return change_end(&c, e, &q->touched);
}

int restore_account(struct service *s, struct span address, const struct actor *a, int64_t *account)
{
	struct account_request q = { .s = s, .address = address, .actor = a };
	int e = store_commit(service_store(s), NULL, 0, revive_account, &q);
	if (e)
		return e;
	change_publish(s, &q.touched);
	*account = q.account;
	return OK;
}
