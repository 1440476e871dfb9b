/* Reading entries as a view shows them: the living, those that are gone but untold, those of the past. */
#include <stdlib.h>

#include "entry_cache.h"
#include "fail.h"
#include "flags.h"
#include "incoming.h"
#include "service_private.h"
#include "view_private.h"

enum {
	GAP_MAX = 16, /* messages between two that are asked for, which are read along with them */
	PAGE_MIN = 500, /* messages in a row that are looked for among those that were read lately */
};

struct read_request {
	struct view *v;
	enum view_depth depth;
	struct arena *arena;
	uint32_t *wanted; /* places in the view's map, ascending */
	size_t n;
	struct entry *entries; /* in the arena, room for n */
	size_t found;
	bool full;             /* the arena was, for something of them */
	int64_t change;        /* of the mailbox, as the transaction shows it; 0: nobody asked */
};

static uint32_t uid_of(const struct read_request *q, size_t i)
{
	return q->v->map->uid[q->wanted[i]];
}

static struct span copy(struct read_request *q, struct span text)
{
	struct span s = arena_copy(q->arena, text);
	q->full = q->full || !s.p;
	return s;
}

/* The next of the entries. */
static int new_entry(struct read_request *q, struct entry **e)
{
	if (q->found == q->n)
		return fail_with(ERR_CORRUPT, "a message is in its mailbox twice");
	*e = &q->entries[q->found++];
	return OK;
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

/* May it be kept, and have been? Entries without more, of messages that follow each other. */
static bool is_page(const struct read_request *q, size_t from, size_t end)
{
	return q->depth == VIEW_ENTRIES && end - from >= PAGE_MIN && q->wanted[end - 1] - q->wanted[from] == end - 1 - from;
}

static struct entry_page page_of(const struct read_request *q, size_t from, size_t end)
{
	return (struct entry_page){ q->v->account, q->v->info.folder.id, q->change, q->wanted[from], uid_of(q, from), uid_of(q, end - 1) };
}

/* Not where other nodes write too: when all of a database's nodes die, a change that was seen may be lost, and its number be another's. */
static bool has_pages(const struct read_request *q)
{
	if (meta_shared(q->v->s->store->meta))
		return false;
	for (size_t i = 0; i < q->n; i = run_end(q, i))
		if (is_page(q, i, run_end(q, i)))
			return true;
	return false;
}

/* q->change. One that was deleted has none, and its messages are read from rows. */
static int read_change(struct meta_txn *t, struct read_request *q)
{
	struct meta_rows r;
	struct collection k;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", q->v->account, q->v->info.folder.id);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	collection_from_row(&r, &k);
	meta_done(&r);
	q->change = k.change;
	return OK;
}

static bool take_page(struct read_request *q, size_t from, size_t end)
{
	size_t n = 0;
	bool known = q->change && is_page(q, from, end);
	struct entry_page p = page_of(q, from, end);
	known = known && entry_cache_get(q->v->s->entries, &p, q->arena, q->entries + q->found, q->n - q->found, &n);
	q->found += n;
	return known;
}

static void keep_page(struct read_request *q, size_t from, size_t end, size_t before)
{
	struct entry_page p = page_of(q, from, end);
	if (q->change && !q->full && is_page(q, from, end))
		entry_cache_put(q->v->s->entries, &p, q->entries + before, q->found - before);
}

static int read_run(struct meta_txn *t, struct read_request *q, size_t from, size_t end)
{
	struct meta_rows r;
	struct entry *e = NULL;
	size_t first = from, before = q->found;
	if (take_page(q, from, end))
		return OK;
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
		if ((err = new_entry(q, &e)))
			break;
		take_entry(q, &r, e);
		take_depth(q, &r, 9, e);
	}
	meta_done(&r);
	if (!err)
		keep_page(q, first, end, before);
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
	int err = OK;
	if (q->depth == VIEW_ENTRIES)
		return OK;
	for (size_t i = from; i < q->found; i++)
		meta_expect(t, META_EMAIL_PLACE, "i", q->entries[i].email);
	for (size_t i = from; !err && i < q->found; i++) {
		struct entry *e = &q->entries[i];
		err = meta_one(t, &r, META_EMAIL_PLACE, "i", e->email);
		if (err)
			return err == ERR_NOT_FOUND ? fail_with(ERR_CORRUPT, "email %lld is not there", (long long)e->email) : err;
		take_depth(q, &r, 0, e);
		meta_done(&r);
	}
	return err;
}

/* The session was not told yet that these are gone: it still gets them, out of the past. */
static int add_gone(struct meta_txn *t, struct read_request *q)
{
	struct meta_rows r;
	struct view *v = q->v;
	struct entry *e = NULL;
	size_t from = q->found;
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
		if ((err = new_entry(q, &e)))
			break;
		take_entry(q, &r, e);
	}
	meta_done(&r);
	if (!err)
		err = add_depth(t, q, from);
	qsort(q->entries, q->found, sizeof *e, by_uid);
	return err;
}

/* \Seen as the viewer has it, whatever the owner does. */
static int overlay_seen(struct meta_txn *t, struct read_request *q)
{
	struct meta_rows r;
	const struct view *v = q->v;
	struct entry *k = q->entries, *end = k + q->found;
	if (!v->info.viewer || k == end)
		return OK;
	for (struct entry *i = k; i < end; i++)
		i->flags &= ~(uint64_t)FLAG_SEEN;
	int e = meta_query(t, &r, META_SEEN_RANGE, "iiiii", v->account, v->info.folder.id, v->info.viewer, (int64_t)k->uid,
	                   (int64_t)end[-1].uid);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		while (k < end && k->uid < uid)
			k++;
		if (k == end || k->uid != uid)
			continue;
		k->flags |= (uint64_t)meta_int(&r, 1) & FLAG_SEEN;
		k->change = k->change > meta_int(&r, 2) ? k->change : meta_int(&r, 2);
	}
	meta_done(&r);
	return e;
}

static int read_present(struct meta_txn *t, void *arg)
{
	struct read_request *q = arg;
	int e = OK;
	q->found = 0;
	q->full = false;
	q->change = 0;
	if (has_pages(q))
		e = read_change(t, q);
	for (size_t i = 0; !e && i < q->n; i = run_end(q, i))
		if (!q->change || !is_page(q, i, run_end(q, i)))
			expect_run(t, q, i, run_end(q, i));
	for (size_t i = 0; !e && i < q->n; i = run_end(q, i))
		e = read_run(t, q, i, run_end(q, i));
	if (!e && q->found < q->n)
		e = add_gone(t, q);
	return e ? e : overlay_seen(t, q);
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
	q->found = 0;
	q->full = false;
	for (size_t i = 0; i < q->n; i++)
		expect_version(t, q, i);
	err = view_holds(t, q->v);
	if (err)
		return err;
	for (size_t i = 0; i < q->n; i++) {
		struct entry *e = &q->entries[q->found++];
		err = read_version(t, q, i, e);
		if (err && err != ERR_NOT_FOUND)
			return err;
		if (err) {
			*e = (struct entry){ .uid = uid_of(q, i) };
			expect_replaced(t, q, e->uid);
		}
	}
	for (size_t i = 0; i < q->n; i++) {
		struct entry *e = &q->entries[i];
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
	q->entries = arena_alloc(q->arena, q->n * sizeof *q->entries);
	if (!q->entries)
		return fail_with(ERR_LIMIT, "no memory for so many entries at once");
	int e = meta_read(v->s->store->meta, v->info.past ? read_past : read_present, q);
	if (!e || e == ERR_CORRUPT) /* versions that purge took are no damage */
		e = view_stands(v) ? ERR_NOT_FOUND : e;
	if (!e && q->full)
		e = fail_with(ERR_LIMIT, "no memory for so many entries at once");
	if (e)
		return e;
	*out = q->entries;
	*n = q->found;
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
