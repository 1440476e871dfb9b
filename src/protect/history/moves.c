#include "moves.h"

#include <stdlib.h>

#include "fail.h"

enum { PAIRS_MAX = 1000000 };

struct moved {
	struct spot from, to;
};

/* The UIDs that operations of one kind list, with the collection they are counted under. */
static int list_uids(struct span body, enum log_op op, struct buffer *out)
{
	struct log_operation o;
	uint32_t first, last;
	int r;
	while ((r = log_next(&body, &o)) > 0) {
		uint64_t at = 0;
		if (o.op != op || (op == LOG_ADD && !o.from))
			continue;
		while (log_next_range(&o, &at, &first, &last)) {
			if (last - first > PAIRS_MAX || out->n / sizeof(struct moved) > PAIRS_MAX)
				return fail_with(ERR_LIMIT, "a change of too many messages");
			for (uint64_t uid = first; uid <= last; uid++) {
				struct moved k = { 0 };
				if (op == LOG_END)
					k.from = (struct spot){ o.collection, (uint32_t)uid };
				else
					k = (struct moved){ { o.from, 0 }, { o.collection, (uint32_t)uid } };
				buffer_put(out, &k, sizeof k);
			}
		}
	}
	return r;
}

static int by_spot(const struct spot *x, const struct spot *y)
{
	if (x->collection != y->collection)
		return x->collection < y->collection ? -1 : 1;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static int by_from(const void *a, const void *b)
{
	return by_spot(&((const struct moved *)a)->from, &((const struct moved *)b)->from);
}

static int by_to(const void *a, const void *b)
{
	return by_spot(&((const struct moved *)a)->to, &((const struct moved *)b)->to);
}

static size_t count_from(const struct moved *k, size_t n, int64_t collection)
{
	size_t count = 0;
	for (size_t i = 0; i < n; i++)
		count += k[i].from.collection == collection;
	return count;
}

/* The k-th that ended in a collection is the k-th that was added out of it; only where there are as many of both. */
static void join(const struct moved *ends, size_t n_ends, const struct moved *adds, size_t n_adds, int64_t collection,
                 struct buffer *out)
{
	size_t at = 0;
	if (count_from(ends, n_ends, collection) != count_from(adds, n_adds, collection))
		return;
	for (size_t i = 0; i < n_adds; i++) {
		if (adds[i].from.collection != collection)
			continue;
		while (ends[at].from.collection != collection)
			at++;
		struct moved k = { ends[at++].from, adds[i].to };
		buffer_put(out, &k, sizeof k);
	}
}

static void join_all(const struct buffer *ends, const struct buffer *adds, struct buffer *out)
{
	const struct moved *a = (const struct moved *)(const void *)adds->p;
	size_t n = adds->n / sizeof *a, n_ends = ends->n / sizeof *a;
	for (size_t i = 0; i < n && n_ends; i++) {
		bool first = true;
		for (size_t k = i; first && k > 0; k--) /* collections are few, and lie in a row */
			first = a[k - 1].from.collection != a[i].from.collection;
		if (first)
			join((const struct moved *)(const void *)ends->p, n_ends, a, n, a[i].from.collection, out);
		while (i + 1 < n && a[i + 1].from.collection == a[i].from.collection)
			i++;
	}
}

static int read_body(struct moves_row *row, struct span body)
{
	struct buffer ends = { 0 }, adds = { 0 };
	int e = list_uids(body, LOG_END, &ends);
	if (!e)
		e = list_uids(body, LOG_ADD, &adds);
	if (!e)
		join_all(&ends, &adds, &row->out);
	buffer_put_span(&row->in, buffer_span(&row->out));
	if (!e && !(buffer_ok(&ends) && buffer_ok(&adds) && buffer_ok(&row->in)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	size_t n = row->out.n / sizeof(struct moved);
	if (!e && n) {
		qsort(row->out.p, n, sizeof(struct moved), by_from);
		qsort(row->in.p, n, sizeof(struct moved), by_to);
	}
	buffer_free(&ends);
	buffer_free(&adds);
	return e;
}

static int load_row(struct moves *m, struct meta_txn *t, int64_t change, struct moves_row **out)
{
	struct moves_row *row = &m->rows[(uint64_t)change % MOVES_ROWS];
	struct meta_rows r;
	*out = row;
	if (row->change == change)
		return OK;
	row->change = 0;
	buffer_reset(&row->out);
	buffer_reset(&row->in);
	int e = meta_one(t, &r, META_JOURNAL_BODY, "ii", m->account, change);
	if (e)
		return e;
	e = read_body(row, meta_span(&r, 0));
	meta_done(&r);
	if (!e)
		row->change = change;
	return e;
}

static int look_up(const struct buffer *list, const struct moved *key, int (*by)(const void *, const void *), struct moved *out)
{
	size_t n = list->n / sizeof *key;
	const struct moved *k = n ? bsearch(key, list->p, n, sizeof *key, by) : NULL;
	if (!k)
		return ERR_NOT_FOUND;
	*out = *k;
	return OK;
}

int moves_onward(struct moves *m, struct meta_txn *t, int64_t change, struct spot from, struct spot *to)
{
	struct moves_row *row;
	struct moved k = { .from = from };
	int e = load_row(m, t, change, &row);
	if (!e)
		e = look_up(&row->out, &k, by_from, &k);
	if (!e)
		*to = k.to;
	return e;
}

int moves_back(struct moves *m, struct meta_txn *t, int64_t change, struct spot to, struct spot *from)
{
	struct moves_row *row;
	struct moved k = { .to = to };
	int e = load_row(m, t, change, &row);
	if (!e)
		e = look_up(&row->in, &k, by_to, &k);
	if (!e)
		*from = k.from;
	return e;
}

void moves_free(struct moves *m)
{
	for (size_t i = 0; i < MOVES_ROWS; i++) {
		buffer_free(&m->rows[i].out);
		buffer_free(&m->rows[i].in);
	}
	*m = (struct moves){ 0 };
}
