/* The MariaDB driver on a real server, or several: PERDURA_TEST_META (stores.h). What needs none runs without. */
#include "unit.h"

#include <mysql.h>
#include <mysqld_error.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "facts.h"
#include "fail.h"
#include "mariadb_proxy.h"
#include "mariadb_pool.h"
#include "mariadb_text.h"
#include "mariadb_url.h"
#include "meta.h"
#include "metric.h"
#include "stores.h"

/* --- The database --- */

struct fixture {
	char dir[64], url[600];
	struct mariadb_url parsed;
	struct mariadb_conn direct; /* a connection of the test's own */
	struct metrics *metrics;
	struct meta *m;
};

static void must(struct fixture *f, const char *sql)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	if (!mariadb_batch(&f->direct, span_of(sql), 1, 0, &a, &done))
		fail_msg("%s: %s", sql, mysql_error(f->direct.db));
	mysql_free_result(a.rows);
}

static int64_t number(struct fixture *f, const char *sql)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	if (!mariadb_batch(&f->direct, span_of(sql), 1, 0, &a, &done))
		fail_msg("%s: %s", sql, mysql_error(f->direct.db));
	MYSQL_ROW row = mysql_fetch_row(a.rows);
	int64_t n = row && row[0] ? strtoll(row[0], NULL, 10) : -1;
	mysql_free_result(a.rows);
	return n;
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
	*state = f;
	if (!test_meta_shared())
		return 0;
	strcpy(f->dir, "/tmp/test_mariadb.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->url, sizeof f->url, "%s", test_meta_url(f->dir));
	assert_int_equal(mariadb_url_parse(f->url + sizeof "mariadb:" - 1, &f->parsed), OK);
	assert_int_equal(mariadb_url_password(&f->parsed, NULL), OK);
	assert_int_equal(mariadb_conn_open(&f->parsed, 0, &p, &f->direct), OK);
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
	if (test_meta_shared())
		test_stores_remove(f->dir);
	free(f);
	return 0;
}

/* The world of a test, or the test is skipped. */
static struct fixture *world(void **state)
{
	struct fixture *f = *state;
	if (!*f->url)
		print_message("PERDURA_TEST_META names no database: skipped\n");
	if (!*f->url)
		skip();
	return f;
}

/* --- Batches --- */

/* However many bytes are waited for: all that came is taken, failures where they were, and slow answers too. */
static void test_batch_waits(void **state)
{
	struct fixture *f = world(state);
	static const struct {
		const char *sql;
		size_t n, done;
		unsigned error;
	} cases[] = {
		{ "DO 1", 1, 1, 0 },
		{ "DO 1;DO 2;SELECT 3 AS three;DO 4", 4, 4, 0 },
		{ "DO 1;SELECT nothing;DO 3;DO 4", 4, 1, ER_BAD_FIELD_ERROR },
		{ "SELECT nothing;DO 2;DO 3", 3, 0, ER_BAD_FIELD_ERROR },
		{ "DO 1;DO SLEEP(0.02);DO 3;DO SLEEP(0.02);SELECT 5", 5, 5, 0 },
		{ "DO 1;SELECT REPEAT('x', 100000);DO 3", 3, 3, 0 },
	};
	static const size_t least[] = { 0, MARIADB_OK_BYTES, 4 * MARIADB_OK_BYTES, 500, 16384, 1 << 20, SIZE_MAX };
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t k = 0; k < sizeof least / sizeof *least; k++) {
			struct mariadb_answer a[5] = { 0 };
			size_t done;
			bool good = mariadb_batch(&f->direct, span_of(cases[i].sql), cases[i].n, least[k], a, &done);
			assert_int_equal(good, !cases[i].error);
			assert_int_equal(done, cases[i].done);
			assert_int_equal(f->direct.error, cases[i].error);
			for (size_t n = 0; n < done; n++)
				mysql_free_result(a[n].rows);
		}
}

/* What is waited for is never more than what comes: with no rows at all the answer is as long, or longer. */
static void test_least_bytes(void **state)
{
	struct fixture *f = world(state);
	static const char sql[] = "SELECT name, value AS v FROM facts WHERE name = 'none'";
	struct mariadb_answer a = { 0 };
	size_t done;
	int there = 0;
	assert_int_equal(mysql_send_query(f->direct.db, sql, sizeof sql - 1), 0);
	for (int i = 0; i < 200 && !there; i++) {
		usleep(10000);
		assert_int_equal(ioctl(f->direct.socket, FIONREAD, &there), 0);
	}
	assert_int_equal(mysql_read_query_result(f->direct.db), 0);
	a.rows = mysql_store_result(f->direct.db);
	size_t least = mariadb_least_bytes(a.rows);
	assert_in_range(least, there * 3 / 4, there);
	mysql_free_result(a.rows);
	assert_true(mariadb_batch(&f->direct, span_of("DO 1"), 1, 0, &a, &done));
}

/* --- Transactions --- */

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

/* Finds it there, and changes nothing. */
static int fact_look(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_FACT_GET, "s", span_of(f->name));
	if (!e)
		meta_done(&r);
	return e;
}

static void test_write_and_read(void **state)
{
	struct fixture *f = world(state);
	int64_t age = clock_mono() - f->direct.born;
	assert_true(age >= 0 && age < 60 * SECOND_US); /* one that is old is closed (mariadb_pool.c) */
	struct fact a = { .name = "a", .value = "it's \\ \"one\"\n" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_fact(f->m, "a", a.value);
	assert_fact(f->m, "A", NULL); /* bytes are compared */
	assert_fact(f->m, "a ", NULL);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 0"), 1);
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), ERR_EXISTS);
	int64_t ids = number(f, "SELECT COUNT(*) FROM commit_id");
	assert_int_equal(meta_run(f->m, fact_look, &a, NULL), OK);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM commit_id"), ids + 1); /* what it saw is durable too */
	assert_int_equal(meta_run(f->m, fact_try, &a, NULL), OK);
}

/* --- What a transaction can come to --- */

static struct proxy *before(struct fixture *f, size_t host)
{
	return proxy_start(f->parsed.address[host].host, f->parsed.address[host].port);
}

/* A store that sees the hosts through proxies. */
static void open_behind(struct fixture *f, struct proxy *const *p, size_t n)
{
	char url[800];
	size_t k = (size_t)snprintf(url, sizeof url, "mariadb://%s:%s@", f->parsed.user, f->parsed.password);
	for (size_t i = 0; i < n; i++)
		k += (size_t)snprintf(url + k, sizeof url - k, "%s127.0.0.1:%u", i ? "," : "", proxy_port(p[i]));
	snprintf(url + k, sizeof url - k, "/%s", f->parsed.database);
	meta_close(&f->m);
	assert_int_equal(open_store(f, url), OK);
}

struct counter {
	int64_t value; /* as the try that is committed left it */
	int runs;
};

/* One more than there was, with a query, a write that waits, and one that does not. */
static int count_up(struct meta_txn *t, void *arg)
{
	struct counter *c = arg;
	c->runs++;
	int e = tally_get(t, "counter", &c->value);
	if (!e)
		e = tally_set(t, "counter", ++c->value);
	if (!e)
		e = meta_try(t, META_DIRTY_ADD, "ii", c->value, INT64_C(1));
	return e ? e : meta_do(t, META_DIRTY_ADD, "ii", c->value, INT64_C(2));
}

static const struct outcome {
	struct proxy_plan plan;
	int runs;   /* of fn */
	int fences; /* rows of fences, and of what is committed behind what they found */
} outcomes[] = {
	{ { PROXY_BEGIN, PROXY_CUT, 0, 0, 1 }, 2, 0 },
	{ { PROXY_BEGIN, PROXY_ERROR, 1213, 0, 1 }, 2, 0 },
	{ { PROXY_BEGIN, PROXY_ERROR, 1047, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_CUT, 0, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_CUT_AFTER, 0, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_ERROR, 1213, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_ERROR, 1205, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_ERROR, 1047, 0, 2 }, 3, 0 },
	{ { PROXY_STATEMENT, PROXY_ERROR, 1927, 0, 1 }, 2, 0 },
	{ { PROXY_STATEMENT, PROXY_ERROR, 1213, 0, 5 }, 6, 0 },
	{ { PROXY_COMMIT, PROXY_CUT, 0, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_CUT_AFTER, 0, 0, 1 }, 1, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1213, 0, 1 }, 2, 0 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1213, 0, 3 }, 4, 0 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1180, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1205, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1047, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1317, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR, 1030, 0, 1 }, 2, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR_AFTER, 1180, 0, 1 }, 1, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR_AFTER, 1205, 0, 1 }, 1, 1 },
	{ { PROXY_COMMIT, PROXY_ERROR_AFTER, 1047, 0, 1 }, 1, 1 },
	{ { PROXY_COMMIT, PROXY_LOSE, 0, 0, 1 }, 2, 0 },
	{ { PROXY_COMMIT, PROXY_LOSE, 0, 0, 3 }, 4, 0 },
	{ { PROXY_COMMIT, PROXY_HANG, 0, 0, 1 }, 1, 1 },
	{ { PROXY_COMMIT, PROXY_SILENT, 0, 0, 1 }, 2, 1 },
};

static void run_outcome(struct fixture *f, struct proxy *p, const struct outcome *o, int64_t *value)
{
	struct counter c = { 0 };
	char what[80];
	int64_t fences = number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 1");
	snprintf(what, sizeof what, "where %d, what %d, error %u", o->plan.where, o->plan.what, o->plan.error);
	proxy_set(p, o->plan);
	int64_t began = clock_mono();
	int r = meta_run(f->m, count_up, &c, NULL);
	if (r || c.runs != o->runs || proxy_spoiled(p) < o->plan.times)
		fail_msg("%s: %s, %d runs, %d spoiled: %s", what, fail_name(r), c.runs, proxy_spoiled(p), fail_detail());
	proxy_set(p, (struct proxy_plan){ 0 });
	++*value;
	if (number(f, "SELECT value FROM facts WHERE name = 'counter'") != *value || c.value != *value)
		fail_msg("%s: counted %lld, should be %lld", what, (long long)c.value, (long long)*value);
	if (number(f, "SELECT COUNT(*) FROM dirty") != 2 * *value
		|| number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 1") != fences + o->fences
		|| number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 0") != *value)
		fail_msg("%s: rows are wrong", what);
	if (clock_mono() - began > 15 * SECOND_US)
		fail_msg("%s: took %lld us", what, (long long)(clock_mono() - began));
}

static void test_outcomes(void **state)
{
	struct fixture *f = world(state);
	struct proxy *p = before(f, 0);
	int64_t value = 0;
	open_behind(f, &p, 1);
	for (size_t i = 0; i < COUNT(outcomes); i++)
		run_outcome(f, p, &outcomes[i], &value);
	meta_close(&f->m);
	proxy_stop(&p);
}

/* A server that lies about a refusal is found out, as the commit id is taken. */
static void test_a_lie(void **state)
{
	struct fixture *f = world(state);
	struct proxy *p = before(f, 0);
	struct counter c = { 0 };
	open_behind(f, &p, 1);
	proxy_set(p, (struct proxy_plan){ PROXY_COMMIT, PROXY_ERROR_AFTER, 1213, 0, 1 });
	assert_int_equal(meta_run(f->m, count_up, &c, NULL), ERR_UNAVAILABLE);
	assert_int_equal(number(f, "SELECT value FROM facts WHERE name = 'counter'"), 1);
	meta_close(&f->m);
	proxy_stop(&p);
}

/* The fence itself meets trouble: it is repeated until its end is known. */
static void test_fences(void **state)
{
	static const struct proxy_plan fences[] = {
		{ PROXY_FENCE, PROXY_CUT, 0, 0, 1 },
		{ PROXY_FENCE, PROXY_CUT_AFTER, 0, 0, 1 },
		{ PROXY_FENCE, PROXY_ERROR, 1180, 0, 2 },
		{ PROXY_FENCE, PROXY_ERROR_AFTER, 1180, 0, 1 },
		{ PROXY_FENCE, PROXY_ERROR, 1213, 0, 3 },
		{ PROXY_FENCE, PROXY_LOSE, 0, 0, 1 },
	};
	static const enum proxy_what what[] = { PROXY_CUT, PROXY_CUT_AFTER };
	struct fixture *f = world(state);
	struct proxy *inner = before(f, 0), *outer = proxy_start("127.0.0.1", proxy_port(inner));
	int64_t value = 0;
	open_behind(f, &outer, 1);
	for (size_t i = 0; i < COUNT(fences); i++)
		for (size_t k = 0; k < COUNT(what); k++) {
			bool committed = what[k] == PROXY_CUT_AFTER;
			const struct outcome o = { { PROXY_COMMIT, what[k], 0, 0, 1 }, committed ? 1 : 2, 1 };
			proxy_set(inner, fences[i]);
			run_outcome(f, outer, &o, &value);
			assert_true(proxy_spoiled(inner) > 0);
			proxy_set(inner, (struct proxy_plan){ 0 });
		}
	meta_close(&f->m);
	proxy_stop(&outer);
	proxy_stop(&inner);
}

/* --- Nodes that fail --- */

static int64_t timed(struct fixture *f, int expected)
{
	struct counter c = { 0 };
	int64_t began = clock_mono();
	int r = meta_run(f->m, count_up, &c, NULL);
	if (r != expected)
		fail_msg("%s: %s", fail_name(r), fail_detail());
	return (clock_mono() - began) / 1000;
}

static int account_read(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_GET, "i", *(int64_t *)arg);
	if (!e)
		meta_done(&r);
	return e == ERR_NOT_FOUND ? OK : e;
}

/* Reads of many accounts, so that each node is asked; ms that the slowest took. */
static int64_t read_all(struct fixture *f)
{
	int64_t worst = 0;
	for (int64_t a = 1; a <= 20; a++) {
		int64_t began = clock_mono();
		int r = meta_read(f->m, account_read, &a);
		if (r)
			fail_msg("%s: %s", fail_name(r), fail_detail());
		worst = clock_mono() - began > worst ? clock_mono() - began : worst;
	}
	return worst / 1000;
}

static void test_failover(void **state)
{
	struct fixture *f = world(state);
	size_t last = f->parsed.hosts - 1;
	struct proxy *p[2] = { before(f, 0), before(f, last) };
	open_behind(f, p, 2);
	read_all(f);
	for (int i = 0; i < 2; i++) {
		proxy_down(p[i], true); /* refused */
		assert_in_range(read_all(f), 0, 1000);
		assert_in_range(timed(f, OK), 0, 1000);
		proxy_down(p[i], false);
		proxy_set(p[i], (struct proxy_plan){ .where = PROXY_ALL, .what = PROXY_ERROR, .error = 1047 }); /* no majority */
		assert_in_range(read_all(f), 0, 1000);
		assert_in_range(timed(f, OK), 0, 1000);
		proxy_set(p[i], (struct proxy_plan){ 0 });
		usleep(600 * 1000); /* it is looked at, and taken again */
		read_all(f); /* on connections that are there when it happens */
		proxy_freeze(p[i], true); /* takes connections and never answers */
		assert_in_range(read_all(f), 0, 4500);
		assert_in_range(read_all(f), 0, 1000); /* known by now */
		assert_in_range(timed(f, OK), 0, 1000);
		proxy_freeze(p[i], false);
		usleep(600 * 1000);
	}
	proxy_down(p[0], true);
	proxy_down(p[1], true);
	assert_in_range(timed(f, ERR_UNAVAILABLE), 0, (MARIADB_WAIT_S + 2) * 1000);
	assert_non_null(strstr(fail_detail(), "no database node answers"));
	proxy_down(p[0], false);
	assert_in_range(timed(f, OK), 0, 2000);
	meta_close(&f->m);
	proxy_stop(&p[0]);
	proxy_stop(&p[1]);
}

/* --- Many at once --- */

enum { WRITERS = 6, CHANGES = 40 };

struct writer {
	struct meta *m;
	pthread_t thread;
	int64_t number; /* of the change that was committed last */
	int failures;
};

/* A change of an account: its head is locked, the rest waits until COMMIT. */
static int change_account(struct meta_txn *t, void *arg)
{
	struct writer *w = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_LOCK, "i", INT64_C(7));
	if (e)
		return e;
	w->number = meta_int(&r, 2) + 1;
	meta_done(&r);
	e = meta_do(t, META_JOURNAL_ADD, "iiiiisisb", INT64_C(7), w->number, w->number, w->number, INT64_C(1), SPAN(""), INT64_C(0),
		SPAN(""), SPAN("body"));
	if (!e)
		e = meta_do(t, META_HEAD_PUT, "iiiiiiii", w->number, w->number, INT64_C(0), INT64_C(0), INT64_C(0), w->number, INT64_C(0),
			INT64_C(7));
	return e ? e : meta_do(t, META_DIRTY_ADD, "ii", w->number, INT64_C(7));
}

static void *write_changes(void *arg)
{
	struct writer *w = arg;
	for (int i = 0; i < CHANGES; i++) {
		int64_t before = w->number;
		int r = meta_run(w->m, change_account, w, NULL);
		if (r)
			fprintf(stderr, "%s: %s\n", fail_name(r), fail_detail());
		w->failures += r != OK || w->number <= before;
	}
	return NULL;
}

/* All writers at once, on these stores in turn; each change is made. */
static void write_all(struct meta *const *stores, size_t n)
{
	struct writer w[WRITERS] = { 0 };
	for (size_t i = 0; i < WRITERS; i++) {
		w[i].m = stores[i % n];
		assert_int_equal(pthread_create(&w[i].thread, NULL, write_changes, &w[i]), 0);
	}
	for (size_t i = 0; i < WRITERS; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failures, 0);
	}
}

static int add_head(struct meta_txn *t, void *arg)
{
	return meta_do(t, META_HEAD_ADD, "iiiiiiiiiii", INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(0),
		INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(0), INT64_C(7));
}

/* One on the first database node, one on the last, in place of the world's own. */
static void open_two(struct fixture *f, struct meta *store[2])
{
	const struct mariadb_url *u = &f->parsed;
	for (size_t i = 0; i < 2; i++) {
		char url[700];
		const struct mariadb_address *a = &u->address[i * (u->hosts - 1)];
		snprintf(url, sizeof url, "mariadb://%s:%s@%s:%u/%s", u->user, u->password, a->host, a->port, u->database);
		meta_close(&f->m);
		assert_int_equal(open_store(f, url), OK);
		store[i] = f->m;
		f->m = NULL;
		meta_node(store[i], (int64_t)i + 1);
	}
}

/* One hot row, written by threads of two stores that stand on different nodes: all of each transaction or none, each once. */
static void test_hot_row(void **state)
{
	struct fixture *f = world(state);
	struct meta *store[2];
	open_two(f, store);
	assert_int_equal(meta_run(store[0], add_head, NULL, NULL), OK);
	write_all(store, 2);
	assert_int_equal(number(f, "SELECT change_no FROM head WHERE account = 7"), WRITERS * CHANGES);
	assert_int_equal(number(f, "SELECT messages FROM head WHERE account = 7"), WRITERS * CHANGES);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM journal WHERE account = 7"), WRITERS * CHANGES);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM dirty"), WRITERS * CHANGES);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM commit_id WHERE state = 0"), WRITERS * CHANGES + 1);
	meta_close(&store[0]);
	meta_close(&store[1]);
}

/* A delivery links to a body, purge finds no use of it, at the same moment. */
struct race {
	struct meta *m;
	int64_t body;
	bool late; /* they meet after their statements, which wait for no lock of the other */
	pthread_barrier_t *both;
	int runs;
	bool won;
	int result;
};

static void meet(struct race *k, bool late)
{
	if (k->late == late && !k->runs)
		pthread_barrier_wait(k->both);
}

static int ask(struct meta_txn *t, enum meta_sql stmt, int64_t id, int64_t *out)
{
	struct meta_rows r;
	int e = meta_one(t, &r, stmt, "i", id);
	if (e)
		return e;
	*out = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int link_body(struct meta_txn *t, void *arg)
{
	struct race *k = arg;
	int64_t state = 1;
	meet(k, false);
	int e = ask(t, META_BLOB_LOCK, k->body, &state);
	k->won = !e && !state;
	if (k->won)
		e = meta_do(t, META_BLOB_LINK, "ii", clock_now(), k->body);
	if (k->won && !e)
		e = meta_try(t, META_BLOB_USE_ADD, "ii", k->body, INT64_C(1)); /* both are carried out */
	meet(k, true);
	k->runs++;
	return e;
}

static int condemn_body(struct meta_txn *t, void *arg)
{
	struct race *k = arg;
	int64_t state = 1, uses = 1;
	meet(k, false);
	int e = ask(t, META_BLOB_LOCK, k->body, &state);
	if (!e)
		e = ask(t, META_PURGE_USES, k->body, &uses);
	k->won = !e && !state && !uses;
	if (k->won)
		e = meta_try(t, META_PURGE_CONDEMN, "ii", clock_now(), k->body);
	meet(k, true);
	k->runs++;
	return e;
}

static void *link_it(void *arg)
{
	struct race *k = arg;
	k->result = meta_run(k->m, link_body, k, NULL);
	return NULL;
}

static int add_body(struct meta_txn *t, void *arg)
{
	int64_t *id = arg;
	return meta_do(t, META_BLOB_ADD, "iiibiiiii", *id, INT64_C(0), INT64_C(1), SPAN("sha"), INT64_C(1), INT64_C(0), *id, INT64_C(1),
		INT64_C(1));
}

/* Never both: on one node the second sees what the first did, of two nodes one is refused and runs again. */
static void test_link_or_condemn(void **state)
{
	struct fixture *f = world(state);
	struct meta *store[2];
	pthread_barrier_t both;
	pthread_t thread;
	pthread_barrier_init(&both, NULL, 2);
	open_two(f, store);
	for (int64_t body = 1; body <= 20; body++) {
		bool apart = body % 2 && f->parsed.hosts > 1;
		struct race l = { .m = store[apart], .body = body, .late = apart, .both = &both }, c = l;
		c.m = store[0];
		assert_int_equal(meta_run(store[0], add_body, &body, NULL), OK);
		assert_int_equal(pthread_create(&thread, NULL, link_it, &l), 0);
		assert_int_equal(meta_run(c.m, condemn_body, &c, NULL), OK);
		pthread_join(thread, NULL);
		assert_int_equal(l.result, OK);
		assert_int_equal(l.won + c.won, 1);
		assert_true(!apart || l.runs + c.runs > 2);
	}
	assert_int_equal(number(f, "SELECT COUNT(*) FROM body b WHERE state = (SELECT COUNT(*) FROM body_use u WHERE u.body = b.id)"), 0);
	pthread_barrier_destroy(&both);
	meta_close(&store[0]);
	meta_close(&store[1]);
}

/* More threads than connections: they wait for one another. */
static void test_few_connections(void **state)
{
	struct fixture *f = world(state);
	char url[900];
	snprintf(url, sizeof url, "%s?connections=2", f->url);
	meta_close(&f->m);
	assert_int_equal(open_store(f, url), OK);
	assert_int_equal(meta_run(f->m, add_head, NULL, NULL), OK);
	write_all(&f->m, 1);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM journal WHERE account = 7"), WRITERS * CHANGES);
}

/* A server that has no more connections for us than a few: we do with those, and ask for more now and then. */
static void test_a_full_server(void **state)
{
	struct fixture *f = world(state);
	struct proxy *p = before(f, 0);
	open_behind(f, &p, 1);
	assert_int_equal(meta_run(f->m, add_head, NULL, NULL), OK);
	proxy_limit(p, 3);
	int64_t began = clock_mono();
	write_all(&f->m, 1);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM journal WHERE account = 7"), WRITERS * CHANGES);
	assert_in_range(proxy_refused(p), 1, WRITERS + 5 + (clock_mono() - began) / SECOND_US);
	meta_close(&f->m);
	proxy_stop(&p);
}

/* --- Statements --- */

static int expects(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct meta_rows one, other;
	meta_expect(t, META_FACT_GET, "s", SPAN("never asked for"));
	meta_expect(t, META_FACT_GET, "s", SPAN("b"));
	int e = meta_one(t, &one, META_FACT_GET, "s", SPAN("schema"));
	if (e)
		return e;
	meta_done(&one);
	for (int i = 0; i < 2; i++) /* fetched already, and asked again */
		assert_int_equal(meta_one(t, &other, META_FACT_GET, "s", SPAN("b")), ERR_NOT_FOUND);
	return meta_do(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
}

static uint64_t metric_value(struct fixture *f, const char *name)
{
	struct buffer b = { 0 };
	char line[120];
	snprintf(line, sizeof line, "\n%s ", name);
	metrics_put(f->metrics, &b);
	buffer_putc(&b, 0);
	const char *at = strstr(b.p, line);
	uint64_t n = at ? strtoull(at + strlen(line), NULL, 10) : 0;
	buffer_free(&b);
	return n;
}

/* Two ways and one for the query that was asked again. */
static void test_expected(void **state)
{
	struct fixture *f = world(state);
	struct fact a = { .name = "a", .value = "x" };
	uint64_t before = metric_value(f, "perdura_meta_round_trips_total");
	assert_int_equal(meta_run(f->m, expects, &a, NULL), OK);
	assert_int_equal(metric_value(f, "perdura_meta_round_trips_total") - before, 3);
	assert_fact(f->m, "a", "x");
}

static int taken_later(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct fact other = { .name = "schema" };
	int e = meta_do(t, META_FACT_ADD, "ss", SPAN("schema"), SPAN("?"));
	if (!e)
		e = fact_get(t, &other); /* here it is noticed */
	f->runs++;
	return e == ERR_EXISTS ? meta_do(t, META_FACT_ADD, "ss", SPAN("c"), SPAN("?")), OK : e;
}

static void test_must(void **state)
{
	assert_musts(world(state)->m);
}

enum { MANY = 300 };

/* Rows of one table, one behind the other, and queries that were all named before. */
static int many(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = OK;
	for (int64_t i = 0; i < MANY; i++)
		meta_expect(t, META_CHANGESET_GET, "ii", INT64_C(1), i);
	for (int64_t i = 0; !e && i < MANY; i++)
		e = meta_one(t, &r, META_CHANGESET_GET, "ii", INT64_C(1), i) == ERR_NOT_FOUND ? OK : ERR_EXISTS;
	for (int64_t i = 0; !e && i < MANY; i++)
		e = meta_do(t, META_DIRTY_ADD, "ii", i / 2, i);
	for (int64_t i = 0; !e && i < MANY; i++)
		e = meta_do(t, META_LEASE_ADD, "si", span_from(&i, sizeof i), i);
	return e;
}

static void test_many(void **state)
{
	struct fixture *f = world(state);
	uint64_t before = metric_value(f, "perdura_meta_round_trips_total");
	assert_int_equal(meta_run(f->m, many, NULL, NULL), OK);
	assert_int_equal(metric_value(f, "perdura_meta_round_trips_total") - before, 2);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM lease"), MANY);
	assert_int_equal(number(f, "SELECT SUM(slot * 1000 + account) FROM dirty"), 1000 * (MANY / 2) * (MANY / 2 - 1) + MANY * (MANY - 1) / 2);
	assert_int_equal(meta_run(f->m, many, NULL, NULL), ERR_EXISTS); /* of the leases */
}

static int lock_and_look(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	meta_expect(t, META_HEAD_LOCK, "i", INT64_C(77));
	meta_expect(t, META_FACT_GET, "s", SPAN("seen"));
	int e = meta_one(t, &r, META_HEAD_LOCK, "i", INT64_C(77));
	if (!e)
		meta_done(&r);
	e = e ? e : meta_one(t, &r, META_FACT_GET, "s", SPAN("seen"));
	if (!e)
		meta_done(&r);
	return e;
}

/* What is named behind a query that waits for a row is read after it. */
static void *change_meanwhile(void *arg)
{
	struct fixture *f = arg;
	usleep(300 * 1000);
	must(f, "INSERT INTO facts (name, value) VALUES ('seen', 'yes')");
	must(f, "COMMIT");
	return NULL;
}

static void test_expected_in_order(void **state)
{
	struct fixture *f = world(state);
	struct proxy *first = before(f, 0); /* rows are locked on the node of the test's own connection */
	pthread_t thread;
	open_behind(f, &first, 1);
	must(f, "INSERT INTO head VALUES (77,0,0,0,0,0,0,0,0,0,0)");
	must(f, "START TRANSACTION");
	must(f, "UPDATE head SET stamp = 2 WHERE account = 77");
	pthread_create(&thread, NULL, change_meanwhile, f);
	assert_int_equal(meta_run(f->m, lock_and_look, NULL, NULL), OK);
	pthread_join(thread, NULL);
	meta_close(&f->m);
	proxy_stop(&first);
}

static void test_a_late_failure_spoils(void **state)
{
	struct fixture *f = world(state);
	struct fact a = { 0 };
	assert_int_equal(meta_run(f->m, taken_later, &a, NULL), ERR_EXISTS);
	assert_int_equal(a.runs, 1);
	assert_fact(f->m, "c", NULL);
}

static int writes_although_reading(struct meta_txn *t, void *arg)
{
	meta_do(t, META_FACT_ADD, "ss", SPAN("a"), SPAN("b"));
	return OK;
}

static void test_reading_cannot_write(void **state)
{
	struct fixture *f = world(state);
	assert_int_not_equal(meta_read(f->m, writes_although_reading, NULL), OK);
	assert_fact(f->m, "a", NULL);
}

struct bytes {
	int64_t number;
	struct span text;
	char back[4096];
	size_t n;
	int64_t number_back;
};

static int put_bytes(struct meta_txn *t, void *arg)
{
	struct bytes *b = arg;
	int e = meta_do(t, META_FACT_SET, "sb", SPAN("bytes"), b->text);
	if (!e)
		e = meta_do(t, META_FOLLOWER_ADD, "si", SPAN("bytes"), INT64_C(0));
	return e ? e : meta_do(t, META_FOLLOWER_SLOT, "is", b->number, SPAN("bytes"));
}

static int get_bytes(struct meta_txn *t, void *arg)
{
	struct bytes *b = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_FACT_GET, "s", SPAN("bytes"));
	if (e)
		return e;
	struct span s = meta_span(&r, 0);
	b->n = s.n;
	memcpy(b->back, s.p, s.n);
	meta_done(&r);
	e = meta_one(t, &r, META_FOLLOWER_GET, "s", SPAN("bytes"));
	if (e)
		return e;
	b->number_back = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static void test_values(void **state)
{
	static const int64_t numbers[] = { 0, 1, -1, INT64_MAX, INT64_MIN, INT64_MIN + 1 };
	struct fixture *f = world(state);
	char all[4 * 256];
	for (size_t i = 0; i < sizeof all; i++)
		all[i] = (char)(i < 512 ? i : i * 7 + i / 256);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		struct bytes b = { .number = numbers[i], .text = span_from(all + i * 100, i * 100 + 1) };
		assert_int_equal(meta_run(f->m, put_bytes, &b, NULL), OK);
		assert_int_equal(meta_read(f->m, get_bytes, &b), OK);
		assert_true(b.number_back == numbers[i]);
		assert_int_equal(b.n, b.text.n);
		assert_memory_equal(b.back, b.text.p, b.n);
	}
}

static int write_much(struct meta_txn *t, void *arg)
{
	static const char filling[20000];
	int e = OK;
	for (int64_t i = 0; !e && i < 2500; i++)
		e = i % 20 ? meta_do(t, META_DIRTY_ADD, "ii", i, i)
			: meta_do(t, META_JOURNAL_ADD, "iiiiisisb", INT64_C(7), i, i, i, INT64_C(1), SPAN(""), INT64_C(0), SPAN(""),
				span_from(filling, sizeof filling));
	return e;
}

static void test_large_transaction(void **state)
{
	struct fixture *f = world(state);
	assert_int_equal(meta_run(f->m, write_much, NULL, NULL), OK);
	assert_int_equal(number(f, "SELECT COUNT(*) FROM dirty"), 2375);
	assert_int_equal(number(f, "SELECT SUM(LENGTH(body)) FROM journal"), 125 * 20000);
}

static void say(void *ctx, const char *line)
{
	print_message("%s\n", line);
	++*(int *)ctx;
}

static void test_verify_and_copy(void **state)
{
	struct fixture *f = world(state);
	struct file_copy c = { 0 };
	struct meta_stats stats;
	int64_t at;
	int lines = 0;
	assert_int_equal(meta_verify(f->m, say, &lines), OK);
	assert_int_equal(lines, 0);
	assert_int_equal(meta_copy(f->m, "/tmp/nowhere", &c, &at), ERR_CANNOT);
	for (int i = 0; i < 100; i++, usleep(20000)) {
		meta_stats(f->m, &stats);
		if (stats.bytes)
			break;
	}
	assert_true(stats.bytes > 100000);
}

static void test_clock(void **state)
{
	struct fixture *f = world(state);
	int64_t ahead, unsure;
	assert_int_equal(meta_clock(f->m, &ahead, &unsure), OK);
	assert_in_range(unsure, 1, SECOND_US);
	assert_in_range(ahead + 2 * SECOND_US, 0, 4 * SECOND_US); /* the servers of a test run here, mostly */
	assert_true(meta_shared(f->m));
}

/* --- What is wrong is said, and not the password --- */

static void test_refusals(void **state)
{
	struct fixture *f = world(state);
	const struct mariadb_url *u = &f->parsed;
	const struct mariadb_address *a = &u->address[0];
	const struct {
		const char *user, *password, *more, *database;
		int result;
		const char *says;
	} cases[] = {
		{ u->user, "wr0ng-pass", "", u->database, ERR_INVALID, "check user and password" },
		{ "nobody", "wr0ng-pass", "", u->database, ERR_INVALID, "check user and password" },
		{ u->user, "wr0ng-pass", ",127.0.0.1:1", u->database, ERR_INVALID, "check user and password" },
		{ u->user, u->password, "", "no_such_database_here", ERR_INVALID, "database" },
		{ u->user, u->password, ",127.0.0.1:1", u->database, OK, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct meta *m = NULL;
		char url[800];
		snprintf(url, sizeof url, "mariadb://%s:%s@%s:%u%s/%s", cases[i].user, cases[i].password, a->host, a->port, cases[i].more,
			cases[i].database);
		fail_set_detail("");
		int r = meta_open(url, &(struct meta_options){ 0 }, &m);
		if (r != cases[i].result || !strstr(fail_detail(), cases[i].says) || strstr(fail_detail(), cases[i].password))
			fail_msg("case %zu: %s: %s", i, fail_name(r), fail_detail());
		meta_close(&m);
	}
	char url[300];
	struct meta *m = NULL;
	must(f, "DELETE FROM facts");
	assert_int_equal(meta_open(f->url, &(struct meta_options){ 0 }, &m), ERR_INVALID);
	assert_non_null(strstr(fail_detail(), "upgrade --init"));
	snprintf(url, sizeof url, "mariadb://u:p4ssw0rd@127.0.0.1:1/%s", u->database);
	assert_int_equal(meta_open(url, &(struct meta_options){ 0 }, &m), ERR_UNAVAILABLE);
	assert_null(strstr(fail_detail(), "p4ssw0rd"));
	assert_non_null(strstr(fail_detail(), "see that it runs"));
	assert_int_equal(meta_open("mariadb://u:p4ssw0rd@no-such-host.invalid:1/x", &(struct meta_options){ 0 }, &m), ERR_UNAVAILABLE);
	assert_non_null(strstr(fail_detail(), "check the name in meta.url"));
}

/* A full disk, a server that takes no changes, a packet that is too large: as the server says it. */
static void test_errors(void **state)
{
	static const struct {
		unsigned error;
		int result;
		const char *says;
	} errors[] = {
		{ 1021, ERR_FULL, "" }, { 1114, ERR_FULL, "" }, { 1290, ERR_UNAVAILABLE, "read_only" }, { 1836, ERR_UNAVAILABLE, "read_only" },
		{ 1153, ERR_LIMIT, "max_allowed_packet" }, { 1406, ERR_LIMIT, "" }, { 1034, ERR_CORRUPT, "" }, { 1712, ERR_CORRUPT, "" },
		{ 1146, ERR_UNAVAILABLE, "upgrade --init" }, { 1142, ERR_UNAVAILABLE, "GRANT" }, { 1064, ERR_UNAVAILABLE, "" },
	};
	struct fixture *f = world(state);
	struct proxy *p = before(f, 0);
	struct counter c = { 0 };
	open_behind(f, &p, 1);
	for (size_t i = 0; i < COUNT(errors); i++) {
		proxy_set(p, (struct proxy_plan){ PROXY_STATEMENT, PROXY_ERROR, errors[i].error, 0, 1 });
		int r = meta_run(f->m, count_up, &c, NULL);
		if (r != errors[i].result || !strstr(fail_detail(), errors[i].says))
			fail_msg("%u: %s: %s", errors[i].error, fail_name(r), fail_detail());
	}
	assert_int_equal(number(f, "SELECT COUNT(*) FROM position"), 0);
	meta_close(&f->m);
	proxy_stop(&p);
}

/* --- URLs, and statements as text: these need no server --- */

static const struct {
	const char *url;
	int result;
	const char *user, *password, *host, *database;
	unsigned port;
	size_t hosts;
} urls[] = {
	{ "//u:p@h/d", OK, "u", "p", "h", "d", 3306, 1 },
	{ "//u@h:1/d", OK, "u", "", "h", "d", 1, 1 },
	{ "//u:p%40%3a%2F@h1:3307,h2,h3:65535/d", OK, "u", "p@:/", "h1", "d", 3307, 3 },
	{ "//u:p@x@h/d", OK, "u", "p@x", "h", "d", 3306, 1 },
	{ "//u:@[::1]:3310,[fe80::1]/d", OK, "u", "", "::1", "d", 3310, 2 },
	{ "//u:p@h/d?connections=8&password_file=/x%20y&ca=ca.pem", OK, "u", "p", "h", "d", 3306, 1 },
	{ "//u:a:b@h/d", OK, "u", "a:b", "h", "d", 3306, 1 },
	{ "u:p@h/d", ERR_INVALID }, { "//u:p@h", ERR_INVALID }, { "//u:p@h/", ERR_INVALID }, { "//h/d", ERR_INVALID },
	{ "//@h/d", ERR_INVALID }, { "//u:p@/d", ERR_INVALID }, { "//u:p@h:0/d", ERR_INVALID }, { "//u:p@h:65536/d", ERR_INVALID },
	{ "//u:p@h:x/d", ERR_INVALID }, { "//u:p@h,,i/d", ERR_INVALID }, { "//u:%@h/d", ERR_INVALID }, { "//u:%4@h/d", ERR_INVALID },
	{ "//u:%00@h/d", ERR_INVALID }, { "//u:p@h/d?x=y", ERR_INVALID }, { "//u:p@h/d?connections=1", ERR_INVALID },
	{ "//u:p@h/d?connections=x", ERR_INVALID }, { "", ERR_INVALID }, { "/", ERR_INVALID },
	{ "//u:p@a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/d", ERR_INVALID },
};

static void test_urls(void **state)
{
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct mariadb_url u;
		fail_set_detail("");
		int r = mariadb_url_parse(urls[i].url, &u);
		if (r != urls[i].result)
			fail_msg("%s: %s", urls[i].url, fail_name(r));
		if (r)
			assert_non_null(strstr(fail_detail(), "mariadb"));
		if (r)
			continue;
		assert_string_equal(u.user, urls[i].user);
		assert_string_equal(u.password, urls[i].password);
		assert_string_equal(u.address[0].host, urls[i].host);
		assert_string_equal(u.database, urls[i].database);
		assert_int_equal(u.address[0].port, urls[i].port);
		assert_int_equal(u.hosts, urls[i].hosts);
	}
}

static void test_passwords(void **state)
{
	struct mariadb_url u;
	char path[] = "/tmp/test_mariadb.XXXXXX", url[100];
	int fd = mkstemp(path);
	assert_int_equal(write(fd, "secret one\nother\n", 17), 17);
	close(fd);
	assert_int_equal(setenv("PERDURA_META_PASSWORD", "from outside", 1), 0);
	assert_int_equal(mariadb_url_parse("//u@h/d", &u), OK);
	assert_int_equal(mariadb_url_password(&u, NULL), OK);
	assert_string_equal(u.password, "from outside");
	snprintf(url, sizeof url, "//u@h/d?password_file=%s", path + 5);
	assert_int_equal(mariadb_url_parse(url, &u), OK);
	assert_int_equal(mariadb_url_password(&u, "/tmp"), OK);
	assert_string_equal(u.password, "secret one");
	assert_int_equal(mariadb_url_parse("//u:own@h/d", &u), OK);
	assert_int_equal(mariadb_url_password(&u, NULL), OK);
	assert_string_equal(u.password, "own");
	unlink(path);
	assert_int_equal(mariadb_url_parse(url, &u), OK);
	assert_int_equal(mariadb_url_password(&u, "/tmp"), ERR_INVALID);
	unsetenv("PERDURA_META_PASSWORD");
}

/* What the client library fails with by itself leaves a connection of which nobody knows what it says next. */
static void test_faults(void **state)
{
	static const struct {
		unsigned error;
		enum mariadb_fault fault;
		int code;
	} cases[] = {
		{ 0, FAULT_NONE, ERR_UNAVAILABLE }, { 1213, FAULT_CONFLICT, ERR_CONFLICT }, { 1180, FAULT_OTHER, ERR_UNAVAILABLE },
		{ 1062, FAULT_OTHER, ERR_EXISTS }, { 2008, FAULT_LOST, ERR_CONFLICT }, { 2013, FAULT_LOST, ERR_CONFLICT },
		{ 2026, FAULT_LOST, ERR_CONFLICT }, { 5013, FAULT_LOST, ERR_CONFLICT }, { 2020, FAULT_OTHER, ERR_LIMIT },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(mariadb_fault(cases[i].error), cases[i].fault);
		assert_int_equal(mariadb_code(cases[i].error, ""), cases[i].code);
	}
}

static void test_text(void **state)
{
	static const struct {
		const char *sql;
		int at;
	} accounts[] = {
		{ "SELECT a FROM t WHERE account = ? AND b = ?", 0 },
		{ "SELECT a FROM t WHERE b = ? AND x.account = ?", 1 },
		{ "SELECT a FROM t WHERE my_account = ?", -1 },
		{ "SELECT account FROM t WHERE account > ?", -1 },
		{ "INSERT INTO t (a, account, b) VALUES (?,?,?)", 1 },
		{ "INSERT INTO t (a, b, account, c) VALUES (?,0,?,0)", 1 },
		{ "REPLACE INTO t (account, b) VALUES (?, ?)", 0 },
		{ "INSERT INTO t (a, account) VALUES (?,0)", -1 },
		{ "INSERT INTO p (account, e) SELECT account, ? FROM t WHERE account = ?", 1 },
		{ "SELECT 1", -1 },
	};
	for (size_t i = 0; i < COUNT(accounts); i++)
		assert_int_equal(mariadb_text_account(accounts[i].sql), accounts[i].at);
	const struct meta_value v[] = { { 's', 0, SPAN("it's \\ \"") }, { 'b', 0, { "\0\n\x1a", 3 } } };
	struct buffer b = { 0 };
	mariadb_text_put(&b, META_FACT_ADD, v, 2);
	buffer_putc(&b, 0);
	assert_string_equal(b.p, "INSERT INTO facts (name, value) VALUES ('it\\'s \\\\ \"', '\\0\n\x1a')");
	buffer_free(&b);
}

/* With an argument: those whose name matches it. */
int main(int argc, char **argv)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls), cmocka_unit_test(test_passwords), cmocka_unit_test(test_faults), cmocka_unit_test(test_text),
		T(test_batch_waits), T(test_least_bytes), T(test_write_and_read), T(test_expected), T(test_expected_in_order), T(test_many), T(test_must), T(test_a_late_failure_spoils), T(test_reading_cannot_write), T(test_values),
		T(test_large_transaction), T(test_verify_and_copy), T(test_refusals), T(test_errors), T(test_clock),
		T(test_outcomes), T(test_a_lie), T(test_fences), T(test_failover), T(test_hot_row), T(test_link_or_condemn), T(test_few_connections),
		T(test_a_full_server),
	};
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
