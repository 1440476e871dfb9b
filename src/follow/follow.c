#include "follow.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "fail.h"
#include "lease.h"
#include "nodes.h"
#include "service.h"
#include "store.h"

enum { PAGE = 500, ROWS = 64, SLOTS_KEPT = 60 };
#define ROWS_BYTES ((size_t)16 << 20)
#define PATIENCE_US (10 * SECOND_US)  /* without a sign of life the lease is another's */
#define BEHIND_US (2 * SECOND_US)     /* a step that is not whole begins so long before the last one */
#define WHOLE_US (10 * SECOND_US)     /* between steps that read all slots that are not closed */

/* An account that may have something new. */
struct account {
	int64_t account, position;
};

struct follow {
	struct follow_options o;
	struct meta *meta;
	struct lease lease;
	bool loaded;            /* the follower's row was read since it is ours */
	int64_t slot, stored;   /* slots below are closed; what the store says */
	int64_t whole, swept;   /* clock_mono() at which they began that went well: a step over all open slots, a sweep; 0: none */
	int64_t asked;          /* clock_mono() of the last word about the lease */
	struct arena arena;
	struct account page[PAGE];
	size_t n;
	struct account done[PAGE]; /* with new positions, not stored yet */
	size_t n_done;
	atomic_bool here;
	_Atomic int64_t since;
	atomic_uint_fast64_t rows, misses, failures;
};

int follow_open(const struct follow_options *o, struct follow **out)
{
	struct follow *f = calloc(1, sizeof *f);
	if (!f)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	f->o = *o;
	f->meta = service_store(o->service)->meta;
	f->arena.limit = ROWS_BYTES;
	lease_init(&f->lease, service_store(o->service), o->name, PATIENCE_US);
	*out = f;
	return OK;
}

/* ---- Whose turn it is, and where it stands */

static int read_follower(struct meta_txn *t, void *arg)
{
	struct follow *f = arg;
	struct meta_rows r;
	int e = meta_do(t, META_FOLLOWER_ADD, "si", span_of(f->o.name), (int64_t)f->o.required);
	if (!e)
		e = meta_one(t, &r, META_FOLLOWER_GET, "s", span_of(f->o.name));
	if (e)
		return e;
	f->stored = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int load(struct follow *f)
{
	int e = meta_run(f->meta, read_follower, f, NULL);
	if (e)
		return e;
	f->slot = f->stored;
	f->whole = f->swept = 0;
	f->loaded = true;
	return OK;
}

static int take_turn(struct follow *f)
{
	bool held = lease_held(&f->lease), due = !f->asked || clock_mono() - f->asked > PATIENCE_US / 5;
	int e = f->o.alone && !held && !due ? ERR_CONFLICT : OK;
	if (f->o.alone && due) {
		e = held ? lease_renew(&f->lease) : lease_take(&f->lease);
		f->asked = clock_mono();
	}
	if (!e && !f->loaded)
		e = load(f);
	atomic_store(&f->here, f->loaded);
	return e;
}

/* ---- Positions */

static int write_positions(struct meta_txn *t, void *arg)
{
	const struct follow *f = arg;
	int e = f->o.alone ? lease_hold(t, &f->lease) : OK;
	for (size_t i = 0; !e && i < f->n_done; i++)
		e = meta_do(t, META_POSITION_MOVE, "sii", span_of(f->o.name), f->done[i].position, f->done[i].account);
	return e ? e : meta_do(t, META_FOLLOWER_SLOT, "is", f->slot, span_of(f->o.name));
}

static int store_positions(struct follow *f)
{
	int e = meta_run(f->meta, write_positions, f, NULL);
	f->n_done = 0; /* what could not be stored is taken again */
	if (!e)
		f->stored = f->slot;
	return e;
}

/* The slot alone is no reason to write all the time: after a crash more is read again, that is all. */
static int settle(struct follow *f)
{
	return f->slot != f->stored && (!f->stored || f->slot - f->stored > SLOTS_KEPT) ? store_positions(f) : OK;
}

/* ---- The rows of an account */

struct reading {
	struct follow *f;
	int64_t account, position;
	struct follow_row rows[ROWS];
	size_t n;
};

static bool keep(struct arena *a, struct span *s)
{
	struct span copy = arena_copy(a, *s);
	*s = copy;
	return copy.p;
}

static bool take_row(const struct meta_rows *r, struct arena *a, struct follow_row *out)
{
	*out = (struct follow_row){ .change = meta_int(r, 0), .stamp = meta_int(r, 1), .changeset = meta_int(r, 2),
		                    .kind = (enum change_kind)meta_int(r, 3), .actor = meta_span(r, 4), .session = meta_int(r, 5),
		                    .client = meta_span(r, 6), .body = meta_span(r, 7) };
	return keep(a, &out->actor) && keep(a, &out->client) && keep(a, &out->body);
}

/* As many as memory is given for. */
static int read_rows(struct meta_txn *t, void *arg)
{
	struct reading *g = arg;
	struct meta_rows r;
	bool room = true;
	g->n = 0;
	arena_reset(&g->f->arena);
	int e = meta_query(t, &r, META_FOLLOW_ROWS, "iii", g->account, g->position, (int64_t)ROWS);
	if (e)
		return e;
	while (room && g->n < ROWS && (e = meta_next(&r)) > 0) {
		room = take_row(&r, &g->f->arena, &g->rows[g->n]);
		g->rows[g->n].account = g->account;
		g->n += room;
	}
	meta_done(&r);
	if (e < 0)
		return e;
	return g->n || room ? OK : fail_with(ERR_LIMIT, "account %lld has a change too large to be followed", (long long)g->account);
}

static void count_rows(struct follow *f, const struct reading *g)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->rows[i].stamp / DIRTY_SLOT_US < f->slot)
			atomic_fetch_add(&f->misses, 1);
	atomic_fetch_add(&f->rows, g->n);
}

static int take_account(struct follow *f, struct account *a)
{
	struct reading g = { .f = f, .account = a->account, .position = a->position };
	int e;
	while (!(e = meta_read(f->meta, read_rows, &g)) && g.n) {
		e = f->o.rows(f->o.ctx, g.rows, g.n);
		if (e)
			break;
		count_rows(f, &g);
		g.position = g.rows[g.n - 1].change;
	}
	if (g.position > a->position)
		f->done[f->n_done++] = (struct account){ a->account, g.position };
	return e;
}

/* An account may stand in several slots of a page. What was taken is stored, whatever comes after it fails. */
static int by_account(const void *a, const void *b)
{
	const struct account *x = a, *y = b;
	return x->account < y->account ? -1 : x->account > y->account;
}

static int take_page(struct follow *f)
{
	int e = OK, stored;
	qsort(f->page, f->n, sizeof *f->page, by_account);
	for (size_t i = 0; !e && i < f->n; i++)
		if (i == 0 || f->page[i].account != f->page[i - 1].account)
			e = take_account(f, &f->page[i]);
	stored = f->n_done ? store_positions(f) : OK;
	return stored ? stored : e;
}

/* ---- Which accounts to look at */

struct paging {
	struct follow *f;
	int64_t slot, account;           /* after these */
	int64_t last_slot, last_account; /* out: of the page */
	bool more;                       /* out: it was full */
};

static void note(struct follow *f, int64_t account, int64_t head, int64_t position)
{
	if (head > position)
		f->page[f->n++] = (struct account){ account, position };
}

static int read_dirty(struct meta_txn *t, void *arg)
{
	struct paging *p = arg;
	struct meta_rows r;
	int64_t seen = 0;
	p->f->n = 0;
	int e = meta_query(t, &r, META_FOLLOW_DIRTY, "siiii", span_of(p->f->o.name), p->slot, p->slot, p->account, (int64_t)PAGE);
	if (e)
		return e;
	while (seen < PAGE && (e = meta_next(&r)) > 0) {
		p->last_slot = meta_int(&r, 0);
		p->last_account = meta_int(&r, 1);
		note(p->f, p->last_account, meta_int(&r, 2), meta_int(&r, 3));
		seen++;
	}
	meta_done(&r);
	p->more = seen == PAGE;
	return e < 0 ? e : OK;
}

static int read_heads(struct meta_txn *t, void *arg)
{
	struct paging *p = arg;
	struct meta_rows r;
	int64_t seen = 0;
	p->f->n = 0;
	int e = meta_query(t, &r, META_FOLLOW_HEADS, "sii", span_of(p->f->o.name), p->account, (int64_t)PAGE);
	if (e)
		return e;
	while (seen < PAGE && (e = meta_next(&r)) > 0) {
		p->last_account = meta_int(&r, 0);
		note(p->f, p->last_account, meta_int(&r, 1), meta_int(&r, 2));
		seen++;
	}
	meta_done(&r);
	p->more = seen == PAGE;
	return e < 0 ? e : OK;
}

static int take_all(struct follow *f, meta_fn *next, int64_t slot)
{
	struct paging p = { .f = f, .slot = slot, .account = -1, .more = true };
	int e = OK;
	while (!e && p.more) {
		e = meta_read(f->meta, next, &p);
		p.slot = p.last_slot;
		p.account = p.last_account;
		if (!e)
			e = take_page(f);
		if (!e)
			e = take_turn(f);
	}
	return e;
}

/* No node that lives will give a stamp at or before it. */
static int64_t horizon_of(const struct follow *f)
{
	struct buffer b = { 0 };
	int64_t least = INT64_MAX;
	if (f->o.horizon)
		return f->o.horizon(f->o.ctx);
	if (!meta_shared(f->meta))
		return least;
	int e = nodes_list(service_store(f->o.service)->nodes, &b);
	const struct node_info *all = (const struct node_info *)(void *)b.p;
	for (size_t i = 0; !e && i < b.n / sizeof *all; i++)
		if (all[i].alive && all[i].horizon < least)
			least = all[i].horizon;
	buffer_free(&b);
	return e ? 0 : least;
}

/* Slots below it get nothing any more. */
static int64_t first_open(const struct follow *f, int64_t now)
{
	int64_t until = now - FOLLOW_SETTLE_US, horizon = horizon_of(f);
	return (horizon < until ? horizon : until) / DIRTY_SLOT_US;
}

static int look(struct follow *f, int64_t now)
{
	int64_t open = first_open(f, now), mono = clock_mono(), from = f->slot;
	bool sweep = !f->slot || !f->swept || mono - f->swept >= f->o.sweep;
	bool whole = sweep || !f->whole || mono - f->whole >= WHOLE_US;
	if (!whole && (now - BEHIND_US) / DIRTY_SLOT_US > from)
		from = (now - BEHIND_US) / DIRTY_SLOT_US;
	int e = f->slot ? take_all(f, read_dirty, from) : OK;
	if (!e && sweep)
		e = take_all(f, read_heads, 0);
	if (e)
		return e;
	f->whole = whole ? mono : f->whole;
	f->swept = sweep ? mono : f->swept;
	if (whole && open > f->slot)
		f->slot = open;
	atomic_store(&f->since, now);
	return settle(f);
}

int follow_step(struct follow *f, int64_t now)
{
	int e = take_turn(f);
	if (!e)
		e = look(f, now);
	if (e)
		f->whole = 0;
	if (e == ERR_CONFLICT) {
		f->loaded = false; /* taken over: should it be ours again, where it stands is read anew */
		f->asked = lease_held(&f->lease) ? 0 : f->asked;
		atomic_store(&f->here, false);
	} else if (e) {
		atomic_fetch_add(&f->failures, 1);
	}
	return e;
}

void follow_close(struct follow **pf)
{
	struct follow *f = *pf;
	*pf = NULL;
	if (!f)
		return;
	if (f->loaded && f->slot != f->stored)
		store_positions(f); /* what fails is read again */
	lease_return(&f->lease);
	arena_free(&f->arena);
	free(f);
}

static int forget(struct meta_txn *t, void *arg)
{
	return meta_do(t, META_FOLLOWER_DROP, "s", span_of(arg));
}

int follow_forget(struct service *s, const char *name)
{
	char copy[64];
	struct span n = span_sub(span_of(name), 0, sizeof copy - 1);
	memcpy(copy, n.p, n.n);
	copy[n.n] = 0;
	return meta_run(service_store(s)->meta, forget, copy, NULL);
}

void follow_stats(const struct follow *f, struct follow_stats *out)
{
	*out = (struct follow_stats){ .here = atomic_load(&f->here), .since = atomic_load(&f->since), .rows = atomic_load(&f->rows),
		                      .misses = atomic_load(&f->misses), .failures = atomic_load(&f->failures) };
}
