/* A follower beside the writers of two nodes on a real MariaDB (stores.h), whose commits become visible in any order: it misses
   nothing, and takes each change once. The clock is the test's. */
#include "unit.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "change.h"
#include "fail.h"
#include "follow.h"
#include "import.h"
#include "nodes.h"
#include "restore_all.h"
#include "service.h"
#include "store.h"
#include "stores.h"

static const struct actor tester = { .name = "admin", .client = "test" };

enum { ACCOUNTS = 8, NODES = 2, CHANGES = 40 };

static atomic_int_fast64_t ahead; /* us */

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return __real_clock_now() + atomic_load(&ahead);
}

struct world {
	char dir[64], meta[600], blob[200];
	struct store *store[NODES];
	struct service *s[NODES];
	struct follow *f;
	int64_t last[ACCOUNTS + 1]; /* what the follower has taken, by account */
};

static void open_node(struct world *w, int i)
{
	char dir[100], name[8];
	snprintf(dir, sizeof dir, "%s/%d", w->dir, i);
	snprintf(name, sizeof name, "n%d", i);
	assert_int_equal(mkdir(dir, 0700), 0);
	struct store_options o = { .dir = dir, .node_name = name, .meta_url = w->meta, .blob_url = w->blob };
	if (store_open(&o, &w->store[i]))
		fail_msg("%s", fail_detail());
	assert_int_equal(service_open(w->store[i], &w->s[i]), OK);
}

static void beat(struct world *w)
{
	for (int i = 0; i < NODES; i++)
		for (int k = 0; k < NODES; k++) { /* each then knows the other's newest */
			struct node_report r = { .horizon = meta_horizon(w->store[k]->meta), .version = "" };
			assert_int_equal(nodes_beat(w->store[k]->nodes, &r), OK);
		}
}

/* In order, and never again what was taken before. */
static int take_rows(void *ctx, const struct follow_row *rows, size_t n)
{
	struct world *w = ctx;
	for (size_t i = 0; i < n; i++) {
		assert_true(rows[i].account <= ACCOUNTS);
		assert_int_equal(rows[i].change, w->last[rows[i].account] + 1);
		w->last[rows[i].account]++;
	}
	return OK;
}

/* Another start of it reads all slots that are open; this one those of the last seconds. */
static void reopen(struct world *w)
{
	struct follow_options o = { .service = w->s[1], .name = "test", .alone = true, .sweep = INT64_MAX, .rows = take_rows, .ctx = w };
	follow_close(&w->f);
	assert_int_equal(follow_open(&o, &w->f), OK);
}

static uint64_t step(struct world *w)
{
	struct follow_stats s;
	beat(w);
	int e = follow_step(w->f, clock_now());
	if (e)
		fail_msg("%s", fail_detail());
	follow_stats(w->f, &s);
	return s.misses;
}

static int setup(void **state)
{
	if (!test_meta_shared())
		return 0;
	struct world *w = *state = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/perdura-followers-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(w->meta, sizeof w->meta, "%s", test_meta_url(w->dir));
	snprintf(w->blob, sizeof w->blob, "file:%s/bodies", w->dir);
	for (int i = 0; i < NODES; i++)
		open_node(w, i);
	for (int i = 1; i <= ACCOUNTS; i++) {
		char address[40];
		snprintf(address, sizeof address, "a%d@here.test", i);
		struct span name = span_of(address);
		assert_int_equal(account_add(w->s[0], &name, 1, SPAN("none"), &tester), OK);
	}
	reopen(w);
	step(w);
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	if (!w)
		return 0;
	follow_close(&w->f);
	for (int i = 0; i < NODES; i++) {
		service_close(&w->s[i]);
		store_close(&w->store[i]);
	}
	test_stores_remove(w->dir);
	free(w);
	atomic_store(&ahead, 0);
	return 0;
}

static struct world *world(void **state)
{
	if (!*state)
		print_message("PERDURA_TEST_META names no database: skipped\n");
	if (!*state)
		skip();
	return *state;
}

/* --- A change whose transaction stays open for as long as it is told to --- */

struct slow {
	struct world *w;
	int node;
	int64_t account, us;  /* us: sleeps so long, or */
	sem_t begun, go;      /* waits, when it is negative */
	struct touched touched;
};

static int change_slowly(struct meta_txn *t, void *arg)
{
	struct slow *q = arg;
	struct change c;
	int e = change_begin(&c, q->w->s[q->node], t, q->account, CHANGE_CREATE, &tester, 0);
	if (e)
		return e;
	change_note(&c, LOG_FOLDER_CREATE, 77, SPAN("slow"), (struct span){ 0 });
	if (q->us < 0) {
		sem_post(&q->begun);
		sem_wait(&q->go);
	} else {
		usleep((useconds_t)q->us);
	}
	return change_end(&c, OK, &q->touched);
}

static void *run_slowly(void *arg)
{
	struct slow *q = arg;
	int e = meta_run(q->w->store[q->node]->meta, change_slowly, q, NULL);
	if (!e)
		change_publish(q->w->s[q->node], &q->touched);
	return (void *)(intptr_t)e;
}

static int64_t head(struct world *w, int64_t account)
{
	struct account_info i;
	assert_int_equal(account_show(w->s[0], account, &i), OK);
	return i.change;
}

static void check_all(struct world *w)
{
	for (int i = 1; i <= ACCOUNTS; i++)
		assert_int_equal(w->last[i], head(w, i));
}

static void quick(struct world *w, int node, int64_t account)
{
	struct slow q = { .w = w, .node = node, .account = account };
	assert_null(run_slowly(&q));
}

/* However long a transaction stays open on a node that lives. */
static void a_slot_waits_for_who_may_still_commit(void **state)
{
	static const int64_t open_for[] = { 1, 15, 110, 130, 3600 }; /* s */
	struct world *w = world(state);
	for (size_t i = 0; i < COUNT(open_for); i++) {
		struct slow q = { .w = w, .node = (int)i % NODES, .account = 1 + (int64_t)i, .us = -1 };
		pthread_t thread;
		void *e;
		sem_init(&q.begun, 0, 0);
		sem_init(&q.go, 0, 0);
		assert_int_equal(pthread_create(&thread, NULL, run_slowly, &q), 0);
		sem_wait(&q.begun);
		quick(w, 0, 7);
		quick(w, 1, 8);
		assert_int_equal(step(w), 0);
		atomic_fetch_add(&ahead, open_for[i] * SECOND_US);
		quick(w, 1, 7);
		reopen(w);
		assert_int_equal(step(w), 0);
		reopen(w); /* closes what can be closed */
		assert_int_equal(step(w), 0);
		sem_post(&q.go);
		pthread_join(thread, &e);
		assert_null(e);
		reopen(w);
		assert_int_equal(step(w), 0);
		check_all(w);
	}
}

struct writer {
	struct world *w;
	unsigned seed;
	int failed;
};

static void *write_at_random(void *arg)
{
	struct writer *r = arg;
	for (int i = 0; i < CHANGES; i++) {
		struct slow q = { .w = r->w, .node = rand_r(&r->seed) % NODES, .account = 1 + rand_r(&r->seed) % ACCOUNTS,
			          .us = rand_r(&r->seed) % 8 ? rand_r(&r->seed) % 2000 : rand_r(&r->seed) % 100000 };
		r->failed += run_slowly(&q) != NULL;
	}
	return NULL;
}

/* Writers on both nodes, each of their transactions open for as long as it likes, while hours go by. */
static void nothing_is_missed_beside_writers(void **state)
{
	enum { WRITERS = 6 };
	struct world *w = world(state);
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	int64_t end = clock_mono() + 2 * SECOND_US;
	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){ w, i + 1, 0 };
		assert_int_equal(pthread_create(&threads[i], NULL, write_at_random, &writers[i]), 0);
	}
	while (clock_mono() < end) {
		assert_int_equal(step(w), 0);
		atomic_fetch_add(&ahead, 30 * SECOND_US);
		reopen(w);
	}
	for (int i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(writers[i].failed, 0);
	}
	reopen(w);
	assert_int_equal(step(w), 0);
	check_all(w);
}

static void *beat_later(void *arg)
{
	usleep(1000 * 1000);
	beat(arg);
	return NULL;
}

struct sealed {
	struct world *w;
	int64_t at;
	int accounts;
};

static void is_sealed(void *ctx, uint64_t done, uint64_t total)
{
	struct sealed *k = ctx;
	assert_true(nodes_horizon(k->w->store[0]->nodes) >= k->at);
	k->accounts++;
}

/* What the other node has under way may still be stamped at or before the time that is asked for. */
static void restore_all_waits_for_the_seal(void **state)
{
	struct world *w = world(state);
	pthread_t other;
	struct restore_all_report r = { 0 };
	beat(w);
	struct sealed k = { w, clock_now(), 0 };
	struct restore_all_request q = { .at = k.at, .dry_run = true, .actor = &tester, .progress = is_sealed, .ctx = &k };
	assert_int_equal(pthread_create(&other, NULL, beat_later, w), 0);
	assert_int_equal(restore_all_run(w->s[0], &q, &r), OK);
	assert_int_equal(k.accounts, ACCOUNTS);
	pthread_join(other, NULL);
}

/* One message, at that node. */
static void bring(struct world *w, int node, struct import *m)
{
	struct incoming *in;
	assert_int_equal(incoming_new(w->s[node], &in), OK);
	assert_int_equal(incoming_write(in, SPAN("Subject: the same\r\n\r\nbytes\r\n")), OK);
	assert_int_equal(incoming_finish(in), OK);
	assert_int_equal(import_add(m, SPAN("INBOX"), in, 0, SPAN(""), 0), OK);
}

static void *import_there(void *arg)
{
	struct world *w = arg;
	struct import *m;
	assert_int_equal(import_open(w->s[1], 1, &tester, &m), OK);
	bring(w, 1, m);
	assert_int_equal(import_flush(m), OK);
	import_close(&m);
	return NULL;
}

static void imports_at_two_nodes_add_once(void **state)
{
	struct world *w = world(state);
	struct import *m;
	struct account_info i;
	pthread_t other;
	assert_int_equal(import_open(w->s[0], 1, &tester, &m), OK);
	bring(w, 0, m);
	assert_int_equal(pthread_create(&other, NULL, import_there, w), 0);
	usleep(500 * 1000);
	assert_int_equal(import_flush(m), OK);
	import_close(&m);
	pthread_join(other, NULL);
	assert_int_equal(account_show(w->s[0], 1, &i), OK);
	assert_int_equal(i.messages, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_slot_waits_for_who_may_still_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_missed_beside_writers, setup, teardown),
		cmocka_unit_test_setup_teardown(restore_all_waits_for_the_seal, setup, teardown),
		cmocka_unit_test_setup_teardown(imports_at_two_nodes_add_once, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
