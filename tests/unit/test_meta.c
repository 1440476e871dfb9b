#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail.h"
#include "meta.h"

/* --- A store in a folder of its own --- */

struct fixture {
	char dir[64];
	struct meta *m;
};

static void remove_dir(const char *dir)
{
	char cmd[128];
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", dir);
	assert_int_equal(system(cmd), 0);
}

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
	strcpy(f->dir, "/tmp/test_meta.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->m = open_url(f, "sqlite:meta.db");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	meta_close(&f->m);
	remove_dir(f->dir);
	free(f);
	return 0;
}

/* --- Transactions used by many tests --- */

struct fact {
	const char *name;
	char value[64]; /* in or out */
	int result;     /* what the function returns at its end */
};

static int fact_add(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	int r = meta_do(t, META_FACT_ADD, "ss", span_of(f->name), span_of(f->value));
	return r ? r : f->result;
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

static void assert_fact(struct meta *m, const char *name, const char *value)
{
	struct fact f = { .name = name };
	int r = meta_read(m, fact_get, &f);
	if (!value) {
		assert_int_equal(r, ERR_NOT_FOUND);
	} else {
		assert_int_equal(r, OK);
		assert_string_equal(f.value, value);
	}
}

struct position {
	const char *follower;
	int64_t account, by, value;
};

static int position_get(struct meta_txn *t, void *arg)
{
	struct position *p = arg;
	struct meta_rows r;
	p->value = 0;
	int code = meta_one(t, &r, META_POSITION_GET, "si", span_of(p->follower), p->account);
	if (code)
		return code == ERR_NOT_FOUND ? OK : code;
	p->value = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int position_add(struct meta_txn *t, void *arg)
{
	struct position *p = arg;
	int r = position_get(t, p);
	if (!r)
		r = meta_do(t, META_POSITION_SET, "sii", span_of(p->follower), p->account, p->value + p->by);
	return r;
}

static void test_roundtrip(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" }, b = { .name = "b", .value = "" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_int_equal(meta_run(f->m, fact_add, &b, NULL), OK);
	assert_fact(f->m, "a", "one");
	assert_fact(f->m, "b", "");
	assert_fact(f->m, "c", NULL);
	assert_fact(f->m, "schema", "1");
}

static void test_exists(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" }, again = { .name = "a", .value = "two" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	assert_int_equal(meta_run(f->m, fact_add, &again, NULL), ERR_EXISTS);
	assert_fact(f->m, "a", "one");
}

static void test_own_failure_rolls_back(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one", .result = ERR_QUOTA };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), ERR_QUOTA);
	assert_fact(f->m, "a", NULL);
}

static void test_reopen(void **state)
{
	struct fixture *f = *state;
	struct fact a = { .name = "a", .value = "one" };
	assert_int_equal(meta_run(f->m, fact_add, &a, NULL), OK);
	meta_close(&f->m);
	f->m = open_url(f, "sqlite:meta.db");
	assert_fact(f->m, "a", "one");
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
		struct position mine = { .follower = "own", .account = w->number, .by = 1 };
		struct position all = { .follower = "all", .account = 0, .by = 1 };
		meta_announce(w->m);
		w->failures += meta_run(w->m, position_add, i % 2 ? &mine : &all, NULL) != OK;
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
		struct position p = { .follower = "own", .account = i };
		assert_int_equal(meta_read(f->m, position_get, &p), OK);
		assert_int_equal(p.value, ROUNDS / 2);
		assert_int_equal(w[i].failures, 0);
	}
	struct position p = { .follower = "all" };
	assert_int_equal(meta_read(f->m, position_get, &p), OK);
	assert_int_equal(p.value, THREADS * ROUNDS / 2);
	struct meta_stats s;
	meta_stats(f->m, &s);
	assert_int_equal(s.commits, THREADS * ROUNDS);
	print_message("%llu commits in %llu groups, %llu checkpoints\n", (unsigned long long)s.commits,
		(unsigned long long)s.groups, (unsigned long long)s.checkpoints);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_roundtrip), T(test_exists), T(test_own_failure_rolls_back), T(test_reopen), T(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
