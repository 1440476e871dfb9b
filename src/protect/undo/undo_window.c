#include "undo_window.h"

#include <stdlib.h>

#include "fail.h"
#include "flags.h"
#include "store.h"

enum { PAGE = 10000 };

/* A row of past or live. */
struct row {
	struct version v;
	int64_t end; /* 0: live */
	bool gone;
};

struct page {
	struct undo_window *w;
	struct arena arena;
	struct buffer rows;
	int64_t end;
	uint32_t uid;
};

static int keep_rows(struct page *k, struct meta_rows *r, bool past)
{
	int e;
	arena_reset(&k->arena);
	buffer_reset(&k->rows);
	while ((e = meta_next(r)) > 0) {
		struct row row = { .end = past ? meta_int(r, 9) : 0, .gone = past && meta_int(r, 10) };
		version_from_row(r, &row.v);
		row.v.keywords = row.v.keywords.n ? arena_copy(&k->arena, row.v.keywords) : (struct span){ 0 };
		buffer_put(&k->rows, &row, sizeof row);
	}
	meta_done(r);
	return !e && !buffer_ok(&k->rows) ? fail_with(ERR_UNAVAILABLE, "no memory") : e;
}

static int read_past(struct meta_txn *t, void *arg)
{
	struct page *k = arg;
	const struct undo_window *w = k->w;
	struct meta_rows r;
	int e = meta_query(t, &r, META_PAST_CHAIN, "iiiiiiii", w->u->q->account, w->collection, k->end, k->end, (int64_t)k->uid,
	                   (int64_t)w->from, (int64_t)w->to, (int64_t)PAGE);
	return e ? e : keep_rows(k, &r, true);
}

static int read_live(struct meta_txn *t, void *arg)
{
	struct page *k = arg;
	const struct undo_window *w = k->w;
	struct meta_rows r;
	int e = meta_query(t, &r, META_LIVE_TOUCHED, "iiiiii", w->u->q->account, w->collection, (int64_t)k->uid, (int64_t)w->to,
	                   w->all ? (int64_t)0 : w->u->changes.first, (int64_t)PAGE);
	return e ? e : keep_rows(k, &r, false);
}

static void keywords_sum(struct arena *a, struct span *to, struct span more)
{
	struct buffer b = { 0 };
	if (more.n && keywords_union(&b, *to, more) == OK)
		*to = arena_copy(a, buffer_span(&b));
	buffer_free(&b);
}

static struct span keywords_rest(struct arena *a, struct span from, struct span less)
{
	struct buffer b = { 0 };
	if (!from.n || !less.n)
		return from;
	keywords_minus(&b, from, less);
	struct span out = b.n ? arena_copy(a, buffer_span(&b)) : (struct span){ 0 };
	buffer_free(&b);
	return out;
}

/* Takes those of `off` out of *from; were there any? */
static bool keywords_drop(struct arena *a, struct span *from, struct span off)
{
	struct span rest = keywords_rest(a, *from, off);
	bool any = rest.n != from->n;
	*from = rest;
	return any;
}

static void tell_keywords(struct undo_window *w, struct undo_entry *k, struct span before, struct span after, bool undone)
{
	struct arena *a = &w->arena;
	if (span_eq(before, after))
		return;
	struct span on = keywords_rest(a, after, before), off = keywords_rest(a, before, after);
	if (!undone) {
		bool put = keywords_drop(a, &k->put, on), take = keywords_drop(a, &k->take, off);
		k->skipped = k->skipped || put || take;
		return;
	}
	struct span put = k->put, take = k->take;
	keywords_drop(a, &k->put, on);
	keywords_drop(a, &k->take, off);
	keywords_sum(a, &k->take, keywords_rest(a, on, put));
	keywords_sum(a, &k->put, keywords_rest(a, off, take));
}

/* One version followed another, by that change. */
static void tell_flags(struct undo_window *w, struct undo_entry *k, const struct version *after, int64_t change)
{
	enum changes_source source = changes_source(&w->u->changes, change);
	uint64_t on = after->flags & ~k->v.flags, off = k->v.flags & ~after->flags;
	if (source == CHANGES_OURS)
		return;
	tell_keywords(w, k, k->v.keywords, after->keywords, source == CHANGES_UNDONE);
	if (source == CHANGES_OTHERS) {
		k->skipped = k->skipped || (on & k->set) || (off & k->clear);
		k->set &= ~on;
		k->clear &= ~off;
		return;
	}
	uint64_t clear = on & ~k->set, set = off & ~k->clear;
	k->set = (k->set & ~on) | set;
	k->clear = (k->clear & ~off) | clear;
}

static struct undo_entry *entry_of(struct undo_window *w, const struct row *row)
{
	uint32_t *at = &w->at[row->v.uid - w->from];
	if (!*at) {
		struct undo_entry k = { .v = { .uid = row->v.uid }, .made = changes_undone(&w->u->changes, row->v.created) };
		buffer_put(&w->entries, &k, sizeof k);
		*at = (uint32_t)(w->entries.n / sizeof k);
	}
	return buffer_ok(&w->entries) ? (struct undo_entry *)(void *)w->entries.p + (*at - 1) : NULL;
}

static int take(struct undo_window *w, const struct row *row)
{
	struct undo_entry *k = entry_of(w, row);
	if (!k)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (k->held)
		tell_flags(w, k, &row->v, row->v.change);
	bool known = k->held && span_eq(k->v.keywords, row->v.keywords);
	struct span keywords = known ? k->v.keywords : row->v.keywords.n ? arena_copy(&w->arena, row->v.keywords) : (struct span){ 0 };
	k->v = row->v;
	k->v.keywords = keywords;
	k->held = true;
	k->lives = !row->end;
	k->end = row->gone ? row->end : 0;
	return OK;
}

static int take_page(struct undo_window *w, struct page *k)
{
	const struct row *row = (const struct row *)(const void *)k->rows.p;
	size_t n = k->rows.n / sizeof *row;
	int e = OK;
	for (size_t i = 0; !e && i < n; i++)
		e = take(w, &row[i]);
	if (n) {
		k->end = row[n - 1].end;
		k->uid = row[n - 1].v.uid;
	}
	return e;
}

static int read_all(struct undo_window *w, meta_fn *fn, int64_t end, uint32_t uid)
{
	struct page k = { .w = w, .end = end, .uid = uid };
	int e;
	do {
		e = meta_read(service_store(w->u->s)->meta, fn, &k);
		if (!e)
			e = take_page(w, &k);
	} while (!e && k.rows.n / sizeof(struct row) == PAGE);
	buffer_free(&k.rows);
	arena_free(&k.arena);
	return e;
}

static int sort_entries(struct undo_window *w)
{
	struct undo_entry *all = (struct undo_entry *)(void *)w->entries.p;
	w->list = arena_alloc(&w->arena, (w->entries.n / sizeof *all + 1) * sizeof *w->list);
	if (!w->list)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (uint32_t i = 0; i <= w->to - w->from; i++)
		if (w->at[i])
			w->list[w->n++] = &all[w->at[i] - 1];
	return OK;
}

int undo_window_read(struct undo_window *w, const struct undo *u, int64_t collection, uint32_t from, uint32_t to, bool all)
{
	*w = (struct undo_window){ .u = u, .collection = collection, .all = all, .from = from, .to = to };
	w->at = calloc((size_t)(to - from) + 1, sizeof *w->at);
	int e = w->at ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = read_all(w, read_past, u->changes.first, 0);
	if (!e)
		e = read_all(w, read_live, 0, from - 1);
	if (!e)
		e = sort_entries(w);
	return e;
}

void undo_window_free(struct undo_window *w)
{
	free(w->at);
	buffer_free(&w->entries);
	arena_free(&w->arena);
	*w = (struct undo_window){ 0 };
}

void undo_set_back(const struct undo_entry *k, const struct version *v, struct arena *a, uint64_t *flags, struct span *keywords)
{
	*flags = (v->flags & ~k->clear) | k->set;
	*keywords = keywords_rest(a, v->keywords, k->take);
	keywords_sum(a, keywords, k->put);
}
