/* Packs. One that no body lies in any more is removed; one that is mostly dead is rewritten: the records that live are copied
 * to the open pack, their rows led there, and the old pack goes after a grace, so that readers and copies of the data folder
 * that still know the old place are safe.
 *
 * Rows only ever begin to refer to the open pack. So a pack that was closed, and every transaction that was under way by then
 * done, before the rows were counted, gets no new ones; and what is younger than the grace is left alone. Where packs are put
 * whole, rows begin to refer to one after it was put, on whatever node, but no later than staged_put_check() lets them: none
 * goes that is younger than a day, and what no row names by then is an orphan, left by a crash. */
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "purge_private.h"
#include "staged.h"

#define ORPHAN_US (86400 * SECOND_US)
enum { DEAD_SHARE = 2, REWRITTEN_MAX = 16, MOVED_TOGETHER = 16 };

struct pack {
	int64_t id, size;
	int64_t rows, living; /* that refer to it, and the bytes of their records */
	int64_t doomed;       /* when its bodies were moved elsewhere, us; 0: they were not */
	bool closed, rewrite;
};

struct place {
	int64_t body;
	struct blob_location at;
};

struct packs {
	struct run *r;
	struct buffer all; /* struct pack, by id */
	struct buffer gone; /* int64_t: doomed packs that are not there any more */
	/* reading rows */
	int64_t after;
	struct place rows[PURGE_READ];
	size_t n;
	/* moving */
	struct buffer places; /* struct place: bodies of packs that are rewritten */
	struct place *some[MOVED_TOGETHER];
	struct blob_stage *stages[MOVED_TOGETHER];
	size_t n_some;
	int64_t pack;
};

static struct pack *find_pack(struct packs *q, int64_t id)
{
	struct pack *list = (struct pack *)(void *)q->all.p;
	size_t low = 0, n = q->all.n / sizeof *list, high = n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (list[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && list[low].id == id ? &list[low] : NULL;
}

/* Of another node nobody knows here which pack it writes to, nor what it has written and not committed yet. */
static int64_t grace_of(const struct run *r)
{
	int64_t least = r->others ? 2 * BLOB_PACK_IDLE_US : 0;
	if (blob_is_whole(service_store(r->s)->blob))
		least = ORPHAN_US;
	return r->p->o.grace > least ? r->p->o.grace : least;
}

static int list_pack(void *ctx, const struct blob_pack_info *p)
{
	struct packs *q = ctx;
	struct pack k = { .id = p->pack, .size = p->size,
		          .closed = !p->open && p->changed + grace_of(q->r) <= q->r->now };
	buffer_put(&q->all, &k, sizeof k);
	return OK;
}

/* Until all transactions of this node that run by now have ended. */
static int wait_for_running(struct run *r)
{
	int64_t now = clock_now();
	while (meta_horizon(r->meta) + META_HORIZON_US < now) {
		struct timespec pause = { 0, 1000000 };
		int e = purge_goes_on(r);
		if (e)
			return e;
		nanosleep(&pause, NULL);
	}
	return OK;
}

static int read_doomed(struct meta_txn *t, void *arg)
{
	struct packs *q = arg;
	struct meta_rows r;
	buffer_reset(&q->gone);
	int e = meta_query(t, &r, META_PURGE_DOOMED, "iiii", (int64_t)DOOM_PACK, (int64_t)0, (int64_t)0, INT64_MAX);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t id = meta_int(&r, 0);
		struct pack *k = find_pack(q, id);
		if (k)
			k->doomed = meta_int(&r, 1);
		else
			buffer_put(&q->gone, &id, sizeof id);
	}
	meta_done(&r);
	return e;
}

static int read_rows(struct meta_txn *t, void *arg)
{
	struct packs *q = arg;
	struct meta_rows r;
	q->n = 0;
	int e = meta_query(t, &r, META_PURGE_BODIES, "ii", q->after, (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		q->rows[q->n++] = (struct place){ meta_int(&r, 0), { meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 3) } };
	meta_done(&r);
	return e;
}

/* fn for each row of every body. */
static int each_row(struct packs *q, void (*fn)(struct packs *q, const struct place *row))
{
	int e;
	q->after = 0;
	do {
		e = purge_read(q->r, read_rows, q);
		for (size_t i = 0; !e && i < q->n; i++)
			fn(q, &q->rows[i]);
		if (q->n)
			q->after = q->rows[q->n - 1].body;
	} while (!e && q->n == PURGE_READ);
	return e;
}

static void count_row(struct packs *q, const struct place *row)
{
	struct pack *k = find_pack(q, row->at.pack);
	if (!k)
		return;
	k->rows++;
	k->living += row->at.stored;
}

static int count_rows(struct packs *q)
{
	struct blob_store *blob = service_store(q->r->s)->blob;
	int e = blob_list(blob, list_pack, q);
	if (!e && !buffer_ok(&q->all))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && !q->r->q->dry_run) /* what was under way when they were listed is done after this */
		e = wait_for_running(q->r);
	if (!e)
		e = purge_read(q->r, read_doomed, q);
	return e ? e : each_row(q, count_row);
}

/* --- Removing --- */

static int spare_pack(struct meta_txn *t, void *arg)
{
	struct packs *q = arg;
	return purge_spare(t, DOOM_PACK, 0, q->pack);
}

static int remove_pack(struct packs *q, const struct pack *k)
{
	if (k->rows || !k->closed || k->doomed + q->r->p->o.grace > q->r->now)
		return OK;
	q->r->report.counts.packs++;
	if (q->r->q->dry_run)
		return OK;
	q->pack = k->id;
	int e = blob_remove_pack(service_store(q->r->s)->blob, k->id);
	return e || !k->doomed ? e : purge_step(q->r, spare_pack, q);
}

/* A run that was cut off may have removed them. */
static int spare_gone(struct packs *q)
{
	const int64_t *id = (const int64_t *)(const void *)q->gone.p;
	int e = buffer_ok(&q->gone) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; !e && !q->r->q->dry_run && i < q->gone.n / sizeof *id; i++) {
		q->pack = id[i];
		e = purge_step(q->r, spare_pack, q);
	}
	return e;
}

/* --- Rewriting --- */

static void choose(struct packs *q)
{
	struct pack *list = (struct pack *)(void *)q->all.p;
	size_t chosen = 0;
	for (size_t i = 0; i < q->all.n / sizeof *list && chosen < REWRITTEN_MAX; i++) {
		struct pack *k = &list[i];
		k->rewrite = k->closed && !k->doomed && k->rows > 1 && k->living < k->size / DEAD_SHARE;
		chosen += k->rewrite;
	}
}

static void note_place(struct packs *q, const struct place *row)
{
	const struct pack *k = find_pack(q, row->at.pack);
	if (k && k->rewrite)
		buffer_put(&q->places, row, sizeof *row);
}

static int by_place(const void *a, const void *b)
{
	const struct blob_location *x = &((const struct place *)a)->at, *y = &((const struct place *)b)->at;
	if (x->pack != y->pack)
		return x->pack < y->pack ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* A row that went meanwhile is not there to be led anywhere; the copy is one more record that nobody refers to. */
static int lead_one(struct meta_txn *t, struct blob_stage *st, const struct place *p)
{
	struct blob_location to;
	int e = store_put_body(t, st, p->body, &to);
	if (!e)
		e = meta_try(t, META_PURGE_BODY_MOVE, "iiiiii", to.pack, to.offset, to.stored, p->body, p->at.pack, p->at.offset);
	if (!e && !to.pack && !meta_changed(t))
		e = meta_do(t, META_PURGE_STAGED_DROP, "i", p->body);
	return e;
}

static int lead(struct meta_txn *t, void *arg)
{
	struct packs *q = arg;
	int e = OK;
	for (size_t i = 0; !e && i < q->n_some; i++)
		e = lead_one(t, q->stages[i], q->some[i]);
	return e;
}

static int move_some(struct packs *q)
{
	struct store *store = service_store(q->r->s);
	int e = OK;
	size_t n = 0;
	for (; !e && n < q->n_some; n += !e)
		e = blob_stage_copy(store->blob, &q->some[n]->at, &q->stages[n]);
	if (!e && n)
		e = purge_commit(q->r, q->stages, n, lead, q);
	for (size_t i = 0; i < n; i++)
		blob_stage_free(&q->stages[i]);
	q->n_some = 0;
	return e;
}

static int doom_pack(struct meta_txn *t, void *arg)
{
	struct packs *q = arg;
	return purge_doom(t, DOOM_PACK, 0, q->pack, q->r->now);
}

/* The bodies of one pack. One that cannot be read stays where it is, and so does the pack: that is for check to tell. */
static int rewrite(struct packs *q, struct place *p, size_t n)
{
	int e = OK;
	for (size_t i = 0; !e && i < n; i++) {
		q->some[q->n_some++] = &p[i];
		if (q->n_some == MOVED_TOGETHER || i + 1 == n)
			e = move_some(q);
	}
	if (e == ERR_CORRUPT || e == ERR_NOT_FOUND)
		return OK;
	if (!e) {
		q->pack = p->at.pack;
		q->r->report.counts.rewritten++;
		e = purge_step(q->r, doom_pack, q);
	}
	return e;
}

static int rewrite_packs(struct packs *q)
{
	int e = each_row(q, note_place);
	struct place *p = (struct place *)(void *)q->places.p;
	size_t n = q->places.n / sizeof *p;
	if (!e && !buffer_ok(&q->places))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && n)
		qsort(p, n, sizeof *p, by_place);
	for (size_t i = 0, run; !e && i < n; i += run) {
		for (run = 1; i + run < n && p[i + run].at.pack == p[i].at.pack;)
			run++;
		e = rewrite(q, p + i, run);
	}
	return e;
}

static size_t count_chosen(const struct packs *q)
{
	const struct pack *list = (const struct pack *)(const void *)q->all.p;
	size_t n = 0;
	for (size_t i = 0; i < q->all.n / sizeof *list; i++)
		n += list[i].rewrite;
	return n;
}

static int purge_listed(struct packs *q)
{
	int e = count_rows(q);
	const struct pack *list = (const struct pack *)(void *)q->all.p;
	for (size_t i = 0; !e && i < q->all.n / sizeof *list; i++)
		e = remove_pack(q, &list[i]);
	if (!e)
		e = spare_gone(q);
	if (e)
		return e;
	choose(q);
	if (q->r->q->dry_run)
		q->r->report.counts.rewritten = count_chosen(q);
	return q->r->q->dry_run || !count_chosen(q) ? OK : rewrite_packs(q);
}

int purge_packs(struct run *r)
{
	struct packs *q = calloc(1, sizeof *q);
	if (!q)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	q->r = r;
	int e = purge_listed(q);
	buffer_free(&q->all);
	buffer_free(&q->places);
	buffer_free(&q->gone);
	free(q);
	return e;
}
