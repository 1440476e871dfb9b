#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "facts.h"
#include "fail.h"
#include "meta.h"
#include "meta_failing.h"
#include "scratch.h"

/* --- A store in a folder of its own --- */

struct fixture {
	char dir[64];
	struct meta *m;
};

static struct meta *open_url(const struct fixture *f, const char *url)
{
	struct meta_options o = { .dir = f->dir };
	struct meta *m = NULL;
	int r = meta_open(url, &o, &m);
	if (r)
		print_error("%s\n", fail_detail());
	assert_int_equal(r, OK);
	return m;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	scratch_make("meta", f->dir);
	f->m = open_url(f, "sqlite:meta.db");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	meta_close(&f->m);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* --- Transactions used by many tests --- */

static int fact_add(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	int r = meta_try(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
	return r ? r : f->result;
}

/* A number that transactions add to. */
struct tally {
	const char *of;
	int64_t number, by, value;
};

static const char *tally_name(const struct tally *p, char to[static 64])
{
	snprintf(to, 64, "%s %lld", p->of, (long long)p->number);
	return to;
}

static int tally_look(struct meta_txn *t, void *arg)
{
	struct tally *p = arg;
	char name[64];
	return tally_get(t, tally_name(p, name), &p->value);
}

static int tally_add(struct meta_txn *t, void *arg)
{
	struct tally *p = arg;
	char name[64];
	int r = tally_look(t, p);
	return r ? r : tally_set(t, tally_name(p, name), p->value + p->by);
}

/* --- Values --- */

struct value {
	const char *name;
	char type;
	struct span in;
};

static int value_roundtrip(struct meta_txn *t, void *arg)
{
	const struct value *v = arg;
	char types[] = { 's', v->type, 0 };
	struct meta_rows r;
	int code = meta_do(t, META_FACT_SET, types, span_of(v->name), v->in);
	if (!code)
		code = meta_one(t, &r, META_FACT_GET, "s", span_of(v->name));
	if (code)
		return code;
	assert_true(span_eq(meta_span(&r, 0), v->in));
	meta_done(&r);
	return OK;
}

static void test_values(void **state)
{
	struct fixture *f = *state;
	static char big[1 << 20];
	memset(big, 'x', sizeof big);
	struct value v[] = {
		{ "text", 's', SPAN("one") },
		{ "empty", 's', SPAN("") },
		{ "utf8", 's', SPAN("h\xc3\xa9") },
		{ "bytes", 'b', SPAN("\0\xff\0") },
		{ "no bytes", 'b', SPAN("") },
		{ "big", 'b', { big, sizeof big } },
	};
	for (size_t i = 0; i < COUNT(v); i++)
		assert_int_equal(meta_run(f->m, value_roundtrip, &v[i], NULL), OK);
	struct value null = { "null", 's', { NULL, 0 } }; /* the column refuses it */
	assert_int_equal(meta_run(f->m, value_roundtrip, &null, NULL), ERR_INVALID);
}

static int integer_roundtrip(struct meta_txn *t, void *arg)
{
	const int64_t *n = arg;
	struct meta_rows r;
	int code = meta_do(t, META_FOLLOWER_ADD, "si", SPAN("n"), INT64_C(0));
	if (!code)
		code = meta_do(t, META_FOLLOWER_SLOT, "is", *n, SPAN("n"));
	if (!code)
		code = meta_one(t, &r, META_FOLLOWER_GET, "s", SPAN("n"));
	if (code)
		return code;
	assert_true(meta_int(&r, 0) == *n);
	meta_done(&r);
	return OK;
}

static void test_integers(void **state)
{
	struct fixture *f = *state;
	int64_t n[] = { 0, 1, -1, INT32_MAX, INT64_MAX, INT64_MIN };
	for (size_t i = 0; i < COUNT(n); i++)
		assert_int_equal(meta_run(f->m, integer_roundtrip, &n[i], NULL), OK);
}

static int dirty_days(struct meta_txn *t, void *arg)
{
	int64_t *seen = arg;
	struct meta_rows r;
	for (int64_t slot = 0; slot < 10; slot++)
		for (int twice = 0; twice < 2; twice++) {
			assert_int_equal(meta_try(t, META_DIRTY_ADD, "ii", slot, slot * 7), OK);
			assert_int_equal(meta_changed(t), twice ? 0 : 1);
		}
	assert_int_equal(meta_query(t, &r, META_PURGE_DIRTY, "ii", (int64_t)4, (int64_t)100), OK);
	for (*seen = 0; meta_next(&r) == 1; ++*seen)
		assert_int_equal(meta_int(&r, 1), meta_int(&r, 0) * 7);
	meta_done(&r);
	for (int twice = 0; twice < 2; twice++) {
		assert_int_equal(meta_try(t, META_PURGE_DIRTY_DROP, "ii", (int64_t)5, (int64_t)35), OK);
		assert_int_equal(meta_changed(t), twice ? 0 : 1);
	}
	return OK;
}

static void test_rows(void **state)
{
	struct fixture *f = *state;
	int64_t seen;
	assert_int_equal(meta_run(f->m, dirty_days, &seen, NULL), OK);
	assert_int_equal(seen, 4);
}

/* Every statement of the program is good SQL on this schema. */
static void test_statements_prepare(void **state)
{
	static const char *const all[] = {
#define STATEMENT(name, sql) sql,
#include "statements.def"
#undef STATEMENT
	};
	struct fixture *f = *state;
	char path[128];
	sqlite3 *db;
	meta_close(&f->m);
	snprintf(path, sizeof path, "%s/meta.db", f->dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < COUNT(all); i++) {
		sqlite3_stmt *s = NULL;
		bool ignore = !strncmp(all[i], "INSERT IGNORE", 13);
		const char *lock = strstr(all[i], " FOR UPDATE");
		char *text = sqlite3_mprintf("%s%.*s", ignore ? "INSERT OR IGNORE" : "", lock ? (int)(lock - all[i]) : 10000,
			all[i] + (ignore ? 13 : 0));
		if (sqlite3_prepare_v2(db, text, -1, &s, NULL))
			fail_msg("%s: %s", all[i], sqlite3_errmsg(db));
		sqlite3_finalize(s);
		sqlite3_free(text);
	}
	sqlite3_close(db);
}

/* --- Failures --- */

static void test_exists(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" }, again = { .name = "a", .value = "two" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_int_equal(meta_run(f->m, fact_add, &again, NULL), ERR_EXISTS);
	assert_fact(f->m, "a", "one");
}

static int expects(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	meta_expect(t, META_FACT_GET, "s", span_of("never asked for"));
	meta_expect(t, META_FACT_GET, "s", span_of(f->name));
	return fact_get(t, arg);
}

static int adds_and_goes_on(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct fact other = { .name = "b", .value = "three" };
	int r = f->result ? meta_do(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value))
		: meta_try(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
	return r == OK || r == ERR_EXISTS ? fact_add(t, &other) : r;
}

static void test_must(void **state)
{
	struct fixture *f = *state;
	assert_musts(f->m);
}

/* A taken key is an answer of meta_try, and spoils the transaction when it was meta_do. */
static void test_taken_key(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	a.result = 1;
	assert_int_equal(meta_run(f->m, adds_and_goes_on, &a, NULL), ERR_EXISTS);
	assert_fact(f->m, "b", NULL);
	a.result = 0;
	assert_int_equal(meta_run(f->m, adds_and_goes_on, &a, NULL), OK);
	assert_fact(f->m, "b", "three");
	assert_fact(f->m, "a", "one");
}

static void test_expected_query(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_int_equal(meta_read(f->m, expects, &a), OK);
	assert_string_equal(a.value, "one");
}

static int fails_with_detail(struct meta_txn *t, void *arg)
{
	int r = fact_add(t, arg);
	return r ? r : fail_with(ERR_QUOTA, "over by %d", 7);
}

static void test_own_failure_rolls_back(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	fail_set_detail("");
	assert_int_equal(meta_run(f->m, fails_with_detail, &a, NULL), ERR_QUOTA);
	assert_string_equal(fail_detail(), "over by 7"); /* set on another thread */
	assert_fact(f->m, "a", NULL);
}

static int writes_although_reading(struct meta_txn *t, void *arg)
{
	fact_add(t, arg);
	return OK;
}

static void test_reading_cannot_write(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	assert_int_not_equal(meta_read(f->m, writes_although_reading, &a), OK);
	assert_fact(f->m, "a", NULL);
}

/* --- Open and close --- */

static void test_reopen(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	meta_close(&f->m);
	f->m = open_url(f, "sqlite:meta.db");
	assert_fact(f->m, "a", "one");
	assert_fact(f->m, "schema", "5");
}

static void test_second_opener_is_refused(void **state)
{
	struct fixture *f = *state;
	struct meta_options o = { .dir = f->dir };
	struct meta *second = NULL;
	assert_int_equal(meta_open("sqlite:meta.db", &o, &second), ERR_UNAVAILABLE);
	assert_non_null(strstr(fail_detail(), "in use"));
	assert_null(second);
}

static int fact_set(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	return meta_do(t, META_FACT_SET, "ss", span_of(f->name), span_of(f->value));
}

static void test_wrong_databases(void **state)
{
	struct fixture *f = *state;
	struct meta_options o = { .dir = f->dir };
	struct fact version = { .name = "schema", .value = "99" };
	assert_int_equal(meta_run(f->m, fact_set, &version, NULL), OK);
	meta_close(&f->m);
	assert_int_equal(meta_open("sqlite:meta.db", &o, &f->m), ERR_INVALID);
	assert_non_null(strstr(fail_detail(), "99"));

	char path[128];
	snprintf(path, sizeof path, "%s/text.db", f->dir);
	FILE *text = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("no database at all\n", text);
	fclose(text);
	assert_int_equal(meta_open("sqlite:text.db", &o, &f->m), ERR_CORRUPT);
}

static void test_wrong_urls(void **state)
{
	static const char *const urls[] = { "", "sqlite", "sqlite:", "mariadb:x", "sqlite:a.db?powercut=2", "sqlite:a.db?x=y",
		"sqlite:a.db?powercut=1&seed=x", "failing:", "failing:sqlite:", "failing:sqlite:a.db?commit=x",
		"failing:sqlite:a.db?commit=1&mode=odd", "failing:sqlite:a.db?commit=1&odd=1" };
	struct fixture *f = *state;
	struct meta_options o = { .dir = f->dir };
	for (size_t i = 0; i < COUNT(urls); i++) {
		struct meta *m = NULL;
		assert_int_equal(meta_open(urls[i], &o, &m), ERR_INVALID);
		assert_null(m);
	}
}

struct slow {
	pthread_t thread;
	struct meta *m;
	_Atomic int running;
	int result;
};

static int slow_fn(struct meta_txn *t, void *arg)
{
	struct slow *s = arg;
	s->running = 1;
	usleep(50000);
	return OK;
}

static void *run_slow(void *arg)
{
	struct slow *s = arg;
	s->result = meta_run(s->m, slow_fn, s, NULL);
	return NULL;
}

static void test_close_waits(void **state)
{
	struct fixture *f = *state;
	struct slow s = { .m = f->m, .result = 1 };
	pthread_create(&s.thread, NULL, run_slow, &s);
	while (!s.running)
		sched_yield();
	meta_close(&f->m);
	pthread_join(s.thread, NULL);
	assert_int_equal(s.result, OK);
}

/* --- Many threads --- */

enum { THREADS = 16, ROUNDS = 500 };

struct worker {
	struct meta *m;
	pthread_t thread;
	int64_t number;
	int failures;
};

static void *add_many(void *arg)
{
	struct worker *w = arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct tally mine = { .of = "own", .number = w->number, .by = 1 };
		struct tally all = { .of = "all", .number = 0, .by = 1 };
		meta_announce(w->m);
		w->failures += meta_run(w->m, tally_add, i % 2 ? &mine : &all, NULL) != OK;
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct fixture *f = *state;
	struct worker w[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .m = f->m, .number = i };
		pthread_create(&w[i].thread, NULL, add_many, &w[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		struct tally p = { .of = "own", .number = i };
		assert_int_equal(meta_read(f->m, tally_look, &p), OK);
		assert_int_equal(p.value, ROUNDS / 2);
		assert_int_equal(w[i].failures, 0);
	}
	struct tally p = { .of = "all" };
	assert_int_equal(meta_read(f->m, tally_look, &p), OK);
	assert_int_equal(p.value, THREADS * ROUNDS / 2);
	struct meta_stats s;
	meta_stats(f->m, &s);
	assert_int_equal(s.commits, THREADS * ROUNDS);
	print_message("%llu commits in %llu groups, %llu checkpoints\n", (unsigned long long)s.commits,
		(unsigned long long)s.groups, (unsigned long long)s.checkpoints);
}

/* Some jobs fail after they wrote: only what they did is undone. */
static void *add_and_fail(void *arg)
{
	struct worker *w = arg;
	for (int i = 0; i < ROUNDS / 5; i++) {
		struct tally p = { .of = "own", .number = w->number, .by = 1 };
		char name[32];
		snprintf(name, sizeof name, "%d-%d", (int)w->number, i);
		struct fact f = { .name = name, .value = "x", .result = i % 3 ? ERR_DENIED : OK };
		meta_announce(w->m);
		w->failures += meta_run(w->m, fact_add, &f, NULL) != f.result;
		meta_announce(w->m);
		w->failures += meta_run(w->m, tally_add, &p, NULL) != OK;
		w->failures += meta_read(w->m, fact_get, &f) != (i % 3 ? ERR_NOT_FOUND : OK);
	}
	return NULL;
}

static void test_failing_jobs_are_alone(void **state)
{
	struct fixture *f = *state;
	struct worker w[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++) {
		w[i] = (struct worker){ .m = f->m, .number = i };
		pthread_create(&w[i].thread, NULL, add_and_fail, &w[i]);
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		struct tally p = { .of = "own", .number = i };
		assert_int_equal(meta_read(f->m, tally_look, &p), OK);
		assert_int_equal(p.value, ROUNDS / 5);
		assert_int_equal(w[i].failures, 0);
	}
}

/* Two accounts whose sum stays: readers must never see one changed without the other. */
static int move_between(struct meta_txn *t, void *arg)
{
	struct tally a = { .of = "sum", .number = 1, .by = -1 }, b = { .of = "sum", .number = 2, .by = 1 };
	int r = tally_add(t, &a);
	return r ? r : tally_add(t, &b);
}

static int sum_of(struct meta_txn *t, void *arg)
{
	struct tally a = { .of = "sum", .number = 1 }, b = { .of = "sum", .number = 2 };
	int r = tally_look(t, &a);
	if (!r)
		r = tally_look(t, &b);
	*(int64_t *)arg = a.value + b.value;
	return r;
}

static void *read_sums(void *arg)
{
	struct worker *w = arg;
	int64_t sum;
	for (int i = 0; i < ROUNDS; i++)
		w->failures += meta_read(w->m, sum_of, &sum) != OK || sum != 0;
	return NULL;
}

static void test_readers_see_one_state(void **state)
{
	struct fixture *f = *state;
	struct worker w[THREADS] = { 0 };
	for (int i = 0; i < THREADS; i++) {
		w[i].m = f->m;
		pthread_create(&w[i].thread, NULL, read_sums, &w[i]);
	}
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(meta_run(f->m, move_between, NULL, NULL), OK);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].failures, 0);
	}
}

/* The log is kept short although readers never pause. */
static int add_much(struct meta_txn *t, void *arg)
{
	static const char filling[3000];
	char name[32];
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof name, "%d/%d", *(int *)arg, i);
		int r = meta_do(t, META_FACT_SET, "sb", span_of(name), span_from(filling, sizeof filling));
		if (r)
			return r;
	}
	return OK;
}

static void test_log_stays_short(void **state)
{
	struct fixture *f = *state;
	struct meta_stats s;
	char path[128];
	struct worker w[4] = { 0 };
	for (size_t i = 0; i < COUNT(w); i++) {
		w[i].m = f->m;
		pthread_create(&w[i].thread, NULL, read_sums, &w[i]);
	}
	for (int i = 0; i < 1000; i++)
		assert_int_equal(meta_run(f->m, add_much, &i, NULL), OK);
	for (size_t i = 0; i < COUNT(w); i++)
		pthread_join(w[i].thread, NULL);
	meta_stats(f->m, &s);
	assert_true(s.checkpoints >= 3);
	snprintf(path, sizeof path, "%s/meta.db-wal", f->dir);
	FILE *wal = fopen(path, "r");
	assert_non_null(wal);
	fseek(wal, 0, SEEK_END);
	assert_true(ftell(wal) < 80 << 20);
	fclose(wal);
}

/* --- Companions --- */

struct companions {
	pthread_mutex_t lock;
	int calls;
	size_t seen;
	int late; /* failure of the group */
};

struct companion {
	int result;
	bool prepared;
	bool late; /* its failure is known only when the group is to be committed, after it was asked once */
	int asked;
};

static void prepare_group(void *ctx, void **companions, size_t n)
{
	struct companions *c = ctx;
	pthread_mutex_lock(&c->lock);
	c->calls++;
	c->seen += n;
	pthread_mutex_unlock(&c->lock);
	c->late = OK;
	for (size_t i = 0; i < n; i++) {
		struct companion *k = companions[i];
		k->prepared = true;
		if (k->late)
			c->late = ERR_UNAVAILABLE;
	}
}

/* By now each late one knows that it failed. */
static int finish_group(void *ctx)
{
	struct companions *c = ctx;
	int r = c->late;
	c->late = OK;
	return r ? fail_with(r, "the group's companions say no") : OK;
}

static int companion_result(void *companion)
{
	struct companion *c = companion;
	assert_true(c->prepared);
	if (c->late && c->asked++)
		c->result = ERR_UNAVAILABLE;
	return c->result ? fail_with(c->result, "the companion says no") : OK;
}

static void test_companions(void **state)
{
	struct fixture *f = *state;
	struct companions seen = { PTHREAD_MUTEX_INITIALIZER };
	struct meta_options o = { f->dir, prepare_group, companion_result, finish_group, NULL, &seen };
	meta_close(&f->m);
	assert_int_equal(meta_open("sqlite:meta.db", &o, &f->m), OK);
	struct companion good = { OK }, bad = { ERR_FULL };
	struct fact a = { .name = "a", .value = "one" }, b = { .name = "b", .value = "two" }, c = { .name = "c" };
	assert_int_equal(meta_run(f->m, fact_add, &a, &good), OK);
	assert_int_equal(meta_run(f->m, fact_add, &b, &bad), ERR_FULL);
	assert_string_equal(fail_detail(), "the companion says no");
	assert_int_equal(meta_run(f->m, fact_add, &c, NULL), OK);
	assert_fact(f->m, "a", "one");
	assert_fact(f->m, "b", NULL);
	assert_int_equal(seen.calls, 2);
	assert_int_equal(seen.seen, 2);
}

struct late_worker {
	struct meta *m;
	pthread_t thread;
	int number;
};

/* Every third of them has a companion that fails when its group is to be committed. */
static void *add_some_late(void *arg)
{
	struct late_worker *w = arg;
	for (int i = 0; i < 60; i++) {
		char name[16];
		struct companion c = { .late = i % 3 == w->number % 3 };
		struct fact a = { .name = name, .value = "x" };
		snprintf(name, sizeof name, "w%di%d", w->number, i);
		assert_int_equal(meta_run(w->m, fact_add, &a, &c), c.late ? ERR_UNAVAILABLE : OK);
	}
	return NULL;
}

static void test_late_companions(void **state)
{
	struct fixture *f = *state;
	struct companions seen = { PTHREAD_MUTEX_INITIALIZER };
	struct meta_options o = { f->dir, prepare_group, companion_result, finish_group, NULL, &seen };
	struct late_worker w[6];
	meta_close(&f->m);
	assert_int_equal(meta_open("sqlite:meta.db", &o, &f->m), OK);
	for (int i = 0; i < (int)COUNT(w); i++) {
		w[i] = (struct late_worker){ .m = f->m, .number = i };
		pthread_create(&w[i].thread, NULL, add_some_late, &w[i]);
	}
	for (size_t i = 0; i < COUNT(w); i++)
		pthread_join(w[i].thread, NULL);
	for (int n = 0; n < (int)COUNT(w); n++)
		for (int i = 0; i < 60; i++) {
			char name[16];
			snprintf(name, sizeof name, "w%di%d", n, i);
			assert_fact(f->m, name, i % 3 == n % 3 ? NULL : "x");
		}
}

/* --- The group commit's patience --- */

static int64_t time_runs(struct meta *m, int n)
{
	int64_t start = clock_mono();
	for (int i = 0; i < n; i++) {
		struct tally p = { .of = "t", .by = 1 };
		meta_announce(m);
		assert_int_equal(meta_run(m, tally_add, &p, NULL), OK);
	}
	return clock_mono() - start;
}

static void test_stalled_announcement_costs_nothing(void **state)
{
	struct fixture *f = *state;
	int64_t alone = time_runs(f->m, 300), beside = INT64_MAX;
	for (int i = 0; i < 5; i++)
		meta_announce(f->m);
	for (int tries = 0; tries < 5 && beside > 2 * alone + 150000; tries++) /* others load this machine, too */
		beside = time_runs(f->m, 300);
	assert_true(beside < 2 * alone + 150000); /* us; a wait each time would be 300000 more */
}

/* --- The failing store --- */

static void fail_at(struct meta *m, enum meta_failing_call call, uint64_t at, uint64_t times, int code, bool committed)
{
	meta_failing_set(m, &(struct meta_failing_plan){ call, at, times, code, committed });
}

static void test_failing_at_each_statement(void **state)
{
	static const int codes[] = { ERR_FULL, ERR_UNAVAILABLE, ERR_CORRUPT };
	struct fixture *f = *state;
	uint64_t statements, commits;
	struct tally p = { .of = "sum", .number = 2 };
	meta_close(&f->m);
	f->m = open_url(f, "failing:sqlite:meta.db");
	fail_at(f->m, META_FAILING_NONE, 0, 0, OK, false);
	assert_int_equal(meta_run(f->m, move_between, NULL, NULL), OK);
	meta_failing_seen(f->m, &statements, &commits);
	assert_int_equal(statements, 6);
	assert_int_equal(commits, 1);
	for (size_t c = 0; c < COUNT(codes); c++)
		for (uint64_t at = 1; at <= statements; at++) {
			fail_at(f->m, META_FAILING_STATEMENT, at, 1, codes[c], false);
			assert_int_equal(meta_run(f->m, move_between, NULL, NULL), codes[c]);
			assert_int_equal(meta_read(f->m, tally_look, &p), OK);
			assert_int_equal(p.value, 1);
		}
	assert_int_equal(meta_run(f->m, move_between, NULL, NULL), OK);
	assert_int_equal(meta_read(f->m, tally_look, &p), OK);
	assert_int_equal(p.value, 2);
}

static void test_failing_commits(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "x" }, b = { .name = "b", .value = "y" };
	meta_close(&f->m);
	f->m = open_url(f, "failing:sqlite:meta.db?commit=1&mode=full");
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), ERR_FULL);
	assert_fact(f->m, "a", NULL);
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	fail_at(f->m, META_FAILING_COMMIT, 1, 1, ERR_UNAVAILABLE, true);
	assert_int_equal(meta_run(f->m, fact_add, &b, NULL), ERR_UNAVAILABLE);
	assert_fact(f->m, "b", "y");
}

static void test_conflicts_are_run_again(void **state)
{
	struct fixture *f = *state;
	uint64_t statements, commits;
	struct tally p = { .of = "p", .by = 1 };
	meta_close(&f->m);
	f->m = open_url(f, "failing:sqlite:meta.db");
	fail_at(f->m, META_FAILING_COMMIT, 1, 3, ERR_CONFLICT, false);
	assert_int_equal(meta_run(f->m, tally_add, &p, NULL), OK);
	meta_failing_seen(f->m, &statements, &commits);
	assert_int_equal(commits, 4);
	fail_at(f->m, META_FAILING_STATEMENT, 1, 0, ERR_CONFLICT, false);
	assert_int_equal(meta_run(f->m, tally_add, &p, NULL), ERR_UNAVAILABLE);
	fail_at(f->m, META_FAILING_NONE, 0, 0, OK, false);
	assert_int_equal(meta_read(f->m, tally_look, &p), OK);
	assert_int_equal(p.value, 1);
}

static int own_conflict(struct meta_txn *t, void *arg)
{
	++*(int *)arg;
	return fail_with(ERR_CONFLICT, "mine");
}

static void test_own_conflict_is_the_callers(void **state)
{
	struct fixture *f = *state;
	int runs = 0;
	assert_int_equal(meta_run(f->m, own_conflict, &runs, NULL), ERR_CONFLICT);
	assert_int_equal(runs, 1);
	assert_int_equal(meta_read(f->m, own_conflict, &runs), ERR_CONFLICT);
	assert_int_equal(runs, 2);
}

static int blind(struct meta_txn *t, void *arg)
{
	fact_add(t, arg);
	return OK;
}

static void test_nobody_commits_past_a_failure(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "x" };
	meta_close(&f->m);
	f->m = open_url(f, "failing:sqlite:meta.db?statement=1&mode=corrupt");
	assert_int_equal(meta_run(f->m, blind, &a, NULL), ERR_CORRUPT);
	assert_fact(f->m, "a", NULL);
	struct meta_stats s;
	meta_stats(f->m, &s);
	assert_int_equal(s.failures, 1);
}

/* --- Verify --- */

static void count_line(void *ctx, const char *line)
{
	++*(int *)ctx;
}

static void test_verify(void **state)
{
	struct fixture *f = *state;
	int lines = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(meta_run(f->m, add_much, &i, NULL), OK);
	assert_int_equal(meta_verify(f->m, count_line, &lines), OK);
	assert_int_equal(lines, 0);
	meta_close(&f->m); /* everything is in the database file now */

	char path[128];
	snprintf(path, sizeof path, "%s/meta.db", f->dir);
	FILE *db = fopen(path, "r+");
	assert_non_null(db);
	fseek(db, 4096 * 35, SEEK_SET); /* leaves of facts, past every root */
	for (int i = 0; i < 4096 * 8; i++)
		fputc(0xa5, db);
	fclose(db);
	f->m = open_url(f, "sqlite:meta.db");
	assert_int_equal(meta_verify(f->m, count_line, &lines), ERR_CORRUPT);
	assert_true(lines > 0);
	struct tally p = { .of = "p", .by = 1 };
	assert_int_equal(meta_run(f->m, tally_add, &p, NULL), OK); /* what is whole goes on working */
}

/* --- Power cuts --- */

enum { WRITERS = 4 };

struct writer {
	pthread_t thread;
	struct meta *m;
	int number, pipe;
};

/* Values that change places in the file often: enough for a checkpoint every few transactions. */
static int rewrite_big(struct meta_txn *t, void *arg)
{
	static const char filling[60000];
	char name[32];
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof name, "big%d", i);
		int r = meta_do(t, META_FACT_SET, "sb", span_of(name), span_from(filling, (size_t)(40000 + (i + *(int *)arg) % 5 * 5000)));
		if (r)
			return r;
	}
	return OK;
}

static void *write_and_tell(void *arg)
{
	struct writer *w = arg;
	for (int i = 0;; i = (i + 1) % 50) {
		if (w->number == 0 && meta_run(w->m, rewrite_big, &i, NULL))
			_exit(3);
		struct tally p = { .of = "w", .number = w->number, .by = 1 };
		meta_announce(w->m);
		if (meta_run(w->m, tally_add, &p, NULL))
			_exit(3);
		int64_t told[2] = { w->number, p.value + 1 };
		if (write(w->pipe, told, sizeof told) != sizeof told)
			_exit(4);
	}
}

static void write_until_killed(const struct fixture *f, unsigned round, unsigned bad_sync, int pipe)
{
	char url[80];
	struct meta_options o = { .dir = f->dir };
	struct meta *m;
	struct writer w[WRITERS];
	snprintf(url, sizeof url, "sqlite:meta.db?powercut=1&seed=%u&badsync=%u", round % 3 ? round * 7919 : 0, bad_sync);
	if (meta_open(url, &o, &m)) {
		print_error("%s\n", fail_detail());
		_exit(2);
	}
	for (int i = 0; i < WRITERS; i++) {
		w[i] = (struct writer){ .m = m, .number = i, .pipe = pipe };
		pthread_create(&w[i].thread, NULL, write_and_tell, &w[i]);
	}
	pause();
}

static void hear(int pipe, int64_t *told)
{
	int64_t t[2];
	while (read(pipe, t, sizeof t) == sizeof t)
		told[t[0]] = t[1];
}

static void cut_once(const struct fixture *f, unsigned round, int64_t *told)
{
	int p[2], status;
	assert_int_equal(pipe(p), 0);
	pid_t child = fork();
	if (!child)
		write_until_killed(f, round, 0, p[1]);
	close(p[1]);
	int64_t first[2];
	if (round % 4 == 0 && read(p[0], first, sizeof first) == sizeof first) /* however slow: some rounds answer something */
		told[first[0]] = first[1];
	usleep(5000 + round * 7919 % 100000);
	kill(child, SIGKILL);
	hear(p[0], told);
	close(p[0]);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
}

/* All that was told is there, and at most the one change of each writer that could not be told any more. */
static void check_told(struct meta *m, int64_t *told)
{
	for (int i = 0; i < WRITERS; i++) {
		struct tally p = { .of = "w", .number = i };
		assert_int_equal(meta_read(m, tally_look, &p), OK);
		if (p.value != told[i] && p.value != told[i] + 1)
			fail_msg("writer %d was told %lld, the store says %lld", i, (long long)told[i], (long long)p.value);
		told[i] = p.value;
	}
}

static void test_power_cuts(void **state)
{
	struct fixture *f = *state;
	int64_t told[WRITERS] = { 0 };
	int lines = 0;
	for (unsigned round = 0; round < 20; round++) {
		meta_close(&f->m);
		cut_once(f, round, told);
		f->m = open_url(f, "sqlite:meta.db");
		check_told(f->m, told);
		assert_int_equal(meta_verify(f->m, count_line, &lines), OK);
	}
	int64_t all = 0;
	for (int i = 0; i < WRITERS; i++)
		all += told[i];
	assert_true(all > 0);
}

/* A database whose disk fails to take what was copied from the log ends the process; the next one has all of it. */
static void test_bad_syncs(void **state)
{
	struct fixture *f = *state;
	int64_t told[WRITERS] = { 0 };
	int lines = 0;
	for (unsigned bad = 1; bad <= 4; bad++) {
		int p[2], status;
		meta_close(&f->m);
		assert_int_equal(pipe(p), 0);
		pid_t child = fork();
		if (!child)
			write_until_killed(f, bad, bad, p[1]);
		close(p[1]);
		hear(p[0], told);
		close(p[0]);
		waitpid(child, &status, 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE);
		f->m = open_url(f, "sqlite:meta.db");
		check_told(f->m, told);
		assert_int_equal(meta_verify(f->m, count_line, &lines), OK);
	}
}

/* --- A full disk --- */

static int fill_until_failure(struct meta *m, int from)
{
	int r = OK;
	for (int i = from, failed = 0; i < from + 10000 && failed < 3; i++, failed = r ? failed + 1 : 0)
		r = meta_run(m, add_much, &i, NULL);
	return r;
}

static int on_a_small_disk(const char *dir)
{
	struct meta_options o = { .dir = dir };
	struct meta *m;
	struct tally p = { .of = "p", .by = 1 };
	char ballast[128], cmd[200];
	int lines = 0;
	snprintf(ballast, sizeof ballast, "%s/ballast", dir);
	snprintf(cmd, sizeof cmd, "head -c 12000000 /dev/zero > %s", ballast);
	if (system(cmd) || meta_open("sqlite:meta.db", &o, &m) || meta_run(m, tally_add, &p, NULL))
		return 10;
	if (fill_until_failure(m, 1) != ERR_FULL)
		return 11;
	int n = 0;
	if (meta_run(m, add_much, &n, NULL) != ERR_FULL)
		return 12;
	if (meta_read(m, tally_look, &p) || p.value != 1)
		return 13;
	unlink(ballast);
	if (meta_run(m, tally_add, &p, NULL) || meta_run(m, add_much, &n, NULL))
		return 14;
	if (meta_read(m, tally_look, &p) || p.value != 2)
		return 15;
	if (meta_verify(m, count_line, &lines))
		return 16;
	meta_close(&m);
	if (meta_open("sqlite:meta.db", &o, &m) || meta_read(m, tally_look, &p) || p.value != 2)
		return 17;
	meta_close(&m);
	return 0;
}

static bool put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	if (fd >= 0)
		close(fd);
	return done;
}

/* Mounts of this process's own, for a user too: root in a user namespace that knows this user alone. */
static bool unshare_mounts(void)
{
	char uids[32], gids[32];
	bool user = geteuid() != 0;
	snprintf(uids, sizeof uids, "0 %u 1", (unsigned)geteuid());
	snprintf(gids, sizeof gids, "0 %u 1", (unsigned)getegid());
	if (unshare(CLONE_NEWNS | (user ? CLONE_NEWUSER : 0)))
		return false;
	return !user || (put_text("/proc/self/setgroups", "deny") && put_text("/proc/self/uid_map", uids) &&
		put_text("/proc/self/gid_map", gids));
}

static void test_full_disk(void **state)
{
	enum { NO_MOUNT = 77 };
	struct fixture *f = *state;
	meta_close(&f->m);
	pid_t child = fork();
	if (!child) { /* a mount of its own, gone with the process */
		if (!unshare_mounts() || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
			mount("tmpfs", f->dir, "tmpfs", 0, "size=24m"))
			_exit(NO_MOUNT);
		_exit(on_a_small_disk(f->dir));
	}
	int status;
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == NO_MOUNT) {
		print_message("SKIPPED: no right to mount a small disk\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- A copy while everything changes --- */

enum { PAIRS = 2000, PAIRS_EACH = 100, TXNS_EACH_STEP = 8, TXNS_MOST = 2000 };

struct copying {
	struct meta *m;
	uint64_t seed;
	int64_t count;              /* transactions committed */
	int64_t *when;              /* each */
	int64_t got, pairs, broken; /* out of the copy */
	int left;                   /* steps until it is broken off; 0: never */
};

static int write_pair(struct meta_txn *t, const struct copying *c, int64_t k)
{
	char a[24], b[24], value[600];
	snprintf(a, sizeof a, "a%lld", (long long)k);
	snprintf(b, sizeof b, "b%lld", (long long)k);
	memset(value, 'x', sizeof value);
	snprintf(value, sizeof value, "%lld", (long long)c->count);
	int r = meta_do(t, META_FACT_SET, "ss", span_of(a), span_from(value, sizeof value));
	return r ? r : meta_do(t, META_FACT_SET, "ss", span_of(b), span_from(value, sizeof value));
}

/* Both facts of a pair always say the same; a tally counts the transactions. */
static int write_some(struct meta_txn *t, void *arg)
{
	struct copying *c = arg;
	int r = OK;
	for (int i = 0; i < PAIRS_EACH && !r; i++) {
		c->seed = c->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		r = write_pair(t, c, (int64_t)(c->seed >> 33) % PAIRS);
	}
	return r ? r : tally_set(t, "copy 1", c->count + 1);
}

static void write_pairs(struct copying *c, int n)
{
	for (; n && c->count < TXNS_MOST; n--) {
		assert_int_equal(meta_run(c->m, write_some, c, NULL), OK);
		c->when[c->count++] = clock_now();
	}
}

static int work_meanwhile(void *ctx, uint64_t bytes)
{
	struct copying *c = ctx;
	write_pairs(c, TXNS_EACH_STEP);
	return c->left && --c->left == 0 ? fail_with(ERR_STOPPED, "enough") : OK;
}

static int read_pair(struct meta_txn *t, void *arg)
{
	struct copying *c = arg;
	char values[2][600] = { 0 };
	for (int i = 0; i < 2; i++) {
		char name[24];
		struct meta_rows r;
		snprintf(name, sizeof name, "%c%lld", "ab"[i], (long long)c->pairs);
		int e = meta_one(t, &r, META_FACT_GET, "s", span_of(name));
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		snprintf(values[i], sizeof values[i], "%.*s", SPAN_ARG(meta_span(&r, 0)));
		meta_done(&r);
	}
	c->broken += strcmp(values[0], values[1]) != 0;
	return OK;
}

static void complain(void *ctx, const char *line)
{
	print_error("%s\n", line);
}

static uint64_t checkpoints(struct meta *m)
{
	struct meta_stats stats;
	meta_stats(m, &stats);
	return stats.checkpoints;
}

static void assert_copy(struct fixture *f, struct copying *c, int64_t at)
{
	struct meta *m = open_url(f, "sqlite:copy.db");
	struct tally p = { .of = "copy", .number = 1 };
	int64_t before = 0;
	while (before < c->count && c->when[before] < at)
		before++;
	assert_int_equal(meta_read(m, tally_look, &p), OK);
	assert_true(p.value >= before && p.value <= c->count);
	c->broken = 0;
	for (c->pairs = 0; c->pairs < PAIRS; c->pairs++)
		assert_int_equal(meta_read(m, read_pair, c), OK);
	assert_int_equal(c->broken, 0);
	assert_int_equal(meta_verify(m, complain, NULL), OK);
	meta_close(&m);
}

static void test_a_copy_while_it_changes(void **state)
{
	struct fixture *f = *state;
	struct copying c = { .m = f->m, .seed = 7 };
	struct file_copy files = { .step = work_meanwhile, .ctx = &c };
	char to[100];
	int64_t at;
	snprintf(to, sizeof to, "%s/copy.db", f->dir);
	c.when = malloc(TXNS_MOST * sizeof *c.when);
	write_pairs(&c, 50);
	for (int i = 0; i < 2; i++) {
		c.left = 2; /* broken off first */
		assert_int_equal(meta_copy(f->m, to, &files, &at), ERR_STOPPED);
		assert_int_equal(meta_copy(f->m, to, &files, &at), OK);
		assert_copy(f, &c, at);
		for (uint64_t before = checkpoints(f->m); checkpoints(f->m) == before;) /* the log starts over in between */
			write_pairs(&c, 1);
	}
	free(c.when);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_values),
		T(test_must),
		T(test_integers),
		T(test_rows),
		T(test_statements_prepare),
		T(test_exists), T(test_taken_key), T(test_expected_query),
		T(test_own_failure_rolls_back),
		T(test_reading_cannot_write),
		T(test_reopen),
		T(test_second_opener_is_refused),
		T(test_wrong_databases),
		T(test_wrong_urls),
		T(test_close_waits),
		T(test_threads),
		T(test_failing_jobs_are_alone),
		T(test_readers_see_one_state),
		T(test_log_stays_short),
		T(test_companions),
		T(test_late_companions),
		T(test_stalled_announcement_costs_nothing),
		T(test_failing_at_each_statement),
		T(test_failing_commits),
		T(test_conflicts_are_run_again),
		T(test_own_conflict_is_the_callers),
		T(test_nobody_commits_past_a_failure),
		T(test_verify),
		T(test_power_cuts),
		T(test_bad_syncs),
		T(test_full_disk),
		T(test_a_copy_while_it_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
