#include <stdlib.h>

#include "fail.h"

#include "store_inside.h"

/* Walking packs record by record: for check, and to find where a pack without a seal ends.
 *
 * A power cut may leave any part of the last group of records, and nothing of it was answered. Each record says how much
 * of the pack was on stable storage before it was written (synced): so bad bytes with a good record after them that was
 * written later are damage, which stays for check to report; bad bytes without one are the torn tail. */

enum { WINDOW = 64 * 1024, ROWS = 256 };

struct walk {
	struct blob_store *store;
	int64_t pack, end; /* records end here */
	int64_t suspect;   /* the first bad byte not known to be damage; -1: none */
	int (*fn)(void *ctx, const struct blob_record *r);
	void *ctx;
	unsigned char *window;
};

static int walk_read(struct walk *w, void *to, size_t n, int64_t offset)
{
	return driver_of(w->store)->read(w->store->backend, w->pack, to, n, offset);
}

/* The next place at or after `from` where a header stands, or w->end. */
static int find_header(struct walk *w, int64_t from, int64_t *at)
{
	struct record_header h;
	from = (int64_t)record_padded((uint64_t)from);
	while (from + RECORD_HEADER <= w->end) {
		size_t n = w->end - from < WINDOW ? (size_t)(w->end - from) : WINDOW;
		int r = walk_read(w, w->window, n, from);
		if (r)
			return r;
		for (size_t i = 0; i + RECORD_HEADER <= n; i += RECORD_ALIGN) {
			if (record_header_get(w->window + i, w->pack, from + (int64_t)i, &h) != ERR_CORRUPT) {
				*at = from + (int64_t)i;
				return OK;
			}
		}
		from += (int64_t)((n - RECORD_HEADER) / RECORD_ALIGN + 1) * RECORD_ALIGN;
	}
	*at = w->end;
	return OK;
}

static int reader_verify(struct blob_store *s, struct blob_reader *r)
{
	struct span piece = { "", 0 };
	unsigned char is[32];
	int e = OK;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool hashed = hash && EVP_DigestInit_ex2(hash, s->sha256, NULL) == 1;
	for (uint64_t off = 0; hashed && !e && off < blob_reader_size(r); off += piece.n)
		if (!(e = blob_reader_at(r, off, &piece)))
			hashed = EVP_DigestUpdate(hash, piece.p, piece.n) == 1;
	if (!e)
		hashed = hashed && EVP_DigestFinal_ex(hash, is, NULL) == 1;
	EVP_MD_CTX_free(hash);
	if (e || !hashed)
		return e ? e : fail_with(ERR_UNAVAILABLE, "SHA-256 failed");
	return memcmp(is, blob_reader_sha256(r), 32) ? fail_with(ERR_CORRUPT, "SHA-256 differs") : OK;
}

/* Reads the body; OK only when it is what its SHA-256 says. */
static int body_verify(struct blob_store *s, struct blob_record *rec)
{
	struct blob_reader *r;
	int e = store_reader_open(s, &rec->at, true, &r);
	if (e)
		return e;
	rec->size = blob_reader_size(r);
	memcpy(rec->sha256, blob_reader_sha256(r), sizeof rec->sha256);
	e = reader_verify(s, r);
	blob_reader_close(&r);
	return e;
}

/* Rows are records of their own; one that is gone by now was gathered into a pack, or purged. */
static int scan_rows(struct walk *w)
{
	struct blob_location at[ROWS];
	int64_t after = 0;
	int r = OK;
	for (size_t n = ROWS; !r && n == ROWS;) {
		r = w->store->rows.list(w->store->rows.ctx, after, at, &n);
		for (size_t i = 0; !r && i < n; i++) {
			struct blob_record rec = { .at = at[i] };
			after = at[i].offset;
			rec.result = body_verify(w->store, &rec);
			r = rec.result == ERR_NOT_FOUND ? OK : w->fn(w->ctx, &rec);
		}
	}
	return r;
}

/* A record with a good header at *at. */
static int walk_record(struct walk *w, const struct record_header *h, int64_t *at)
{
	struct blob_record rec = { .at = { w->pack, *at, (int64_t)h->stored }, .size = h->raw };
	memcpy(rec.sha256, h->sha256, sizeof rec.sha256);
	bool whole = (int64_t)h->stored <= w->end - *at;
	rec.result = whole ? body_verify(w->store, &rec)
			   : fail_with(ERR_CORRUPT, "pack %llx: the record at %lld is cut", (long long)w->pack, (long long)*at);
	if (w->suspect >= 0 && (int64_t)h->synced > w->suspect)
		w->suspect = -1;
	if (rec.result == ERR_CORRUPT && w->suspect < 0)
		w->suspect = *at;
	if (rec.result == ERR_NOT_FOUND || (!w->fn && rec.result && rec.result != ERR_CORRUPT))
		return rec.result;
	*at = whole ? *at + (int64_t)h->stored : w->end;
	return w->fn ? w->fn(w->ctx, &rec) : OK;
}

/* No header where one should be. */
static int walk_gap(struct walk *w, int result, int64_t *at)
{
	struct blob_record rec = { .at = { w->pack, *at, 0 }, .result = result };
	if (w->suspect < 0)
		w->suspect = *at;
	int r = w->fn ? w->fn(w->ctx, &rec) : OK;
	return r ? r : find_header(w, *at + RECORD_ALIGN, at);
}

static int walk_pack(struct walk *w)
{
	unsigned char bytes[RECORD_HEADER];
	struct record_header h;
	w->suspect = -1;
	for (int64_t at = PACK_HEADER; at < w->end;) {
		int r = ERR_CORRUPT;
		if (at + RECORD_HEADER <= w->end) {
			r = walk_read(w, bytes, sizeof bytes, at);
			if (r && r != ERR_CORRUPT)
				return r;
			if (!r)
				r = record_header_get(bytes, w->pack, at, &h);
		}
		r = r ? walk_gap(w, r, &at) : walk_record(w, &h, &at);
		if (r)
			return r;
	}
	return OK;
}

/* Where the records of a pack of `size` bytes end, by its seal, or by a walk when it has none. */
static int pack_end(struct walk *w, int64_t size, bool *sealed)
{
	unsigned char seal[PACK_SEAL];
	*sealed = false;
	if (size >= PACK_HEADER + PACK_SEAL) {
		int r = walk_read(w, seal, sizeof seal, size - PACK_SEAL);
		if (r)
			return r;
		*sealed = pack_seal_ok(seal, w->pack, size - PACK_SEAL);
	}
	w->end = *sealed ? size - PACK_SEAL : size;
	if (*sealed)
		return OK;
	int (*fn)(void *, const struct blob_record *) = w->fn;
	w->fn = NULL;
	int r = walk_pack(w);
	w->fn = fn;
	if (!r && w->suspect >= 0)
		w->end = w->suspect;
	return r;
}

struct repair {
	struct walk walk;
	unsigned char seal[PACK_SEAL];
};

/* A pack_inspect_fn. */
static int repair_pack(void *ctx, int64_t pack, int64_t size, struct pack_mend *out)
{
	struct repair *p = ctx;
	struct blob_store *s = p->walk.store;
	p->walk.pack = pack;
	int r = pack_end(&p->walk, size, &out->leave);
	if (r || out->leave)
		return r;
	out->length = p->walk.end > PACK_HEADER ? p->walk.end : PACK_HEADER;
	pack_seal_put(p->seal, pack, out->length);
	out->end = span_from(p->seal, sizeof p->seal);
	s->stats.torn_packs++;
	s->stats.torn_bytes += size > out->length ? (uint64_t)(size - out->length) : 0;
	return OK;
}

int store_repair(struct blob_store *s)
{
	struct repair p = { .walk.store = s };
	p.walk.window = malloc(WINDOW);
	if (!p.walk.window)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = driver_of(s)->repair(s->backend, repair_pack, &p);
	free(p.walk.window);
	return r;
}

/* The pack's own header; no record needs it to be read. */
static int scan_header(struct walk *w)
{
	unsigned char bytes[PACK_HEADER];
	struct blob_record rec = { .at.pack = w->pack };
	int r = walk_read(w, bytes, sizeof bytes, 0);
	if (r && r != ERR_CORRUPT)
		return r;
	rec.result = r ? r : pack_header_get(bytes, w->pack);
	return rec.result ? w->fn(w->ctx, &rec) : OK;
}

/* A pack_fn. */
static int scan_pack(void *ctx, int64_t pack, int64_t size, int64_t changed)
{
	struct walk *w = ctx;
	struct blob_store *s = w->store;
	bool sealed;
	int r = OK;
	w->pack = pack;
	pthread_mutex_lock(&s->lock);
	bool open = s->open.id == pack && s->open.file;
	w->end = s->open.synced;
	pthread_mutex_unlock(&s->lock);
	store_forget(s, pack); /* what is looked at is the store; nor is what nobody else reads to be kept */
	if (!open)
		r = pack_end(w, size, &sealed);
	if (!r)
		r = scan_header(w);
	if (!r)
		r = walk_pack(w);
	store_forget(s, pack);
	return r == ERR_NOT_FOUND ? OK : r; /* removed since it was listed */
}

int blob_scan(struct blob_store *s, int (*fn)(void *ctx, const struct blob_record *r), void *ctx)
{
	struct walk w = { .store = s, .fn = fn, .ctx = ctx };
	w.window = malloc(WINDOW);
	if (!w.window)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = s->rows.list ? scan_rows(&w) : OK;
	if (!r)
		r = driver_of(s)->list(s->backend, scan_pack, &w);
	free(w.window);
	return r;
}
