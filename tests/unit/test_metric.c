#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "metric.h"

static char *text_of(const struct metrics *m)
{
	struct buffer b = { 0 };
	metrics_put(m, &b);
	assert_true(buffer_ok(&b));
	buffer_putc(&b, 0);
	return b.p;
}

static void says(const struct metrics *m, const char *line)
{
	char *text = text_of(m), want[200];
	snprintf(want, sizeof want, "\n%s\n", line);
	if (!strstr(text, want))
		fail_msg("no line %s", line);
	free(text);
}

static void counters(void **state)
{
	struct metrics *m;
	assert_int_equal(metrics_new(&m), OK);
	says(m, "perdura_deliveries_total{result=\"ok\"} 0");
	metric_add(m, METRIC_DELIVERIES, 0, 2);
	metric_add(m, METRIC_DELIVERIES, metric_result(ERR_FULL), 1);
	metric_add(m, METRIC_DELIVERIES, METRIC_RESULTS, 5);
	metric_add(m, METRIC_DELIVERIES, 10000, 1); /* nowhere */
	metric_add(NULL, METRIC_DELIVERIES, 0, 1);
	metric_set(m, METRIC_META_BYTES, 0, UINT64_C(1) << 40);
	says(m, "perdura_deliveries_total{result=\"ok\"} 2");
	says(m, "perdura_deliveries_total{result=\"full\"} 1");
	says(m, "perdura_deliveries_total{result=\"duplicate\"} 5");
	says(m, "perdura_meta_bytes 1099511627776");
	says(m, "# TYPE perdura_meta_bytes gauge");
	metrics_free(&m);
	assert_null(m);
}

/* The places of results are those of the error codes. */
static void results(void **state)
{
	struct metrics *m;
	char line[100];
	assert_int_equal(metrics_new(&m), OK);
	for (int i = 0; i < METRIC_RESULTS; i++)
		metric_add(m, METRIC_LOGINS, metric_result(-i), (uint64_t)i + 1);
	for (int i = 0; i < METRIC_RESULTS; i++) {
		snprintf(line, sizeof line, "perdura_logins_total{result=\"%s\"} %d", fail_name(-i), i + 1);
		says(m, line);
	}
	assert_string_equal(fail_name(-METRIC_RESULTS), "unknown");
	metrics_free(&m);
}

static void histograms(void **state)
{
	static const struct { int64_t x; const char *line; } cases[] = {
		{ -5, "perdura_checkpoint_seconds_bucket{le=\"0.0001\"} 1" },
		{ 100, "perdura_checkpoint_seconds_bucket{le=\"0.0001\"} 2" },
		{ 101, "perdura_checkpoint_seconds_bucket{le=\"0.0005\"} 3" },
		{ 1000000, "perdura_checkpoint_seconds_bucket{le=\"1\"} 4" },
		{ 2500000, "perdura_checkpoint_seconds_bucket{le=\"2.5\"} 5" },
		{ 3600000000, "perdura_checkpoint_seconds_bucket{le=\"10\"} 5" },
		{ 0, "perdura_checkpoint_seconds_bucket{le=\"+Inf\"} 7" },
		{ 0, "perdura_checkpoint_seconds_count 8" },
		{ 300, "perdura_checkpoint_seconds_sum 3603.500501" },
	};
	struct metrics *m;
	assert_int_equal(metrics_new(&m), OK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		metric_observe(m, METRIC_CHECKPOINT_SECONDS, 0, cases[i].x);
		says(m, cases[i].line);
	}
	metric_observe(m, METRIC_GROUP_SIZE, 0, 3);
	says(m, "perdura_commit_group_size_bucket{le=\"4\"} 1");
	says(m, "perdura_commit_group_size_sum 3");
	metrics_free(&m);
}

static void names(void **state)
{
	struct metrics *m;
	assert_int_equal(metrics_new(&m), OK);
	metric_name(m, METRIC_IMAP_SECONDS, 3, "FETCH");
	metric_observe(m, METRIC_IMAP_SECONDS, 3, 200);
	metric_observe(m, METRIC_IMAP_SECONDS, 4, 200); /* has no name: is not told */
	says(m, "perdura_imap_command_seconds_bucket{command=\"FETCH\",le=\"0.0005\"} 1");
	says(m, "perdura_imap_command_seconds_sum{command=\"FETCH\"} 0.0002");
	char *text = text_of(m);
	assert_null(strstr(text, "command=\"\""));
	free(text);
	metrics_free(&m);
}

enum { THREADS = 8, ROUNDS = 100000 };

static void *count(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		metric_add(arg, METRIC_LOGINS, 0, 1);
		metric_observe(arg, METRIC_DELIVERY_SECONDS, 0, i);
	}
	return NULL;
}

static void threads(void **state)
{
	pthread_t t[THREADS];
	struct metrics *m;
	assert_int_equal(metrics_new(&m), OK);
	int64_t from = clock_mono();
	for (int i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, count, m);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	print_message("%.1f ns for a count and an observation\n",
		(double)(clock_mono() - from) * 1000 * 2 / (THREADS * (double)ROUNDS)); /* two processors */
	says(m, "perdura_logins_total{result=\"ok\"} 800000");
	says(m, "perdura_delivery_seconds_count 800000");
	metrics_free(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters), cmocka_unit_test(results), cmocka_unit_test(histograms), cmocka_unit_test(names),
		cmocka_unit_test(threads),
	};
	return cmocka_run_group_tests_name("metric", tests, NULL, NULL);
}
