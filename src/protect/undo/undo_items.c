/* Items that have a name: subscriptions, and whatever else an account's log holds beside mail. */
#include <stdlib.h>

#include "changeset.h"
#include "fail.h"
#include "store.h"
#include "undo_private.h"

enum { PAGE = 5000, COLLECTIONS_MAX = 100, ROWS_MAX = 1000000, CHUNK = 100 };

/* A version of an item. */
struct row {
	uint32_t uid;
	int64_t created, change, date;
	int64_t end; /* INT64_MAX: it lives */
	bool gone;
	struct span name, data;
};

enum todo { NOTHING, END, ADD, SET };

struct item {
	const struct row *now, *back; /* back: the version it is to have again */
	enum todo todo;
};

struct job {
	struct undo *u;
	int64_t collection;
	struct arena arena;
	struct buffer rows; /* struct row each, by uid and end */
	size_t keep, got;
	int64_t end;
	uint32_t uid;
	struct buffer todo; /* struct item each, ends first */
	const struct item *list;
	size_t n;
	uint64_t did, skipped;
	struct touched touched;
};

static int keep_rows(struct job *j, struct meta_rows *r, bool past)
{
	int e, at = past ? 11 : 9;
	j->rows.n = j->keep;
	j->got = 0;
	while ((e = meta_next(r)) > 0) {
		struct row k = { .uid = (uint32_t)meta_int(r, 0), .created = meta_int(r, 1), .change = meta_int(r, 2), .date = meta_int(r, 5),
			         .end = past ? meta_int(r, 9) : INT64_MAX, .gone = past && meta_int(r, 10),
			         .name = arena_copy(&j->arena, meta_span(r, at)), .data = arena_copy(&j->arena, meta_span(r, at + 1)) };
		buffer_put(&j->rows, &k, sizeof k);
		j->got++;
	}
	meta_done(r);
	if (!e && (!buffer_ok(&j->rows) || j->rows.n / sizeof(struct row) > ROWS_MAX))
		e = fail_with(ERR_LIMIT, "there are too many changes of settings: undo them in parts");
	return e;
}

static int read_past(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows r;
	int e = meta_query(t, &r, META_PAST_CHAIN, "iiiiiiii", j->u->q->account, j->collection, j->end, j->end, (int64_t)j->uid,
	                   (int64_t)0, (int64_t)UINT32_MAX, (int64_t)PAGE);
	return e ? e : keep_rows(j, &r, true);
}

static int read_live(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows r;
	int e = meta_query(t, &r, META_LIVE_TOUCHED, "iiiiii", j->u->q->account, j->collection, (int64_t)j->uid, (int64_t)UINT32_MAX,
	                   j->u->changes.first, (int64_t)PAGE);
	return e ? e : keep_rows(j, &r, false);
}

static int read_all(struct job *j, meta_fn *fn)
{
	int e;
	do {
		j->keep = j->rows.n;
		e = meta_read(service_store(j->u->s)->meta, fn, j);
		const struct row *last = (const struct row *)(const void *)(j->rows.p + j->rows.n);
		if (!e && j->got) {
			j->end = last[-1].end;
			j->uid = last[-1].uid;
		}
	} while (!e && j->got == PAGE);
	return e;
}

static int by_uid_and_end(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return (x->end > y->end) - (x->end < y->end);
}

/* The versions of one item, told in order. */
static void tell(struct job *j, const struct row *row, size_t n)
{
	const struct changes *c = &j->u->changes;
	const struct row *last = &row[n - 1], *back = NULL;
	bool made = changes_undone(c, row->created), lives = last->end == INT64_MAX;
	if (!undo_in_scope(j->u, row->name) && j->collection == SUBSCRIPTIONS)
		return;
	for (size_t i = 1; i < n; i++) { /* from one version to the next */
		enum changes_source source = changes_source(c, row[i].change);
		if (source == CHANGES_UNDONE && !back)
			back = &row[i - 1];
		if (source == CHANGES_OTHERS) {
			j->skipped += back != NULL;
			back = NULL;
		}
	}
	bool ended = !lives && last->gone && changes_undone(c, last->end);
	struct item k = { last, back ? back : last, NOTHING };
	if (made && lives)
		k.todo = END;
	else if (!made && ended)
		k.todo = ADD;
	else if (!made && lives && back)
		k.todo = SET;
	if (k.todo)
		buffer_put(&j->todo, &k, sizeof k);
}

static int in_turn(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->todo != y->todo)
		return x->todo < y->todo ? -1 : 1;
	return (x->now->uid > y->now->uid) - (x->now->uid < y->now->uid);
}

static void tell_all(struct job *j)
{
	struct row *row = (struct row *)(void *)j->rows.p;
	size_t n = j->rows.n / sizeof *row;
	if (n)
		qsort(row, n, sizeof *row, by_uid_and_end);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && row[i + run].uid == row[i].uid; run++)
			;
		tell(j, &row[i], run);
	}
	if (j->todo.n)
		qsort(j->todo.p, j->todo.n / sizeof(struct item), sizeof(struct item), in_turn);
}

static int is_there(struct meta_txn *t, const struct job *j, const struct item *k, uint32_t *uid)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_GET, "iis", j->u->q->account, j->collection, k->now->name);
	*uid = e ? 0 : (uint32_t)meta_int(&r, 0);
	if (!e)
		meta_done(&r);
	return e == ERR_NOT_FOUND ? OK : e;
}

static bool can_be_done(const struct item *k, uint32_t uid)
{
	return k->todo == ADD ? uid == 0 : uid == k->now->uid;
}

/* A dry run's look: names that are to end are free. */
static int count_some(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	uint32_t uid;
	int e = OK;
	j->did = j->skipped = 0;
	for (size_t i = 0; !e && i < j->n; i++) {
		const struct item *k = &j->list[i];
		e = is_there(t, j, k, &uid);
		for (size_t n = 0; k->todo == ADD && uid && n < j->n; n++)
			if (j->list[n].todo == END && j->list[n].now->uid == uid)
				uid = 0;
		bool can = can_be_done(k, uid);
		j->did += can;
		j->skipped += !can && k->todo != END;
	}
	return e;
}

static int do_item(struct job *j, struct change *c, const struct item *k)
{
	uint32_t uid;
	int e = is_there(c->t, j, k, &uid);
	if (e)
		return e;
	if (!can_be_done(k, uid)) { /* others were faster, or an earlier start did it */
		j->skipped += k->todo != END;
		return OK;
	}
	j->did++;
	if (k->todo == END)
		return change_item_end(c, j->collection, uid, k->now->name);
	if (k->todo == SET)
		return change_item_set(c, j->collection, uid, k->now->name, k->back->date, k->back->data);
	return change_item_add(c, j->collection, 0, k->now->name, k->back->date, k->back->data, &uid);
}

static int run_some(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct undo *u = j->u;
	struct change c;
	j->did = j->skipped = 0;
	int e = change_begin(&c, u->s, t, u->q->account, CHANGE_UNDO, u->q->actor, u->changeset);
	for (size_t i = 0; !e && i < j->n; i++)
		e = do_item(j, &c, &j->list[i]);
	return change_end(&c, e, &j->touched);
}

static int do_all(struct job *j)
{
	struct undo *u = j->u;
	size_t n = j->todo.n / sizeof(struct item);
	const struct item *all = (const struct item *)(const void *)j->todo.p;
	int e = OK;
	u->report.skipped += j->skipped;
	if (u->q->dry_run) {
		j->list = all;
		j->n = n;
		e = meta_read(service_store(u->s)->meta, count_some, j);
		u->report.subscriptions += j->did;
		u->report.skipped += j->skipped;
		return e;
	}
	for (size_t i = 0; !e && i < n && !undo_cancelled(u); i += CHUNK) {
		j->list = all + i;
		j->n = n - i < CHUNK ? n - i : CHUNK;
		e = changeset_step(service_store(u->s), u->q->account, u->changeset, run_some, j);
		if (e)
			break;
		change_publish(u->s, &j->touched);
		u->report.subscriptions += j->did;
		u->report.skipped += j->skipped;
	}
	return e;
}

static int undo_collection(struct undo *u, int64_t collection)
{
	struct job j = { .u = u, .collection = collection, .end = u->changes.first };
	int e = read_all(&j, read_past);
	j.uid = 0;
	if (!e)
		e = read_all(&j, read_live);
	if (!e)
		tell_all(&j);
	if (!e && !buffer_ok(&j.todo))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = do_all(&j);
	buffer_free(&j.rows);
	buffer_free(&j.todo);
	arena_free(&j.arena);
	return e;
}

struct collections {
	struct undo *u;
	int64_t id[COLLECTIONS_MAX];
	size_t n;
};

static int list_collections(struct meta_txn *t, void *arg)
{
	struct collections *k = arg;
	struct meta_rows r;
	k->n = 0;
	int e = meta_query(t, &r, META_COLLECTIONS_OTHER, "iii", k->u->q->account, (int64_t)COLLECTION_MAIL, k->u->changes.first);
	if (e)
		return e;
	while (k->n < COLLECTIONS_MAX && (e = meta_next(&r)) > 0)
		k->id[k->n++] = meta_int(&r, 0);
	meta_done(&r);
	return e < 0 ? e : OK;
}

int undo_items(struct undo *u)
{
	struct collections k = { .u = u };
	int e = meta_read(service_store(u->s)->meta, list_collections, &k);
	for (size_t i = 0; !e && i < k.n; i++)
		e = undo_collection(u, k.id[i]);
	return e;
}
