#include <stdlib.h>

#include "clock.h"
#include "fail.h"

#include "store_inside.h"

/* A stage goes OPEN -> FINISHED (blob_stage_finish, blob_stage_copy) -> WRITTEN (blob_write) -> DURABLE (blob_settle). A small
 * body that could not be written or synced is FINISHED with its failure in `result`, and may be written again. A large body
 * has its bytes on stable storage when it is FINISHED and only its name is missing; any failure of it is for good (FAILED),
 * as its bytes cannot be had again. Where packs are put whole a small one stays FINISHED: its record is a row of somebody's. */

enum { OWN_RECORD = PACK_HEADER }; /* offset of the record in a pack of its own */

int blob_stage_new(struct blob_store *s, struct blob_stage **out)
{
	struct blob_stage *st = calloc(1, sizeof *st);
	if (st) {
		st->store = s;
		st->hash = EVP_MD_CTX_new();
		st->chunk = pool_take(&s->pool);
	}
	if (!st || !st->hash || !st->chunk || EVP_DigestInit_ex2(st->hash, s->sha256, NULL) != 1) {
		blob_stage_free(&st);
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	}
	*out = st;
	return OK;
}

void blob_stage_free(struct blob_stage **stp)
{
	struct blob_stage *st = *stp;
	*stp = NULL;
	if (!st)
		return;
	if (st->own.file)
		driver_of(st->store)->done(st->store->backend, st->own.file);
	buffer_free(&st->own.table);
	pool_give(&st->store->pool, &st->chunk);
	EVP_MD_CTX_free(st->hash);
	free(st->detail);
	free(st);
}

void stage_failed(struct blob_stage *st, int r)
{
	st->result = r;
	free(st->detail);
	st->detail = strdup(fail_detail());
}

static int stage_broken(struct blob_stage *st, int r)
{
	stage_failed(st, r);
	st->state = STAGE_FAILED;
	return r;
}

/* Compresses what is in st->chunk, from RECORD_BODY on, and gives it its header at RECORD_HEADER; when compression gains,
   st->chunk is another buffer then. */
static int chunk_pack(struct blob_stage *st, size_t *stored)
{
	struct pool *pool = &st->store->pool;
	unsigned char *packed = pool_take(pool), *scratch = pool_take(pool);
	ZSTD_CCtx *z = packed && scratch ? pool_take_compress(pool) : NULL;
	enum chunk_kind kind = CHUNK_PLAIN;
	if (z) {
		*stored = chunk_compress(z, packed + RECORD_HEADER, scratch, st->chunk + RECORD_BODY, st->filled, &kind);
		pool_give_compress(pool, z);
	}
	if (kind != CHUNK_PLAIN) {
		unsigned char *plain = st->chunk;
		st->chunk = packed;
		packed = plain;
	} else {
		*stored = st->filled;
	}
	pool_give(pool, &packed);
	pool_give(pool, &scratch);
	if (!z)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	chunk_header_put(st->chunk + RECORD_HEADER, st->filled, *stored, kind, st->chunks++);
	return OK;
}

static int own_begin(struct blob_stage *st)
{
	int r = store_create_pack(st->store, &st->own.id, &st->own.file);
	st->own.at = OWN_RECORD + RECORD_HEADER;
	return r;
}

/* The full chunk goes to the pack of the body. */
static int own_chunk(struct blob_stage *st)
{
	unsigned char entry[TABLE_ENTRY];
	size_t stored;
	int r = st->own.file ? OK : own_begin(st);
	if (!r)
		r = chunk_pack(st, &stored);
	if (r)
		return r;
	table_entry_put(entry, (uint64_t)(st->own.at - OWN_RECORD));
	buffer_put(&st->own.table, entry, sizeof entry);
	struct iovec part = { st->chunk + RECORD_HEADER, CHUNK_HEADER + stored };
	r = driver_of(st->store)->write(st->store->backend, st->own.file, &part, 1, st->own.at);
	st->own.at += (int64_t)part.iov_len;
	st->filled = 0;
	return r;
}

int blob_stage_write(struct blob_stage *st, struct span bytes)
{
	if (st->state != STAGE_OPEN)
		return st->state == STAGE_FAILED ? blob_stage_result(st, NULL) : fail_with(ERR_INVALID, "the body has ended");
	if (bytes.n > RECORD_RAW_MAX - st->header.raw)
		return stage_broken(st, fail_with(ERR_LIMIT, "the body is too long"));
	if (EVP_DigestUpdate(st->hash, bytes.p, bytes.n) != 1)
		return stage_broken(st, fail_with(ERR_UNAVAILABLE, "SHA-256 failed"));
	st->header.raw += bytes.n;
	while (bytes.n) {
		int r = st->filled == BLOB_CHUNK ? own_chunk(st) : OK;
		if (r)
			return stage_broken(st, r);
		size_t n = BLOB_CHUNK - st->filled < bytes.n ? BLOB_CHUNK - st->filled : bytes.n;
		memcpy(st->chunk + RECORD_BODY + st->filled, bytes.p, n);
		st->filled += n;
		bytes = span_sub(bytes, n, bytes.n);
	}
	return OK;
}

/* Table, seal and at last the headers, then the sync that makes the bytes durable. */
static int own_finish(struct blob_stage *st)
{
	static const unsigned char zero[RECORD_ALIGN];
	unsigned char head[PACK_HEADER + RECORD_HEADER], seal[PACK_SEAL];
	const struct blob_driver *d = driver_of(st->store);
	struct own_pack *own = &st->own;
	int r = own_chunk(st);
	if (r)
		return r;
	if (!buffer_ok(&own->table))
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	size_t padding = (size_t)(record_padded((uint64_t)own->at) - (uint64_t)own->at);
	int64_t end = own->at + (int64_t)(padding + own->table.n);
	st->header.stored = (uint64_t)(end - OWN_RECORD);
	pack_seal_put(seal, own->id, end);
	struct iovec tail[] = { { (void *)(uintptr_t)zero, padding }, { own->table.p, own->table.n }, { seal, sizeof seal } };
	pack_header_put(head, own->id);
	record_header_put(head + OWN_RECORD, &st->header, own->id, OWN_RECORD);
	struct iovec first = { head, sizeof head };
	r = d->write(st->store->backend, own->file, tail, 3, own->at);
	if (!r)
		r = d->write(st->store->backend, own->file, &first, 1, 0);
	if (!r)
		r = store_sync_pack(st->store, own->file, false, 1);
	st->at = (struct blob_location){ own->id, OWN_RECORD, (int64_t)st->header.stored };
	return r;
}

static int small_finish(struct blob_stage *st)
{
	size_t stored = 0;
	int r = st->filled ? chunk_pack(st, &stored) : OK;
	if (r)
		return r;
	size_t used = st->filled ? RECORD_BODY + stored : RECORD_HEADER;
	st->header.stored = record_padded(used);
	memset(st->chunk + used, 0, st->header.stored - used);
	return OK;
}

/* A small body that is too large for a row: its record in a pack of its own, at once. */
static int whole_finish(struct blob_stage *st)
{
	unsigned char head[PACK_HEADER], seal[PACK_SEAL];
	struct own_pack *own = &st->own;
	int r = store_create_pack(st->store, &own->id, &own->file);
	if (r)
		return r;
	st->at = (struct blob_location){ own->id, OWN_RECORD, (int64_t)st->header.stored };
	pack_header_put(head, own->id);
	record_header_put(st->chunk, &st->header, own->id, OWN_RECORD);
	pack_seal_put(seal, own->id, OWN_RECORD + st->at.stored);
	struct iovec all[] = { { head, sizeof head }, { st->chunk, st->header.stored }, { seal, sizeof seal } };
	r = driver_of(st->store)->write(st->store->backend, own->file, all, 3, 0);
	return r ? r : store_sync_pack(st->store, own->file, false, 1);
}

int blob_stage_finish(struct blob_stage *st)
{
	if (st->state != STAGE_OPEN)
		return st->state == STAGE_FAILED ? blob_stage_result(st, NULL) : fail_with(ERR_INVALID, "the body has ended");
	if (EVP_DigestFinal_ex(st->hash, st->header.sha256, NULL) != 1)
		return stage_broken(st, fail_with(ERR_UNAVAILABLE, "SHA-256 failed"));
	st->header.chunks = (uint32_t)((st->header.raw + BLOB_CHUNK - 1) / BLOB_CHUNK);
	int r = st->own.file ? own_finish(st) : small_finish(st);
	if (!r && !st->own.file && st->store->backend->whole && st->header.stored > BLOB_STAGED)
		r = whole_finish(st);
	if (r)
		return stage_broken(st, r);
	if (st->own.file) {
		pool_give(&st->store->pool, &st->chunk);
		st->put = st->store->backend->whole ? clock_now() : 0;
	}
	st->state = STAGE_FINISHED;
	st->result = ERR_UNAVAILABLE; /* until written */
	return OK;
}

int record_verify(const struct blob_location *at, struct span record, struct record_header *h, size_t *end)
{
	struct chunk c;
	const unsigned char *p = (const unsigned char *)record.p;
	if (record.n < RECORD_HEADER || record.n != (size_t)at->stored)
		return fail_with(ERR_CORRUPT, "the record has another length");
	int r = record_header_get(p, at->pack, at->offset, h);
	if (r)
		return r;
	if (h->stored != record.n || h->chunks > 1)
		return fail_with(ERR_CORRUPT, "the record is another one");
	*end = RECORD_HEADER;
	if (h->chunks)
		r = chunk_get(p + RECORD_HEADER, record.n - RECORD_HEADER, 0, h->raw, &c);
	if (!r && h->chunks)
		*end += CHUNK_HEADER + c.n;
	return r;
}

/* The record without its body's bytes being expanded: the checksum of a chunk does not depend on where the record is. */
static int copy_record(struct blob_stage *st, const struct blob_location *at)
{
	size_t end;
	int r = store_read_record(st->store, at, false, st->chunk, &st->header);
	if (r)
		return r;
	if (st->header.chunks > 1)
		return fail_with(ERR_INVALID, "pack %llx holds one large body", (long long)at->pack);
	r = record_verify(at, span_from(st->chunk, st->header.stored), &st->header, &end);
	if (!r)
		memset(st->chunk + end, 0, st->header.stored - end); /* padding, which no checksum covers */
	return r;
}

int blob_stage_copy(struct blob_store *s, const struct blob_location *at, struct blob_stage **out)
{
	struct blob_stage *st = calloc(1, sizeof *st);
	if (st) {
		st->store = s;
		st->chunk = pool_take(&s->pool);
	}
	int r = st && st->chunk ? copy_record(st, at) : fail_with(ERR_UNAVAILABLE, "out of memory");
	if (r) {
		blob_stage_free(&st);
		return r;
	}
	st->state = STAGE_FINISHED;
	st->result = ERR_UNAVAILABLE; /* until written */
	*out = st;
	return OK;
}

struct span blob_stage_row(struct blob_stage *st, int64_t id)
{
	if (!st->store->backend->whole || st->state != STAGE_FINISHED || st->own.id)
		return (struct span){ 0 };
	st->header.synced = 0;
	record_header_put(st->chunk, &st->header, 0, id);
	if (!st->counted)
		store_count(st->store, &st->header);
	st->counted = true;
	return span_from(st->chunk, st->header.stored);
}

int64_t blob_stage_put(const struct blob_stage *st)
{
	return st->put;
}

uint64_t blob_stage_size(const struct blob_stage *st)
{
	return st->header.raw;
}

const unsigned char *blob_stage_sha256(const struct blob_stage *st)
{
	return st->header.sha256;
}

int blob_stage_result(const struct blob_stage *st, struct blob_location *where)
{
	if (st->state == STAGE_DURABLE || st->state == STAGE_WRITTEN) {
		*where = st->at;
		return OK;
	}
	fail_set_detail(st->detail ? st->detail : "the body was not written");
	return st->state == STAGE_OPEN ? ERR_UNAVAILABLE : st->result;
}
