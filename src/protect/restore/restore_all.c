#include "restore_all.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "account.h"
#include "changeset.h"
#include "fail.h"
#include "past.h"
#include "restore_directory.h"
#include "store.h"
#include "system.h"
#include "varint.h"

enum { PLAN_VERSION = 1, WORKERS = 3 };

struct one {
	int64_t id;
	struct span address;
	bool done;
};

struct run {
	struct service *s;
	const struct restore_all_request *q;
	int64_t changeset;
	int64_t upto; /* accounts up to this id are done, of an earlier start */
	struct arena arena;
	struct buffer rows; /* struct one each, by id */
	struct one *list;
	size_t n;
	pthread_mutex_t lock; /* for all below, and the callbacks */
	size_t next, done;
	bool stopped;
	struct restore_all_report report;
};

/* --- The plan --- */

static void plan_write(const struct restore_all_request *q, struct buffer *out)
{
	varint_put(out, PLAN_VERSION);
	varint_put(out, (uint64_t)q->at);
	varint_put_span(out, q->folder);
	varint_put_span(out, q->match);
	varint_put_span(out, q->into);
	varint_put(out, (q->exact ? 1 : 0) | (q->with_deliveries ? 2 : 0));
	varint_put_span(out, span_of(q->actor->name));
	varint_put(out, (uint64_t)q->actor->session);
	varint_put_span(out, span_of(q->actor->client));
}

static bool read_text(struct span *in, struct arena *arena, const char **out)
{
	struct span s;
	return varint_get_span(in, &s) && (*out = arena_copy(arena, s).p);
}

static int plan_read(struct span in, struct arena *arena, struct restore_all_request *q, struct actor *actor)
{
	uint64_t version, at, how, session;
	*q = (struct restore_all_request){ .actor = actor };
	if (!varint_get(&in, &version) || version != PLAN_VERSION || !varint_get(&in, &at) || !varint_get_span(&in, &q->folder) ||
	    !varint_get_span(&in, &q->match) || !varint_get_span(&in, &q->into) || !varint_get(&in, &how) ||
	    !read_text(&in, arena, &actor->name) || !varint_get(&in, &session) || !read_text(&in, arena, &actor->client))
		return fail_with(ERR_CORRUPT, "the plan of an unfinished restore is damaged");
	q->at = (int64_t)at;
	q->exact = how & 1;
	q->with_deliveries = how & 2;
	actor->session = (int64_t)session;
	return OK;
}

static int add_plan(struct meta_txn *t, void *arg)
{
	struct run *r = arg;
	struct buffer plan = { 0 }, progress = { 0 };
	plan_write(r->q, &plan);
	varint_put(&progress, 0);
	int e = changeset_add(t, service_store(r->s), &(struct changeset){ .account = SYSTEM_ACCOUNT, .id = r->changeset,
	                          .kind = CHANGE_RESTORE, .plan = buffer_span(&plan), .progress = buffer_span(&progress) });
	buffer_free(&plan);
	buffer_free(&progress);
	return e;
}

struct progress_put {
	int64_t changeset, upto;
};

static int put_progress(struct meta_txn *t, void *arg)
{
	struct progress_put *p = arg;
	struct buffer b = { 0 };
	varint_put(&b, (uint64_t)p->upto);
	int e = changeset_put(t, SYSTEM_ACCOUNT, p->changeset, buffer_span(&b));
	buffer_free(&b);
	return e;
}

/* --- Which accounts --- */

static int note_account(void *ctx, const struct account_info *i)
{
	struct run *r = ctx;
	struct one k = { i->id, arena_copy(&r->arena, i->address), false };
	buffer_put(&r->rows, &k, sizeof k);
	return 0;
}

struct lost {
	struct run *r;
	int64_t at;
	struct arena arena;
	struct buffer names; /* struct span each */
};

static int read_lost(struct meta_txn *t, void *arg)
{
	struct lost *l = arg;
	struct meta_rows row;
	arena_reset(&l->arena);
	buffer_reset(&l->names);
	int e = meta_query(t, &row, META_NAMES_LOST, "iiii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, l->at, l->at);
	if (e)
		return e;
	while ((e = meta_next(&row)) > 0) {
		struct span name = arena_copy(&l->arena, meta_span(&row, 0));
		buffer_put(&l->names, &name, sizeof name);
	}
	meta_done(&row);
	return e;
}

static void tell(struct run *r, struct span address, const struct restore_report *k, int error)
{
	r->report.failed += error != OK;
	if (r->q->account)
		r->q->account(r->q->ctx, address, k, error, error ? fail_detail() : "");
}

static int revive_lost(struct run *r)
{
	struct lost l = { .r = r };
	int64_t id;
	int e = instant_change(r->s, SYSTEM_ACCOUNT, r->q->at, &l.at);
	if (!e)
		e = meta_read(service_store(r->s)->meta, read_lost, &l);
	const struct span *names = (const struct span *)(const void *)l.names.p;
	for (size_t i = 0; !e && i < l.names.n / sizeof *names; i++) {
		int one = r->q->dry_run ? OK : restore_account(r->s, names[i], r->q->actor, &id);
		r->report.revived += one == OK;
		tell(r, names[i], NULL, one);
	}
	buffer_free(&l.names);
	arena_free(&l.arena);
	return e;
}

/* Domains, aliases and settings, when all is asked for. */
static int revive_entries(struct run *r)
{
	int64_t at;
	if (r->q->folder.n || r->q->match.n || r->q->into.n)
		return OK;
	int e = instant_change(r->s, SYSTEM_ACCOUNT, r->q->at, &at);
	return e ? e : restore_directory(r->s, at, r->q->actor, r->q->dry_run, &r->report.entries);
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct one *)a)->id, y = ((const struct one *)b)->id;
	return (x > y) - (x < y);
}

static int list_accounts(struct run *r)
{
	int e = account_list(r->s, note_account, r);
	if (!e && !buffer_ok(&r->rows))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	r->list = (struct one *)(void *)r->rows.p;
	r->n = r->rows.n / sizeof *r->list;
	if (!e && r->n)
		qsort(r->list, r->n, sizeof *r->list, by_id);
	while (!e && r->next < r->n && r->list[r->next].id <= r->upto)
		r->list[r->next++].done = true;
	r->done = r->next;
	return e;
}

/* --- Working on them --- */

static int is_cancelled(void *ctx)
{
	struct run *r = ctx;
	pthread_mutex_lock(&r->lock);
	r->stopped = r->stopped || (r->q->cancelled && r->q->cancelled(r->q->ctx));
	bool yes = r->stopped;
	pthread_mutex_unlock(&r->lock);
	return yes;
}

static int restore_one(struct run *r, const struct one *k, struct restore_report *out, bool *younger)
{
	const struct restore_all_request *a = r->q;
	struct restore_request q = { .account = k->id, .at = { .stamp = a->at }, .folder = a->folder, .match = a->match, .into = a->into,
		                     .exact = a->exact, .with_deliveries = a->with_deliveries, .dry_run = a->dry_run, .actor = a->actor,
		                     .cancelled = is_cancelled, .ctx = r };
	int e = instant_change(r->s, k->id, a->at, &q.at.change);
	*younger = !e && q.at.change == 0;
	if (!e && !*younger)
		e = past_check_now(r->s, k->id, q.at.change);
	if (!e && !*younger)
		e = restore_run(r->s, &q, out);
	return e == ERR_NOT_FOUND && a->folder.n ? OK : e; /* it had no such folder */
}

static void add(struct restore_report *sum, const struct restore_report *k)
{
	sum->folders += k->folders;
	sum->messages += k->messages;
	sum->flags += k->flags;
	sum->subscriptions += k->subscriptions;
	sum->removed += k->removed;
	sum->folders_removed += k->folders_removed;
	sum->kept += k->kept;
}

/* Below the lock. All accounts before the first that is not done are done. */
static int64_t done_upto(const struct run *r)
{
	int64_t id = r->upto;
	for (size_t i = 0; i < r->n && r->list[i].done; i++)
		id = r->list[i].id;
	return id;
}

static void finish_one(struct run *r, struct one *k, const struct restore_report *report, bool younger, int e)
{
	struct progress_put p = { .changeset = r->changeset };
	pthread_mutex_lock(&r->lock);
	r->stopped = r->stopped || e == ERR_STOPPED;
	k->done = !r->stopped;
	r->report.accounts++;
	r->report.younger += younger;
	add(&r->report.sum, report);
	if (e != ERR_STOPPED)
		tell(r, k->address, report, e);
	r->done++;
	if (r->q->progress)
		r->q->progress(r->q->ctx, r->done, r->n);
	p.upto = done_upto(r);
	bool save = p.upto > r->upto && !r->q->dry_run;
	r->upto = p.upto;
	if (save) /* what cannot be saved is done again after a crash, and finds nothing to do */
		r->stopped = changeset_step(service_store(r->s), SYSTEM_ACCOUNT, r->changeset, put_progress, &p) == ERR_CONFLICT ||
			r->stopped; /* another node has it */
	pthread_mutex_unlock(&r->lock);
}

static void *work(void *ctx)
{
	struct run *r = ctx;
	while (!is_cancelled(r)) {
		struct restore_report report = { 0 };
		bool younger = false;
		pthread_mutex_lock(&r->lock);
		struct one *k = r->next < r->n ? &r->list[r->next++] : NULL;
		pthread_mutex_unlock(&r->lock);
		if (!k)
			return NULL;
		int e = restore_one(r, k, &report, &younger);
		finish_one(r, k, &report, younger, e);
	}
	return NULL;
}

static int carry_out(struct run *r)
{
	pthread_t threads[WORKERS];
	size_t n = 0;
	int e = revive_lost(r);
	if (!e)
		e = revive_entries(r);
	if (!e)
		e = list_accounts(r);
	if (e)
		return e;
	while (n < WORKERS && !pthread_create(&threads[n], NULL, work, r))
		n++;
	if (n == 0)
		work(r);
	for (size_t i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return OK;
}

static void close_run(struct run *r)
{
	pthread_mutex_destroy(&r->lock);
	buffer_free(&r->rows);
	arena_free(&r->arena);
}

int restore_all_run(struct service *s, const struct restore_all_request *q, struct restore_all_report *out)
{
	struct run r = { .s = s, .q = q, .changeset = service_mint(s), .lock = PTHREAD_MUTEX_INITIALIZER };
	int e = instant_wait(s, q->at); /* what was under way then is a part of it */
	if (!e && !q->dry_run)
		e = meta_run(service_store(s)->meta, add_plan, &r, NULL);
	if (!e) {
		e = carry_out(&r);
		if (!q->dry_run)
			e = changeset_end(service_store(s), SYSTEM_ACCOUNT, r.changeset, e);
	}
	if (!e)
		*out = r.report;
	close_run(&r);
	return e;
}

struct saying {
	void (*say)(void *ctx, const char *line);
	void *ctx;
};

static void say_account(void *ctx, struct span address, const struct restore_report *k, int error, const char *why)
{
	struct saying *s = ctx;
	char line[800];
	snprintf(line, sizeof line, "%.*s: %s", SPAN_ARG(address), error ? why : "restored");
	if (s->say && (error || (k && k->changeset)))
		s->say(s->ctx, line);
}

int restore_all_resume(struct service *s, const struct changeset *c, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct restore_all_request q;
	struct actor actor;
	struct arena arena = { 0 };
	struct saying saying = { say, ctx };
	uint64_t upto;
	struct span progress = c->progress;
	int e = plan_read(c->plan, &arena, &q, &actor);
	if (!e && !varint_get(&progress, &upto))
		e = fail_with(ERR_CORRUPT, "the progress of an unfinished restore is damaged");
	if (!e) {
		q.account = say_account;
		q.ctx = &saying;
		struct run r = { .s = s, .q = &q, .changeset = c->id, .upto = (int64_t)upto, .lock = PTHREAD_MUTEX_INITIALIZER };
		e = carry_out(&r);
		close_run(&r);
	}
	arena_free(&arena);
	return e;
}
