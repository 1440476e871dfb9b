/* Leases: of several nodes one has it, a silent one is taken over, and what it writes then is refused. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "lease.h"
#include "nodes.h"
#include "store.h"
#include "stores.h"

#define PATIENCE (10 * SECOND_US)

static _Atomic int64_t passed; /* us, beside the real time */

int64_t __real_clock_mono(void);
int64_t __wrap_clock_mono(void);
int64_t __wrap_clock_mono(void)
{
	return __real_clock_mono() + passed;
}

/* Several nodes over one store: all they share is the database. */
enum { NODES = 4 };
struct world {
	char dir[64];
	struct store *store, nodes[NODES]; /* the first one's nodes is the store's */
	struct lease l[NODES];
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/test_lease-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = test_meta_url(w->dir),
		.blob_url = test_blob_url(w->dir) };
	assert_int_equal(store_open(&o, &w->store), OK);
	for (int i = 0; i < NODES; i++) {
		char name[8];
		snprintf(name, sizeof name, "n%d", i + 1);
		w->nodes[i].meta = w->store->meta;
		w->nodes[i].nodes = w->store->nodes;
		if (i)
			assert_int_equal(nodes_join(w->store->meta, name, name, &w->nodes[i].nodes), OK);
		lease_init(&w->l[i], &w->nodes[i], "job", PATIENCE);
	}
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	for (int i = 1; i < NODES; i++)
		nodes_leave(&w->nodes[i].nodes);
	store_close(&w->store);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static int write_under(struct meta_txn *t, void *arg)
{
	int e = lease_hold(t, arg);
	return e ? e : meta_do(t, META_FACT_SET, "ss", SPAN("job"), SPAN("done"));
}

static int work(struct world *w, int i)
{
	return meta_run(w->store->meta, write_under, &w->l[i], NULL);
}

static void one_has_it(void **state)
{
	struct world *w = *state;
	assert_int_equal(lease_take(&w->l[0]), OK);
	assert_true(lease_held(&w->l[0]));
	for (int i = 1; i < NODES; i++) {
		assert_int_equal(lease_take(&w->l[i]), ERR_CONFLICT);
		assert_string_equal(fail_detail(), "node n1 does it");
		assert_false(lease_held(&w->l[i]));
		assert_int_equal(work(w, i), ERR_CONFLICT);
	}
	assert_int_equal(work(w, 0), OK);
	assert_int_equal(lease_take(&w->l[0]), OK);
	assert_int_equal(w->l[0].epoch, 1); /* as before */
}

static void given_back_is_free(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 2 * NODES; i++) {
		assert_int_equal(lease_take(&w->l[i % NODES]), OK);
		assert_int_equal(w->l[i % NODES].epoch, i + 1);
		lease_return(&w->l[i % NODES]);
		lease_return(&w->l[i % NODES]);
		assert_false(lease_held(&w->l[i % NODES]));
		assert_int_equal(work(w, i % NODES), ERR_CONFLICT);
	}
}

static void other_names_are_other_leases(void **state)
{
	struct world *w = *state;
	struct lease other;
	lease_init(&other, &w->nodes[1], "another job", PATIENCE);
	assert_int_equal(lease_take(&w->l[0]), OK);
	assert_int_equal(lease_take(&other), OK);
	lease_return(&other);
	assert_int_equal(work(w, 0), OK);
}

/* Each sign of life begins the watcher's patience anew. */
static void signs_of_life(void **state)
{
	struct world *w = *state;
	assert_int_equal(lease_take(&w->l[0]), OK);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(lease_take(&w->l[1]), ERR_CONFLICT);
		passed += PATIENCE - SECOND_US;
		assert_int_equal(lease_take(&w->l[1]), ERR_CONFLICT);
		passed += 2 * SECOND_US;
		assert_int_equal(i % 3 == 0 ? work(w, 0) : i % 3 == 1 ? lease_renew(&w->l[0]) : lease_take(&w->l[0]), OK);
	}
}

static void silent_is_taken_over(void **state)
{
	struct world *w = *state;
	assert_int_equal(lease_take(&w->l[0]), OK);
	passed += 100 * PATIENCE; /* nobody watched */
	assert_int_equal(lease_take(&w->l[1]), ERR_CONFLICT);
	passed += PATIENCE;
	assert_int_equal(lease_take(&w->l[1]), OK);
	assert_int_equal(w->l[1].epoch, 2);
	assert_int_equal(work(w, 0), ERR_CONFLICT);
	assert_int_equal(work(w, 1), OK);
	assert_true(lease_held(&w->l[0])); /* until it asks */
	assert_int_equal(lease_renew(&w->l[0]), ERR_CONFLICT);
	assert_false(lease_held(&w->l[0]));
	lease_return(&w->l[0]);
	assert_int_equal(work(w, 1), OK);
	/* a third one watches the new holder from now on */
	assert_int_equal(lease_take(&w->l[2]), ERR_CONFLICT);
	assert_int_equal(lease_take(&w->l[0]), ERR_CONFLICT);
}

static void restarted_holder_has_it_at_once(void **state)
{
	struct world *w = *state;
	struct lease again;
	assert_int_equal(lease_take(&w->l[0]), OK);
	lease_init(&again, &w->nodes[0], "job", PATIENCE);
	assert_int_equal(lease_take(&again), OK);
	assert_int_equal(again.epoch, 2);
	assert_int_equal(work(w, 0), ERR_CONFLICT); /* of the earlier start */
}

/* A stopped holder that goes on within its transaction after the take-over. */
struct late {
	struct world *w;
	pthread_t other;
	bool begun;
	int result;
};

/* Until the holder's last sign of life is long enough ago, be it the one that comes with its commit. */
static void *take_over(void *arg)
{
	struct late *x = arg;
	x->result = ERR_CONFLICT;
	for (int i = 0; i < 5 && x->result == ERR_CONFLICT; i++) {
		passed += PATIENCE;
		x->result = lease_take(&x->w->l[1]);
	}
	return NULL;
}

static int write_late(struct meta_txn *t, void *arg)
{
	struct late *x = arg;
	struct meta_rows r;
	int e = lease_hold(t, &x->w->l[0]);
	if (!e)
		e = meta_one(t, &r, META_FACT_GET, "s", SPAN("schema")); /* it is held from here on */
	if (e)
		return e;
	meta_done(&r);
	if (!x->begun)
		assert_int_equal(pthread_create(&x->other, NULL, take_over, x), 0);
	x->begun = true;
	for (int i = 0; i < 50; i++) { /* it waits for us */
		struct timespec ms = { 0, 1000000 };
		nanosleep(&ms, NULL);
	}
	return meta_do(t, META_FACT_SET, "ss", SPAN("late"), SPAN("yes"));
}

static int read_late(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_FACT_GET, "s", SPAN("late"));
	if (!e)
		meta_done(&r);
	return e;
}

static void both_never_commit(void **state)
{
	struct world *w = *state;
	struct late x = { .w = w };
	assert_int_equal(lease_take(&w->l[0]), OK);
	assert_int_equal(lease_take(&w->l[1]), ERR_CONFLICT);
	assert_int_equal(meta_run(w->store->meta, write_late, &x, NULL), OK);
	assert_int_equal(pthread_join(x.other, NULL), 0);
	/* whichever came first, the other one saw it */
	assert_int_equal(meta_read(w->store->meta, read_late, NULL), OK);
	assert_int_equal(x.result, OK);
	assert_int_equal(work(w, 0), ERR_CONFLICT);
}

struct racer {
	struct world *w;
	int node;
	int won;
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *x = arg;
	x->won = lease_take(&x->w->l[x->node]) == OK;
	return NULL;
}

static void one_of_many_wins(void **state)
{
	struct world *w = *state;
	for (int round = 0; round < 30; round++) {
		struct racer x[NODES];
		int won = 0;
		for (int i = 0; i < NODES; i++) {
			x[i] = (struct racer){ .w = w, .node = i };
			assert_int_equal(pthread_create(&x[i].thread, NULL, race, &x[i]), 0);
		}
		for (int i = 0; i < NODES; i++) {
			assert_int_equal(pthread_join(x[i].thread, NULL), 0);
			won += x[i].won;
		}
		assert_int_equal(won, 1);
		for (int i = 0; i < NODES; i++)
			lease_return(&w->l[i]);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(one_has_it), TEST(given_back_is_free), TEST(other_names_are_other_leases), TEST(signs_of_life),
		TEST(silent_is_taken_over), TEST(restarted_holder_has_it_at_once), TEST(both_never_commit), TEST(one_of_many_wins),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
