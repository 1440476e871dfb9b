/* What goes of an account's log: versions, definitions of folders, folders that ended, journal rows. A page is read, then
   what nobody needs of it is removed, some at a time; each email that lost a version is noted down in the same transaction,
   so that a crash forgets none. */
#include <stdlib.h>

#include "purge_private.h"

struct row {
	int64_t end, viewer, uid, begin, email, size;
};

struct past_page {
	struct roots *k;
	int64_t collection;
	struct row after; /* end, viewer, uid */
	int64_t upto;
	struct row rows[PURGE_READ];
	size_t n;
	struct row *some[PURGE_ROWS];
	size_t n_some;
};

static int read_past(struct meta_txn *t, void *arg)
{
	struct past_page *p = arg;
	struct meta_rows r;
	const struct row *a = &p->after;
	p->n = 0;
	int e = meta_query(t, &r, META_PURGE_PAST, "iiiiiiiii", p->k->account, p->collection, a->end, a->end, a->viewer, a->viewer,
	                   a->uid, p->upto, (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = (struct row){ meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 3), meta_int(&r, 4),
			                        meta_int(&r, 5) };
	meta_done(&r);
	return e;
}

static int doom_email(struct meta_txn *t, const struct roots *k, int64_t email)
{
	return email ? purge_doom(t, DOOM_EMAIL, k->account, email, k->run->now) : OK;
}

static int drop_past(struct meta_txn *t, void *arg)
{
	struct past_page *p = arg;
	int e = OK;
	for (size_t i = 0; !e && i < p->n_some; i++) {
		const struct row *v = p->some[i];
		e = meta_do(t, META_PURGE_PAST_DROP, "iiiii", p->k->account, p->collection, v->end, v->viewer, v->uid);
		if (!e)
			e = doom_email(t, p->k, v->email);
	}
	return e;
}

static int drop_some(struct past_page *p)
{
	int e = OK;
	p->k->counts.versions += p->n_some;
	if (p->n_some && !p->k->run->q->dry_run)
		e = purge_step(p->k->run, drop_past, p);
	for (size_t i = 0; i < p->n_some && p->k->run->q->dry_run; i++)
		buffer_put(&p->k->losing, &p->some[i]->email, sizeof p->some[i]->email);
	p->n_some = 0;
	return e;
}

/* all: the collection itself goes. */
static int take_page(struct past_page *p, bool all)
{
	int e = OK;
	for (size_t i = 0; !e && i < p->n; i++) {
		struct row *v = &p->rows[i];
		if (!all && roots_need(p->k, v->begin, v->end))
			continue;
		p->some[p->n_some++] = v;
		if (p->n_some == PURGE_ROWS)
			e = drop_some(p);
	}
	return e ? e : drop_some(p);
}

static int purge_versions(struct roots *k, int64_t collection, int64_t from, int64_t upto, bool all)
{
	struct past_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*p = (struct past_page){ .k = k, .collection = collection, .upto = upto, .after = { from, INT64_MAX, 0 } };
	int e;
	do {
		e = purge_read(k->run, read_past, p);
		if (!e)
			e = take_page(p, all);
		if (p->n)
			p->after = p->rows[p->n - 1];
	} while (!e && p->n == PURGE_READ);
	free(p);
	return e;
}

/* --- Folders --- */

struct definition {
	int64_t end, id, begin, kind;
	bool lives; /* its collection does */
};

struct definitions {
	struct roots *k;
	int64_t end, id; /* after these */
	struct buffer all; /* struct definition, by id and end */
	size_t keep, got;
	const struct definition *some[PURGE_ROWS];
	size_t n_some;
};

static int read_definitions(struct meta_txn *t, void *arg)
{
	struct definitions *d = arg;
	struct meta_rows r;
	d->all.n = d->keep;
	d->got = 0;
	int e = meta_query(t, &r, META_PURGE_DEFINITIONS, "iiiiii", d->k->account, d->end, d->end, d->id, INT64_MAX,
	                   (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct definition one = { meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 4), meta_int(&r, 7) };
		buffer_put(&d->all, &one, sizeof one);
		d->got++;
	}
	meta_done(&r);
	return e;
}

static int by_id(const void *a, const void *b)
{
	const struct definition *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

static int read_all_definitions(struct definitions *d)
{
	int e;
	do {
		e = purge_read(d->k->run, read_definitions, d);
		d->keep = d->all.n;
		if (!e && d->got) {
			const struct definition *last = (const struct definition *)(void *)(d->all.p + d->all.n) - 1;
			d->end = last->end;
			d->id = last->id;
		}
	} while (!e && buffer_ok(&d->all) && d->got == PURGE_READ);
	if (!e && !buffer_ok(&d->all))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && d->all.n)
		qsort(d->all.p, d->all.n / sizeof(struct definition), sizeof(struct definition), by_id);
	return e;
}

static int drop_definitions(struct meta_txn *t, void *arg)
{
	struct definitions *d = arg;
	int e = OK;
	for (size_t i = 0; !e && i < d->n_some; i++) {
		e = meta_do(t, META_PURGE_DEFINITION_DROP, "iii", d->k->account, d->some[i]->end, d->some[i]->id);
		if (!e)
			e = meta_do(t, META_PURGE_UIDMAP_DROP, "ii", d->k->account, d->some[i]->id);
	}
	return e;
}

static int drop_some_definitions(struct definitions *d)
{
	int e = OK;
	d->k->counts.folders += d->n_some;
	if (d->n_some && !d->k->run->q->dry_run)
		e = purge_step(d->k->run, drop_definitions, d);
	d->n_some = 0;
	return e;
}

/* The definitions of one collection. One that ended stays whole, by its last definition, as long as any is seen: there its
   entries stand in live, and that definition alone says that they are gone. */
static int take_collection(struct definitions *d, const struct definition *first, size_t n)
{
	const struct definition *last = &first[n - 1];
	bool seen = first->lives || last->end > d->k->floor;
	for (size_t i = 0; !seen && i < n; i++)
		seen = roots_cover(d->k, first[i].begin, first[i].end);
	int e = seen ? OK : purge_collection(d->k, first->id);
	for (size_t i = 0; !e && i < n; i++) {
		if (roots_cover(d->k, first[i].begin, first[i].end) || first[i].end > d->k->floor ||
		    (seen && !first->lives && &first[i] == last))
			continue;
		d->some[d->n_some++] = &first[i];
		if (d->n_some == PURGE_ROWS)
			e = drop_some_definitions(d);
	}
	return e;
}

static int purge_definitions(struct roots *k)
{
	struct definitions d = { .k = k };
	int e = read_all_definitions(&d);
	const struct definition *all = (const struct definition *)(void *)d.all.p;
	size_t n = d.all.n / sizeof *all;
	for (size_t i = 0, run; !e && i < n; i += run) {
		for (run = 1; i + run < n && all[i + run].id == all[i].id;)
			run++;
		e = take_collection(&d, &all[i], run);
	}
	if (!e)
		e = drop_some_definitions(&d);
	buffer_free(&d.all);
	return e;
}

/* --- Entries of a folder that ended --- */

struct live_page {
	struct roots *k;
	int64_t collection;
	struct row rows[PURGE_ROWS];
	size_t n;
	int64_t viewer, uid; /* after these */
};

static int read_live(struct meta_txn *t, void *arg)
{
	struct live_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_PURGE_LIVE, "iiiiii", p->k->account, p->collection, p->viewer, p->viewer, p->uid,
	                   (int64_t)PURGE_ROWS);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = (struct row){ .viewer = meta_int(&r, 0), .uid = meta_int(&r, 1), .email = meta_int(&r, 2) };
	meta_done(&r);
	return e;
}

static int drop_live(struct meta_txn *t, void *arg)
{
	struct live_page *p = arg;
	int e = OK;
	for (size_t i = 0; !e && i < p->n; i++) {
		e = meta_do(t, META_PURGE_LIVE_DROP, "iiii", p->k->account, p->collection, p->rows[i].viewer, p->rows[i].uid);
		if (!e)
			e = doom_email(t, p->k, p->rows[i].email);
	}
	return e;
}

static int purge_living(struct roots *k, int64_t collection)
{
	struct live_page p = { .k = k, .collection = collection, .viewer = -1 };
	int e;
	do {
		e = purge_read(k->run, read_live, &p);
		if (!e && p.n && !k->run->q->dry_run)
			e = purge_step(k->run, drop_live, &p);
		for (size_t i = 0; i < p.n && k->run->q->dry_run; i++)
			buffer_put(&k->losing, &p.rows[i].email, sizeof p.rows[i].email);
		k->counts.versions += p.n;
		if (p.n) {
			p.viewer = p.rows[p.n - 1].viewer;
			p.uid = p.rows[p.n - 1].uid;
		}
	} while (!e && p.n == PURGE_ROWS);
	return e;
}

struct names_page {
	struct roots *k;
	int64_t collection;
	struct arena arena;
	struct span names[PURGE_ROWS];
	size_t n;
};

static int read_names(struct meta_txn *t, void *arg)
{
	struct names_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	arena_reset(&p->arena);
	int e = meta_query(t, &r, META_NAME_LIST, "iisi", p->k->account, p->collection, SPAN(""), (int64_t)PURGE_ROWS);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->names[p->n++] = arena_copy(&p->arena, meta_span(&r, 0));
	meta_done(&r);
	return e;
}

static int drop_names(struct meta_txn *t, void *arg)
{
	struct names_page *p = arg;
	int e = OK;
	for (size_t i = 0; !e && i < p->n; i++)
		e = meta_do(t, META_PURGE_NAMES_DROP, "iis", p->k->account, p->collection, p->names[i]);
	return e;
}

static int purge_names(struct roots *k, int64_t collection)
{
	struct names_page p = { .k = k, .collection = collection };
	int e;
	do {
		e = purge_read(k->run, read_names, &p);
		if (!e && p.n)
			e = purge_step(k->run, drop_names, &p);
	} while (!e && p.n == PURGE_ROWS);
	arena_free(&p.arena);
	return e;
}

int purge_collection(struct roots *k, int64_t collection)
{
	int e = purge_living(k, collection);
	if (k->run->q->dry_run)
		buffer_put(&k->dying, &collection, sizeof collection);
	if (!e)
		e = purge_versions(k, collection, 0, INT64_MAX, true);
	if (!e && !k->run->q->dry_run) /* names are of items that live */
		e = purge_names(k, collection);
	return e;
}

/* --- The journal --- */

struct journal_page {
	struct roots *k;
	int64_t after, before;
	int64_t rows[PURGE_READ];
	size_t n;
	int64_t some[PURGE_ROWS];
	size_t n_some;
};

static int read_journal(struct meta_txn *t, void *arg)
{
	struct journal_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_PURGE_JOURNAL, "iiii", p->k->account, p->after, p->before, (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = meta_int(&r, 0);
	meta_done(&r);
	return e;
}

static int drop_journal(struct meta_txn *t, void *arg)
{
	struct journal_page *p = arg;
	int e = OK;
	for (size_t i = 0; !e && i < p->n_some; i++)
		e = meta_do(t, META_PURGE_JOURNAL_DROP, "ii", p->k->account, p->some[i]);
	return e;
}

static int drop_some_changes(struct journal_page *p)
{
	int e = OK;
	p->k->counts.changes += p->n_some;
	if (p->n_some && !p->k->run->q->dry_run)
		e = purge_step(p->k->run, drop_journal, p);
	p->n_some = 0;
	return e;
}

static int take_changes(struct journal_page *p)
{
	int e = OK;
	for (size_t i = 0; !e && i < p->n; i++) {
		if (roots_cover(p->k, p->rows[i], p->rows[i] + 1))
			continue;
		p->some[p->n_some++] = p->rows[i];
		if (p->n_some == PURGE_ROWS)
			e = drop_some_changes(p);
	}
	return e ? e : drop_some_changes(p);
}

int purge_journal(struct roots *k, int64_t after, int64_t before)
{
	struct journal_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*p = (struct journal_page){ .k = k, .after = after, .before = before };
	int e;
	do {
		e = purge_read(k->run, read_journal, p);
		if (!e)
			e = take_changes(p);
		if (p->n)
			p->after = p->rows[p->n - 1];
	} while (!e && p->n == PURGE_READ);
	free(p);
	return e;
}

/* --- All of it --- */

bool purge_dying(const struct roots *k, int64_t collection)
{
	const int64_t *id = (const int64_t *)(void *)k->dying.p;
	for (size_t i = 0; i < k->dying.n / sizeof *id; i++)
		if (id[i] == collection)
			return true;
	return false;
}

struct next {
	int64_t account, after, collection;
};

static int read_next(struct meta_txn *t, void *arg)
{
	struct next *n = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_NEXT_PAST, "ii", n->account, n->after);
	if (e)
		return e;
	n->collection = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int purge_all_versions(struct roots *k, int64_t from)
{
	struct next next = { .account = k->account };
	int64_t upto = k->run->q->dry_run ? INT64_MAX : k->floor; /* a dry run also counts what stays */
	for (;;) {
		int e = purge_read(k->run, read_next, &next);
		if (!e && next.collection && !purge_dying(k, next.collection))
			e = purge_versions(k, next.collection, from, upto, false);
		if (e || !next.collection)
			return e;
		next.after = next.collection;
	}
}

/* Definitions first: what a folder that goes as a whole had is not looked at one by one. The first journal row stays: it
   says when the account began. The floor's own stays too: it says which times its state is of. */
int purge_log(struct roots *k)
{
	int64_t from = k->run->q->dry_run ? 0 : roots_from(k);
	int e = purge_definitions(k);
	if (!e)
		e = purge_all_versions(k, from);
	return e ? e : purge_journal(k, from > 1 ? from - 1 : 1, k->floor);
}
