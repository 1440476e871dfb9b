/* Reading entries as a view shows them: the living, those that are gone but untold, those of the past. */
#include <stdlib.h>

#include "fail.h"
#include "service_private.h"
#include "view_private.h"

struct read_request {
	struct view *v;
	uint32_t from, to;
	size_t max;
	bool with_summary;
	struct arena *arena;
	struct buffer entries; /* struct entry each */
};

static void take_entry(struct read_request *q, const struct meta_rows *r, struct entry *e)
{
	struct version v;
	version_from_row(r, &v);
	*e = (struct entry){
		.uid = v.uid, .created = v.created, .change = v.change, .flags = v.flags, .date = v.date, .saved = v.saved,
		.email = v.email, .size = v.size,
		.keywords = v.keywords.n ? arena_copy(q->arena, v.keywords) : (struct span){ 0 },
	};
}

static int add_summary(struct meta_txn *t, struct read_request *q, struct entry *e)
{
	struct meta_rows r;
	if (!q->with_summary)
		return OK;
	int err = meta_one(t, &r, META_EMAIL_SUMMARY, "i", e->email);
	if (err)
		return err == ERR_NOT_FOUND ? fail_with(ERR_CORRUPT, "email %lld is not there", (long long)e->email) : err;
	e->summary = arena_copy(q->arena, meta_span(&r, 0));
	meta_done(&r);
	return OK;
}

static int read_living(struct meta_txn *t, struct read_request *q, uint32_t upto)
{
	struct meta_rows r;
	struct view *v = q->v;
	int err = meta_query(t, &r, q->with_summary ? META_LIVE_RANGE_SUMMARY : META_LIVE_RANGE, "iiiii", v->account,
	                     v->info.folder.id, (int64_t)q->from, (int64_t)upto, (int64_t)q->max);
	if (err)
		return err;
	while ((err = meta_next(&r)) > 0) {
		struct entry e;
		take_entry(q, &r, &e);
		if (q->with_summary)
			e.summary = arena_copy(q->arena, meta_span(&r, 9));
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

/* The session was not told yet that these are gone: it still gets them, out of the past. */
static int add_gone(struct meta_txn *t, struct read_request *q, uint32_t upto)
{
	struct meta_rows r;
	struct view *v = q->v;
	struct entry e;
	size_t from = q->entries.n;
	int err = meta_query(t, &r, META_PAST_GONE, "iiiiii", v->account, v->info.folder.id, v->expunged, (int64_t)q->from,
	                     (int64_t)upto, (int64_t)INT32_MAX);
	if (err)
		return err;
	while ((err = meta_next(&r)) > 0) {
		take_entry(q, &r, &e);
		if (view_number(v, e.uid))
			buffer_put(&q->entries, &e, sizeof e);
	}
	meta_done(&r);
	for (; !err && buffer_ok(&q->entries) && from < q->entries.n; from += sizeof e)
		err = add_summary(t, q, (struct entry *)(void *)(q->entries.p + from));
	if (q->entries.n)
		qsort(q->entries.p, q->entries.n / sizeof e, sizeof e, by_uid);
	return err;
}

/* The session's numbers say how far max entries reach: so the gone among them are bounded too. */
static int read_present(struct meta_txn *t, void *arg)
{
	struct read_request *q = arg;
	const struct uidmap *m = q->v->map;
	uint32_t first = uidmap_lower(m, q->from), end = q->to == UINT32_MAX ? m->n : uidmap_lower(m, q->to + 1);
	buffer_reset(&q->entries);
	if (end - first > q->max)
		end = first + (uint32_t)q->max;
	if (end == first)
		return OK;
	uint32_t upto = m->uid[end - 1];
	int e = read_living(t, q, upto);
	if (e || !buffer_ok(&q->entries) || q->entries.n / sizeof(struct entry) == end - first)
		return e;
	return add_gone(t, q, upto);
}

/* Where a version that was living when the view was opened is now. */
static int find_version(struct meta_txn *t, struct view *v, uint32_t i, struct meta_rows *r)
{
	int64_t at = v->info.at.change, uid = v->map->uid[i];
	if (v->ends[i])
		return meta_one(t, r, META_PAST_GET, "iiii", v->account, v->info.folder.id, v->ends[i], uid);
	int e = meta_one(t, r, META_LIVE_GET, "iii", v->account, v->info.folder.id, uid);
	if (!e && meta_int(r, 2) <= at)
		return OK;
	if (!e)
		meta_done(r);
	else if (e != ERR_NOT_FOUND)
		return e;
	return meta_one(t, r, META_PAST_FIND, "iiiii", v->account, v->info.folder.id, at, at, uid);
}

static int read_past(struct meta_txn *t, void *arg)
{
	struct read_request *q = arg;
	struct view *v = q->v;
	buffer_reset(&q->entries);
	size_t n = 0;
	for (uint32_t i = uidmap_lower(v->map, q->from); i < v->map->n && v->map->uid[i] <= q->to && n < q->max; i++, n++) {
		struct meta_rows r;
		struct entry e;
		int err = find_version(t, v, i, &r);
		if (err)
			return err == ERR_NOT_FOUND ? fail_with(ERR_CORRUPT, "uid %u has no version at change %lld", v->map->uid[i],
			                                        (long long)v->info.at.change)
			                            : err;
		take_entry(q, &r, &e);
		meta_done(&r);
		err = add_summary(t, q, &e);
		if (err)
			return err;
		buffer_put(&q->entries, &e, sizeof e);
	}
	return OK;
}

int view_read(struct view *v, uint32_t from, uint32_t to, size_t max, bool with_summary, struct arena *arena,
              struct entry **out, size_t *n)
{
	uint32_t last = v->map->n ? v->map->uid[v->map->n - 1] : 0;
	struct read_request q = { .v = v, .from = from, .to = to < last ? to : last, .max = max, .with_summary = with_summary,
		                  .arena = arena };
	*n = 0;
	if (from > q.to)
		return OK;
	int e = meta_read(v->s->store->meta, v->info.past ? read_past : read_present, &q);
	if (!e || e == ERR_CORRUPT) /* versions that purge took are no damage */
		e = view_stands(v) ? ERR_NOT_FOUND : e;
	struct span all = arena_copy(arena, buffer_span(&q.entries));
	bool whole = buffer_ok(&q.entries);
	buffer_free(&q.entries);
	if (e)
		return e;
	if (!all.p || !whole)
		return fail_with(ERR_LIMIT, "no memory for so many entries at once");
	*out = (struct entry *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	return OK;
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
	int e = meta_query(t, &r, META_LIVE_UIDS_AT, "iiiii", v->account, v->info.folder.id, (int64_t)l->after, v->info.at.change,
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
	int e = meta_query(t, &r, META_PAST_AT, "iiii", v->account, v->info.folder.id, v->info.at.change, v->info.at.change);
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
