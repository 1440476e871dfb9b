/* Rights and annotations of folders that are gone for good: no definition of them is left, so nobody can bring one back. They end by
 * a change like any other, and go with the past when its time comes. */
#include <stdlib.h>

#include "metadata.h"
#include "purge_private.h"

static const struct actor purger = { "", 0, "purge" };

struct item {
	int64_t collection, kind;
	uint32_t uid;
	struct span name;
	int64_t owner, folder;
};

struct items {
	struct roots *k;
	struct arena arena;      /* names, of the page */
	struct item page[PURGE_READ];
	size_t n;
	struct item *some[PURGE_ROWS]; /* of the page and of one collection, whose folders are gone */
	size_t n_some;
	int64_t collection;      /* all behind this one */
	struct span after;       /* and this name in it */
	struct arena last;
	struct touched touched;
};

/* The folder that it is about; false: none that can be gone. */
static bool find_folder(const struct items *q, struct item *i)
{
	struct span entry;
	uint64_t folder;
	i->owner = q->k->account;
	if (i->kind == COLLECTION_RIGHTS && span_u64(i->name, INT64_MAX, &folder)) {
		i->folder = (int64_t)folder;
		return true;
	}
	int64_t owner;
	if (!metadata_item(i->name, &owner, &i->folder, &entry))
		return false;
	i->owner = owner ? owner : i->owner;
	return i->folder != 0;
}

static int read_page(struct meta_txn *t, void *arg)
{
	struct items *q = arg;
	struct meta_rows r;
	q->n = 0;
	arena_reset(&q->arena);
	int e = meta_query(t, &r, META_PURGE_BESIDE, "iiisi", q->k->account, q->collection, q->collection, q->after, (int64_t)PURGE_READ);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct item *i = &q->page[q->n++];
		*i = (struct item){ .collection = meta_int(&r, 0), .kind = meta_int(&r, 1), .uid = (uint32_t)meta_int(&r, 2),
			            .name = arena_copy(&q->arena, meta_span(&r, 3)) };
		if (!i->name.p)
			e = fail_with(ERR_UNAVAILABLE, "no memory");
	}
	meta_done(&r);
	return e;
}

struct question {
	int64_t owner, folder;
	bool gone;
};

static int read_gone(struct meta_txn *t, void *arg)
{
	struct question *x = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_FOLDER_LEFT, "iiii", x->owner, x->folder, x->owner, x->folder);
	if (e)
		return e;
	x->gone = meta_int(&r, 0) == 0;
	meta_done(&r);
	return OK;
}

static int end_items(struct meta_txn *t, void *arg)
{
	struct items *q = arg;
	struct change c;
	bool rights = q->some[0]->kind == COLLECTION_RIGHTS;
	int e = change_begin(&c, q->k->run->s, t, q->k->account, rights ? CHANGE_RIGHTS : CHANGE_METADATA, &purger, 0);
	for (size_t i = 0; !e && i < q->n_some; i++) {
		struct meta_rows r;
		e = meta_one(t, &r, META_PURGE_LEFT, "iii", q->k->account, q->some[i]->collection, (int64_t)q->some[i]->uid);
		if (e)
			break;
		bool there = meta_int(&r, 0) > 0;
		meta_done(&r);
		if (there)
			e = change_item_end(&c, q->some[i]->collection, q->some[i]->uid, q->some[i]->name);
	}
	return change_end(&c, e, &q->touched);
}

/* While the disk is full they stay until the next time. */
static int end_some(struct items *q)
{
	if (!q->n_some)
		return OK;
	int e = purge_step(q->k->run, end_items, q);
	q->n_some = 0;
	if (!e)
		change_publish(q->k->run->s, &q->touched);
	return e == ERR_FULL ? OK : e;
}

static int take_page(struct items *q)
{
	struct question x = { 0 };
	int e = OK;
	for (size_t i = 0; !e && i < q->n; i++) {
		struct item *it = &q->page[i];
		if (!find_folder(q, it))
			continue;
		if (it->owner != x.owner || it->folder != x.folder) { /* those of a folder follow one another */
			x = (struct question){ .owner = it->owner, .folder = it->folder };
			e = purge_read(q->k->run, read_gone, &x);
		}
		if (!e && q->n_some && (q->n_some == PURGE_ROWS || q->some[0]->collection != it->collection))
			e = end_some(q);
		if (!e && x.gone)
			q->some[q->n_some++] = it;
	}
	return e ? e : end_some(q);
}

static int next_page(struct items *q)
{
	int e = purge_read(q->k->run, read_page, q);
	if (!e)
		e = take_page(q);
	if (e || !q->n)
		return e;
	arena_reset(&q->last);
	q->collection = q->page[q->n - 1].collection;
	q->after = arena_copy(&q->last, q->page[q->n - 1].name);
	return q->after.p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

int purge_items(struct roots *k)
{
	struct items *q = calloc(1, sizeof *q);
	if (!q)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	q->k = k;
	q->after = SPAN("");
	int e;
	do {
		e = next_page(q);
	} while (!e && q->n == PURGE_READ);
	arena_free(&q->arena);
	arena_free(&q->last);
	free(q);
	return e;
}
