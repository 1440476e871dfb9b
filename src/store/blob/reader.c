#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

#include "store_inside.h"

struct blob_reader {
	struct blob_store *store;
	struct blob_location at;
	bool alone; /* what is damaged is not read elsewhere */
	bool fresh; /* what was kept of the pack here was forgotten */
	bool other; /* bytes come out of the store's other copy */
	struct record_header header;
	unsigned char *stored; /* what was read: a record of one chunk, or the chunk at hand */
	unsigned char *raw;    /* a chunk expanded */
	struct span chunk;     /* the chunk at hand, verified; .p NULL: none */
	uint64_t index;        /* its number */
};

static int read_pack(struct blob_store *s, int64_t pack, bool other, void *to, size_t n, int64_t offset)
{
	return other ? blob_read_other(s->backend, pack, to, n, offset) : driver_of(s)->read(s->backend, pack, to, n, offset);
}

static int read_at(struct blob_reader *r, void *to, size_t n, uint64_t offset)
{
	return read_pack(r->store, r->at.pack, r->other, to, n, r->at.offset + (int64_t)offset);
}

/* A row is small. */
static int check_row(const struct blob_location *at)
{
	if (!at->pack && at->offset > 0 && at->stored >= RECORD_HEADER && at->stored <= (int64_t)record_padded(RECORD_SMALL))
		return OK;
	return fail_with(ERR_CORRUPT, "no record can be a row of %lld bytes", (long long)at->stored);
}

static int read_row(struct blob_store *s, const struct blob_location *at, unsigned char *to, struct record_header *h)
{
	size_t end;
	int e = check_row(at);
	if (!e && !s->rows.read)
		e = fail_with(ERR_CORRUPT, "no record of this store is a row");
	if (!e)
		e = s->rows.read(s->rows.ctx, at->offset, to, (size_t)at->stored);
	return e ? e : record_verify(at, span_from(to, (size_t)at->stored), h, &end);
}

static int expand(struct blob_reader *r, const struct chunk *c, size_t raw)
{
	struct pool *pool = &r->store->pool;
	if (!r->raw && !(r->raw = pool_take(pool)))
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	unsigned char *scratch = pool_take(pool);
	ZSTD_DCtx *z = scratch ? pool_take_expand(pool) : NULL;
	int e = z ? chunk_expand(z, c, scratch, r->raw, raw) : fail_with(ERR_UNAVAILABLE, "out of memory");
	if (z)
		pool_give_expand(pool, z);
	pool_give(pool, &scratch);
	return e;
}

static int chunk_load(struct blob_reader *r, uint64_t index);

static bool is_small(const struct blob_location *at)
{
	return at->stored <= (int64_t)record_padded(RECORD_SMALL);
}

int store_read_record(struct blob_store *s, const struct blob_location *at, bool other, unsigned char *to, struct record_header *h)
{
	if (!at->pack)
		return read_row(s, at, to, h);
	if (at->pack < 0 || at->offset < PACK_HEADER || at->offset % RECORD_ALIGN || at->stored < RECORD_HEADER ||
	    at->offset > INT64_MAX - at->stored)
		return fail_with(ERR_CORRUPT, "no record can be at %lld", (long long)at->offset);
	size_t n = is_small(at) ? (size_t)at->stored : RECORD_HEADER;
	int e = read_pack(s, at->pack, other, to, n, at->offset);
	if (!e)
		e = record_header_get(to, at->pack, at->offset, h);
	if (e)
		return e;
	if (h->stored != (uint64_t)at->stored)
		return fail_with(ERR_CORRUPT, "pack %llx: the record at %lld is another one", (long long)at->pack,
			(long long)at->offset);
	return OK;
}

static int take_buffer(struct blob_reader *r)
{
	if (!r->stored && !(r->stored = pool_take(&r->store->pool)))
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	return OK;
}

static int reader_start(struct blob_reader *r)
{
	int e = take_buffer(r);
	return e ? e : store_read_record(r->store, &r->at, r->other, r->stored, &r->header);
}

static int read_again(struct blob_reader *r, const uint64_t *index)
{
	int e = reader_start(r);
	return e || !index ? e : chunk_load(r, *index);
}

/* The bytes may have been damaged on their way here, and kept so. */
static int turn_to_store(struct blob_reader *r, int e, const uint64_t *index)
{
	if (r->fresh || !driver_of(r->store)->forget)
		return e;
	r->fresh = true;
	store_forget(r->store, r->at.pack);
	return read_again(r, index);
}

/* Damage is no reason to fail where the store itself, or another copy of it, has the bytes: e, or OK when the record, and the chunk if
   there is to be one, were read out of that. */
static int turn_to_other(struct blob_reader *r, int e, const uint64_t *index)
{
	char why[256];
	if (e != ERR_CORRUPT || r->alone || r->other || !r->at.pack)
		return e;
	e = turn_to_store(r, e, index);
	if (e != ERR_CORRUPT)
		return e;
	snprintf(why, sizeof why, "%s", fail_detail());
	r->other = true;
	if (!read_again(r, index))
		return OK;
	fail_set_detail(why);
	return e;
}

static struct blob_reader *reader_new(struct blob_store *s, const struct blob_location *at)
{
	struct blob_reader *r = calloc(1, sizeof *r);
	if (r) {
		r->store = s;
		r->at = *at;
	}
	return r;
}

static int hand_out(struct blob_reader *r, int e, struct blob_reader **out)
{
	if (e)
		blob_reader_close(&r);
	else
		*out = r;
	return e;
}

int blob_reader_open(struct blob_store *s, const struct blob_location *at, struct blob_reader **out)
{
	return store_reader_open(s, at, false, out);
}

int store_reader_open(struct blob_store *s, const struct blob_location *at, bool alone, struct blob_reader **out)
{
	struct blob_reader *r = reader_new(s, at);
	if (!r)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	r->alone = alone;
	return hand_out(r, turn_to_other(r, reader_start(r), NULL), out);
}

static int take_record(struct blob_reader *r, struct span record)
{
	size_t end;
	int e = check_row(&r->at);
	if (!e && record.n != (size_t)r->at.stored)
		e = fail_with(ERR_CORRUPT, "staged body %lld has %zu bytes", (long long)r->at.offset, record.n);
	if (!e)
		e = take_buffer(r);
	if (e)
		return e;
	memcpy(r->stored, record.p, record.n);
	return record_verify(&r->at, span_from(r->stored, record.n), &r->header, &end);
}

int blob_reader_open_row(struct blob_store *s, const struct blob_location *at, struct span record, struct blob_reader **out)
{
	struct blob_reader *r = reader_new(s, at);
	if (!r)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	return hand_out(r, take_record(r, record), out);
}

void blob_reader_close(struct blob_reader **rp)
{
	struct blob_reader *r = *rp;
	*rp = NULL;
	if (!r)
		return;
	pool_give(&r->store->pool, &r->stored);
	pool_give(&r->store->pool, &r->raw);
	free(r);
}

uint64_t blob_reader_size(const struct blob_reader *r)
{
	return r->header.raw;
}

const unsigned char *blob_reader_sha256(const struct blob_reader *r)
{
	return r->header.sha256;
}

/* Where chunk `index` of many begins and ends in the record, by the table at the record's end. The table has no checksum:
   a wrong entry leads to bytes that are not this chunk, and the chunk's own checksum says so. */
static int chunk_bounds(struct blob_reader *r, uint64_t index, uint64_t *from, uint64_t *to)
{
	unsigned char entries[2 * TABLE_ENTRY];
	uint64_t table = r->header.stored - (uint64_t)r->header.chunks * TABLE_ENTRY;
	bool last = index + 1 == r->header.chunks;
	int e = read_at(r, entries, last ? TABLE_ENTRY : 2 * TABLE_ENTRY, table + index * TABLE_ENTRY);
	if (e)
		return e;
	*from = table_entry_get(entries);
	*to = last ? table : table_entry_get(entries + TABLE_ENTRY);
	if (*from < RECORD_HEADER || *from >= *to || *to > table || *to - *from > POOL_BUFFER)
		return fail_with(ERR_CORRUPT, "pack %llx: table of the record at %lld", (long long)r->at.pack,
			(long long)r->at.offset);
	return OK;
}

/* The stored bytes of a chunk: in r->stored, *n of them at *p. */
static int chunk_fetch(struct blob_reader *r, uint64_t index, const unsigned char **p, size_t *n)
{
	uint64_t from, to;
	*p = r->stored;
	if (r->header.chunks == 1 && is_small(&r->at)) {
		*p += RECORD_HEADER;
		*n = r->header.stored - RECORD_HEADER;
		return OK;
	}
	int e = chunk_bounds(r, index, &from, &to);
	if (e)
		return e;
	*n = to - from;
	return read_at(r, r->stored, *n, from);
}

static int chunk_load(struct blob_reader *r, uint64_t index)
{
	size_t n, raw = record_chunk_raw(&r->header, index);
	const unsigned char *p;
	struct chunk c;
	r->chunk.p = NULL;
	int e = chunk_fetch(r, index, &p, &n);
	if (!e)
		e = chunk_get(p, n, index, raw, &c);
	if (e)
		return e;
	if (c.kind != CHUNK_PLAIN)
		e = expand(r, &c, raw);
	if (e)
		return e;
	r->chunk = span_from(c.kind == CHUNK_PLAIN ? c.p : r->raw, raw);
	r->index = index;
	return OK;
}

int blob_reader_at(struct blob_reader *r, uint64_t offset, struct span *out)
{
	if (offset >= r->header.raw) {
		*out = SPAN("");
		return OK;
	}
	uint64_t index = offset / BLOB_CHUNK;
	int e = r->chunk.p && r->index == index ? OK : turn_to_other(r, chunk_load(r, index), &index);
	if (!e)
		*out = span_sub(r->chunk, (size_t)(offset % BLOB_CHUNK), SIZE_MAX);
	return e;
}
