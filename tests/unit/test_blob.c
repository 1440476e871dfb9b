#include "unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "fail.h"

#include "blob.h"
#include "mint.h"

#include "failing.h"
#include "store_inside.h"

/* A store in a folder of its own. */
struct place {
	char dir[64];
	const char *url;
	int64_t epoch, pack_bytes;
	struct mint mint;
	struct blob_store *store;
};

static void place_open(struct place *p, const char *url)
{
	struct blob_options o = { .dir = p->dir, .node_name = "n1", .mint = &p->mint, .pack_bytes = p->pack_bytes };
	mint_init(&p->mint, 1, ++p->epoch);
	p->url = url;
	assert_int_equal(blob_open(url, &o, &p->store), OK);
}

static void place_new(struct place *p, const char *url)
{
	snprintf(p->dir, sizeof p->dir, "/tmp/test_blob.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	if (url)
		place_open(p, url);
}

/* As after a restart. */
static void place_reopen(struct place *p)
{
	blob_close(&p->store);
	place_open(p, p->url);
}

static void place_end(struct place *p)
{
	char cmd[100];
	blob_close(&p->store);
	snprintf(cmd, sizeof cmd, "rm -rf %s", p->dir);
	assert_int_equal(system(cmd), 0);
}

/* Bytes that only depend on seed; text compresses, noise does not. */
static char *body_of(size_t n, uint64_t seed, bool text)
{
	char *p = malloc(n + 1);
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		p[i] = text ? "etaoin shrdlu\r\n"[x % 15 * (x >> 20 & 1)] : (char)(x >> 11);
	}
	return p;
}

static struct blob_stage *stage_of(struct blob_store *s, const char *p, size_t n)
{
	struct blob_stage *st;
	assert_int_equal(blob_stage_new(s, &st), OK);
	for (size_t at = 0, piece = 1; at < n; at += piece, piece = piece * 3 + 1) {
		piece = piece < n - at ? piece : n - at;
		assert_int_equal(blob_stage_write(st, span_from(p + at, piece)), OK);
	}
	assert_int_equal(blob_stage_finish(st), OK);
	assert_int_equal(blob_stage_size(st), n);
	return st;
}

static struct blob_location put(struct blob_store *s, const char *p, size_t n)
{
	struct blob_location at;
	struct blob_stage *st = stage_of(s, p, n);
	blob_flush(s, &st, 1);
	assert_int_equal(blob_stage_result(st, &at), OK);
	blob_stage_free(&st);
	return at;
}

/* OK when the store gives back just these bytes; aborts on wrong ones. */
static int check(struct blob_store *s, const struct blob_location *at, const char *p, size_t n)
{
	struct blob_reader *r;
	struct span piece;
	int e = blob_reader_open(s, at, &r);
	if (e)
		return e;
	assert_int_equal(blob_reader_size(r), n);
	for (size_t off = 0; !e && off < n; off += piece.n) {
		e = blob_reader_at(r, off, &piece);
		if (e)
			break;
		assert_true(piece.n > 0 && piece.n <= n - off);
		assert_memory_equal(piece.p, p + off, piece.n);
	}
	if (!e)
		assert_true(blob_reader_at(r, n, &piece) == OK && piece.n == 0);
	blob_reader_close(&r);
	return e;
}

static const size_t sizes[] = { 0, 1, 7, 100, 65536, BLOB_CHUNK - 1, BLOB_CHUNK, BLOB_CHUNK + 1, 1 << 20, 5 << 20 };

static void round_trips(void **state)
{
	struct place p = { 0 };
	struct blob_location at[2 * COUNT(sizes)];
	place_new(&p, "file:blobs");
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < COUNT(at); i++) {
			char *b = body_of(sizes[i / 2], i, i & 1);
			unsigned char sha[32];
			if (!pass)
				at[i] = put(p.store, b, sizes[i / 2]);
			assert_int_equal(check(p.store, &at[i], b, sizes[i / 2]), OK);
			struct blob_reader *r;
			assert_int_equal(blob_reader_open(p.store, &at[i], &r), OK);
			assert_memory_equal(blob_reader_sha256(r), SHA256((unsigned char *)b, sizes[i / 2], sha), 32);
			blob_reader_close(&r);
			free(b);
		}
		place_reopen(&p);
	}
	place_end(&p);
}

static void ranges(void **state)
{
	struct place p = { 0 };
	size_t n = 3 * BLOB_CHUNK + 12345;
	char *b = body_of(n, 9, true);
	struct blob_reader *r;
	struct span piece;
	place_new(&p, "file:blobs");
	struct blob_location at = put(p.store, b, n);
	assert_int_equal(blob_reader_open(p.store, &at, &r), OK);
	for (uint64_t i = 0, off = 0; i < 300; i++, off = (off * 48271 + 11) % (n + 5)) {
		size_t want = off >= n ? 0 : n - off < BLOB_CHUNK - off % BLOB_CHUNK ? n - off : BLOB_CHUNK - off % BLOB_CHUNK;
		assert_int_equal(blob_reader_at(r, off, &piece), OK);
		assert_int_equal(piece.n, want);
		assert_memory_equal(piece.p, b + (want ? off : 0), want);
	}
	blob_reader_close(&r);
	free(b);
	place_end(&p);
}

enum { BODIES = 40 };

struct batch {
	char *body[BODIES];
	size_t n[BODIES];
	struct blob_stage *stage[BODIES];
	struct blob_location at[BODIES];
};

static void batch_stage(struct batch *t, struct blob_store *s, uint64_t seed)
{
	for (size_t i = 0; i < BODIES; i++) {
		t->n[i] = i == 17 ? BLOB_CHUNK + 5 : (i * 997 + seed) % 9000;
		t->body[i] = body_of(t->n[i], seed + i, i & 1);
		t->stage[i] = stage_of(s, t->body[i], t->n[i]);
	}
}

static void batch_forget(struct batch *t)
{
	for (size_t i = 0; i < BODIES; i++)
		blob_stage_free(&t->stage[i]);
}

static void batch_free(struct batch *t)
{
	batch_forget(t);
	for (size_t i = 0; i < BODIES; i++)
		free(t->body[i]);
}

static void batch_check(struct batch *t, struct blob_store *s)
{
	for (size_t i = 0; i < BODIES; i++)
		assert_int_equal(check(s, &t->at[i], t->body[i], t->n[i]), OK);
}

static void batch_results(struct batch *t)
{
	for (size_t i = 0; i < BODIES; i++)
		assert_int_equal(blob_stage_result(t->stage[i], &t->at[i]), OK);
}

/* Many bodies share a sync; packs are closed past their size; a second flush of a stage does nothing. */
static void groups(void **state)
{
	struct place p = { .pack_bytes = 50000 };
	struct batch t;
	struct blob_stats before, after;
	place_new(&p, "file:blobs");
	batch_stage(&t, p.store, 3);
	blob_stats(p.store, &before);
	blob_flush(p.store, t.stage, BODIES);
	batch_results(&t);
	blob_stats(p.store, &after);
	assert_int_equal(after.records - before.records, BODIES);
	assert_in_range(after.packs, 3, 6);
	assert_true(after.syncs - before.syncs <= 2 * after.packs);
	blob_flush(p.store, t.stage, BODIES);
	blob_stats(p.store, &before);
	assert_int_equal(before.syncs, after.syncs);
	assert_int_equal(before.bytes_stored, after.bytes_stored);
	batch_check(&t, p.store);
	batch_forget(&t);
	place_reopen(&p);
	batch_check(&t, p.store);
	batch_free(&t);
	place_end(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(ranges), cmocka_unit_test(groups),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
