#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "log.h"

#include "mint.h"

#include "driver.h"
#include "failing.h"
#include "s3_fake.h"
#include "store_inside.h"

/* The S3 driver against a server of our own that lies when told to, and, where PERDURA_TEST_BLOB names one (stores.h; keys in the
 * environment), against a real one. */

struct place {
	struct s3_fake *fake; /* NULL: a real one */
	int64_t cache;
	char dir[64], url[1024];
	struct blob_backend *b;
	struct mint mint;
};

static int place_open(struct place *p)
{
	struct blob_driver_options o = { .dir = p->dir, .node_name = "n1", .node = 1, .cache_bytes = p->cache };
	return blob_driver_open(p->url, &o, &p->b);
}

static void place_new(struct place *p, const char *real)
{
	*p = (struct place){ 0 };
	snprintf(p->dir, sizeof p->dir, "/tmp/test_s3-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	mint_init(&p->mint, 1, (int64_t)(clock_now() & 0x7ffff) + 1);
	if (real) {
		/* a prefix of its own: after the bucket's, before the query */
		snprintf(p->url, sizeof p->url, "%.*s/s3-%llx%s", (int)strcspn(real, "?"), real, (unsigned long long)clock_now(),
			real + strcspn(real, "?"));
		return;
	}
	p->fake = s3_fake_start();
	snprintf(p->url, sizeof p->url, "s3://bucket/some/prefix?endpoint=http://127.0.0.1:%d", s3_fake_port(p->fake));
}

static void place_end(struct place *p)
{
	char cmd[100];
	if (p->b)
		p->b->driver->close(p->b);
	if (p->fake)
		s3_fake_stop(p->fake);
	snprintf(cmd, sizeof cmd, "rm -rf %s", p->dir);
	assert_int_equal(system(cmd), 0);
}

static char *bytes_of(size_t n, uint64_t seed)
{
	char *p = malloc(n);
	uint64_t x = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
	for (size_t i = 0; i < n; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		p[i] = (char)(x >> 11);
	}
	return p;
}

/* As a large body is written: in pieces, its first bytes last. */
static int put(struct place *p, int64_t pack, const char *bytes, size_t n)
{
	enum { LATE = 120, PIECE = 262144 };
	struct blob_pack *w;
	int r = p->b->driver->create(p->b, pack, &w);
	if (r)
		return r;
	for (size_t at = LATE; !r && at < n; at += PIECE) {
		struct iovec v = { (char *)(uintptr_t)bytes + at, n - at < PIECE ? n - at : PIECE };
		r = p->b->driver->write(p->b, w, &v, 1, (int64_t)at);
	}
	struct iovec first = { (char *)(uintptr_t)bytes, n < LATE ? n : LATE };
	if (!r)
		r = p->b->driver->write(p->b, w, &first, 1, 0);
	if (!r)
		r = p->b->driver->sync(p->b, w, false);
	if (!r)
		r = p->b->driver->sync(p->b, w, true);
	p->b->driver->done(p->b, w);
	return r;
}

static void holds(struct place *p, int64_t pack, const char *bytes, size_t n)
{
	char *back = malloc(n);
	assert_int_equal(p->b->driver->read(p->b, pack, back, n, 0), OK);
	assert_memory_equal(back, bytes, n);
	free(back);
}

struct counted {
	int n;
	int64_t last, bytes;
};

static int count(void *ctx, int64_t pack, int64_t size, int64_t changed)
{
	struct counted *c = ctx;
	assert_true(pack > c->last);
	assert_true(changed > clock_now() - 3600 * SECOND_US && changed < clock_now() + 3600 * SECOND_US);
	c->n++;
	c->last = pack;
	c->bytes += size;
	return OK;
}

static void lists(struct place *p, int n)
{
	struct counted c = { 0 };
	assert_int_equal(p->b->driver->list(p->b, count, &c), OK);
	assert_int_equal(c.n, n);
}

static const size_t sizes[] = { 120, 121, 5000, 300000, 8 << 20, (8 << 20) + 1, 30 << 20 };

static void round_trip(struct place *p)
{
	int64_t packs[COUNT(sizes)];
	char back[64];
	for (size_t i = 0; i < COUNT(sizes); i++) {
		char *b = bytes_of(sizes[i], i);
		packs[i] = mint_id(&p->mint);
		assert_int_equal(put(p, packs[i], b, sizes[i]), OK);
		holds(p, packs[i], b, sizes[i]);
		assert_int_equal(p->b->driver->read(p->b, packs[i], back, 50, (int64_t)sizes[i] - 50), OK);
		assert_memory_equal(back, b + sizes[i] - 50, 50);
		assert_int_equal(p->b->driver->read(p->b, packs[i], back, 51, (int64_t)sizes[i] - 50), ERR_CORRUPT);
		assert_int_equal(p->b->driver->read(p->b, packs[i], back, 1, (int64_t)sizes[i]), ERR_CORRUPT);
		assert_int_equal(put(p, packs[i], "x", 1), i ? ERR_EXISTS : ERR_UNAVAILABLE);
		holds(p, packs[i], b, sizes[i]);
		free(b);
	}
	lists(p, COUNT(sizes));
	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_int_equal(p->b->driver->remove(p->b, packs[i]), OK);
		assert_int_equal(p->b->driver->remove(p->b, packs[i]), OK);
		assert_int_equal(p->b->driver->read(p->b, packs[i], back, 1, 0), ERR_NOT_FOUND);
	}
	lists(p, 0);
	assert_int_equal(p->b->driver->copy(p->b, "/tmp/x", NULL), ERR_CANNOT);
}

static void round_trips(void **state)
{
	struct place p;
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	round_trip(&p);
	assert_int_equal(s3_fake_objects(p.fake), 0);
	assert_int_equal(s3_fake_uploads(p.fake), 0);
	assert_true(s3_fake_connections(p.fake) <= 8); /* they are used again */
	place_end(&p);
}

static void real_server(void **state)
{
	const char *url = getenv("PERDURA_TEST_BLOB");
	struct place p;
	if (!url || strncmp(url, "s3:", 3)) {
		print_message("skipped: PERDURA_TEST_BLOB names no S3 store\n");
		skip();
	}
	place_new(&p, url);
	assert_int_equal(place_open(&p), OK);
	assert_int_equal(p.b->driver->repair(p.b, NULL, NULL), OK);
	round_trip(&p);
	place_end(&p);
}

/* What a wrong store says when it is opened: one line, with what to do. */
static void wrong_stores(void **state)
{
	static const struct { enum s3_lie lie; const char *method; int result; const char *words; } cases[] = {
		{ S3_NO_BUCKET, "", ERR_INVALID, "make it" },
		{ S3_WRONG_KEY, "", ERR_DENIED, "PERDURA_S3_ACCESS_KEY" },
		{ S3_WRONG_SECRET, "", ERR_DENIED, "PERDURA_S3_SECRET_KEY" },
		{ S3_DENIED, "", ERR_DENIED, "must be allowed to" },
		{ S3_DENIED, "PUT", ERR_DENIED, "must be allowed to" },
		{ S3_DENIED, "DELETE", ERR_DENIED, "must be allowed to" },
		{ S3_OTHER_REGION, "", ERR_INVALID, "region=mars-1" },
		{ S3_REDIRECT, "", ERR_INVALID, "http://elsewhere.example:7480" },
		{ S3_VERSIONED, "", ERR_INVALID, "versioning" },
		{ S3_UNCONDITIONAL, "", ERR_INVALID, "If-None-Match" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct place p;
		place_new(&p, NULL);
		s3_fake_lie(p.fake, cases[i].lie, cases[i].method, 0, -1);
		assert_int_equal(place_open(&p), cases[i].result);
		if (!strstr(fail_detail(), cases[i].words))
			fail_msg("%d: %s", cases[i].lie, fail_detail());
		assert_null(strchr(fail_detail(), '\n'));
		place_end(&p);
	}
}

static void wrong_urls(void **state)
{
	static const struct { const char *url, *words; } cases[] = {
		{ "s3:bucket?endpoint=http://h", "s3://BUCKET" },
		{ "s3://b?endpoint=http://h", "no name of a bucket" },
		{ "s3://BUCKET?endpoint=http://h", "no name of a bucket" },
		{ "s3://bucket", "no endpoint" },
		{ "s3://bucket?endpoint=", "no endpoint" },
		{ "s3://bucket?endpoint=h:80", "http://host:port" },
		{ "s3://bucket?endpoint=http://h/path", "http://host:port" },
		{ "s3://bucket?endpoint=http://user:word@h", "http://host:port" },
		{ "s3://bucket/a+b?endpoint=http://h", "prefix" },
		{ "s3://bucket/a/../b?endpoint=http://h", "prefix" },
		{ "s3://bucket//a?endpoint=http://h", "prefix" },
		{ "s3://bucket?endpoint=http://h&mirror=other", "mirror=BUCKET@URL" },
		{ "s3://bucket?endpoint=http://h&keys=/does/not/exist", "keys=/does/not/exist" },
		{ "s3://bucket?endpoint=http://h&keys=/dev/null", "PERDURA_S3_ACCESS_KEY" },
	};
	struct place p;
	place_new(&p, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		snprintf(p.url, sizeof p.url, "%s", cases[i].url);
		assert_int_equal(place_open(&p), ERR_INVALID);
		if (!strstr(fail_detail(), cases[i].words))
			fail_msg("%s: %s", cases[i].url, fail_detail());
	}
	place_end(&p);
}

/* Keys come from a file where the URL names one, and never stand in what is said. */
static void keys(void **state)
{
	static const struct { const char *text; int result; } cases[] = {
		{ "PERDURA_S3_ACCESS_KEY=a\nPERDURA_S3_SECRET_KEY=b\n", OK },
		{ "# ours\n  PERDURA_S3_ACCESS_KEY = a \nPERDURA_S3_SECRET_KEY = b=c/d+\n", OK },
		{ "[default]\naws_access_key_id = a\naws_secret_access_key = b\n", OK },
		{ "PERDURA_S3_ACCESS_KEY=a\n", ERR_INVALID },
		{ "AWS_ACCESS_KEY_ID=a\nAWS_SECRET_ACCESS_KEY=b\nPERDURA_S3_SECRET_KEY=hidden\n", ERR_INVALID },
	};
	struct place p;
	place_new(&p, NULL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		char path[100];
		snprintf(path, sizeof path, "%s/keys", p.dir);
		FILE *f = fopen(path, "w");
		fputs(cases[i].text, f);
		fclose(f);
		snprintf(p.url, sizeof p.url, "s3://bucket?endpoint=http://127.0.0.1:%d&keys=keys", s3_fake_port(p.fake));
		assert_int_equal(place_open(&p), cases[i].result);
		if (p.b)
			p.b->driver->close(p.b);
		else
			assert_null(strstr(fail_detail(), "hidden"));
		p.b = NULL;
	}
	place_end(&p);
}

/* What a server does now and then, and nobody notices. */
static void passing_faults(void **state)
{
	static const struct { enum s3_lie lie; const char *method; int skip, times; } cases[] = {
		{ S3_SHORT_BODY, "GET", 0, 2 }, { S3_SHORT_RANGE, "GET", 0, 2 }, { S3_NO_RANGE, "GET", 0, 2 }, { S3_LATE, "", 0, 3 },
		{ S3_SLOW_DOWN, "", 0, 2 }, { S3_SLOW_DOWN, "GET", 0, 2 }, { S3_INTERNAL, "", 0, 2 }, { S3_INTERNAL, "POST", 1, 2 },
		{ S3_ERROR_IN_200, "PUT", 0, 2 }, { S3_ERROR_IN_200, "POST", 0, 2 }, { S3_ERROR_IN_200, "POST", 1, 2 },
		{ S3_HANG_UP, "", 0, 2 }, { S3_HANG_UP, "PUT", 1, 2 }, { S3_HANG_UP, "POST", 1, 1 }, { S3_GARBAGE, "", 0, 2 },
		{ S3_LOST_ANSWER, "PUT", 0, 1 }, { S3_LOST_ANSWER, "PUT", 1, 1 }, { S3_LOST_ANSWER, "POST", 1, 1 },
		{ S3_LOST_ANSWER, "GET", 0, 1 },
		{ S3_BAD_XML, "PUT", 0, 1 }, { S3_BAD_XML, "PUT", 1, 1 }, { S3_BAD_XML, "POST", 1, 1 }, /* a good status, and nothing done */
		{ S3_OTHER_CLOCK, "", 0, 0 },
	};
	struct place p;
	char *b = bytes_of(9 << 20, 1);
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	for (size_t i = 0; i < COUNT(cases); i++)
		for (size_t n = 1000; n <= 9 << 20; n += (9 << 20) - 1000) {
			int64_t pack = mint_id(&p.mint);
			s3_fake_lie(p.fake, cases[i].lie, cases[i].method, cases[i].skip, cases[i].times);
			int r = put(&p, pack, b, n);
			if (r)
				fail_msg("%zu, %zu bytes: %s", i, n, fail_detail());
			holds(&p, pack, b, n);
		}
	s3_fake_lie(p.fake, S3_HONEST, "", 0, 0);
	lists(&p, 2 * COUNT(cases));
	assert_int_equal(p.b->driver->repair(p.b, NULL, NULL), OK);
	assert_int_equal(s3_fake_uploads(p.fake), 0);
	assert_int_equal(s3_fake_objects(p.fake), 2 * COUNT(cases));
	free(b);
	place_end(&p);
}

/* What does not pass makes the store down, never a body gone. */
static void lasting_faults(void **state)
{
	static const enum s3_lie lies[] = { S3_NO_BUCKET, S3_DENIED, S3_WRONG_KEY, S3_REDIRECT, S3_HTML_404, S3_BAD_XML };
	struct place p;
	struct counted c = { 0 };
	char *b = bytes_of(5000, 1), back[10];
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	for (size_t i = 0; i < COUNT(lies) - 1; i++) {
		s3_fake_lie(p.fake, lies[i], "", 0, -1);
		assert_int_equal(p.b->driver->read(p.b, pack, back, 10, 0), ERR_UNAVAILABLE);
		assert_int_equal(p.b->driver->list(p.b, count, &c), ERR_UNAVAILABLE);
		assert_int_equal(put(&p, mint_id(&p.mint), b, 5000), ERR_UNAVAILABLE);
		assert_int_equal(p.b->driver->remove(p.b, pack), ERR_UNAVAILABLE);
	}
	s3_fake_lie(p.fake, S3_BAD_XML, "", 0, -1);
	assert_int_equal(p.b->driver->list(p.b, count, &c), ERR_UNAVAILABLE);
	s3_fake_lie(p.fake, S3_FULL, "PUT", 0, -1);
	assert_int_equal(put(&p, mint_id(&p.mint), b, 5000), ERR_FULL);
	holds(&p, pack, b, 5000);
	s3_fake_lie(p.fake, S3_STALE_LIST, "GET", 0, -1);
	lists(&p, 0);
	holds(&p, pack, b, 5000);
	free(b);
	place_end(&p);
}

/* What was put just now is young, whatever the server's clock says. */
static void old_clock(void **state)
{
	struct place p;
	place_new(&p, NULL);
	s3_fake_lie(p.fake, S3_OLD_CLOCK, "", 0, 0);
	assert_int_equal(place_open(&p), OK);
	assert_int_equal(put(&p, mint_id(&p.mint), "body", 4), OK);
	lists(&p, 1);
	place_end(&p);
}

static int64_t timed_read(struct place *p, int64_t pack, int result)
{
	char back[10];
	int64_t began = clock_mono();
	assert_int_equal(p->b->driver->read(p->b, pack, back, 10, 0), result);
	return clock_mono() - began;
}

/* A store that is away: the first to find out waits, the others do not, and all notice that it is back, at whichever endpoint. */
static void away(void **state)
{
	struct place p;
	char *b = bytes_of(5000, 1);
	struct s3_fake *second = s3_fake_start();
	place_new(&p, NULL);
	snprintf(p.url + strlen(p.url), 100, ",http://127.0.0.1:%d", s3_fake_port(second));
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	s3_fake_copy(p.fake, second);
	s3_fake_pause(second, true);
	s3_fake_pause(p.fake, true);
	assert_true(timed_read(&p, pack, ERR_UNAVAILABLE) > SECOND_US);
	assert_true(timed_read(&p, pack, ERR_UNAVAILABLE) < SECOND_US / 10);
	assert_int_equal(put(&p, mint_id(&p.mint), b, 5000), ERR_UNAVAILABLE);
	s3_fake_pause(second, false);
	usleep(2100000);
	assert_true(timed_read(&p, pack, OK) < SECOND_US / 5);
	holds(&p, pack, b, 5000);
	s3_fake_pause(p.fake, false);
	s3_fake_lie(second, S3_SILENT, "GET", 0, 1); /* given up, and the other asked */
	assert_true(timed_read(&p, pack, OK) < 8 * SECOND_US);
	free(b);
	place_end(&p);
	s3_fake_stop(second);
}

static void *put_in_vain(void *arg)
{
	struct place *p = arg;
	assert_int_equal(put(p, mint_id(&p->mint), "x", 1), ERR_UNAVAILABLE);
	return NULL;
}

/* What fails for a part of the requests, as where some of a store's disks are away, does not end the others. */
static void half_away(void **state)
{
	struct place p;
	pthread_t writer;
	char *b = bytes_of(5000, 1);
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	s3_fake_lie(p.fake, S3_INTERNAL, "PUT", 0, -1);
	assert_int_equal(pthread_create(&writer, NULL, put_in_vain, &p), 0);
	while (pthread_tryjoin_np(writer, NULL)) {
		holds(&p, pack, b, 5000);
		usleep(10000);
	}
	holds(&p, pack, b, 5000);
	free(b);
	place_end(&p);
}

/* Opened while it is away: proved before the first write. */
static void opened_away(void **state)
{
	struct place p;
	char *b = bytes_of(5000, 1);
	place_new(&p, NULL);
	s3_fake_pause(p.fake, true);
	assert_int_equal(place_open(&p), OK);
	assert_int_equal(p.b->driver->repair(p.b, NULL, NULL), OK);
	s3_fake_pause(p.fake, false);
	usleep(2100000);
	s3_fake_lie(p.fake, S3_VERSIONED, "", 0, -1);
	assert_int_equal(put(&p, mint_id(&p.mint), b, 5000), ERR_UNAVAILABLE);
	assert_non_null(strstr(fail_detail(), "versioning"));
	s3_fake_lie(p.fake, S3_HONEST, "", 0, 0);
	int64_t pack = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	holds(&p, pack, b, 5000);
	free(b);
	place_end(&p);
}

/* A pack that gets no name leaves nothing; what a crash left, the next start removes. */
static void unfinished(void **state)
{
	struct place p;
	struct blob_pack *w[2];
	char *b = bytes_of(20 << 20, 1);
	struct iovec v = { b, 20 << 20 };
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	s3_fake_lie(p.fake, S3_LATE, "PUT", 0, -1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(p.b->driver->create(p.b, mint_id(&p.mint), &w[i]), OK);
		assert_int_equal(p.b->driver->write(p.b, w[i], &v, 1, 0), OK);
		assert_int_equal(p.b->driver->sync(p.b, w[i], false), OK);
	}
	assert_true(s3_fake_most_at_once(p.fake) > 1);
	assert_int_equal(s3_fake_uploads(p.fake), 2);
	lists(&p, 0);
	p.b->driver->done(p.b, w[0]);
	assert_int_equal(s3_fake_uploads(p.fake), 1);
	assert_int_equal(p.b->driver->repair(p.b, NULL, NULL), OK); /* as the next start does */
	assert_int_equal(s3_fake_uploads(p.fake), 0);
	assert_int_equal(p.b->driver->sync(p.b, w[1], true), ERR_UNAVAILABLE);
	p.b->driver->done(p.b, w[1]);
	assert_int_equal(s3_fake_objects(p.fake), 0);
	free(b);
	place_end(&p);
}

static void several_endpoints(void **state)
{
	struct place p;
	char *b = bytes_of(5000, 1), more[100];
	struct s3_fake *dead = s3_fake_start();
	place_new(&p, NULL);
	snprintf(more, sizeof more, "s3://bucket?endpoint=http://127.0.0.1:%d,http://127.0.0.1:%d", s3_fake_port(dead), s3_fake_port(p.fake));
	snprintf(p.url, sizeof p.url, "%s", more);
	s3_fake_pause(dead, true);
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	for (int i = 0; i < 10; i++)
		assert_true(timed_read(&p, pack, OK) < SECOND_US / 10); /* the one that answers is remembered */
	free(b);
	place_end(&p);
	s3_fake_stop(dead);
}

static void mirror(void **state)
{
	struct place p;
	char *b = bytes_of(5000, 1), back[5000];
	struct s3_fake *first = s3_fake_start();
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint), none = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, 5000), OK);
	p.b->driver->close(p.b);
	snprintf(p.url, sizeof p.url, "s3://first-one/some/prefix?endpoint=http://127.0.0.1:%d&mirror=bucket@http://127.0.0.1:%d",
		s3_fake_port(first), s3_fake_port(p.fake));
	assert_int_equal(place_open(&p), OK);
	holds(&p, pack, b, 5000);
	assert_int_equal(p.b->driver->read(p.b, none, back, 10, 0), ERR_NOT_FOUND);
	s3_fake_lie(first, S3_NO_BUCKET, "", 0, -1);
	holds(&p, pack, b, 5000);
	assert_int_equal(p.b->driver->read(p.b, none, back, 10, 0), ERR_UNAVAILABLE);
	int before = s3_fake_objects(p.fake);
	assert_int_equal(put(&p, none, b, 5000), ERR_UNAVAILABLE); /* never written */
	assert_int_equal(p.b->driver->remove(p.b, pack), ERR_UNAVAILABLE);
	assert_int_equal(s3_fake_objects(p.fake), before);
	free(b);
	place_end(&p);
	s3_fake_stop(first);
}

static int requests(struct place *p)
{
	return s3_fake_requests(p->fake);
}

static void reads(struct place *p, int64_t pack, const char *bytes, size_t n, int64_t at)
{
	char back[300000];
	assert_int_equal(p->b->driver->read(p->b, pack, back, n, at), OK);
	assert_memory_equal(back, bytes + at, n);
}

static void cached(void **state)
{
	enum { SIZE = 6 << 20, FIRST = 200000 };
	struct place p;
	char *b = bytes_of(SIZE, 1), back[100], path[100];
	place_new(&p, NULL);
	p.cache = 4 << 20;
	assert_int_equal(place_open(&p), OK);
	int64_t pack = mint_id(&p.mint), other = mint_id(&p.mint);
	assert_int_equal(put(&p, pack, b, SIZE), OK);
	assert_int_equal(put(&p, other, b, 5000), OK);
	int n = requests(&p);
	reads(&p, pack, b, 1000, FIRST);
	assert_int_equal(requests(&p), n + 1);
	reads(&p, pack, b, 1000, FIRST);
	reads(&p, pack, b, 3000, FIRST - 2000);
	assert_int_equal(requests(&p), n + 1);
	/* Read on: a megabyte a request. */
	for (int64_t at = FIRST; at < SIZE - 262144; at += 262144)
		reads(&p, pack, b, 262144, at);
	assert_in_range(requests(&p) - n, 6, 9);
	/* The end, and beyond it. */
	reads(&p, pack, b, 100, SIZE - 100);
	assert_int_equal(p.b->driver->read(p.b, pack, back, 100, SIZE - 99), ERR_CORRUPT);
	assert_int_equal(p.b->driver->read(p.b, pack, back, 1, SIZE), ERR_CORRUPT);
	assert_int_equal(p.b->driver->read(p.b, other, back, 100, 4950), ERR_CORRUPT);
	reads(&p, other, b, 5000, 0);
	/* It is bounded: what was read first went. */
	snprintf(path, sizeof path, "%s/cache/blocks", p.dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_in_range(st.st_size, 3 << 20, 4 << 20);
	n = requests(&p);
	reads(&p, pack, b, 1000, FIRST);
	assert_int_equal(requests(&p), n + 1);
	/* A bad disk below it is no bad store. */
	int fd = open(path, O_RDWR);
	char *garbage = bytes_of(4 << 20, 9);
	assert_int_equal(pwrite(fd, garbage, 4 << 20, 0), 4 << 20);
	free(garbage);
	close(fd);
	reads(&p, pack, b, 1000, FIRST);
	reads(&p, other, b, 5000, 0);
	/* What is gone is gone from here too, whoever finds out. */
	assert_int_equal(p.b->driver->remove(p.b, pack), OK);
	assert_int_equal(p.b->driver->read(p.b, pack, back, 1, FIRST), ERR_NOT_FOUND);
	/* Forgotten is asked for again. */
	n = requests(&p);
	reads(&p, other, b, 5000, 0);
	assert_int_equal(requests(&p), n);
	p.b->driver->forget(p.b, other);
	reads(&p, other, b, 5000, 0);
	assert_int_equal(requests(&p), n + 1);
	/* The store is away: what is here can be read. */
	s3_fake_lie(p.fake, S3_DENIED, "", 0, -1);
	reads(&p, other, b, 5000, 0);
	free(b);
	place_end(&p);
}

enum { THREADS = 16, READS = 60 };

struct reads {
	struct place *p;
	int64_t pack;
	const char *bytes;
};

static void *read_much(void *arg)
{
	struct reads *r = arg;
	for (int i = 0; i < READS; i++) {
		char back[1000];
		int64_t at = i * 977 % 60000;
		assert_int_equal(r->p->b->driver->read(r->p->b, r->pack, back, sizeof back, at), OK);
		assert_memory_equal(back, r->bytes + at, sizeof back);
	}
	return NULL;
}

static void many_threads(int64_t cache)
{
	struct place p;
	pthread_t t[THREADS];
	char *b = bytes_of(70000, 1);
	place_new(&p, NULL);
	p.cache = cache;
	assert_int_equal(place_open(&p), OK);
	struct reads r = { &p, mint_id(&p.mint), b };
	assert_int_equal(put(&p, r.pack, b, 70000), OK);
	s3_fake_lie(p.fake, S3_INTERNAL, "GET", 20, 20);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, read_much, &r), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_true(s3_fake_connections(p.fake) <= THREADS + 4);
	free(b);
	place_end(&p);
}

static void threads(void **state)
{
	many_threads(0);
}

static void cached_threads(void **state)
{
	many_threads(1);
}

static void long_lists(void **state)
{
	struct place p;
	place_new(&p, NULL);
	assert_int_equal(place_open(&p), OK);
	for (int i = 0; i < 350; i++)
		assert_int_equal(put(&p, mint_id(&p.mint), "x", 1), OK);
	lists(&p, 350);
	place_end(&p);
}

/* The facade over S3, with each call of the driver failing in turn: a body is durable and whole, or its delivery hears why, and what
 * was answered can be read. */

enum { BODIES = 3 };
static const size_t body_sizes[BODIES] = { 150000, 300000, 700000 };

static void store_open_at(struct place *p, const char *url, struct blob_store **out)
{
	struct blob_options o = { .dir = p->dir, .node_name = "n1", .mint = &p->mint, .cache_bytes = p->cache };
	assert_int_equal(blob_open(url, &o, out), OK);
}

static int stage_body(struct blob_store *s, const char *bytes, size_t n, struct blob_stage **out)
{
	struct blob_stage *st;
	assert_int_equal(blob_stage_new(s, &st), OK);
	int r = blob_stage_write(st, span_from(bytes, n));
	if (!r)
		r = blob_stage_finish(st);
	if (r)
		blob_stage_free(&st);
	else
		*out = st;
	return r;
}

static int read_body(struct blob_store *s, const struct blob_location *at, const char *bytes, size_t n)
{
	struct blob_reader *r = NULL;
	struct span piece;
	int e = blob_reader_open(s, at, &r);
	for (size_t off = 0; !e && off < n; off += piece.n) {
		e = blob_reader_at(r, off, &piece);
		if (!e) {
			assert_true(piece.n && piece.n <= n - off);
			assert_memory_equal(piece.p, bytes + off, piece.n);
		}
		piece.n = e ? 0 : piece.n;
	}
	blob_reader_close(&r);
	return e;
}

struct batch {
	char *bytes[BODIES];
	struct blob_location at[BODIES];
	bool durable[BODIES];
};

/* How many became durable. */
static int write_batch(struct blob_store *s, struct batch *t)
{
	struct blob_stage *stages[BODIES];
	int of[BODIES], n = 0, durable = 0;
	for (int i = 0; i < BODIES; i++) {
		t->durable[i] = false;
		int r = stage_body(s, t->bytes[i], body_sizes[i], &stages[n]);
		assert_true(r == OK || r == ERR_UNAVAILABLE || r == ERR_FULL);
		if (!r)
			of[n++] = i;
	}
	blob_write(s, stages, (size_t)n);
	blob_sync(s, stages, (size_t)n);
	blob_settle(s, stages, (size_t)n);
	for (int i = 0; i < n; i++) {
		int r = blob_stage_result(stages[i], &t->at[of[i]]);
		assert_true(r == OK || r == ERR_UNAVAILABLE || r == ERR_FULL);
		t->durable[of[i]] = !r;
		durable += !r;
		blob_stage_free(&stages[i]);
	}
	return durable;
}

static int scan_one(void *ctx, const struct blob_record *r)
{
	assert_int_equal(r->result, OK);
	++*(int *)ctx;
	return OK;
}

static int count_damaged(void *ctx, const struct blob_record *r)
{
	assert_int_equal(r->result, ERR_CORRUPT);
	++*(int *)ctx;
	return OK;
}

static void fault_round(struct place *p, struct batch *t, const struct fault_plan *plan)
{
	char url[1100];
	struct blob_store *s;
	int found = 0;
	snprintf(url, sizeof url, "failing:%s", p->url);
	store_open_at(p, url, &s);
	blob_failing_set(s->backend, plan);
	int before = s3_fake_objects(p->fake), durable = write_batch(s, t);
	int64_t calls = blob_failing_calls(s->backend);
	assert_true(durable == BODIES || calls >= plan->at);
	assert_int_equal(s3_fake_uploads(p->fake), 0);
	/* A sync that was done and denied leaves an object that no row will name; purge finds it. */
	assert_in_range(s3_fake_objects(p->fake) - before, durable, plan->cut ? BODIES : durable);
	blob_failing_set(s->backend, &(struct fault_plan){ .op = FAULT_NONE });
	blob_close(&s);
	store_open_at(p, p->url, &s);
	for (int i = 0; i < BODIES; i++)
		if (t->durable[i])
			assert_int_equal(read_body(s, &t->at[i], t->bytes[i], body_sizes[i]), OK);
	if (plan->at % 5 == 0)
		assert_int_equal(blob_scan(s, scan_one, &found), OK);
	blob_close(&s);
}

static void facade_faults(void **state)
{
	static const struct { enum fault_op op; int calls; } ops[] = { { FAULT_CREATE, 4 }, { FAULT_WRITE, 14 }, { FAULT_SYNC, 8 } };
	struct place p;
	struct batch t;
	place_new(&p, NULL);
	p.cache = 1;
	for (int i = 0; i < BODIES; i++)
		t.bytes[i] = bytes_of(body_sizes[i], (uint64_t)i);
	for (size_t i = 0; i < COUNT(ops); i++)
		for (int at = 1; at <= ops[i].calls; at++)
			for (int cut = 0; cut < 2; cut++)
				fault_round(&p, &t, &(struct fault_plan){ .op = ops[i].op, .at = at, .times = at % 3 + 1, .full = at / 2 & 1,
					.cut = cut });
	for (int i = 0; i < BODIES; i++)
		free(t.bytes[i]);
	place_end(&p);
}

/* Reads that fail, one after the other; damage in the store is said, and never served. */
static void facade_reads(void **state)
{
	struct place p;
	struct batch t;
	struct blob_store *s;
	char url[1100];
	place_new(&p, NULL);
	p.cache = 1 << 20;
	for (int i = 0; i < BODIES; i++)
		t.bytes[i] = bytes_of(body_sizes[i], (uint64_t)i);
	snprintf(url, sizeof url, "failing:%s", p.url);
	store_open_at(&p, url, &s);
	assert_int_equal(write_batch(s, &t), BODIES);
	for (int at = 1; at <= 7; at++) {
		blob_failing_set(s->backend, &(struct fault_plan){ .op = FAULT_READ, .at = at });
		assert_int_equal(read_body(s, &t.at[2], t.bytes[2], body_sizes[2]), ERR_UNAVAILABLE);
		assert_int_equal(read_body(s, &t.at[2], t.bytes[2], body_sizes[2]), OK);
	}
	s3_fake_lie(p.fake, S3_NO_BUCKET, "", 0, -1);
	assert_int_equal(read_body(s, &t.at[0], t.bytes[0], body_sizes[0]), ERR_UNAVAILABLE);
	assert_int_equal(read_body(s, &t.at[2], t.bytes[2], body_sizes[2]), OK); /* kept here */
	s3_fake_lie(p.fake, S3_HONEST, "", 0, 0);
	s3_fake_damage(p.fake);
	assert_int_equal(read_body(s, &t.at[0], t.bytes[0], body_sizes[0]), ERR_CORRUPT);
	s3_fake_damage(p.fake); /* which puts it right */
	assert_int_equal(read_body(s, &t.at[0], t.bytes[0], body_sizes[0]), OK);
	s3_fake_damage(p.fake);
	assert_int_equal(read_body(s, &t.at[2], t.bytes[2], body_sizes[2]), OK);
	int damaged = 0;
	assert_int_equal(blob_scan(s, count_damaged, &damaged), OK);
	assert_int_equal(damaged, BODIES); /* check looks at the store, not at what is kept here */
	assert_int_equal(blob_remove_pack(s, t.at[0].pack), OK);
	assert_int_equal(read_body(s, &t.at[0], t.bytes[0], body_sizes[0]), ERR_NOT_FOUND);
	blob_close(&s);
	for (int i = 0; i < BODIES; i++)
		free(t.bytes[i]);
	place_end(&p);
}

/* Of two databases that name one prefix, the second is refused, also while there is no body yet. */
static void marks(void **state)
{
	struct place p;
	char out[BLOB_MARK];
	struct blob_options o = { .node_name = "n1" };
	place_new(&p, NULL);
	o.dir = p.dir;
	assert_true(blob_is_far(p.url) && !blob_is_far("file:blobs"));
	assert_int_equal(blob_mark(p.url, &o, NULL, out), ERR_NOT_FOUND);
	s3_fake_lie(p.fake, S3_VERSIONED, "", 0, -1); /* nothing is left in a bucket that cannot be used */
	assert_int_equal(blob_mark(p.url, &o, "first", out), ERR_UNAVAILABLE);
	assert_non_null(strstr(fail_detail(), "versioning"));
	assert_int_equal(s3_fake_objects(p.fake), 0);
	s3_fake_lie(p.fake, S3_HONEST, "", 0, 0);
	assert_int_equal(blob_mark(p.url, &o, "first", out), OK);
	assert_string_equal(out, "first");
	assert_int_equal(blob_mark(p.url, &o, "second", out), OK);
	assert_string_equal(out, "first");
	s3_fake_lie(p.fake, S3_DENIED, "", 0, -1);
	assert_int_equal(blob_mark(p.url, &o, NULL, out), ERR_UNAVAILABLE);
	s3_fake_lie(p.fake, S3_HONEST, "", 0, 0);
	struct blob_store *s;
	p.cache = 1 << 20;
	store_open_at(&p, p.url, &s);
	assert_int_equal(blob_own_mark(s, out), OK);
	assert_string_equal(out, "first");
	blob_close(&s);
	assert_int_equal(place_open(&p), OK);
	lists(&p, 0); /* a mark is no pack */
	place_end(&p);
}

/* What is damaged in the first store is read out of the mirror; check says that it is damaged. */
static void damage_and_mirror(void **state)
{
	struct place p;
	struct batch t;
	struct blob_store *s;
	struct s3_fake *mirror_of = s3_fake_start();
	int damaged = 0;
	place_new(&p, NULL);
	p.cache = 1 << 20;
	for (int i = 0; i < BODIES; i++)
		t.bytes[i] = bytes_of(body_sizes[i], (uint64_t)i);
	store_open_at(&p, p.url, &s);
	assert_int_equal(write_batch(s, &t), BODIES);
	blob_close(&s);
	s3_fake_copy(p.fake, mirror_of);
	s3_fake_damage(p.fake);
	snprintf(p.url + strlen(p.url), 100, "&mirror=bucket@http://127.0.0.1:%d", s3_fake_port(mirror_of));
	store_open_at(&p, p.url, &s);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < BODIES; i++)
			assert_int_equal(read_body(s, &t.at[i], t.bytes[i], body_sizes[i]), OK);
	assert_int_equal(blob_scan(s, count_damaged, &damaged), OK);
	assert_int_equal(damaged, BODIES);
	s3_fake_lie(mirror_of, S3_NO_BUCKET, "", 0, -1);
	assert_int_equal(read_body(s, &t.at[0], t.bytes[0], body_sizes[0]), ERR_CORRUPT);
	blob_close(&s);
	for (int i = 0; i < BODIES; i++)
		free(t.bytes[i]);
	place_end(&p);
	s3_fake_stop(mirror_of);
}

int main(void)
{
	log_level_set(LOG_ERROR);
	setenv("AWS_ACCESS_KEY_ID", "access", 0);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(wrong_stores), cmocka_unit_test(wrong_urls), cmocka_unit_test(keys),
		cmocka_unit_test(passing_faults), cmocka_unit_test(lasting_faults), cmocka_unit_test(old_clock), cmocka_unit_test(unfinished),
		cmocka_unit_test(several_endpoints), cmocka_unit_test(mirror), cmocka_unit_test(cached), cmocka_unit_test(threads), cmocka_unit_test(cached_threads), cmocka_unit_test(long_lists),
		cmocka_unit_test(facade_faults), cmocka_unit_test(facade_reads), cmocka_unit_test(damage_and_mirror), cmocka_unit_test(marks),
		cmocka_unit_test(away), cmocka_unit_test(half_away), cmocka_unit_test(opened_away), cmocka_unit_test(real_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
