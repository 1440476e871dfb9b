#include "unit.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena.h"
#include "buffer.h"
#include "clock.h"
#include "durable_file.h"
#include "fail.h"
#include "job.h"
#include "log.h"
#include "peer_net.h"
#include "span.h"
#include "tally.h"
#include "varint.h"

static void spans(void **state)
{
	static const struct { const char *in; uint64_t max; int ok; uint64_t v; } numbers[] = {
		{ "0", 9, 1, 0 }, { "", 9, 0, 0 }, { "10", 9, 0, 0 }, { "18446744073709551615", UINT64_MAX, 1, UINT64_MAX },
		{ "18446744073709551616", UINT64_MAX, 0, 0 }, { "1x", 99, 0, 0 }, { "-1", 99, 0, 0 },
	};
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		uint64_t v = 0;
		assert_int_equal(span_u64(span_of(numbers[i].in), numbers[i].max, &v), numbers[i].ok);
		assert_int_equal(v, numbers[i].v);
	}
	assert_true(span_ieq(SPAN("INBOX"), SPAN("inBox")));
	assert_false(span_ieq(SPAN("INBOX"), SPAN("inBo")));
	assert_true(span_eq(span_trim(SPAN(" \t a b\r\n")), SPAN("a b")));
	assert_true(span_eq(span_sub(SPAN("abc"), 5, 5), SPAN("")));
	assert_int_equal(span_find(SPAN("abc"), 'c'), 2);
	assert_int_equal(span_find(SPAN("abc"), 'd'), -1);
}

static void buffers(void **state)
{
	struct buffer b = { .limit = 10 };
	buffer_puts(&b, "12345678");
	buffer_put_u64(&b, 90);
	assert_true(buffer_ok(&b));
	buffer_putc(&b, 'x');
	assert_false(buffer_ok(&b));
	assert_int_equal(b.n, 10);
	buffer_consume(&b, 3);
	assert_true(span_eq(buffer_span(&b), SPAN("4567890")));
	buffer_free(&b);
	struct buffer big = { 0 };
	buffer_printf(&big, "%0500d", 7);
	assert_int_equal(big.n, 500);
	buffer_free(&big);
}

static void arenas(void **state)
{
	struct arena a = { .limit = 1000 };
	assert_non_null(arena_alloc(&a, 500));
	assert_null(arena_alloc(&a, 600));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_string_equal(arena_copy(&a, SPAN("hello")).p, "hello");
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 900));
	arena_free(&a);
}

static void varints(void **state)
{
	static const uint64_t v[] = { 0, 1, 127, 128, 16384, UINT32_MAX, UINT64_MAX };
	struct buffer b = { 0 };
	for (size_t i = 0; i < sizeof v / sizeof *v; i++)
		varint_put(&b, v[i]);
	struct span in = buffer_span(&b);
	for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
		uint64_t got;
		assert_true(varint_get(&in, &got));
		assert_true(got == v[i]);
	}
	uint64_t none;
	assert_false(varint_get(&in, &none));
	in = SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
	assert_false(varint_get(&in, &none));
	in = SPAN("\x05" "abc");
	struct span s;
	assert_false(varint_get_span(&in, &s));
	buffer_free(&b);
}

static void quoting(void **state)
{
	char out[64];
	assert_string_equal(log_quote(out, sizeof out, SPAN("a \"b\"\n")), "\"a \\x22b\\x22\\x0a\"");
}

static void durable_files(void **state)
{
	char dir[] = "/tmp/perdura-base-XXXXXX", path[128];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/a/b", dir);
	assert_int_equal(durable_mkdir(path, 0700), OK);
	assert_int_equal(durable_mkdir(path, 0700), OK);
	snprintf(path, sizeof path, "%s/a/b/f", dir);
	assert_int_equal(durable_file_write(path, SPAN("one"), 0600), OK);
	assert_int_equal(durable_file_write(path, SPAN("two!"), 0600), OK);
	FILE *f = fopen(path, "r");
	char got[8] = "";
	assert_int_equal(fread(got, 1, sizeof got, f), 4);
	fclose(f);
	assert_int_equal(durable_file_write("/nowhere/f", SPAN("x"), 0600), ERR_UNAVAILABLE);
	unlink(path);
}

static void tallies(void **state)
{
	struct tally *t = tally_new();
	char key[16], long_key[TALLY_KEY_MAX + 1] = { 0 };
	assert_int_equal(tally_add(t, SPAN("a"), 2), OK);
	assert_int_equal(tally_add(t, SPAN("a"), 2), OK);
	assert_int_equal(tally_add(t, SPAN("a"), 2), ERR_LIMIT);
	assert_int_equal(tally_add(t, SPAN("a"), 3), OK);
	assert_int_equal(tally_add(t, SPAN("b"), 1), OK);
	assert_int_equal(tally_add(t, SPAN("a\0"), 1), OK);
	assert_int_equal(tally_add(t, SPAN("c"), 0), ERR_LIMIT);
	assert_int_equal(tally_add(t, span_from(long_key, sizeof long_key), 9), ERR_LIMIT);
	tally_drop(t, SPAN("a"));
	assert_int_equal(tally_add(t, SPAN("a"), 2), ERR_LIMIT);
	tally_drop(t, SPAN("a"));
	assert_int_equal(tally_add(t, SPAN("a"), 2), OK);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 20000; i++) {
			snprintf(key, sizeof key, "%d", i);
			assert_int_equal(tally_add(t, span_of(key), 1), OK);
		}
		for (int i = 0; i < 20000; i++) {
			snprintf(key, sizeof key, "%d", i);
			assert_int_equal(tally_add(t, span_of(key), 1), ERR_LIMIT);
			tally_drop(t, span_of(key));
		}
	}
	tally_free(&t);
	tally_free(&t);
}

struct runs {
	atomic_int begun, ended;
	int64_t rest, next; /* 0: not asked for */
};

static void run(struct job *j, void *arg)
{
	struct runs *r = arg;
	atomic_fetch_add(&r->begun, 1);
	if (r->rest)
		job_rest(j, r->rest);
	if (r->next)
		job_next(j, r->next);
	atomic_fetch_add(&r->ended, 1);
}

/* Whether there were so many runs, after 10 s at most. */
static bool reached(atomic_int *runs, int n)
{
	for (int i = 0; i < 2000 && atomic_load(runs) < n; i++)
		usleep(5000);
	return atomic_load(runs) == n;
}

static void jobs(void **state)
{
	static const int64_t hour = 3600 * SECOND_US;
	static const struct {
		int64_t first, every, rest, next;
		int wakes, ran; /* runs after so many times woken */
	} cases[] = {
		{ hour, hour, 0, 0, 0, 0 }, { 0, hour, 0, 0, 0, 1 }, { hour, hour, 0, 0, 3, 3 }, { 0, hour, 0, 0, 2, 3 },
		{ 0, 0, 0, hour, 0, 1 }, { 0, 0, 0, hour, 1, 2 }, /* the run says when the next one comes */
		{ 0, 0, 0, -1, 0, 1 }, { 0, 0, 0, -1, 1, 1 },     /* or that none does */
		{ 0, hour, hour, 0, 1, 0 },                       /* rests until it is stopped, woken or not */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct runs r = { .rest = cases[i].rest, .next = cases[i].next };
		struct job *j;
		assert_int_equal(job_start(cases[i].first, cases[i].every, run, &r, &j), OK);
		int before = cases[i].first ? 0 : 1;
		assert_true(reached(cases[i].rest ? &r.begun : &r.ended, before));
		for (int k = 0; k < cases[i].wakes; k++) {
			job_wake(j);
			if (!cases[i].rest && cases[i].next >= 0)
				assert_true(reached(&r.ended, before + k + 1));
		}
		assert_int_equal(atomic_load(&r.ended), cases[i].ran);
		job_stop(&j);
		assert_null(j);
		assert_int_equal(atomic_load(&r.ended), cases[i].rest ? 1 : cases[i].ran);
	}
	struct job *none = NULL;
	job_stop(&none);
}

static void jobs_run_every_so_often(void **state)
{
	struct runs r = { 0 };
	struct job *j;
	int64_t began = clock_mono();
	assert_int_equal(job_start(20000, 20000, run, &r, &j), OK);
	while (atomic_load(&r.begun) < 5 && clock_mono() < began + 10 * SECOND_US)
		usleep(1000);
	job_stop(&j);
	assert_true(atomic_load(&r.ended) >= 5);
	assert_true(clock_mono() - began >= 5 * 20000);
}

static void nets(void **state)
{
	static const struct { const char *a, *b; bool same; } cases[] = {
		{ "192.0.2.1", "192.0.2.1", true }, { "192.0.2.1", "192.0.2.2", false }, { "::ffff:192.0.2.1", "192.0.2.1", true },
		{ "::ffff:c000:201", "192.0.2.1", true }, { "::ffff:192.0.2.1", "::ffff:192.0.2.2", false },
		{ "2001:db8::1", "2001:DB8:0:0:ffff::2", true }, { "2001:db8::1", "2001:db8:0:1::1", false }, { "::1", "::2", true },
		{ "unix", "unix", true }, { "", "", true }, { "", "::", false }, { "3131:3131::", "11111111", false }, { "1:2", "1:2:", false },
		{ "a text that is longer than any address of any kind could ever be", "a text", false },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char a[PEER_NET], b[PEER_NET];
		assert_int_equal(span_eq(peer_net(span_of(cases[i].a), a), peer_net(span_of(cases[i].b), b)), cases[i].same);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(spans), cmocka_unit_test(buffers), cmocka_unit_test(arenas), cmocka_unit_test(varints),
		cmocka_unit_test(quoting), cmocka_unit_test(durable_files),
		cmocka_unit_test(tallies), cmocka_unit_test(nets), cmocka_unit_test(jobs), cmocka_unit_test(jobs_run_every_so_often),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
