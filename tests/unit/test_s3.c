#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"

#include "mint.h"

#include "driver.h"
#include "s3_fake.h"

/* The S3 driver against a server of our own that lies when told to, and, where PERDURA_TEST_S3 names one (s3://BUCKET/PREFIX?..., keys
 * in the environment), against a real one. */

struct place {
	struct s3_fake *fake; /* NULL: a real one */
	char dir[64], url[1024];
	struct blob_backend *b;
	struct mint mint;
};

static int place_open(struct place *p)
{
	struct blob_driver_options o = { .dir = p->dir, .node_name = "n1", .node = 1 };
	return blob_driver_open(p->url, &o, &p->b);
}

static void place_new(struct place *p, const char *real, const char *more)
{
	*p = (struct place){ 0 };
	snprintf(p->dir, sizeof p->dir, "/tmp/test_s3-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	mint_init(&p->mint, 1, (int64_t)(clock_now() & 0x7ffff) + 1);
	if (real) {
		snprintf(p->url, sizeof p->url, "%s%s", real, more);
		return;
	}
	p->fake = s3_fake_start();
	snprintf(p->url, sizeof p->url, "s3://bucket/some/prefix?endpoint=http://127.0.0.1:%d%s", s3_fake_port(p->fake), more);
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
	place_new(&p, NULL, "");
	assert_int_equal(place_open(&p), OK);
	round_trip(&p);
	assert_int_equal(s3_fake_objects(p.fake), 0);
	assert_int_equal(s3_fake_uploads(p.fake), 0);
	assert_true(s3_fake_connections(p.fake) <= 8); /* they are used again */
	place_end(&p);
}

static void real_server(void **state)
{
	const char *url = getenv("PERDURA_TEST_S3");
	struct place p;
	char more[] = "";
	if (!url) {
		print_message("skipped: PERDURA_TEST_S3 names no S3 store\n");
		skip();
	}
	place_new(&p, url, more);
	assert_int_equal(place_open(&p), OK);
	assert_int_equal(p.b->driver->repair(p.b, NULL, NULL), OK);
	round_trip(&p);
	place_end(&p);
}

int main(void)
{
	setenv("PERDURA_S3_ACCESS_KEY", "access", 0);
	setenv("PERDURA_S3_SECRET_KEY", "secret", 0);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trips), cmocka_unit_test(real_server),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
