/* Nodes on one store: who has a name, who lives, whose name was taken over. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"
#include "meta_driver.h"
#include "mint.h"
#include "nodes.h"

static _Atomic int64_t passed; /* us, beside the real time */
static _Atomic int64_t hurry;  /* so much more with every look at the clock */

int64_t __real_clock_mono(void);
int64_t __wrap_clock_mono(void);
int64_t __wrap_clock_mono(void)
{
	return __real_clock_mono() + (passed += hurry);
}

struct world {
	char dir[64];
	struct meta *m;
};

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/test_nodes.XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(meta_open("sqlite:meta.db", &(struct meta_options){ .dir = w->dir }, &w->m), OK);
	w->m->shared = true; /* all that these functions ask of a database that several nodes work on */
	hurry = 0;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char cmd[128];
	meta_close(&w->m);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", w->dir);
	assert_int_equal(system(cmd), 0);
	free(w);
	return 0;
}

static struct nodes *join(struct world *w, const char *name, const char *instance)
{
	struct nodes *n;
	assert_int_equal(nodes_join(w->m, name, instance, &n), OK);
	return n;
}

static int beat(struct nodes *n)
{
	return nodes_beat(n, &(struct node_report){ .address = "host:1", .version = "9" });
}

static struct node_info info_of(struct nodes *n, const char *name)
{
	struct buffer b = { 0 };
	struct node_info found = { 0 };
	assert_int_equal(nodes_list(n, &b), OK);
	const struct node_info *all = (const struct node_info *)(void *)b.p;
	for (size_t i = 0; i < b.n / sizeof *all; i++)
		if (!strcmp(all[i].name, name))
			found = all[i];
	buffer_free(&b);
	return found;
}

static void each_has_an_id(void **state)
{
	struct world *w = *state;
	struct nodes *n[5];
	for (int i = 0; i < 5; i++) {
		char name[8];
		snprintf(name, sizeof name, "n%d", i);
		n[i] = join(w, name, name);
		assert_int_equal(nodes_self(n[i]), i + 1);
		assert_int_equal(nodes_epoch(n[i]), 1);
	}
	for (int i = 0; i < 5; i++)
		assert_int_equal(beat(n[i]), OK);
	struct node_info i = info_of(n[4], "n2");
	assert_true(i.alive && !i.self && !i.stopped && i.id == 3 && i.seen > 0);
	assert_string_equal(i.address, "host:1");
	assert_string_equal(i.version, "9");
	assert_true(info_of(n[4], "n4").self);
	for (int k = 0; k < 5; k++)
		nodes_leave(&n[k]);
}

static void restarted_at_once(void **state)
{
	struct world *w = *state;
	struct nodes *first = join(w, "n1", "here"), *other = join(w, "n2", "there");
	assert_int_equal(beat(first), OK);
	int64_t start = __real_clock_mono();
	struct nodes *second = join(w, "n1", "here"); /* it was killed */
	assert_true(__real_clock_mono() - start < 2 * SECOND_US);
	assert_int_equal(nodes_self(second), nodes_self(first));
	assert_int_equal(nodes_epoch(second), 2);
	assert_true(nodes_alive(first, nodes_self(second), 2)); /* and takes nothing from it before it ends */
	assert_false(nodes_alive(second, nodes_self(first), 1));
	assert_int_equal(beat(first), ERR_CONFLICT); /* it was not */
	assert_int_equal(beat(second), OK);
	assert_int_equal(beat(other), OK);
	assert_false(nodes_alive(other, nodes_self(first), 1));
	assert_true(nodes_alive(other, nodes_self(first), 2));
	nodes_leave(&first); /* says nothing about the second */
	assert_int_equal(beat(other), OK);
	assert_true(nodes_alive(other, nodes_self(second), 2));
	nodes_leave(&second);
	nodes_leave(&other);
}

static void stopped_is_seen_at_once(void **state)
{
	struct world *w = *state;
	struct nodes *a = join(w, "a", "1"), *b = join(w, "b", "2");
	int64_t id = nodes_self(a);
	assert_int_equal(beat(a), OK);
	assert_int_equal(beat(b), OK);
	assert_true(nodes_alive(b, id, 1));
	nodes_leave(&a);
	assert_int_equal(beat(b), OK);
	assert_false(nodes_alive(b, id, 1));
	assert_true(info_of(b, "a").stopped);
	hurry = 0;
	int64_t start = __real_clock_mono();
	a = join(w, "a", "another folder");
	assert_true(__real_clock_mono() - start < 2 * SECOND_US);
	assert_int_equal(nodes_epoch(a), 2);
	nodes_leave(&a);
	nodes_leave(&b);
}

static void silent_is_dead(void **state)
{
	struct world *w = *state;
	struct nodes *a = join(w, "a", "1"), *b = join(w, "b", "2");
	assert_true(nodes_alive(b, nodes_self(a), 1)); /* nobody has looked yet */
	assert_int_equal(beat(b), OK);
	for (int64_t t = 0; t < 3 * NODES_SILENT_US; t += NODES_BEAT_US) {
		assert_true(nodes_alive(b, nodes_self(a), 1) == (t < NODES_SILENT_US));
		passed += NODES_BEAT_US;
		assert_int_equal(beat(b), OK);
	}
	assert_int_equal(beat(a), OK); /* it only hung */
	assert_int_equal(beat(b), OK);
	assert_true(nodes_alive(b, nodes_self(a), 1));
	assert_true(nodes_alive(b, nodes_self(a), 2)); /* nobody has seen that start yet */
	assert_true(nodes_alive(b, 77, 1));
	nodes_leave(&a);
	nodes_leave(&b);
}

/* Whoever could not look does not know that the others were silent. */
static void blind_begins_anew(void **state)
{
	struct world *w = *state;
	struct nodes *a = join(w, "a", "1"), *b = join(w, "b", "2");
	assert_int_equal(beat(b), OK);
	passed += 100 * NODES_SILENT_US;
	assert_int_equal(beat(b), OK);
	assert_true(nodes_alive(b, nodes_self(a), 1));
	nodes_leave(&a);
	nodes_leave(&b);
}

struct beating {
	struct nodes *n;
	atomic_bool stop;
};

static void *beat_on(void *arg)
{
	struct beating *b = arg;
	struct timespec pause = { 0, 20000000 };
	while (!atomic_load(&b->stop)) {
		assert_int_equal(beat(b->n), OK);
		nanosleep(&pause, NULL);
	}
	return NULL;
}

static void name_of_a_living_node(void **state)
{
	struct world *w = *state;
	struct beating b = { .n = join(w, "n1", "here") };
	struct nodes *late;
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, beat_on, &b), 0);
	assert_int_equal(nodes_join(w->m, "n1", "there", &late), ERR_EXISTS);
	assert_non_null(strstr(fail_detail(), "a node called n1 runs already"));
	assert_null(strchr(fail_detail(), '\n'));
	b.stop = true;
	assert_int_equal(pthread_join(thread, NULL), 0);
	hurry = 4 * SECOND_US;
	late = join(w, "n1", "there"); /* it is silent now */
	hurry = 0;
	assert_int_equal(nodes_epoch(late), 2);
	assert_int_equal(beat(b.n), ERR_CONFLICT);
	nodes_leave(&b.n);
	nodes_leave(&late);
}

/* A database of one node has no others, whatever its table says. */
static void alone(void **state)
{
	struct world *w = *state;
	w->m->shared = false;
	struct nodes *a = join(w, "a", "1");
	assert_int_equal(beat(a), OK);
	nodes_leave(&a);
	int64_t start = __real_clock_mono();
	struct nodes *b = join(w, "a", "copied"), *c = join(w, "c", "renamed");
	assert_true(__real_clock_mono() - start < 2 * SECOND_US);
	assert_int_equal(beat(c), OK);
	assert_false(nodes_alive(c, nodes_self(b), nodes_epoch(b)));
	assert_true(nodes_alive(c, nodes_self(c), nodes_epoch(c)));
	nodes_leave(&b);
	nodes_leave(&c);
}

static void folder_and_its_copy(void **state)
{
	struct world *w = *state;
	char one[64], again[64], copy[64], cmd[300];
	assert_int_equal(nodes_instance(w->dir, one), OK);
	assert_int_equal(nodes_instance(w->dir, again), OK);
	assert_string_equal(one, again);
	snprintf(cmd, sizeof cmd, "mkdir '%s/copy' && cp -a '%s/instance' '%s/copy'", w->dir, w->dir, w->dir);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof cmd, "%s/copy", w->dir);
	assert_int_equal(nodes_instance(cmd, copy), OK);
	assert_string_not_equal(one, copy);
}

struct racer {
	struct world *w;
	struct nodes *n;
	pthread_t thread;
};

static void *race(void *arg)
{
	struct racer *x = arg;
	char name[24];
	snprintf(name, sizeof name, "r%p", (void *)x);
	x->n = join(x->w, name, name);
	return NULL;
}

static void many_join_at_once(void **state)
{
	struct world *w = *state;
	struct racer x[12];
	bool taken[COUNT(x) + 1] = { false };
	for (size_t i = 0; i < COUNT(x); i++) {
		x[i] = (struct racer){ .w = w };
		assert_int_equal(pthread_create(&x[i].thread, NULL, race, &x[i]), 0);
	}
	for (size_t i = 0; i < COUNT(x); i++)
		assert_int_equal(pthread_join(x[i].thread, NULL), 0);
	for (size_t i = 0; i < COUNT(x); i++) {
		int64_t id = nodes_self(x[i].n);
		assert_true(id >= 1 && id <= (int64_t)COUNT(x) && !taken[id]);
		taken[id] = true;
		nodes_leave(&x[i].n);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_has_an_id), TEST(restarted_at_once), TEST(stopped_is_seen_at_once), TEST(silent_is_dead),
		TEST(blind_begins_anew), TEST(name_of_a_living_node), TEST(alone), TEST(folder_and_its_copy), TEST(many_join_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
