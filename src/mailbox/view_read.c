/* Reading entries as a view shows them: the living, those that are gone but untold, those of the past. */
#include <stdlib.h>

#include "fail.h"
#include "incoming.h"
#include "service_private.h"
#include "view_private.h"

enum { GAP_MAX = 16 /* messages between two that are asked for, which are read along with them */ };

struct read_request {
	struct view *v;
	enum view_depth depth;
	struct arena *arena;
	uint32_t *wanted; /* places in the view's map, ascending */
	size_t n;
	struct buffer entries; /* struct entry each */
	bool full;             /* the arena was, for something of them */
};

static uint32_t uid_of(const struct read_request *q, size_t i)
{
	return q->v->map->uid[q->wanted[i]];
}

static struct entry *entry_at(const struct read_request *q, size_t i)
{
	return (struct entry *)(void *)q->entries.p + i;
}

static struct span copy(struct read_request *q, struct span text)
{
	struct span s = arena_copy(q->arena, text);
	q->full = q->full || !s.p;
	return s;
}

static void take_entry(struct read_request *q, const struct meta_rows *r, struct entry *e)
{
	struct version v;
	version_from_row(r, &v);
	*e = (struct entry){
		.uid = v.uid, .created = v.created, .change = v.change, .flags = v.flags, .date = v.date, .saved = v.saved,
		.email = v.email, .size = v.size, .keywords = v.keywords.n ? copy(q, v.keywords) : (struct span){ 0 },
	};
}

/* Of a row with a summary in that column, and a place behind it. */
static void take_depth(struct read_request *q, const struct meta_rows *r, int column, struct entry *e)
{
	struct message_place place;
	if (q->depth >= VIEW_SUMMARIES)
		e->summary = copy(q, meta_span(r, column));
	if (q->depth < VIEW_PLACES)
		return;
	message_place_from_row(r, column + 1, &place);
	e->place = (const void *)copy(q, span_from(&place, sizeof place)).p;
}

/* ---- The present */

/* The end of the run of wanted entries that begins at i: one query reads them, over small gaps. */
static size_t run_end(const struct read_request *q, size_t i)
{
	while (i + 1 < q->n && q->wanted[i + 1] - q->wanted[i] <= GAP_MAX)
		i++;
	return i + 1;
}

static const enum meta_sql living_sql[] = { META_LIVE_RANGE, META_LIVE_RANGE_SUMMARY, META_LIVE_RANGE_PLACE };

static void expect_run(struct meta_txn *t, const struct read_request *q, size_t from, size_t end)
{
	meta_expect(t, living_sql[q->depth], "iiiii", q->v->account, q->v->info.folder.id, (int64_t)uid_of(q, from),
	            (int64_t)uid_of(q, end - 1), (int64_t)q->wanted[end - 1] - q->wanted[from] + 1);
}

static int read_run(struct meta_txn *t, struct read_request *q, size_t from, size_t end)
{
	struct meta_rows r;
	struct entry e;
	int err = meta_query(t, &r, living_sql[q->depth], "iiiii", q->v->account, q->v->info.folder.id, (int64_t)uid_of(q, from),
	                     (int64_t)uid_of(q, end - 1), (int64_t)q->wanted[end - 1] - q->wanted[from] + 1);
	if (err)
		return err;
	while ((err = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		while (from < end && uid_of(q, from) < uid)
			from++;
		if (from == end || uid_of(q, from) != uid)
			continue;
		take_entry(q, &r, &e);
		take_depth(q, &r, 9, &e);
		buffer_put(&q->entries, &e, sizeof e);
	}
	meta_done(&r);
	return err;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct entry *)a)->uid, y = ((const struct entry *)b)->uid;
	return (x > y) - (x < y);
}

static bool is_wanted(const struct read_request *q, uint32_t uid)
{
	size_t low = 0, high = q->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (uid_of(q, mid) < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low < q->n && uid_of(q, low) == uid;
}

/* Summaries and places of the entries from that one on, which came without. */
static int add_depth(struct meta_txn *t, struct read_request *q, size_t from)
{
	struct meta_rows r;
	size_t n = q->entries.n / sizeof(struct entry);
	int err = OK;
	if (q->depth == VIEW_ENTRIES || !buffer_ok(&q->entries))
		return OK;
	for (size_t i = from; i < n; i++)
		meta_expect(t, META_EMAIL_PLACE, "i", entry_at(q, i)->email);
	for (size_t i = from; !err && i < n; i++) {
		err = meta_one(t, &r, META_EMAIL_PLACE, "i", entry_at(q, i)->email);
		if (err)
			return err == ERR_NOT_FOUND
				? fail_with(ERR_CORRUPT, "email %lld is not there", (long long)entry_at(q, i)->email) : err;
		take_depth(q, &r, 0, entry_at(q, i));
		meta_done(&r);
	}
	return err;
}

/* The session was not told yet that these are gone: it still gets them, out of the past. */
static int add_gone(struct meta_txn *t, struct read_request *q)
{
	struct meta_rows r;
	struct view *v = q->v;
	struct entry e;
	size_t from = q->entries.n / sizeof e;
	int err = view_holds(t, v);
	if (err)
		return err;
	err = meta_query(t, &r, META_PAST_GONE, "iiiiii", v->account, v->info.folder.id, v->expunged, (int64_t)uid_of(q, 0),
	                     (int64_t)uid_of(q, q->n - 1), (int64_t)INT32_MAX);
	if (err)
		return err;
	while ((err = meta_next(&r)) > 0) {
		if (!is_wanted(q, (uint32_t)meta_int(&r, 0)))
			continue;
		take_entry(q, &r, &e);
		buffer_put(&q->entries, &e, sizeof e);
	}
	meta_done(&r);
	if (!err)
		err = add_depth(t, q, from);
	if (q->entries.n)
		qsort(q->entries.p, q->entries.n / sizeof e, sizeof e, by_uid);
	return err;
}

static int read_present(struct meta_txn *t, void *arg)
{
	struct read_request *q = arg;
	int e = OK;
	buffer_reset(&q->entries);
	q->full = false;
	for (size_t i = 0; i < q->n; i = run_end(q, i))
		expect_run(t, q, i, run_end(q, i));
	for (size_t i = 0; !e && i < q->n; i = run_end(q, i))
		e = read_run(t, q, i, run_end(q, i));
	if (e || !buffer_ok(&q->entries) || q->entries.n / sizeof(struct entry) == q->n)
		return e;
	return add_gone(t, q);
}

/* ---- The past */

static void expect_version(struct meta_txn *t, const struct read_request *q, size_t i)
{
	const struct view *v = q->v;
	int64_t end = v->ends[q->wanted[i]], uid = uid_of(q, i);
	if (end)
		meta_expect(t, META_PAST_GET, "iiii", v->account, v->info.folder.id, end, uid);
	else
		meta_expect(t, META_LIVE_GET, "iii", v->account, v->info.folder.id, uid);
}

/* Where it lay when the view was opened. ERR_NOT_FOUND: another version has followed since. */
static int read_version(struct meta_txn *t, struct read_request *q, size_t i, struct entry *e)
{
	struct meta_rows r;
	const struct view *v = q->v;
	int64_t end = v->ends[q->wanted[i]], uid = uid_of(q, i);
	int err = end ? meta_one(t, &r, META_PAST_GET, "iiii", v->account, v->info.folder.id, end, uid)
	              : meta_one(t, &r, META_LIVE_GET, "iii", v->account, v->info.folder.id, uid);
	if (err)
		return err;
	take_entry(q, &r, e);
	meta_done(&r);
	return e->change <= v->info.at.change ? OK : ERR_NOT_FOUND;
}

static void expect_replaced(struct meta_txn *t, const struct read_request *q, uint32_t uid)
{
	const struct view *v = q->v;
	meta_expect(t, META_PAST_FIND, "iiiii", v->account, v->info.folder.id, v->info.at.change, v->info.at.change, (int64_t)uid);
}

static int read_replaced(struct meta_txn *t, struct read_request *q, uint32_t uid, struct entry *e)
{
	struct meta_rows r;
	const struct view *v = q->v;
	int64_t at = v->info.at.change;
	int err = meta_one(t, &r, META_PAST_FIND, "iiiii", v->account, v->info.folder.id, at, at, (int64_t)uid);
	if (err)
		return err == ERR_NOT_FOUND
			? fail_with(ERR_CORRUPT, "uid %u has no version at change %lld", uid, (long long)at) : err;
	take_entry(q, &r, e);
	meta_done(&r);
	return OK;
}

/* First where they lay when the view was opened, then those that were replaced since: change 0 until they are found. */
static int read_past(struct meta_txn *t, void *arg)
{
	struct read_request *q = arg;
	int err = OK;
	buffer_reset(&q->entries);
	q->full = false;
	for (size_t i = 0; i < q->n; i++)
		expect_version(t, q, i);
	err = view_holds(t, q->v);
	if (err)
		return err;
	for (size_t i = 0; i < q->n; i++) {
		struct entry e;
		err = read_version(t, q, i, &e);
		if (err && err != ERR_NOT_FOUND)
			return err;
		if (err) {
			e = (struct entry){ .uid = uid_of(q, i) };
			expect_replaced(t, q, e.uid);
		}
		buffer_put(&q->entries, &e, sizeof e);
	}
	if (!buffer_ok(&q->entries))
		return OK;
	for (size_t i = 0; i < q->n; i++) {
		struct entry *e = entry_at(q, i);
		err = e->change ? OK : read_replaced(t, q, e->uid, e);
		if (err)
			return err;
	}
	return add_depth(t, q, 0);
}

/* ---- Either */

/* Which of the view's messages it is about; free(). */
static int choose(struct read_request *q, const struct imap_set *uids, uint64_t from, size_t max)
{
	const struct uidmap *m = q->v->map;
	q->wanted = malloc(((max < m->n ? max : m->n) + 1) * sizeof *q->wanted);
	if (!q->wanted)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < uids->n && q->n < max; i++) {
		const struct imap_range *r = &uids->ranges[i];
		if (r->last < from)
			continue;
		uint32_t at = uidmap_lower(m, r->first > from ? r->first : (uint32_t)from);
		for (; at < m->n && m->uid[at] <= r->last && q->n < max; at++)
			q->wanted[q->n++] = at;
	}
	return OK;
}

static int read_chosen(struct read_request *q, struct entry **out, size_t *n)
{
	struct view *v = q->v;
	int e = meta_read(v->s->store->meta, v->info.past ? read_past : read_present, q);
	if (!e || e == ERR_CORRUPT) /* versions that purge took are no damage */
		e = view_stands(v) ? ERR_NOT_FOUND : e;
	struct span all = arena_copy(q->arena, buffer_span(&q->entries));
	bool whole = buffer_ok(&q->entries) && !q->full;
	buffer_free(&q->entries);
	if (e)
		return e;
	if (!all.p || !whole)
		return fail_with(ERR_LIMIT, "no memory for so many entries at once");
	*out = (struct entry *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	return OK;
}

int view_read_set(struct view *v, const struct imap_set *uids, uint64_t from, size_t max, enum view_depth depth,
                  struct arena *arena, struct entry **out, size_t *n)
{
	struct read_request q = { .v = v, .depth = depth, .arena = arena };
	*n = 0;
	int e = choose(&q, uids, from, max);
	if (!e && q.n)
		e = read_chosen(&q, out, n);
	free(q.wanted);
	return e;
}

int view_read(struct view *v, uint32_t from, uint32_t to, size_t max, bool with_summary, struct arena *arena,
              struct entry **out, size_t *n)
{
	struct imap_range r = { from, to };
	struct imap_set one = { &r, from <= to };
	return view_read_set(v, &one, from, max, with_summary ? VIEW_SUMMARIES : VIEW_ENTRIES, arena, out, n);
}

/* One row of the map of the past. */
struct place {
	uint32_t uid;
	int64_t end;
};

struct past_load {
	struct view *v;
	uint32_t after;
	size_t got, keep; /* keep: bytes of places that earlier steps found */
	struct buffer places;
};

enum { PAST_CHUNK = 20000 };

static int load_living(struct meta_txn *t, void *arg)
{
	struct past_load *l = arg;
	struct view *v = l->v;
	struct meta_rows r;
	l->places.n = l->keep;
	l->got = 0;
	int e = view_holds(t, v);
	if (e)
		return e;
	e = meta_query(t, &r, META_LIVE_UIDS_AT, "iiiii", v->account, v->info.folder.id, (int64_t)l->after, v->info.at.change,
	                   (int64_t)PAST_CHUNK);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct place p = { (uint32_t)meta_int(&r, 0), 0 };
		buffer_put(&l->places, &p, sizeof p);
		l->got++;
	}
	meta_done(&r);
	return e;
}

static int load_ended(struct meta_txn *t, void *arg)
{
	struct past_load *l = arg;
	struct view *v = l->v;
	struct meta_rows r;
	l->places.n = l->keep;
	int e = view_holds(t, v);
	if (e)
		return e;
	e = meta_query(t, &r, META_PAST_AT, "iiii", v->account, v->info.folder.id, v->info.at.change, v->info.at.change);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct place p = { (uint32_t)meta_int(&r, 0), meta_int(&r, 1) };
		buffer_put(&l->places, &p, sizeof p);
	}
	meta_done(&r);
	return e;
}

/* The ended one first, when a version was read as living and again after it ended. */
static int by_place(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->uid != y->uid)
		return (x->uid > y->uid) - (x->uid < y->uid);
	return (x->end < y->end) - (x->end > y->end);
}

static int fill_map(struct view *v, struct buffer *places)
{
	size_t n = places->n / sizeof(struct place);
	struct place *p = (struct place *)(void *)places->p;
	if (n)
		qsort(p, n, sizeof *p, by_place);
	v->map = uidmap_new((uint32_t)n);
	v->ends = calloc(n + 1, sizeof *v->ends);
	if (!v->map || !v->ends)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < n; i++) {
		if (i && p[i].uid == p[i - 1].uid)
			continue;
		v->ends[v->map->n] = p[i].end;
		v->map->uid[v->map->n++] = p[i].uid;
	}
	return OK;
}

/* First the living in short steps, then the ended in one: what ends in between is found by the second. */
int view_past_map(struct view *v)
{
	struct past_load l = { .v = v };
	struct meta *m = v->s->store->meta;
	int e;
	do {
		e = meta_read(m, load_living, &l);
		l.keep = l.places.n;
		if (l.got)
			l.after = ((struct place *)(void *)(l.places.p + l.places.n))[-1].uid;
	} while (!e && buffer_ok(&l.places) && l.got == PAST_CHUNK);
	if (!e)
		e = meta_read(m, load_ended, &l);
	if (!e)
		e = view_stands(v);
	if (!e)
		e = buffer_ok(&l.places) ? fill_map(v, &l.places) : fail_with(ERR_UNAVAILABLE, "no memory");
	buffer_free(&l.places);
	return e;
}
