/* Packs and the rows that point into them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify_private.h"

/* What the scan found at a place. 24 bytes, since there may be millions. */
struct record {
	int64_t pack, offset;
	uint64_t digest; /* of SHA-256, size and length; the two lowest bits are flags */
};
enum { REFERRED = 1, DAMAGED = 2, FLAGS = 3 };

static uint64_t digest_of(const unsigned char *sha256, uint64_t size, int64_t stored)
{
	uint64_t h;
	memcpy(&h, sha256, sizeof h);
	h ^= (size * 0x9E3779B97F4A7C15u) ^ ((uint64_t)stored * 0xC2B2AE3D27D4EB4Fu);
	return h & ~(uint64_t)FLAGS;
}

static const struct node_row *node_of(const struct verify *v, int64_t id)
{
	const struct node_row *n = (const struct node_row *)(void *)v->nodes.p;
	for (size_t i = 0; i < v->nodes.n / sizeof *n; i++)
		if (n[i].id == mint_node(id))
			return &n[i];
	return NULL;
}

/* "n1/00000002/0000001a", as the pack lies below the blob store. */
static const char *pack_name(const struct verify *v, int64_t pack, char out[120])
{
	const struct node_row *n = node_of(v, pack);
	if (!pack)
		snprintf(out, 120, "staged bodies");
	else
		snprintf(out, 120, "pack %s/%08" PRIx64 "/%08" PRIx64, n ? n->name : "(unknown node)", (uint64_t)mint_epoch(pack),
	         (uint64_t)mint_sequence(pack));
	return out;
}

bool verify_minted(const struct verify *v, int64_t id)
{
	const struct node_row *n = node_of(v, id);
	return id > 0 && n && mint_epoch(id) > 0 && mint_epoch(id) <= n->epoch;
}

/* --- Packs --- */

static void tell_record(struct verify *v, const struct blob_record *r)
{
	char pack[120];
	pack_name(v, r->at.pack, pack);
	if (r->result != ERR_CORRUPT)
		trouble(v, "%s: cannot be read at byte %lld now: %s: see to the disk, then check again", pack, (long long)r->at.offset,
		        fail_detail());
	else if (!r->at.pack)
		trouble(v, "staged body %lld: its record is damaged: " FIX_DATABASE, (long long)r->at.offset);
	else if (r->at.stored)
		trouble(v, "%s: the record at byte %lld is damaged: " FIX_PACK, pack, (long long)r->at.offset);
	else
		trouble(v, "%s: there is no record at byte %lld where one should be: " FIX_PACK, pack, (long long)r->at.offset);
}

static int take_record(void *ctx, const struct blob_record *r)
{
	struct verify *v = ctx;
	struct record k = { r->at.pack, r->at.offset, digest_of(r->sha256, r->size, r->at.stored) };
	if (r->result) {
		tell_record(v, r);
		k.digest |= DAMAGED;
	}
	v->report.records++;
	v->report.bytes += r->result ? 0 : r->size;
	buffer_put(&v->records, &k, sizeof k);
	return verify_step(v, 1) || !buffer_ok(&v->records);
}

static int by_place(const void *x, const void *y)
{
	const struct record *a = x, *b = y;
	if (a->pack != b->pack)
		return a->pack < b->pack ? -1 : 1;
	return (a->offset > b->offset) - (a->offset < b->offset);
}

static int scan_packs(struct verify *v)
{
	int e = blob_scan(v->store->blob, take_record, v);
	if (!buffer_ok(&v->records))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (e < 0 && e != ERR_STOPPED) { /* what cannot be listed is judged by the rows that point there */
		trouble(v, "packs: %s: see to the disk, then check again", fail_detail());
		e = OK;
	}
	if (v->records.n)
		qsort(v->records.p, v->records.n / sizeof(struct record), sizeof(struct record), by_place);
	return e < 0 ? e : OK;
}

/* --- Rows --- */

struct blob_row {
	int64_t id, hash, size;
	struct blob_location at;
	unsigned char sha256[32];
	bool whole; /* sha256 is one */
	bool used;
	bool listed;    /* in doomed, by which purge finds it */
	bool condemned; /* its bytes may be gone: on a copy of the data, or a moment before its row is */
};

static struct blob_row blob_from_row(const struct meta_rows *r)
{
	struct blob_row b = { .id = meta_int(r, 0), .hash = meta_int(r, 1), .size = meta_int(r, 3),
		              .at = { meta_int(r, 4), meta_int(r, 5), meta_int(r, 6) }, .used = meta_int(r, 7), .condemned = meta_int(r, 8),
		              .listed = meta_int(r, 9) };
	struct span sha = meta_span(r, 2);
	b.whole = sha.n == sizeof b.sha256;
	if (b.whole)
		memcpy(b.sha256, sha.p, sha.n);
	return b;
}

struct blob_page {
	int64_t after;
	struct blob_row rows[VERIFY_PAGE];
	size_t n;
};

static int read_blobs(struct meta_txn *t, void *arg)
{
	struct blob_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_BLOBS, "ii", p->after, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = blob_from_row(&r);
	meta_done(&r);
	return e;
}

static int read_blob_again(struct meta_txn *t, void *arg)
{
	struct blob_row *b = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_CHECK_BLOB, "i", b->id);
	if (e)
		return e;
	*b = blob_from_row(&r);
	meta_done(&r);
	return OK;
}

static struct record *find_record(const struct verify *v, const struct blob_location *at)
{
	struct record key = { at->pack, at->offset, 0 };
	if (!v->records.n)
		return NULL;
	return bsearch(&key, v->records.p, v->records.n / sizeof key, sizeof key, by_place);
}

static void mark_bad(struct verify *v, int64_t blob)
{
	buffer_put(&v->bad, &blob, sizeof blob);
}

bool verify_blob_is_bad(const struct verify *v, int64_t blob)
{
	const int64_t *id = (const int64_t *)(void *)v->bad.p;
	size_t low = 0, high = v->bad.n / sizeof *id;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (id[mid] == blob)
			return true;
		if (id[mid] < blob)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* Reads it all: every chunk's checksum is looked at on the way. */
static int read_through(struct blob_reader *r)
{
	struct span piece = { "", 0 };
	int e = OK;
	for (uint64_t at = 0; !e && at < blob_reader_size(r); at += piece.n)
		e = blob_reader_at(r, at, &piece);
	return e;
}

static int read_record(struct verify *v, const struct blob_row *b)
{
	struct blob_reader *r;
	int e = blob_reader_open(v->store->blob, &b->at, &r);
	if (e)
		return e;
	if (blob_reader_size(r) != (uint64_t)b->size || memcmp(blob_reader_sha256(r), b->sha256, sizeof b->sha256))
		e = fail_with(ERR_CORRUPT, "the record there is another message");
	else
		e = read_through(r);
	blob_reader_close(&r);
	return e;
}

static void tell_missing(struct verify *v, const struct blob_row *b, int e)
{
	char pack[120];
	pack_name(v, b->at.pack, pack);
	if (!b->at.pack) {
		trouble(v, "staged body %lld: %s: " FIX_DATABASE, (long long)b->id, fail_detail());
	} else if (e == ERR_NOT_FOUND || e == ERR_UNAVAILABLE) {
		if (v->absent != b->at.pack) /* once for all that is in it */
			trouble(v, "%s: %s: %s: " FIX_PACK, pack, e == ERR_NOT_FOUND ? "is missing" : "cannot be read now", fail_detail());
		v->absent = b->at.pack;
	} else {
		trouble(v, "%s: blob %lld at byte %lld: %s: " FIX_PACK, pack, (long long)b->id, (long long)b->at.offset, fail_detail());
	}
}

/* The scan did not find what the row says: was it written, moved or removed since? Else it is lost. */
static int look_again(struct verify *v, struct blob_row *b)
{
	int e = meta_read(meta_of(v), read_blob_again, b);
	if (e == ERR_NOT_FOUND)
		return OK;
	if (e)
		return verify_failure(v, e, "blobs");
	e = read_record(v, b);
	if (e == ERR_STOPPED)
		return e;
	if (e && !(b->condemned && !b->used)) {
		tell_missing(v, b, e);
		mark_bad(v, b->id);
	}
	return OK;
}

static int verify_location(struct verify *v, struct blob_row *b)
{
	char pack[120];
	struct record *k = find_record(v, &b->at);
	if (!k)
		return look_again(v, b);
	if (k->digest & REFERRED)
		trouble(v, "%s: blob %lld shares the record at byte %lld with another one: " FIX_DATABASE,
		        pack_name(v, b->at.pack, pack), (long long)b->id, (long long)b->at.offset);
	k->digest |= REFERRED;
	if (k->digest & DAMAGED) { /* told already */
		mark_bad(v, b->id);
		return OK;
	}
	return (k->digest & ~(uint64_t)FLAGS) == digest_of(b->sha256, (uint64_t)b->size, b->at.stored) ? OK : look_again(v, b);
}

static int verify_blob(struct verify *v, struct blob_row *b)
{
	int64_t hash;
	memcpy(&hash, b->sha256, sizeof hash);
	v->report.blobs++;
	v->report.unused += !b->used;
	if (b->condemned && !b->listed)
		trouble(v, "blob %lld: is condemned, and no purge will find it: " FIX_REPORT, (long long)b->id);
	if (!b->at.pack && b->at.offset != b->id)
		trouble(v, "blob %lld: leads to the staged bytes of blob %lld: " FIX_DATABASE, (long long)b->id, (long long)b->at.offset);
	if (!verify_minted(v, b->id) || (b->at.pack && !verify_minted(v, b->at.pack)))
		trouble(v, "blob %lld: its id or its pack's was minted by no known start of a node, and may be minted again: "
		        FIX_DATABASE, (long long)b->id);
	if (!b->whole || hash != b->hash) {
		trouble(v, "blob %lld: its SHA-256 and its short hash differ, so that it is not found by content: " FIX_DATABASE,
		        (long long)b->id);
		if (!b->whole)
			return OK;
	}
	return verify_location(v, b);
}

static int read_staged(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int64_t *id = arg;
	int e = meta_one(t, &r, META_CHECK_STAGED, "i", *id);
	if (e)
		return e;
	*id = meta_int(&r, 0) == 0 ? 0 : *id;
	meta_done(&r);
	return OK;
}

/* A staged row that nothing was seen to refer to: it came since, or went, or should not be. */
static int verify_staged(struct verify *v, int64_t id)
{
	int64_t stray = id;
	int e = meta_read(meta_of(v), read_staged, &stray);
	if (e == ERR_NOT_FOUND)
		return OK;
	if (!e && stray)
		trouble(v, "staged body %lld: no blob lies there: " FIX_REPORT, (long long)id);
	return verify_failure(v, e, "staged bodies");
}

/* Counts the records from k on that are in the same pack, and how many of them nothing refers to. */
static size_t count_pack(struct verify *v, const struct record *k, size_t n)
{
	size_t i, dead = 0;
	for (i = 0; i < n && k[i].pack == k->pack; i++)
		dead += !(k[i].digest & FLAGS);
	v->report.unreferenced += dead;
	v->report.orphans += dead == i;
	return i;
}

static int count_unreferenced(struct verify *v)
{
	const struct record *k = (const struct record *)(void *)v->records.p;
	size_t n = v->records.n / sizeof *k, i = 0;
	int e = OK;
	for (; !e && i < n && !k[i].pack; i++)
		if (!(k[i].digest & FLAGS))
			e = verify_staged(v, k[i].offset);
	v->report.staged = i;
	while (!e && i < n)
		i += count_pack(v, k + i, n - i);
	return e;
}

static int verify_rows(struct verify *v)
{
	struct blob_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e = OK;
	do {
		e = verify_failure(v, meta_read(meta_of(v), read_blobs, p), "blobs");
		for (size_t i = 0; !e && i < p->n; i++)
			e = verify_blob(v, &p->rows[i]);
		if (p->n)
			p->after = p->rows[p->n - 1].id;
	} while (!e && p->n == VERIFY_PAGE && !verify_step(v, 0));
	free(p);
	return !e && !buffer_ok(&v->bad) ? fail_with(ERR_UNAVAILABLE, "no memory") : e;
}

int verify_blobs(struct verify *v)
{
	int e = scan_packs(v);
	if (!e && !v->report.cancelled)
		e = verify_rows(v);
	if (!e && !v->report.cancelled)
		e = count_unreferenced(v);
	return e;
}

/* --- Uses --- */

struct use_page {
	int64_t blob, email; /* after these */
	struct use {
		int64_t blob, email, its_blob, row;
	} rows[VERIFY_PAGE];
	size_t n;
};

static int read_uses(struct meta_txn *t, void *arg)
{
	struct use_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_USES, "iiii", p->blob, p->blob, p->email, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = (struct use){ meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 3) };
	meta_done(&r);
	return e;
}

int verify_uses(struct verify *v)
{
	struct use_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e;
	do {
		e = verify_failure(v, meta_read(meta_of(v), read_uses, p), "uses of blobs");
		for (size_t i = 0; !e && i < p->n; i++) {
			const struct use *u = &p->rows[i];
			if (u->its_blob != u->blob || u->row != u->blob)
				trouble(v, "blob %lld is kept for email %lld, which %s: " FIX_REPORT, (long long)u->blob, (long long)u->email,
				        u->its_blob ? "has another one" : "is not there");
			p->blob = u->blob;
			p->email = u->email;
		}
	} while (!e && p->n == VERIFY_PAGE && !verify_step(v, 0));
	free(p);
	return e;
}
