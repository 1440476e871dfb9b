#include "purge.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "instant.h"
#include "nodes.h"
#include "place.h"
#include "purge_private.h"
#include "system.h"

#define PAUSE_MAX_US (50 * 1000)
#define SWEEP_US (86400 * SECOND_US)
#define LEASE_US (60 * SECOND_US) /* a purge that is silent for so long is another node's business */

int purge_open(const struct purge_options *o, struct purge **out)
{
	struct purge *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->o = *o;
	lease_init(&p->lease, service_store(o->service), "purge", LEASE_US);
	pthread_mutex_init(&p->running, NULL);
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return OK;
}

void purge_close(struct purge **pp)
{
	struct purge *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_destroy(&p->running);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int purge_goes_on(struct run *r)
{
	if (r->q->cancelled && r->q->cancelled(r->q->ctx))
		r->report.cancelled = true;
	if (r->report.cancelled)
		return fail_with(ERR_STOPPED, "purge was broken off");
	if (r->q->dry_run || clock_mono() - r->renewed < LEASE_US / 6)
		return OK;
	r->renewed = clock_mono();
	return lease_renew(&r->p->lease);
}

static void pause_for(int64_t us)
{
	us = us < PAUSE_MAX_US ? us : PAUSE_MAX_US;
	struct timespec t = { us / SECOND_US, us % SECOND_US * 1000 };
	nanosleep(&t, NULL);
}

struct held {
	struct run *r;
	meta_fn *fn;
	void *arg;
};

static int run_held(struct meta_txn *t, void *arg)
{
	const struct held *h = arg;
	int e = lease_hold(t, &h->r->p->lease);
	return e ? e : h->fn(t, h->arg);
}

int purge_commit(struct run *r, struct blob_stage *const *stages, size_t n, meta_fn *fn, void *arg)
{
	int e = purge_goes_on(r);
	if (e)
		return e;
	int64_t start = clock_mono();
	struct held h = { r, fn, arg };
	e = store_commit(service_store(r->s), stages, n, run_held, &h);
	if (r->q->gentle)
		pause_for(clock_mono() - start);
	return e;
}

int purge_step(struct run *r, meta_fn *fn, void *arg)
{
	return purge_commit(r, NULL, 0, fn, arg);
}

int purge_read(struct run *r, meta_fn *fn, void *arg)
{
	int e = purge_goes_on(r);
	return e ? e : meta_read(r->meta, fn, arg);
}

int purge_doom(struct meta_txn *t, enum doom kind, int64_t account, int64_t id, int64_t since)
{
	return meta_do(t, META_PURGE_DOOM, "iiii", (int64_t)kind, account, id, since);
}

int purge_spare(struct meta_txn *t, enum doom kind, int64_t account, int64_t id)
{
	return meta_do(t, META_PURGE_SPARE, "iii", (int64_t)kind, account, id);
}

static void add_counts(struct purge_counts *to, const struct purge_counts *c)
{
	to->versions += c->versions;
	to->folders += c->folders;
	to->changes += c->changes;
	to->emails += c->emails;
	to->bytes += c->bytes;
	to->accounts += c->accounts;
	to->deliveries += c->deliveries;
	to->condemned += c->condemned;
	to->bodies += c->bodies;
	to->packs += c->packs;
	to->rewritten += c->rewritten;
}

/* --- Accounts --- */

struct naming {
	int64_t account;
	char name[330];
	int64_t floor, stamp;
};

static int read_naming(struct meta_txn *t, void *arg)
{
	struct naming *n = arg;
	struct meta_rows r;
	snprintf(n->name, sizeof n->name, n->account == SYSTEM_ACCOUNT ? "the system log" : "account %lld", (long long)n->account);
	int e = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, n->account);
	if (!e && n->account != SYSTEM_ACCOUNT)
		snprintf(n->name, sizeof n->name, "%.*s", SPAN_ARG(meta_span(&r, 3)));
	if (!e)
		meta_done(&r);
	e = meta_one(t, &r, META_JOURNAL_NEXT, "ii", n->account, n->floor);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	n->stamp = n->floor ? meta_int(&r, 1) : 0;
	meta_done(&r);
	return OK;
}

static void name_window(const struct roots *k, char out[96])
{
	int64_t s = k->window / SECOND_US;
	if (s % 86400 == 0)
		snprintf(out, 96, "the window of %lldd", (long long)(s / 86400));
	else if (s % 3600 == 0)
		snprintf(out, 96, "the window of %lldh", (long long)(s / 3600));
	else
		snprintf(out, 96, "the window of %llds", (long long)s);
}

static void tell(struct roots *k, bool dead)
{
	struct run *r = k->run;
	char window[96];
	struct naming n = { .account = k->account, .floor = dead ? 0 : k->floor };
	const struct purge_counts none = { 0 };
	add_counts(&r->report.counts, &k->counts);
	if (!r->q->say || (!r->q->dry_run && memcmp(&k->counts, &none, sizeof none) == 0))
		return;
	if (k->kept_by_window) {
		name_window(k, window);
		roots_hold(k, window, k->kept_by_window);
	}
	if (k->busy)
		roots_hold(k, "an unfinished operation", 0);
	meta_read(r->meta, read_naming, &n); /* without an address the number stands there */
	struct purge_account a = { k->account, n.name, n.stamp, k->counts, k->holds, k->n_holds };
	r->q->say(r->q->ctx, &a);
}

/* Nothing has moved since the last run: all that can go is gone. */
static bool is_done(const struct roots *k)
{
	return k->done == k->floor && roots_from(k) == k->done && !k->run->q->dry_run;
}

static int purge_living(struct roots *k)
{
	int e = roots_find(k);
	if (e)
		return e;
	if (k->busy) {
		k->run->report.busy++;
		return OK;
	}
	bool done = is_done(k);
	if (!done)
		e = purge_log(k);
	if (!e && !done && !k->run->q->dry_run && k->account != SYSTEM_ACCOUNT)
		e = purge_items(k);
	if (!e)
		e = k->run->q->dry_run ? purge_emails_count(k) : purge_emails(k);
	return e || done || k->run->q->dry_run ? e : roots_done(k);
}

static int purge_one(struct run *r, int64_t account, int64_t floor)
{
	struct roots k = { .run = r, .account = account };
	bool dead;
	int e = purge_account_dead(r, account, floor, &dead);
	if (!e)
		e = dead ? purge_account(&k) : purge_living(&k);
	tell(&k, !e && dead);
	roots_free(&k);
	return e;
}

struct heads {
	int64_t after;
	int64_t rows[PURGE_READ][2]; /* account, floor */
	size_t n;
};

static int read_heads(struct meta_txn *t, void *arg)
{
	struct heads *h = arg;
	struct meta_rows r;
	h->n = 0;
	int e = meta_query(t, &r, META_PURGE_HEADS, "ii", h->after, (int64_t)PURGE_READ);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; h->n++) {
		h->rows[h->n][0] = meta_int(&r, 0);
		h->rows[h->n][1] = meta_int(&r, 1);
	}
	meta_done(&r);
	return e;
}

/* The system log comes first: what is gone of it decides which accounts go as a whole. An unfinished operation on it is one on
   the whole server: any account may be its next. */
static int purge_accounts(struct run *r)
{
	struct heads *h = calloc(1, sizeof *h);
	if (!h)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	h->after = -1;
	bool whole_busy = false;
	int e;
	do {
		e = purge_read(r, read_heads, h);
		for (size_t i = 0; !e && !whole_busy && i < h->n; i++) {
			e = purge_one(r, h->rows[i][0], h->rows[i][1]);
			h->after = h->rows[i][0];
			whole_busy = h->after == SYSTEM_ACCOUNT && r->report.busy;
			if (!e && h->after == SYSTEM_ACCOUNT)
				e = purge_read_ended(r);
		}
	} while (!e && h->n == PURGE_READ && !whole_busy);
	free(h);
	return e;
}

/* --- Snapshots whose time is over --- */

struct expired {
	struct run *r;
	char names[PURGE_ROWS][65];
	size_t n;
};

static int note_expired(void *ctx, const struct snapshot *sn)
{
	struct expired *x = ctx;
	if (sn->expires && sn->expires <= x->r->as_of && x->n < PURGE_ROWS)
		memcpy(x->names[x->n++], sn->name, sizeof sn->name);
	return OK;
}

static int end_expired(struct run *r)
{
	static const struct actor purger = { "", 0, "purge" };
	struct expired *x = calloc(1, sizeof *x);
	if (!x)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	x->r = r;
	int e = snapshot_list(r->s, note_expired, x);
	for (size_t i = 0; !e && i < x->n; i++) {
		e = snapshot_remove(r->s, span_of(x->names[i]), &purger);
		if (e == ERR_NOT_FOUND || e == ERR_FULL) /* somebody was faster; its time is over, with or without its name */
			e = OK;
	}
	free(x);
	return e;
}

/* --- A run --- */

static int read_doomed_packs(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_DOOMED, "iiii", (int64_t)DOOM_PACK, (int64_t)0, (int64_t)0, (int64_t)1);
	*(bool *)arg = !e;
	if (!e)
		meta_done(&r);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* All rows of bodies are counted for it: so when some went, when packs wait for their end, and once a day. */
static int sweep_packs(struct run *r)
{
	bool wait = false;
	int e = purge_read(r, read_doomed_packs, &wait);
	if (e || !(wait || r->q->dry_run || r->report.counts.bodies || !r->p->swept || r->now > r->p->swept + SWEEP_US))
		return e;
	struct store *s = service_store(r->s);
	e = r->q->dry_run ? OK : place_confirm(s->meta, s->blob);
	if (!e)
		e = purge_packs(r);
	if (!e && !r->q->dry_run)
		r->p->swept = r->now;
	return e;
}

static int run_all(struct run *r)
{
	int e = purge_clock_check(r);
	if (!e && !r->q->dry_run)
		e = purge_clock_note(r);
	if (!e && !r->q->dry_run)
		e = end_expired(r);
	if (!e)
		e = purge_accounts(r);
	if (!e)
		e = purge_deliveries(r);
	if (!e && !r->q->dry_run)
		e = purge_dirty(r);
	if (!e && !r->q->dry_run)
		e = purge_commits(r);
	if (!e)
		e = purge_bodies(r);
	if (!e)
		e = sweep_packs(r);
	return e;
}

static void note_stats(struct run *r, int e)
{
	struct purge *p = r->p;
	pthread_mutex_lock(&p->lock);
	p->stats.runs++;
	p->stats.refused += e == ERR_DENIED;
	p->stats.failed += e && e != ERR_DENIED;
	add_counts(&p->stats.counts, &r->report.counts);
	p->stats.waiting = r->report.waiting;
	p->stats.last = clock_now();
	p->stats.took = r->report.took;
	pthread_mutex_unlock(&p->lock);
}

/* Other nodes' sessions may need what retention covered at a time that their nodes say every NODES_BEAT_US; one that is not
   among those yet began since. */
static int look_at_nodes(struct run *r)
{
	struct buffer nodes = { 0 };
	int e = nodes_list(service_store(r->s)->nodes, &nodes);
	const struct node_info *all = (const struct node_info *)(void *)nodes.p;
	r->as_of = r->now;
	for (size_t i = 0; !e && i < nodes.n / sizeof *all; i++) {
		int64_t needs = (all[i].needs ? all[i].needs : r->now - PIN_AGE_US) - NODES_SILENT_US;
		if (all[i].self || !all[i].alive)
			continue;
		r->others = true;
		r->as_of = needs < r->as_of ? needs : r->as_of;
	}
	buffer_free(&nodes);
	return e;
}

static int run_leased(struct run *r)
{
	struct lease *l = &r->p->lease;
	int e = look_at_nodes(r);
	if (!e && !r->q->dry_run)
		e = lease_take(l);
	if (e)
		return e;
	r->renewed = clock_mono();
	e = run_all(r);
	lease_return(l);
	return e;
}

int purge_run(struct purge *p, const struct purge_request *q, struct purge_report *out)
{
	struct run r = { .p = p, .s = p->o.service, .meta = service_store(p->o.service)->meta, .q = q, .now = clock_now() };
	int64_t start = clock_mono();
	if (pthread_mutex_trylock(&p->running))
		return fail_with(ERR_CONFLICT, "one is under way already");
	int e = run_leased(&r);
	if (e == ERR_STOPPED && r.report.cancelled)
		e = OK;
	r.report.took = clock_mono() - start;
	if (!q->dry_run && e != ERR_CONFLICT)
		note_stats(&r, e);
	pthread_mutex_unlock(&p->running);
	buffer_free(&r.ended);
	if (!e)
		*out = r.report;
	return e;
}

void purge_report_write(const struct purge_report *r, struct buffer *out)
{
	const struct purge_counts *c = &r->counts;
	buffer_printf(out, "versions=%" PRIu64 " folders=%" PRIu64 " changes=%" PRIu64 " emails=%" PRIu64 " bytes=%" PRIu64
	              " accounts=%" PRIu64 " deliveries=%" PRIu64, c->versions, c->folders, c->changes, c->emails, c->bytes,
	              c->accounts, c->deliveries);
	buffer_printf(out, " condemned=%" PRIu64 " bodies=%" PRIu64 " packs=%" PRIu64 " rewritten=%" PRIu64 " waiting=%" PRIu64
	              " busy=%" PRIu64 " ms=%" PRId64 "%s", c->condemned, c->bodies, c->packs, c->rewritten, r->waiting, r->busy,
	              r->took / 1000, r->cancelled ? " broken-off=1" : "");
}

void purge_stats(struct purge *p, struct purge_stats *out)
{
	pthread_mutex_lock(&p->lock);
	*out = p->stats;
	pthread_mutex_unlock(&p->lock);
}
