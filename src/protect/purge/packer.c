#include "packer.h"

#include <pthread.h>
#include <stdlib.h>

#include "buffer.h"
#include "clock.h"
#include "fail.h"
#include "lease.h"
#include "staged.h"

enum {
	PAGE_ROWS = 64,
	PAGE_BYTES = 1024 * 1024, /* no page is read on past this size */
	PACK_BODIES = 50000,
	LED_TOGETHER = 100,
};
#define PATIENCE_US (120 * SECOND_US)

struct packer {
	struct packer_options o;
	struct lease lease;
	pthread_mutex_t running, lock; /* lock: stats */
	int64_t left; /* when a run last had to leave damaged rows, us since 1970; 0: the last one left none */
	struct packer_stats stats;
};

struct run {
	struct packer *p;
	int (*cancelled)(void *ctx);
	void *ctx;
	struct packer_report report;
	bool damaged; /* it had to leave rows that are no sound records: check tells of them */
	int64_t beat; /* when the lease was renewed last, monotonic us */
};

struct row {
	int64_t body, stamp;
	size_t from, n; /* in the page's bytes */
};

struct moved {
	int64_t body;
	struct blob_location at;
};

/* One pack. */
struct packing {
	struct run *r;
	struct blob_gather *gather;
	struct buffer moved; /* struct moved */
	int64_t stamp, body; /* the last row that was read */
	struct buffer bytes;
	struct row rows[PAGE_ROWS];
	size_t n;
	int64_t put; /* when, us since 1970 */
	const struct moved *some;
	size_t n_some;
};

int packer_open(const struct packer_options *o, struct packer **out)
{
	struct packer *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->o = *o;
	lease_init(&p->lease, o->store, "packer", PATIENCE_US);
	pthread_mutex_init(&p->running, NULL);
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return OK;
}

void packer_close(struct packer **pp)
{
	struct packer *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_destroy(&p->running);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* Between two steps. */
static int may_go_on(struct run *r)
{
	if (r->cancelled && r->cancelled(r->ctx))
		return fail_with(ERR_STOPPED, "packing was broken off");
	if (clock_mono() - r->beat < PATIENCE_US / 4)
		return OK;
	r->beat = clock_mono();
	return lease_renew(&r->p->lease);
}

/* --- Gathering --- */

static int read_page(struct meta_txn *t, void *arg)
{
	struct packing *k = arg;
	struct meta_rows r;
	k->n = 0;
	buffer_reset(&k->bytes);
	int e = meta_query(t, &r, META_PURGE_STAGED, "iiii", k->stamp, k->stamp, k->body, (int64_t)PAGE_ROWS);
	if (e)
		return e;
	while (k->n < PAGE_ROWS && k->bytes.n < PAGE_BYTES && (e = meta_next(&r)) > 0) {
		struct span record = meta_span(&r, 2);
		k->rows[k->n++] = (struct row){ meta_int(&r, 0), meta_int(&r, 1), k->bytes.n, record.n };
		buffer_put(&k->bytes, record.p, record.n);
	}
	meta_done(&r);
	if (e >= 0 && !buffer_ok(&k->bytes))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	return e < 0 ? e : OK;
}

static int gather_row(struct packing *k, const struct row *row)
{
	struct moved m = { .body = row->body };
	const struct blob_location from = { 0, row->body, (int64_t)row->n };
	int e = blob_gather_add(k->gather, &from, span_sub(buffer_span(&k->bytes), row->from, row->n), &m.at);
	if (e == ERR_CORRUPT) {
		k->r->damaged = true;
		return OK;
	}
	if (!e)
		buffer_put(&k->moved, &m, sizeof m);
	return e;
}

static size_t count_moved(const struct packing *k)
{
	return k->moved.n / sizeof(struct moved);
}

static bool is_full(const struct packing *k)
{
	return blob_gather_size(k->gather) >= k->r->p->o.bytes || count_moved(k) >= PACK_BODIES;
}

static int gather_page(struct packing *k)
{
	int e = may_go_on(k->r);
	if (!e)
		e = meta_read(k->r->p->o.store->meta, read_page, k);
	for (size_t i = 0; !e && i < k->n && !is_full(k); i++) {
		e = gather_row(k, &k->rows[i]);
		k->stamp = k->rows[i].stamp;
		k->body = k->rows[i].body;
	}
	return e;
}

static int gather_all(struct packing *k)
{
	int e;
	do
		e = gather_page(k);
	while (!e && k->n && !is_full(k));
	if (!e && !buffer_ok(&k->moved))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (e || !count_moved(k))
		return e;
	k->put = clock_now();
	return blob_gather_put(k->gather);
}

/* --- Leading the rows there --- */

/* A row that is not where it was when it was gathered was purged, or lies in a pack already. */
static int lead(struct meta_txn *t, void *arg)
{
	struct packing *k = arg;
	int e = lease_hold(t, &k->r->p->lease);
	if (!e)
		e = staged_put_check(k->put);
	for (size_t i = 0; !e && i < k->n_some; i++) {
		const struct moved *m = &k->some[i];
		e = meta_do(t, META_PURGE_BODY_MOVE, "iiiiii", m->at.pack, m->at.offset, m->at.stored, m->body, (int64_t)0, m->body);
		if (!e)
			e = meta_do(t, META_PURGE_STAGED_DROP, "i", m->body);
	}
	return e;
}

static int lead_all(struct packing *k)
{
	const struct moved *all = (const struct moved *)(const void *)k->moved.p;
	size_t n = count_moved(k);
	int e = OK;
	for (size_t i = 0; !e && i < n; i += k->n_some) {
		k->some = all + i;
		k->n_some = n - i < LED_TOGETHER ? n - i : LED_TOGETHER;
		e = may_go_on(k->r);
		if (!e)
			e = meta_run(k->r->p->o.store->meta, lead, k, NULL);
		k->r->report.bodies += e ? 0 : k->n_some;
	}
	return e;
}

static int pack_one(struct run *r, bool *packed)
{
	struct packing *k = calloc(1, sizeof *k);
	if (!k)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	k->r = r;
	r->damaged = false;
	int e = blob_gather_new(r->p->o.store->blob, &k->gather);
	if (!e)
		e = gather_all(k);
	*packed = !e && count_moved(k);
	if (*packed) {
		r->report.packs++;
		r->report.bytes += (uint64_t)blob_gather_size(k->gather);
		e = lead_all(k);
	}
	blob_gather_free(&k->gather);
	buffer_free(&k->moved);
	buffer_free(&k->bytes);
	free(k);
	return e;
}

/* --- A run --- */

/* A damaged row only grows older: it is no reason to gather what little there is every few seconds. */
static bool has_waited(const struct packer *p, const struct staged_stats *s)
{
	return staged_age(s) >= p->o.age && (!p->left || clock_now() - p->left >= p->o.age);
}

static int is_due(struct run *r, bool all, bool *due)
{
	struct staged_stats s;
	const struct packer_options *o = &r->p->o;
	int e = staged_stats(o->store, &s);
	if (!e)
		*due = s.rows && (all || s.bytes >= (uint64_t)o->bytes || has_waited(r->p, &s));
	return e;
}

static int run_all(struct run *r, bool all)
{
	bool due, packed = true;
	int e = is_due(r, all, &due);
	if (e || !due)
		return e;
	e = lease_take(&r->p->lease);
	r->report.elsewhere = e == ERR_CONFLICT;
	if (e)
		return r->report.elsewhere ? OK : e;
	r->beat = clock_mono();
	while (!e && due && packed) {
		e = pack_one(r, &packed);
		r->p->left = r->damaged ? clock_now() : 0;
		if (!e)
			e = is_due(r, all, &due);
	}
	lease_return(&r->p->lease);
	return e;
}

static void note_stats(struct run *r, int e)
{
	struct packer *p = r->p;
	pthread_mutex_lock(&p->lock);
	p->stats.runs++;
	p->stats.failed += e && e != ERR_STOPPED;
	p->stats.packs += r->report.packs;
	p->stats.bodies += r->report.bodies;
	p->stats.bytes += r->report.bytes;
	pthread_mutex_unlock(&p->lock);
}

int packer_run(struct packer *p, bool all, int (*cancelled)(void *ctx), void *ctx, struct packer_report *out)
{
	struct run r = { .p = p, .cancelled = cancelled, .ctx = ctx };
	if (!blob_is_whole(p->o.store->blob)) {
		*out = r.report;
		return OK;
	}
	if (pthread_mutex_trylock(&p->running))
		return fail_with(ERR_CONFLICT, "staged bodies are being gathered already");
	int e = run_all(&r, all);
	note_stats(&r, e);
	pthread_mutex_unlock(&p->running);
	if (!e)
		*out = r.report;
	return e;
}

void packer_stats(struct packer *p, struct packer_stats *out)
{
	pthread_mutex_lock(&p->lock);
	*out = p->stats;
	pthread_mutex_unlock(&p->lock);
}
