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
#include <time.h>
#include <unistd.h>

#include <openssl/sha.h>

#include "fail.h"

#include "blob.h"
#include "mint.h"

#include "descriptors.h"
#include "failing.h"
#include "scratch.h"
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
	scratch_make("blob", p->dir);
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
	blob_close(&p->store);
	scratch_remove(p->dir);
}

/* Bytes that only depend on seed; text compresses, noise does not. */
/* Of texts every second is base64 in lines. */
static char letter(uint64_t x, size_t i, uint64_t seed)
{
	if (seed & 2)
		return i % 62 < 60 ? "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[x >> 11 & 63] : "\r\n"[i % 62 - 60];
	return "etaoin shrdlu\r\n"[x % 15 * (x >> 20 & 1)];
}

static char *body_of(size_t n, uint64_t seed, bool text)
{
	char *p = malloc(n + 1);
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		p[i] = text ? letter(x, i, seed) : (char)(x >> 11);
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

static void flush(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	blob_write(s, stages, n);
	blob_sync(s, stages, n);
	blob_settle(s, stages, n);
}

static struct blob_location put(struct blob_store *s, const char *p, size_t n)
{
	struct blob_location at;
	struct blob_stage *st = stage_of(s, p, n);
	flush(s, &st, 1);
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
	flush(p.store, t.stage, BODIES);
	batch_results(&t);
	blob_stats(p.store, &after);
	assert_int_equal(after.records - before.records, BODIES);
	assert_in_range(after.packs, 3, 6);
	assert_true(after.syncs - before.syncs <= 2 * after.packs);
	flush(p.store, t.stage, BODIES);
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

/* The path of the only file of that suffix, or of the last in order; counts them. */
static int find_files(const char *dir, const char *suffix, char path[PATH_MAX])
{
	char cmd[200], line[PATH_MAX];
	int n = 0;
	snprintf(cmd, sizeof cmd, "find %s -name '*%s' | sort", dir, suffix);
	FILE *f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		snprintf(path, PATH_MAX, "%s", line);
		n++;
	}
	pclose(f);
	return n;
}

struct scanned {
	int good, bad;
};

static int count_record(void *ctx, const struct blob_record *r)
{
	struct scanned *n = ctx;
	r->result ? n->bad++ : n->good++;
	return 0;
}

static struct scanned scan(struct blob_store *s)
{
	struct scanned n = { 0 };
	assert_int_equal(blob_scan(s, count_record, &n), OK);
	return n;
}

static void scans(void **state)
{
	struct place p = { .pack_bytes = 30000 };
	struct batch t;
	place_new(&p, "file:blobs");
	batch_stage(&t, p.store, 8);
	assert_int_equal(scan(p.store).good, 0);
	for (size_t i = 0; i < BODIES; i += 10) {
		flush(p.store, t.stage + i, 10);
		assert_int_equal(scan(p.store).good, i + 10);
	}
	batch_free(&t);
	place_reopen(&p);
	assert_int_equal(scan(p.store).good, BODIES);
	assert_int_equal(scan(p.store).bad, 0);
	place_end(&p);
}

/* A stage that was given up leaves no file, whatever it had come to. */
static void abandoned(void **state)
{
	struct place p = { 0 };
	char path[PATH_MAX], *b = body_of(1 << 20, 1, false);
	place_new(&p, "file:blobs");
	for (int finish = 0; finish < 2; finish++) {
		struct blob_stage *st;
		assert_int_equal(blob_stage_new(p.store, &st), OK);
		assert_int_equal(blob_stage_write(st, span_from(b, 1 << 20)), OK);
		assert_int_equal(find_files(p.dir, ".part", path), 1);
		if (finish)
			assert_int_equal(blob_stage_finish(st), OK);
		assert_int_equal(blob_stage_result(st, NULL), ERR_UNAVAILABLE);
		blob_stage_free(&st);
		assert_int_equal(find_files(p.dir, ".p*", path), 0);
	}
	blob_stage_free(&(struct blob_stage *){ stage_of(p.store, b, 100) });
	blob_close(&p.store);
	assert_int_equal(find_files(p.dir, ".p*", path), 0);
	free(b);
	place_end(&p);
}

/* More packs than descriptors are kept for. */
static void many_packs(void **state)
{
	struct place p = { .pack_bytes = 1 };
	struct blob_location at[DESCRIPTORS + 40];
	char body[20];
	place_new(&p, "file:blobs");
	for (int pass = 0; pass < 2; pass++) {
		for (size_t i = 0; i < COUNT(at); i++) {
			int n = snprintf(body, sizeof body, "body %zu", i);
			if (!pass)
				at[i] = put(p.store, body, (size_t)n);
			assert_int_equal(check(p.store, &at[i], body, (size_t)n), OK);
		}
	}
	assert_int_equal(scan(p.store).good, COUNT(at));
	place_end(&p);
}

struct readers {
	struct place *p;
	struct batch *t;
	atomic_bool stop;
	atomic_int rounds;
};

static void *read_on(void *arg)
{
	struct readers *r = arg;
	do {
		batch_check(r->t, r->p->store);
		atomic_fetch_add(&r->rounds, 1);
	} while (!atomic_load(&r->stop));
	return NULL;
}

struct sender {
	struct blob_store *store;
	struct blob_stage *stage[20];
	uint64_t seed;
};

static void *stage_on(void *arg)
{
	struct sender *s = arg;
	for (size_t i = 0; i < COUNT(s->stage); i++) {
		size_t n = i == 5 ? 300000 : 1000 * i;
		char *b = body_of(n, s->seed + i, true);
		s->stage[i] = stage_of(s->store, b, n);
		free(b);
	}
	return NULL;
}

static void threads(void **state)
{
	struct place p = { .pack_bytes = 100000 };
	struct batch t;
	struct readers r = { .p = &p, .t = &t };
	struct sender senders[6];
	pthread_t reading[6], staging[COUNT(senders)];
	place_new(&p, "file:blobs");
	batch_stage(&t, p.store, 4);
	flush(p.store, t.stage, BODIES);
	batch_results(&t);
	for (size_t i = 0; i < COUNT(reading); i++)
		pthread_create(&reading[i], NULL, read_on, &r);
	for (int round = 0; round < 5; round++) {
		for (size_t i = 0; i < COUNT(senders); i++) {
			senders[i] = (struct sender){ .store = p.store, .seed = i };
			pthread_create(&staging[i], NULL, stage_on, &senders[i]);
		}
		for (size_t i = 0; i < COUNT(senders); i++) {
			pthread_join(staging[i], NULL);
			flush(p.store, senders[i].stage, COUNT(senders[i].stage));
			for (size_t k = 0; k < COUNT(senders[i].stage); k++)
				blob_stage_free(&senders[i].stage[k]);
		}
	}
	atomic_store(&r.stop, true);
	for (size_t i = 0; i < COUNT(reading); i++)
		pthread_join(reading[i], NULL);
	assert_true(atomic_load(&r.rounds) >= 6);
	assert_int_equal(scan(p.store).good, BODIES + 5 * 6 * 20);
	batch_free(&t);
	place_end(&p);
}

/* Stages what it can: a large body meets the fault while it comes in. */
static struct blob_stage *stage_try(struct blob_store *s, const char *p, size_t n)
{
	struct blob_stage *st;
	struct blob_location at;
	assert_int_equal(blob_stage_new(s, &st), OK);
	int r = blob_stage_write(st, span_from(p, n));
	if (!r)
		r = blob_stage_finish(st);
	if (r)
		assert_int_equal(blob_stage_result(st, &at), r);
	return st;
}

static void fault_round(struct batch *bodies, const struct fault_plan *plan)
{
	struct place p = { .pack_bytes = 6000 };
	struct batch t = *bodies;
	int failed = 0;
	place_new(&p, "failing:file:blobs");
	struct blob_location first = put(p.store, "first", 5);
	blob_failing_set(p.store->backend, plan);
	for (size_t i = 0; i < BODIES; i++)
		t.stage[i] = stage_try(p.store, t.body[i], t.n[i]);
	flush(p.store, t.stage, BODIES / 2);
	flush(p.store, t.stage + BODIES / 2, BODIES / 2);
	blob_failing_set(p.store->backend, &(struct fault_plan){ .op = FAULT_NONE });
	for (size_t i = 0; i < BODIES; i++) {
		int r = blob_stage_result(t.stage[i], &t.at[i]);
		if (!r) {
			assert_int_equal(check(p.store, &t.at[i], t.body[i], t.n[i]), OK);
			continue;
		}
		failed++;
		assert_int_equal(r, plan->full ? ERR_FULL : ERR_UNAVAILABLE);
		assert_string_not_equal(fail_detail(), "");
		if (t.n[i] > BLOB_OWN_FILE) {
			blob_stage_free(&t.stage[i]);
			t.stage[i] = stage_of(p.store, t.body[i], t.n[i]);
		}
	}
	assert_true(failed > 0);
	/* The store goes on: what failed is flushed again, elsewhere. */
	flush(p.store, t.stage, BODIES);
	batch_results(&t);
	batch_check(&t, p.store);
	assert_int_equal(scan(p.store).bad, 0);
	batch_forget(&t);
	place_reopen(&p);
	batch_check(&t, p.store);
	assert_int_equal(check(p.store, &first, "first", 5), OK);
	struct scanned all = scan(p.store);
	assert_true(all.bad == 0 && all.good > BODIES);
	place_end(&p);
}

static void faults(void **state)
{
	static const struct { enum fault_op op; int calls; } ops[] = {
		{ FAULT_CREATE, 6 }, { FAULT_WRITE, 14 }, { FAULT_SYNC, 10 }, { FAULT_ANY, 30 },
	};
	struct batch t = { 0 };
	for (size_t i = 0; i < BODIES; i++) {
		t.n[i] = i % 13 == 3 ? BLOB_CHUNK + 100 * i : i * 100;
		t.body[i] = body_of(t.n[i], i, i & 1);
	}
	for (size_t i = 0; i < COUNT(ops); i++)
		for (int at = 1; at <= ops[i].calls; at++)
			for (int cut = 0; cut < 2; cut++)
				fault_round(&t, &(struct fault_plan){ .op = ops[i].op, .at = at, .times = at % 3 + 1, .full = at / 2 & 1,
					.cut = cut });
	batch_free(&t);
}

static void faults_of_reading(void **state)
{
	struct place p = { 0 };
	char *b = body_of(1 << 20, 5, true);
	place_new(&p, "failing:file:blobs?fail=read&at=2&error=eio");
	struct blob_location at = put(p.store, b, 1 << 20);
	assert_int_equal(check(p.store, &at, b, 1 << 20), ERR_UNAVAILABLE);
	assert_int_equal(check(p.store, &at, b, 1 << 20), OK);
	for (int n = 1; n <= 9; n++) {
		for (int cut = 0; cut < 2; cut++) {
			/* what comes damaged is asked for once more */
			blob_failing_set(p.store->backend, &(struct fault_plan){ .op = FAULT_READ, .at = n, .times = 1 + cut, .cut = cut });
			assert_int_equal(check(p.store, &at, b, 1 << 20), cut ? ERR_CORRUPT : ERR_UNAVAILABLE);
			assert_int_equal(check(p.store, &at, b, 1 << 20), OK);
		}
	}
	free(b);
	place_end(&p);
}

static void flip(const char *path, off_t at, unsigned char mask)
{
	unsigned char c;
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= mask;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static void damage_of(size_t n, bool text, off_t step)
{
	struct place p = { 0 };
	char path[PATH_MAX], *b = body_of(n, 3, text);
	place_new(&p, "file:blobs");
	struct blob_location at = put(p.store, b, n);
	assert_int_equal(find_files(p.dir, ".pack", path), 1);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	for (off_t i = 0; i < st.st_size; i += step) {
		flip(path, i, (unsigned char)(1 << i % 8));
		int r = check(p.store, &at, b, n);
		/* Padding is no one's; every other byte of the record counts. */
		if (i < at.offset || i >= at.offset + at.stored)
			assert_int_equal(r, OK);
		else if (i < at.offset + at.stored - RECORD_ALIGN)
			assert_int_equal(r, ERR_CORRUPT);
		flip(path, i, (unsigned char)(1 << i % 8));
	}
	assert_int_equal(check(p.store, &at, b, n), OK);
	for (off_t i = st.st_size - 1; i > 0; i -= step) {
		assert_int_equal(truncate(path, i), 0);
		int r = check(p.store, &at, b, n);
		assert_int_equal(r, i < at.offset + at.stored ? ERR_CORRUPT : OK);
	}
	struct blob_location wrong = at;
	wrong.offset += 8;
	assert_int_equal(check(p.store, &wrong, b, n), ERR_CORRUPT);
	assert_int_equal(check(p.store, &(struct blob_location){ 0, 32, 200 }, b, n), ERR_CORRUPT);
	assert_int_equal(check(p.store, &(struct blob_location){ at.pack, INT64_MAX - 7, 200 }, b, n), ERR_CORRUPT);
	free(b);
	place_end(&p);
}

static void damage(void **state)
{
	damage_of(0, false, 1);
	damage_of(300, false, 1);
	damage_of(4000, true, 1);
	damage_of(BLOB_CHUNK + 3, true, 1777);
}

/* check says which bodies are damaged, and goes on behind them. */
static void damage_is_found(void **state)
{
	struct place p = { 0 };
	char path[PATH_MAX];
	struct batch t;
	place_new(&p, "file:blobs");
	batch_stage(&t, p.store, 1000);
	flush(p.store, t.stage, BODIES);
	batch_results(&t);
	batch_free(&t);
	place_reopen(&p);
	find_files(p.dir, ".pack", path); /* the large body's came first */
	snprintf(strrchr(path, '/') + 1, 20, "%08llx.pack", (unsigned long long)mint_sequence(t.at[0].pack));
	flip(path, 9, 1);                     /* the pack's header, which no record needs */
	flip(path, t.at[3].offset + 2, 1);    /* a header */
	flip(path, t.at[9].offset + 24, 1);   /* its length */
	flip(path, t.at[20].offset + 200, 1); /* a body */
	struct scanned n = scan(p.store);
	assert_int_equal(n.bad, 4);
	assert_int_equal(n.good, BODIES - 3);
	place_end(&p);
}

static void absent(void **state)
{
	struct place p = { 0 };
	char path[PATH_MAX], away[PATH_MAX + 8];
	place_new(&p, "file:blobs");
	struct blob_location at = put(p.store, "x", 1), other = at, node = at;
	other.pack += 1000;
	node.pack += INT64_C(5) << 51;
	assert_int_equal(check(p.store, &other, "x", 1), ERR_NOT_FOUND);
	assert_int_equal(check(p.store, &node, "x", 1), ERR_UNAVAILABLE);
	find_files(p.dir, ".pack", path);
	*strrchr(path, '/') = 0;
	snprintf(away, sizeof away, "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	place_reopen(&p);
	assert_int_equal(check(p.store, &at, "x", 1), ERR_UNAVAILABLE);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(check(p.store, &at, "x", 1), OK);
	place_end(&p);
}

static void two_nodes(void **state)
{
	struct place p = { 0 };
	struct mint mint;
	struct blob_store *s = NULL;
	place_new(&p, "file:blobs");
	struct blob_location at = put(p.store, "x", 1);
	struct blob_options o = { .dir = p.dir, .node_name = "n1", .mint = &mint };
	mint_init(&mint, 1, 9);
	assert_int_equal(blob_open("file:blobs", &o, &s), ERR_EXISTS);
	o.node_name = "n2";
	mint_init(&mint, 2, 1);
	assert_int_equal(blob_open("file:blobs", &o, &s), OK);
	assert_int_equal(check(s, &at, "x", 1), OK);
	struct blob_location theirs = put(s, "yz", 2);
	assert_int_equal(check(p.store, &theirs, "yz", 2), OK);
	assert_int_equal(scan(s).good, 2);
	blob_close(&s);
	mint_init(&mint, 3, 1);
	assert_int_equal(blob_open("file:blobs", &o, &s), ERR_INVALID);
	o.node_name = "../n3";
	assert_int_equal(blob_open("file:blobs", &o, &s), ERR_INVALID);
	assert_int_equal(blob_open("tape:blobs", &o, &s), ERR_INVALID);
	assert_int_equal(blob_open("file:", &o, &s), ERR_INVALID);
	place_end(&p);
}

/* As on a shared file system, an open file may know nothing of what another node wrote since: here it is a damaged copy, which the
   right one takes the place of. */
static void grown_elsewhere(void **state)
{
	struct place p = { 0 };
	char path[PATH_MAX], aside[PATH_MAX + 8], cmd[PATH_MAX + 60];
	place_new(&p, "file:blobs");
	struct blob_location first = put(p.store, "x", 1), second = put(p.store, "yz", 2);
	assert_int_equal(find_files(p.dir, ".pack", path), 1);
	snprintf(aside, sizeof aside, "%s.aside", path);
	snprintf(cmd, sizeof cmd, "f=%s; mv $f $f.aside && cp $f.aside $f", path);
	for (int i = 0; i < 2; i++) {
		struct mint mint;
		struct blob_store *s = NULL;
		struct blob_options o = { .dir = p.dir, .node_name = "n2", .mint = &mint };
		mint_init(&mint, 2, 1 + i);
		assert_int_equal(system(cmd), 0);
		if (i)
			flip(path, second.offset + second.stored - 8, 0xff);
		else
			assert_int_equal(truncate(path, second.offset), 0);
		assert_int_equal(blob_open("file:blobs", &o, &s), OK);
		assert_int_equal(check(s, &first, "x", 1), OK);
		assert_int_equal(check(s, &second, "yz", 2), ERR_CORRUPT);
		assert_int_equal(check(s, &first, "x", 1), OK);
		assert_int_equal(rename(aside, path), 0);
		assert_int_equal(check(s, &second, "yz", 2), OK);
		blob_close(&s);
	}
	place_end(&p);
}

/* An epoch that was used before (metadata put back from a copy): no name is taken twice. */
static void used_epoch(void **state)
{
	struct place p = { 0 };
	place_new(&p, "file:blobs");
	struct blob_location one = put(p.store, "one", 3);
	blob_close(&p.store);
	p.epoch--;
	place_open(&p, "file:blobs");
	struct blob_location two = put(p.store, "two", 3);
	assert_int_equal(check(p.store, &one, "one", 3), OK);
	assert_int_equal(check(p.store, &two, "two", 3), OK);
	place_end(&p);
}

/* --- Removal and rewriting --- */

/* Writes the body at *at once more, elsewhere; OK when that is durable. */
static int copy(struct blob_store *s, struct blob_location *at)
{
	struct blob_stage *st;
	int r = blob_stage_copy(s, at, &st);
	if (r)
		return r;
	flush(s, &st, 1);
	r = blob_stage_result(st, at);
	blob_stage_free(&st);
	return r;
}

struct packs {
	struct blob_pack_info p[100];
	size_t n;
};

static int keep_pack(void *ctx, const struct blob_pack_info *p)
{
	struct packs *all = ctx;
	assert_true(all->n < COUNT(all->p));
	all->p[all->n++] = *p;
	return 0;
}

static struct packs list(struct blob_store *s)
{
	struct packs all = { .n = 0 };
	assert_int_equal(blob_list(s, keep_pack, &all), OK);
	return all;
}

static int stop_at_once(void *ctx, const struct blob_pack_info *p)
{
	return 7;
}

static void lists(void **state)
{
	struct place p = { .pack_bytes = 20000 };
	struct batch t;
	place_new(&p, "file:blobs");
	assert_int_equal(list(p.store).n, 0);
	batch_stage(&t, p.store, 3);
	flush(p.store, t.stage, BODIES);
	batch_results(&t);
	struct packs all = list(p.store);
	size_t open = 0;
	int64_t now = (int64_t)time(NULL) * 1000000;
	assert_true(all.n > 3);
	for (size_t i = 0; i < all.n; i++) {
		open += all.p[i].open;
		assert_true(!i || all.p[i].pack > all.p[i - 1].pack);
		assert_true(all.p[i].size > PACK_HEADER + RECORD_HEADER);
		assert_true(all.p[i].changed > now - 60000000 && all.p[i].changed < now + 60000000);
		assert_int_equal(blob_remove_pack(p.store, all.p[i].pack), all.p[i].open ? ERR_INVALID : OK);
	}
	assert_int_equal(open, 1);
	assert_int_equal(list(p.store).n, 1);
	assert_int_equal(blob_list(p.store, stop_at_once, NULL), 7);
	batch_free(&t);
	place_end(&p);
}

static void removal(void **state)
{
	struct place p = { .pack_bytes = 1 };
	char path[PATH_MAX], away[PATH_MAX + 8];
	place_new(&p, "file:blobs");
	struct blob_location one = put(p.store, "one", 3), two = put(p.store, "two", 3), other = one;
	assert_int_equal(check(p.store, &one, "one", 3), OK);
	assert_int_equal(blob_remove_pack(p.store, one.pack), OK);
	assert_int_equal(check(p.store, &one, "one", 3), ERR_NOT_FOUND);
	assert_int_equal(blob_remove_pack(p.store, one.pack), OK); /* it is not there any more */
	other.pack += 1000;
	assert_int_equal(blob_remove_pack(p.store, other.pack), OK); /* nor was this one ever */
	assert_int_equal(check(p.store, &two, "two", 3), OK);
	assert_int_equal(scan(p.store).good, 1);
	place_reopen(&p);
	assert_int_equal(check(p.store, &one, "one", 3), ERR_NOT_FOUND);
	assert_int_equal(check(p.store, &two, "two", 3), OK);
	/* The last one leaves the folder, so that "gone" can be told from "down". */
	assert_int_equal(blob_remove_pack(p.store, two.pack), OK);
	assert_int_equal(check(p.store, &two, "two", 3), ERR_NOT_FOUND);
	/* A disk that is not mounted does not say that its packs are gone. */
	struct blob_location three = put(p.store, "three", 5);
	assert_int_equal(find_files(p.dir, ".pack", path), 1);
	*strrchr(path, '/') = 0;
	snprintf(away, sizeof away, "%s.away", path);
	assert_int_equal(rename(path, away), 0);
	assert_int_equal(blob_remove_pack(p.store, three.pack), ERR_UNAVAILABLE);
	assert_int_equal(rename(away, path), 0);
	assert_int_equal(check(p.store, &three, "three", 5), OK);
	place_end(&p);
}

/* A copy holds everything back; another copy takes only what is new; what is gone goes there too, and the copy opens. */
static void copies_of_the_store(void **state)
{
	struct place p = { .pack_bytes = 1 };
	struct file_copy c = { 0 }, again = { 0 };
	char to[PATH_MAX], path[PATH_MAX];
	place_new(&p, "file:blobs");
	struct blob_location one = put(p.store, "one", 3), two = put(p.store, "two", 3);
	snprintf(to, sizeof to, "%s/copy", p.dir);
	blob_hold(p.store);
	blob_hold(p.store);
	assert_int_equal(blob_remove_pack(p.store, one.pack), ERR_UNAVAILABLE);
	assert_int_equal(blob_copy(p.store, to, &c), OK);
	blob_release(p.store);
	assert_int_equal(blob_remove_pack(p.store, one.pack), ERR_UNAVAILABLE);
	assert_int_equal(blob_copy(p.store, to, &again), OK);
	assert_true(c.copied + c.shared > 200 && again.copied + again.shared < 20); /* the file with the node's number */
	assert_int_equal(find_files(to, ".pack", path), 2);
	blob_release(p.store);
	assert_int_equal(blob_remove_pack(p.store, one.pack), OK);
	assert_int_equal(blob_copy(p.store, to, &again), OK);
	assert_int_equal(find_files(to, ".pack", path), 2);
	assert_int_equal(blob_copy_prune(p.store, to), OK);
	assert_int_equal(find_files(to, ".pack", path), 1);
	assert_int_equal(check(p.store, &two, "two", 3), OK);
	place_end(&p);
}

/* A reader has a small body in hand already; the next chunk of a large one is gone. */
static void removal_beside_readers(void **state)
{
	struct place p = { .pack_bytes = 1 };
	char *b = body_of(3 * BLOB_CHUNK, 6, false);
	struct blob_reader *r;
	struct span piece;
	place_new(&p, "file:blobs");
	for (size_t n = 1000; n <= 3 * BLOB_CHUNK; n += 3 * BLOB_CHUNK - 1000) {
		struct blob_location at = put(p.store, b, n);
		assert_int_equal(blob_reader_open(p.store, &at, &r), OK);
		assert_int_equal(blob_reader_at(r, 0, &piece), OK);
		assert_int_equal(blob_remove_pack(p.store, at.pack), OK);
		assert_memory_equal(piece.p, b, piece.n);
		assert_int_equal(blob_reader_at(r, n - 10, &piece), n == 1000 ? OK : ERR_NOT_FOUND);
		if (n == 1000)
			assert_memory_equal(piece.p, b + n - 10, 10);
		blob_reader_close(&r);
	}
	free(b);
	place_end(&p);
}

/* The file of a pack that is removed is closed after the last who holds it. */
static void dropped_descriptors(void **state)
{
	struct descriptors d;
	descriptors_init(&d);
	int fd = open("/dev/null", O_RDONLY);
	descriptors_add(&d, 5, fd);
	assert_int_equal(descriptors_take(&d, 5), fd);
	descriptors_drop(&d, 5);
	assert_int_equal(descriptors_take(&d, 5), -1);
	int again = open("/dev/null", O_RDONLY); /* somebody opened it just before it went */
	descriptors_add(&d, 5, again);
	descriptors_release(&d, 5, fd);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	descriptors_release(&d, 5, fd);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	descriptors_release(&d, 5, again);
	assert_true(fcntl(again, F_GETFD) >= 0);
	descriptors_drop(&d, 5);
	assert_int_equal(fcntl(again, F_GETFD), -1);
	descriptors_drop(&d, 5);
	descriptors_free(&d);
}

static void copies(void **state)
{
	static const size_t lengths[] = { 0, 1, 7, 4000, 65536, BLOB_CHUNK - 1, BLOB_CHUNK };
	struct place p = { .pack_bytes = 100000 };
	struct blob_stage *st;
	place_new(&p, "file:blobs");
	for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
		size_t n = lengths[i / 2];
		char *b = body_of(n, i, i & 1);
		unsigned char sha[32];
		struct blob_location old = put(p.store, b, n), at = old;
		put(p.store, b, 0);
		assert_int_equal(blob_stage_copy(p.store, &old, &st), OK);
		assert_int_equal(blob_stage_size(st), n);
		assert_memory_equal(blob_stage_sha256(st), SHA256((unsigned char *)b, n, sha), 32);
		assert_int_equal(blob_stage_result(st, &at), ERR_UNAVAILABLE);
		flush(p.store, &st, 1);
		assert_int_equal(blob_stage_result(st, &at), OK);
		blob_stage_free(&st);
		assert_true(at.pack != old.pack || at.offset != old.offset);
		assert_int_equal(at.stored, old.stored);
		assert_int_equal(check(p.store, &old, b, n), OK);
		assert_int_equal(check(p.store, &at, b, n), OK);
		assert_int_equal(copy(p.store, &at), OK); /* and on */
		assert_int_equal(check(p.store, &at, b, n), OK);
		free(b);
	}
	assert_int_equal(scan(p.store).good, 8 * COUNT(lengths));
	assert_int_equal(scan(p.store).bad, 0);
	place_reopen(&p);
	assert_int_equal(scan(p.store).good, 8 * COUNT(lengths));
	assert_int_equal(scan(p.store).bad, 0);
	place_end(&p);
}

/* What is damaged is not copied on as if it was sound; a large body stays where it is. */
static void copies_of_bad_records(void **state)
{
	struct place p = { .pack_bytes = 1 };
	struct blob_stage *st = NULL;
	char path[PATH_MAX], *b = body_of(5000, 2, true), *large = body_of(BLOB_OWN_FILE + 1, 2, true);
	place_new(&p, "file:blobs");
	struct blob_location at = put(p.store, b, 5000);
	assert_int_equal(find_files(p.dir, ".pack", path), 1);
	for (off_t i = at.offset; i < at.offset + at.stored; i++) {
		struct blob_location to = at;
		flip(path, i, (unsigned char)(1 << i % 8));
		int r = copy(p.store, &to);
		flip(path, i, (unsigned char)(1 << i % 8));
		assert_true(r == ERR_CORRUPT || (!r && i >= at.offset + at.stored - RECORD_ALIGN));
	}
	struct blob_location own = put(p.store, large, BLOB_OWN_FILE + 1), wrong = at;
	assert_int_equal(blob_stage_copy(p.store, &own, &st), ERR_INVALID);
	wrong.offset += 8;
	assert_int_equal(blob_stage_copy(p.store, &wrong, &st), ERR_CORRUPT);
	wrong.pack += 1000;
	assert_int_equal(blob_stage_copy(p.store, &wrong, &st), ERR_NOT_FOUND);
	assert_null(st);
	/* A copy that was given up leaves nothing. */
	assert_int_equal(blob_stage_copy(p.store, &at, &st), OK);
	int files = find_files(p.dir, ".pack", path);
	blob_stage_free(&st);
	assert_int_equal(find_files(p.dir, ".pack", path), files);
	free(large);
	free(b);
	place_end(&p);
}

/* Purge's way with a pack: all that is asked for is copied, then it is removed. Stops at the first failure. */
static int rewrite(struct blob_store *s, int64_t pack, struct blob_location *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct blob_location to = at[i];
		int r = at[i].pack == pack ? copy(s, &to) : OK;
		if (r)
			return r;
		at[i] = to; /* here purge commits the row */
	}
	return blob_remove_pack(s, pack);
}

/* Each call of the store fails once while a pack is rewritten; then again without a fault. */
static void faults_of_rewriting(void **state)
{
	enum { N = 6 };
	for (int op = FAULT_CREATE; op <= FAULT_ANY; op++) {
		for (int nth = 1, failed = 1; failed; nth++) {
			for (int cut = 0; cut < 2; cut++) {
				struct place p = { .pack_bytes = 3000 };
				struct blob_location at[N];
				char *b[N];
				place_new(&p, "failing:file:blobs");
				for (size_t i = 0; i < N; i++)
					at[i] = put(p.store, b[i] = body_of(1000, i, false), 1000);
				int64_t first = at[0].pack;
				blob_failing_set(p.store->backend, &(struct fault_plan){ .op = (enum fault_op)op, .at = nth, .cut = cut });
				failed = rewrite(p.store, first, at, N) != OK;
				blob_failing_set(p.store->backend, &(struct fault_plan){ .op = FAULT_NONE });
				for (size_t i = 0; i < N; i++)
					assert_int_equal(check(p.store, &at[i], b[i], 1000), OK);
				assert_int_equal(rewrite(p.store, first, at, N), OK);
				place_reopen(&p);
				for (size_t i = 0; i < N; i++) {
					assert_int_not_equal(at[i].pack, first);
					assert_int_equal(check(p.store, &at[i], b[i], 1000), OK);
					free(b[i]);
				}
				assert_int_equal(scan(p.store).bad, 0);
				place_end(&p);
			}
		}
	}
}

/* Runs fn in a process that ends without closing the store, as if it was killed. */
static void crash_after(struct place *p, const char *url, void (*fn)(struct place *p, void *shared), void *shared)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		place_open(p, url);
		fn(p, shared);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	p->epoch++;
}

static void *shared_new(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

/* Two bodies in one group, then one alone. */
static void put_three(struct place *p, void *shared)
{
	struct blob_location *at = shared;
	struct blob_stage *st[2] = { stage_of(p->store, "the first", 9), stage_of(p->store, "the second", 10) };
	flush(p->store, st, 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(blob_stage_result(st[i], &at[i]), OK);
	at[2] = put(p->store, "the third", 9);
}

static void file_put(const char *path, const char *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, n), n);
	close(fd);
}

static void torn_case(struct place *p, struct blob_location at[3], const char *path, const char *bytes, size_t n, bool third)
{
	char mark[PATH_MAX], pack[PATH_MAX];
	struct blob_stats stats;
	file_put(path, bytes, n);
	find_files(p->dir, "sealed", mark);
	unlink(mark);
	place_open(p, "file:blobs");
	blob_stats(p->store, &stats);
	assert_int_equal(stats.torn_packs, 1);
	assert_int_equal(stats.torn_bytes, third ? 0 : (int64_t)n - at[2].offset);
	assert_int_equal(check(p->store, &at[0], "the first", 9), OK);
	assert_int_equal(check(p->store, &at[1], "the second", 10), OK);
	assert_int_equal(check(p->store, &at[2], "the third", 9), third ? OK : ERR_CORRUPT);
	assert_int_equal(scan(p->store).good, third ? 3 : 2);
	assert_int_equal(scan(p->store).bad, 0);
	place_reopen(p);
	blob_stats(p->store, &stats);
	assert_int_equal(stats.torn_packs, 0);
	assert_int_equal(find_files(p->dir, ".pack", pack), 1);
	blob_close(&p->store);
}

static void torn_tails(void **state)
{
	struct place p = { 0 };
	struct blob_location *at = shared_new(3 * sizeof *at);
	char path[PATH_MAX], bytes[1000];
	place_new(&p, NULL);
	crash_after(&p, "file:blobs", put_three, at);
	assert_int_equal(find_files(p.dir, ".pack", path), 1);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, bytes, sizeof bytes);
	close(fd);
	assert_int_equal(n, at[2].offset + at[2].stored);
	torn_case(&p, at, path, bytes, (size_t)n, true);
	for (size_t cut = (size_t)at[2].offset; cut + RECORD_ALIGN < (size_t)n; cut += cut < (size_t)n - 20 ? 7 : 1) {
		char zeroed[sizeof bytes];
		torn_case(&p, at, path, bytes, cut, false);
		memcpy(zeroed, bytes, cut);
		memset(zeroed + cut, 0, sizeof zeroed - cut);
		torn_case(&p, at, path, zeroed, (size_t)n, false);
		torn_case(&p, at, path, zeroed, sizeof zeroed, false);
	}
	/* Damage before the third, which was written later, is no torn tail: nothing is cut. */
	file_put(path, bytes, (size_t)n);
	flip(path, at[1].offset + 1, 1);
	char mark[PATH_MAX];
	find_files(p.dir, "sealed", mark);
	unlink(mark);
	place_open(&p, "file:blobs");
	assert_int_equal(check(p.store, &at[1], "the second", 10), ERR_CORRUPT);
	assert_int_equal(check(p.store, &at[2], "the third", 9), OK);
	assert_int_equal(scan(p.store).good, 2);
	assert_int_equal(scan(p.store).bad, 1);
	munmap(at, 3 * sizeof *at);
	place_end(&p);
}

/* What a process acknowledged before its power was cut. */
struct acknowledged {
	atomic_int n;
	struct blob_location at[5000];
};

enum { PER_FLUSH = 5 };

static size_t cut_size(int i)
{
	return i % 20 == 8 ? BLOB_CHUNK + (size_t)i * 50 : (size_t)i * 7919 % 12000;
}

static void put_until_killed(struct place *p, struct acknowledged *done)
{
	for (int i = 0; i + PER_FLUSH <= (int)COUNT(done->at); i += PER_FLUSH) {
		struct blob_stage *st[PER_FLUSH];
		for (int k = 0; k < PER_FLUSH; k++) {
			char *b = body_of(cut_size(i + k), (uint64_t)(i + k), k & 1);
			st[k] = stage_of(p->store, b, cut_size(i + k));
			free(b);
		}
		flush(p->store, st, PER_FLUSH);
		for (int k = 0; k < PER_FLUSH; k++) {
			assert_int_equal(blob_stage_result(st[k], &done->at[i + k]), OK);
			blob_stage_free(&st[k]);
		}
		atomic_store(&done->n, i + PER_FLUSH);
	}
}

/* One start that ends in a power cut, at call `cut` of the store (0: after some milliseconds), and one that looks. */
static void power_cut(struct place *p, struct acknowledged *done, int seed, int cut)
{
	char url[80], path[PATH_MAX];
	snprintf(url, sizeof url, "file:blobs?powercut=1&seed=%d&cut=%d", seed, cut);
	atomic_store(&done->n, 0);
	pid_t pid = fork();
	if (!pid) {
		place_open(p, url);
		put_until_killed(p, done);
		_exit(0);
	}
	if (!cut) {
		usleep((useconds_t)(3000 + seed * 7 % 40 * 1000));
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	p->epoch++;
	place_open(p, "file:blobs");
	int n = atomic_load(&done->n);
	for (int i = 0; i < n; i++) {
		char *b = body_of(cut_size(i), (uint64_t)i, i % PER_FLUSH & 1);
		assert_int_equal(check(p->store, &done->at[i], b, cut_size(i)), OK);
		free(b);
	}
	struct scanned all = scan(p->store);
	assert_true(all.bad == 0 && all.good >= n);
	assert_int_equal(find_files(p->dir, ".part", path), 0);
	blob_close(&p->store);
}

static void power_cuts(void **state)
{
	struct place p = { .pack_bytes = 400000 };
	struct acknowledged *done = shared_new(sizeof *done);
	place_new(&p, NULL);
	for (int cut = 1; cut <= 45; cut++)
		power_cut(&p, done, cut % 3 ? cut : 0, cut);
	munmap(done, sizeof *done);
	place_end(&p);
}

static void power_cuts_at_any_time(void **state)
{
	struct place p = { .pack_bytes = 100000 };
	struct acknowledged *done = shared_new(sizeof *done);
	place_new(&p, NULL);
	for (int seed = 0; seed < 10; seed++)
		power_cut(&p, done, seed, 0);
	munmap(done, sizeof *done);
	place_end(&p);
}

struct rewritten {
	atomic_int removed;
	struct blob_location at[6];
};

/* The power goes at call `cut` of a rewrite: every body is at the place that was last told, and a removal that was told
   has happened. Returns whether it came to an end before. */
static bool power_cut_rewriting(int cut)
{
	struct place p = { .pack_bytes = 3000 };
	struct rewritten *w = shared_new(sizeof *w);
	char url[80];
	int status;
	place_new(&p, "file:blobs");
	for (size_t i = 0; i < COUNT(w->at); i++) {
		char *b = body_of(1000, i, false);
		w->at[i] = put(p.store, b, 1000);
		free(b);
	}
	struct blob_location first = w->at[0];
	blob_close(&p.store);
	snprintf(url, sizeof url, "file:blobs?powercut=1&seed=%d&cut=%d", cut, cut);
	pid_t pid = fork();
	if (!pid) {
		place_open(&p, url);
		assert_int_equal(rewrite(p.store, w->at[0].pack, w->at, COUNT(w->at)), OK);
		atomic_store(&w->removed, 1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	p.epoch++;
	place_open(&p, "file:blobs");
	for (size_t i = 0; i < COUNT(w->at); i++) {
		char *b = body_of(1000, i, false);
		assert_int_equal(check(p.store, &w->at[i], b, 1000), OK);
		free(b);
	}
	char *b = body_of(1000, 0, false);
	int old = check(p.store, &first, b, 1000);
	assert_true(old == ERR_NOT_FOUND || (old == OK && !atomic_load(&w->removed)));
	free(b);
	assert_int_equal(scan(p.store).bad, 0);
	munmap(w, sizeof *w);
	place_end(&p);
	return status == 0;
}

static void power_cuts_of_rewriting(void **state)
{
	int cut = 1;
	while (!power_cut_rewriting(cut))
		cut++;
	assert_true(cut > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(ranges), cmocka_unit_test(groups), cmocka_unit_test(scans),
		cmocka_unit_test(abandoned), cmocka_unit_test(many_packs), cmocka_unit_test(threads), cmocka_unit_test(faults),
		cmocka_unit_test(faults_of_reading), cmocka_unit_test(damage), cmocka_unit_test(damage_is_found),
		cmocka_unit_test(absent), cmocka_unit_test(two_nodes), cmocka_unit_test(grown_elsewhere), cmocka_unit_test(used_epoch),
		cmocka_unit_test(torn_tails),
		cmocka_unit_test(power_cuts), cmocka_unit_test(power_cuts_at_any_time),
		cmocka_unit_test(lists), cmocka_unit_test(removal),
		cmocka_unit_test(copies_of_the_store), cmocka_unit_test(removal_beside_readers), cmocka_unit_test(dropped_descriptors),
		cmocka_unit_test(copies), cmocka_unit_test(copies_of_bad_records), cmocka_unit_test(faults_of_rewriting),
		cmocka_unit_test(power_cuts_of_rewriting),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
