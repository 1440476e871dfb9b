/* The MariaDB driver on a real server: PERDURA_TEST_META is a mariadb:// URL of a database that may be emptied. */
#include "unit.h"

#include <mysql.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "mariadb_conn.h"
#include "mariadb_schema.h"
#include "mariadb_text.h"
#include "mariadb_url.h"
#include "meta.h"
#include "metric.h"

/* --- The database --- */

struct fixture {
	const char *url;
	struct mariadb_url parsed;
	struct mariadb_conn direct; /* a connection of the test's own */
	struct metrics *metrics;
	struct meta *m;
};

static void must(struct fixture *f, const char *sql)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	if (!mariadb_batch(&f->direct, span_of(sql), 1, &a, &done))
		fail_msg("%s: %s", sql, mysql_error(f->direct.db));
	mysql_free_result(a.rows);
}

static int64_t number(struct fixture *f, const char *sql)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	if (!mariadb_batch(&f->direct, span_of(sql), 1, &a, &done))
		fail_msg("%s: %s", sql, mysql_error(f->direct.db));
	MYSQL_ROW row = mysql_fetch_row(a.rows);
	int64_t n = row && row[0] ? strtoll(row[0], NULL, 10) : -1;
	mysql_free_result(a.rows);
	return n;
}

static void empty_database(struct fixture *f)
{
	struct span schema = span_of(meta_schema_text());
	struct buffer b = { 0 };
	char sql[300];
	snprintf(sql, sizeof sql, "DROP DATABASE `%s`", f->parsed.database);
	must(f, sql);
	snprintf(sql, sizeof sql, "CREATE DATABASE `%s`", f->parsed.database);
	must(f, sql);
	snprintf(sql, sizeof sql, "USE `%s`", f->parsed.database);
	must(f, sql);
	while (mariadb_schema_next(&schema, &b)) {
		buffer_putc(&b, 0);
		must(f, b.p);
		buffer_reset(&b);
	}
	buffer_free(&b);
	must(f, "INSERT INTO facts (name, value) VALUES ('schema', '" META_SCHEMA_VERSION "')");
}

static int open_store(struct fixture *f, const char *url)
{
	struct meta_options o = { .metrics = f->metrics };
	int r = meta_open(url, &o, &f->m);
	if (r)
		print_message("%s\n", fail_detail());
	return r;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	static const struct mariadb_patience p = { 3, 30, true };
	f->url = getenv("PERDURA_TEST_META");
	*state = f;
	if (!f->url)
		return 0;
	assert_int_equal(mariadb_url_parse(f->url + sizeof "mariadb:" - 1, &f->parsed), OK);
	assert_int_equal(mariadb_url_password(&f->parsed, NULL), OK);
	assert_int_equal(mariadb_conn_open(&f->parsed, 0, &p, &f->direct), OK);
	empty_database(f);
	assert_int_equal(metrics_new(&f->metrics), OK);
	assert_int_equal(open_store(f, f->url), OK);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	meta_close(&f->m);
	metrics_free(&f->metrics);
	mariadb_conn_close(&f->direct);
	free(f);
	return 0;
}

/* The world of a test, or the test is skipped. */
static struct fixture *world(void **state)
{
	struct fixture *f = *state;
	if (!f->url)
		print_message("PERDURA_TEST_META names no database: skipped\n");
	if (!f->url)
		skip();
	return f;
}

/* --- Transactions --- */

struct fact {
	const char *name;
	char value[64];
	int result;
	int runs;
};

static int fact_add(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	f->runs++;
	int r = meta_do(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
	return r ? r : f->result;
}

static int fact_try(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	int r = meta_try(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
	return r == ERR_EXISTS ? OK : r;
}

static int fact_get(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct meta_rows r;
	int code = meta_one(t, &r, META_FACT_GET, "s", span_of(f->name));
	if (code)
		return code;
	snprintf(f->value, sizeof f->value, "%.*s", SPAN_ARG(meta_span(&r, 0)));
	meta_done(&r);
	return OK;
}

static void assert_fact(struct fixture *f, const char *name, const char *value)
{
	struct fact fact = { .name = name };
	int r = meta_read(f->m, fact_get, &fact);
	assert_int_equal(r, value ? OK : ERR_NOT_FOUND);
	if (value)
		assert_string_equal(fact.value, value);
}

static void test_write_and_read(void **state)
{
	struct fixture *f = world(state);
	struct fact a = { .name = "a", .value = "it's \\ \"one\"\n" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_fact(f, "a", a.value);
	assert_fact(f, "A", NULL); /* bytes are compared */
	assert_fact(f, "a ", NULL);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 0"), 1);
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), ERR_EXISTS);
	assert_int_equal(meta_run(f->m, fact_try, &a, NULL), OK);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_write_and_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
