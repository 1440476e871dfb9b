#include "folder_names.h"

#include <stdlib.h>

#include "fail.h"
#include "mailbox_name.h"
#include "store.h"

struct load {
	int64_t account;
	struct folder_names *out;
	struct buffer rows;
};

static int read_names(struct meta_txn *t, void *arg)
{
	struct load *l = arg;
	struct meta_rows r;
	arena_reset(&l->out->arena);
	buffer_reset(&l->rows);
	int e = meta_query(t, &r, META_COLLECTION_NAMES, "ii", l->account, l->account);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct name n = { meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 0), arena_copy(&l->out->arena, meta_span(&r, 3)) };
		buffer_put(&l->rows, &n, sizeof n);
	}
	meta_done(&r);
	return e;
}

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct name *)a)->id, y = ((const struct name *)b)->id;
	return (x > y) - (x < y);
}

static int by_id_and_end(const void *a, const void *b)
{
	int64_t x = ((const struct name *)a)->end, y = ((const struct name *)b)->end;
	int d = by_id(a, b);
	return d ? d : (x > y) - (x < y);
}

/* Of several definitions of one id the last one counts. */
static void keep_last(struct folder_names *n, struct name *rows, size_t count)
{
	if (count)
		qsort(rows, count, sizeof *rows, by_id_and_end);
	for (size_t i = 0; i < count; i++)
		if (i + 1 == count || rows[i + 1].id != rows[i].id)
			n->list[n->n++] = rows[i];
}

int folder_names_read(struct service *s, int64_t account, struct folder_names *out)
{
	*out = (struct folder_names){ 0 };
	struct load l = { .account = account, .out = out };
	int e = meta_read(service_store(s)->meta, read_names, &l);
	size_t count = l.rows.n / sizeof(struct name);
	if (!e) {
		out->list = arena_alloc(&out->arena, (count + 1) * sizeof *out->list);
		e = out->list && buffer_ok(&l.rows) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	}
	if (!e)
		keep_last(out, (struct name *)(void *)l.rows.p, count);
	buffer_free(&l.rows);
	if (e)
		folder_names_free(out);
	return e;
}

void folder_names_put(const struct folder_names *n, int64_t id, struct buffer *out)
{
	const struct name *chain[MAILBOX_DEPTH_MAX + 1];
	size_t depth = 0;
	while (id && depth <= MAILBOX_DEPTH_MAX) {
		struct name key = { .id = id };
		const struct name *k = bsearch(&key, n->list, n->n, sizeof *n->list, by_id);
		if (!k)
			break;
		chain[depth++] = k;
		id = k->parent;
	}
	if (!depth)
		buffer_puts(out, "a folder");
	while (depth--) {
		buffer_put_span(out, chain[depth]->name);
		if (depth)
			buffer_putc(out, '/');
	}
}

void folder_names_free(struct folder_names *n)
{
	arena_free(&n->arena);
	*n = (struct folder_names){ 0 };
}
