#include "staged.h"

#include "clock.h"
#include "fail.h"
#include "store.h"

/* Far less than a day, and far more than a transaction takes. */
#define PUT_VALID_US (3600 * SECOND_US)

static int put_row(struct meta_txn *t, struct span record, int64_t id, struct blob_location *at)
{
	*at = (struct blob_location){ 0, id, (int64_t)record.n };
	return meta_do(t, META_STAGED_ADD, "iiib", id, clock_now(), (int64_t)record.n, record);
}

int store_put_body(struct meta_txn *t, struct blob_stage *st, int64_t id, struct blob_location *at)
{
	struct span record = blob_stage_row(st, id);
	if (record.n)
		return put_row(t, record, id, at);
	int64_t put = blob_stage_put(st);
	int e = put ? staged_put_check(put) : OK;
	return e ? e : blob_stage_result(st, at);
}

int staged_put_check(int64_t put)
{
	int64_t now = clock_now();
	if (now >= put && now - put <= PUT_VALID_US)
		return OK;
	return fail_with(ERR_UNAVAILABLE, "the body was written too long ago: a purge may have found it unused");
}

/* --- Reading --- */

struct row {
	int64_t id;
	void *to;
	size_t n;
};

static int read_row(struct meta_txn *t, void *arg)
{
	struct row *w = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_STAGED_GET, "i", w->id);
	if (e)
		return e;
	struct span record = meta_span(&r, 0);
	if (record.n == w->n)
		memcpy(w->to, record.p, record.n);
	else
		e = fail_with(ERR_CORRUPT, "staged body %lld has %zu bytes", (long long)w->id, record.n);
	meta_done(&r);
	return e;
}

static int rows_read(void *ctx, int64_t id, void *to, size_t n)
{
	struct row w = { id, to, n };
	int e = meta_read(((struct store *)ctx)->meta, read_row, &w);
	return e == ERR_NOT_FOUND ? fail_with(e, "body %lld is not staged", (long long)id) : e;
}

struct page {
	int64_t after;
	struct blob_location *out;
	size_t n, max;
};

static int read_page(struct meta_txn *t, void *arg)
{
	struct page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_STAGED_LIST, "ii", p->after, (int64_t)p->max);
	if (e)
		return e;
	while (p->n < p->max && (e = meta_next(&r)) > 0)
		p->out[p->n++] = (struct blob_location){ 0, meta_int(&r, 0), meta_int(&r, 1) };
	meta_done(&r);
	return e < 0 ? e : OK;
}

static int rows_list(void *ctx, int64_t after, struct blob_location *out, size_t *n)
{
	struct page p = { .after = after, .out = out, .max = *n };
	int e = meta_read(((struct store *)ctx)->meta, read_page, &p);
	*n = e ? 0 : p.n;
	return e;
}

struct blob_rows staged_rows(struct store *s)
{
	return (struct blob_rows){ rows_read, rows_list, s };
}

static int read_stats(struct meta_txn *t, void *arg)
{
	struct staged_stats *s = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_STAGED_STATS, "");
	if (e)
		return e;
	*s = (struct staged_stats){ (uint64_t)meta_int(&r, 0), (uint64_t)meta_int(&r, 1), meta_int(&r, 2) };
	meta_done(&r);
	return OK;
}

int64_t staged_age(const struct staged_stats *s)
{
	int64_t age = s->oldest ? clock_now() - s->oldest : 0;
	return age > 0 ? age : 0;
}

int staged_stats(struct store *s, struct staged_stats *out)
{
	return meta_read(s->meta, read_stats, out);
}
