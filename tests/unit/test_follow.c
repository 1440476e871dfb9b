/* Followers, and what tells nodes of each other's changes: datagrams, the link, the poll. The clock is the test's. */
#include "unit.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "account.h"
#include "clock.h"
#include "datagram.h"
#include "fail.h"
#include "follow.h"
#include "follow_job.h"
#include "folder.h"
#include "link.h"
#include "meta_failing.h"
#include "nodes.h"
#include "secret.h"
#include "service.h"
#include "store.h"
#include "stores.h"

static const struct actor tester = { .name = "admin", .client = "test" };

enum { ACCOUNTS = 5 };

/* --- The clock --- */

static atomic_int_fast64_t ahead; /* us */

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return __real_clock_now() + atomic_load(&ahead);
}

static void later(int64_t us)
{
	atomic_fetch_add(&ahead, us);
}

/* --- Datagrams --- */

static const unsigned char key[LINK_KEY] = "0123456789abcdef0123456789abcde";

static void datagrams_come_as_they_went(void **state)
{
	static const struct touched cases[] = {
		{ .account = 0, .change = 1, .collections = { 3 }, .n = 1 },
		{ .account = INT64_MAX, .change = INT64_MAX, .collections = { INT64_MAX }, .n = 1 },
		{ .account = 7, .change = 9, .n = 0 },
		{ .account = 7, .change = 10, .collections = { 1, 2, 3, 4, 5, 6, 7, 8 }, .n = 8 },
		{ .account = 7, .change = 11, .n = 100 },
	};
	struct datagram d = { 0 };
	struct datagram_sender from;
	struct span notices;
	struct touched t;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_true(datagram_add(&d, &cases[i]));
	assert_int_equal(d.notices, COUNT(cases));
	datagram_seal(&d, &(struct datagram_sender){ 4095, (1 << 20) - 1, UINT64_MAX }, key);
	assert_int_equal(datagram_open(span_from(d.bytes, d.n), key, &from, &notices), OK);
	assert_int_equal(from.node, 4095);
	assert_int_equal(from.epoch, (1 << 20) - 1);
	assert_true(from.sequence == UINT64_MAX);
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(datagram_next(&notices, &t), 1);
		assert_int_equal(t.account, cases[i].account);
		assert_int_equal(t.change, cases[i].change);
		assert_int_equal(t.n, cases[i].n > 8 ? 9 : cases[i].n);
		for (size_t k = 0; k < t.n && t.n <= 8; k++)
			assert_int_equal(t.collections[k], cases[i].collections[k]);
	}
	assert_int_equal(datagram_next(&notices, &t), 0);
}

static void no_byte_of_a_datagram_can_be_changed(void **state)
{
	struct datagram d = { 0 };
	struct datagram_sender from;
	struct span notices;
	datagram_add(&d, &(struct touched){ .account = 5, .change = 6, .collections = { 7 }, .n = 1 });
	datagram_seal(&d, &(struct datagram_sender){ 1, 2, 3 }, key);
	for (size_t i = 0; i < d.n * 8; i++) {
		d.bytes[i / 8] ^= (char)(1 << i % 8);
		assert_int_equal(datagram_open(span_from(d.bytes, d.n), key, &from, &notices), ERR_DENIED);
		d.bytes[i / 8] ^= (char)(1 << i % 8);
	}
	for (size_t n = 0; n < d.n; n++)
		assert_int_equal(datagram_open(span_from(d.bytes, n), key, &from, &notices), ERR_DENIED);
	unsigned char other[LINK_KEY] = { 1 };
	assert_int_equal(datagram_open(span_from(d.bytes, d.n), other, &from, &notices), ERR_DENIED);
	assert_int_equal(datagram_open(span_from(d.bytes, d.n), key, &from, &notices), OK);
}

static void notices_that_make_no_sense(void **state)
{
	static const char *const cases[] = { "\x01", "\x01\x01", "\x01\x01\x02\x05", "\x01\x01\x0a",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x00", "\x80" };
	struct touched t;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct span s = span_of(cases[i]);
		assert_int_equal(datagram_next(&s, &t), ERR_INVALID);
	}
}

static void a_datagram_is_never_too_long(void **state)
{
	struct datagram d = { 0 };
	unsigned n = 0;
	while (datagram_add(&d, &(struct touched){ .account = 1 << 20, .change = 1 << 20, .collections = { 1 << 20 }, .n = 1 }))
		n++;
	datagram_seal(&d, &(struct datagram_sender){ 1, 2, 3 }, key);
	assert_true(d.n <= DATAGRAM_MAX && d.n > DATAGRAM_MAX - 16);
	assert_int_equal(n, d.notices);
	assert_true(n > 100);
}

static void a_datagram_counts_once(void **state)
{
	static const struct {
		int64_t epoch;
		uint64_t sequence;
		bool fresh;
	} cases[] = {
		{ 1, 1, true }, { 1, 1, false }, { 1, 3, true }, { 1, 2, true }, { 1, 2, false }, { 1, 66, true }, { 1, 3, false },
		{ 1, 4, true }, { 1, 2, false }, { 1, 1000, true }, { 1, 66, false }, { 1, 999, true }, { 1, 937, true },
		{ 1, 936, false }, { 2, 1, true }, { 1, 1001, false }, { 2, 2, true }, { 2, 1, false },
	};
	struct datagram_window w = { 0 };
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(datagram_fresh(&w, &(struct datagram_sender){ 1, cases[i].epoch, cases[i].sequence }), cases[i].fresh);
}

/* --- Two nodes on one store --- */

struct world {
	char dir[64];
	struct store *store;
	struct service *s, *other; /* they share nothing but the store */
};

/* driver: stands before the URL of the database. */
static int set_up(void **state, const char *driver)
{
	struct world *w = calloc(1, sizeof *w);
	char url[1100];
	strcpy(w->dir, "/tmp/perdura-follow-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	snprintf(url, sizeof url, "%s%s", driver, test_meta_url(w->dir));
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = url,
		.blob_url = test_blob_url(w->dir) };
	assert_int_equal(store_open(&o, &w->store), OK);
	assert_int_equal(service_open(w->store, &w->s), OK);
	assert_int_equal(service_open(w->store, &w->other), OK);
	for (int i = 1; i <= ACCOUNTS; i++) {
		char address[40];
		snprintf(address, sizeof address, "a%d@here.test", i);
		struct span name = span_of(address);
		assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	}
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return set_up(state, "");
}

static int setup_failing(void **state)
{
	return set_up(state, "failing:");
}

static int teardown(void **state)
{
	struct world *w = *state;
	service_close(&w->s);
	service_close(&w->other);
	store_close(&w->store);
	test_stores_remove(w->dir);
	free(w);
	atomic_store(&ahead, 0);
	return 0;
}

/* The first number that the statement gives. */
static int64_t sql(struct world *w, const char *fmt, ...)
{
	char text[500];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return test_meta_sql(w->dir, text);
}

static void change(struct service *s, int64_t account)
{
	static atomic_int n;
	char name[40];
	snprintf(name, sizeof name, "folder %d", atomic_fetch_add(&n, 1));
	assert_int_equal(folder_create(s, account, span_of(name), &tester), OK);
}

static void count_call(void *ctx)
{
	atomic_fetch_add((atomic_int *)ctx, 1);
}

static int wait_for(atomic_int *n, int least)
{
	for (int i = 0; i < 5000 && atomic_load(n) < least; i++)
		usleep(1000);
	return atomic_load(n);
}

static uint64_t poll_once(struct service *s)
{
	uint64_t missed = 77;
	assert_int_equal(service_poll(s, &missed), OK);
	return missed;
}

static void a_poll_finds_what_nobody_told(void **state)
{
	struct world *w = *state;
	struct watch *one, *two;
	atomic_int woken = 0, others = 0;
	assert_int_equal(poll_once(w->other), 0); /* nothing is watched */
	assert_int_equal(service_watch(w->other, 1, 0, count_call, &woken, &one), OK);
	assert_int_equal(service_watch(w->other, 2, 0, count_call, &others, &two), OK);
	assert_int_equal(poll_once(w->other), 0);
	assert_int_equal(woken, 1); /* who knows what he saw last */
	poll_once(w->other);
	assert_int_equal(woken, 1);
	change(w->s, 1);
	change(w->s, 1);
	assert_int_equal(woken, 1);
	assert_int_equal(poll_once(w->other), 0);
	assert_int_equal(woken, 2);
	assert_int_equal(poll_once(w->other), 2); /* nobody told of them meanwhile */
	assert_int_equal(poll_once(w->other), 0);
	assert_int_equal(woken, 2);
	assert_int_equal(others, 1);
	service_unwatch(w->other, &one);
	service_unwatch(w->other, &two);
	change(w->s, 1);
	assert_int_equal(poll_once(w->other), 0);
}

/* Whatever order notices come in, and whichever is lost: the poll wakes when one is missing, and only then. */
static void notices_in_any_order(void **state)
{
	static const struct {
		int told[4];   /* of four changes, which, in this order; 0: none */
		bool wakes;    /* the poll, though it is the first to look after them */
		unsigned missed;
	} cases[] = {
		{ { 1, 2, 3, 4 }, false, 0 }, { { 4, 3, 2, 1 }, false, 0 }, { { 2, 1, 4, 3 }, false, 0 }, { { 1, 2, 3 }, true, 1 },
		{ { 2, 3, 4 }, true, 1 }, { { 1, 4 }, true, 2 }, { { 4, 4, 4 }, true, 3 }, { { 0 }, true, 4 }, { { 1, 1, 2, 2 }, true, 2 },
	};
	struct world *w = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct watch *watch;
		atomic_int woken = 0;
		assert_int_equal(service_watch(w->other, 1, 99, count_call, &woken, &watch), OK);
		poll_once(w->other);
		int64_t before = sql(w, "SELECT change_no FROM head WHERE account = 1");
		for (int k = 0; k < 4; k++)
			change(w->s, 1);
		for (int k = 0; k < 4 && cases[i].told[k]; k++)
			service_told(w->other, &(struct touched){ .account = 1, .change = before + cases[i].told[k], .collections = { 1 }, .n = 1 });
		assert_int_equal(woken, 1); /* another collection */
		assert_int_equal(poll_once(w->other), 0);
		assert_int_equal(woken, cases[i].wakes ? 2 : 1);
		assert_int_equal(poll_once(w->other), cases[i].missed);
		assert_int_equal(poll_once(w->other), 0);
		assert_int_equal(woken, cases[i].wakes ? 2 : 1);
		service_unwatch(w->other, &watch);
	}
}

static void changes_of_this_node_are_known(void **state)
{
	struct world *w = *state;
	struct watch *watch;
	atomic_int woken = 0;
	assert_int_equal(service_watch(w->s, 1, 0, count_call, &woken, &watch), OK);
	poll_once(w->s);
	for (int i = 0; i < 200; i++)
		change(w->s, 1);
	int so_far = atomic_load(&woken);
	assert_true(so_far > 200);
	assert_int_equal(poll_once(w->s), 0);
	assert_int_equal(poll_once(w->s), 0);
	assert_int_equal(woken, so_far);
	service_unwatch(w->s, &watch);
}

static void many_are_polled(void **state)
{
	enum { MANY = 5000 };
	struct world *w = *state;
	struct watch *watches[MANY];
	atomic_int woken = 0;
	sql(w, "INSERT INTO head WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 5099) SELECT i, 0, 0, 1, 1,"
	       " 1, 0, 3, 3, 0, 0 FROM n");
	for (int i = 0; i < MANY; i++)
		assert_int_equal(service_watch(w->other, 100 + i, 0, count_call, &woken, &watches[i]), OK);
	poll_once(w->other);
	assert_int_equal(woken, MANY);
	sql(w, "UPDATE head SET change_no = 2 WHERE account IN (100, 2000, 5099)");
	int64_t start = clock_mono();
	poll_once(w->other);
	print_message("a look at %d heads: %lld us\n", MANY, (long long)(clock_mono() - start));
	assert_int_equal(woken, MANY + 3);
	assert_int_equal(poll_once(w->other), 3);
	for (int i = 0; i < MANY; i++)
		service_unwatch(w->other, &watches[i]);
	sql(w, "DELETE FROM head WHERE account >= 100");
}

/* --- The link --- */

static struct link *open_link(struct service *s, int64_t node, const unsigned char k[LINK_KEY])
{
	struct link_options o = { .service = s, .listen = { .host = "127.0.0.1", .port = "0" }, .node = node, .epoch = 1 };
	struct link *l;
	memcpy(o.key, k, LINK_KEY);
	assert_int_equal(link_open(&o, &l), OK);
	return l;
}

static void introduce(struct link *l, const struct link *to)
{
	struct udp_address a;
	assert_int_equal(udp_resolve(span_of(link_address(to)), &a), OK);
	link_peers(l, &a, 1);
}

static void a_notice_crosses_the_link(void **state)
{
	struct world *w = *state;
	unsigned char k[LINK_KEY], again[LINK_KEY];
	struct link_stats a, b;
	struct watch *watch;
	atomic_int woken = 0;
	assert_int_equal(secret_get(w->store->meta, "link.key", k), OK);
	assert_int_equal(secret_get(w->store->meta, "link.key", again), OK);
	assert_memory_equal(k, again, LINK_KEY);
	struct link *here = open_link(w->s, 1, k), *there = open_link(w->other, 2, k);
	change(w->s, 1); /* nobody to tell */
	introduce(here, there);
	introduce(there, here);
	assert_int_equal(service_watch(w->other, 1, 0, count_call, &woken, &watch), OK);
	poll_once(w->other);
	for (int i = 0; i < 50; i++) {
		change(w->s, 1);
		assert_true(wait_for(&woken, i + 2) >= i + 2);
	}
	assert_int_equal(poll_once(w->other), 0);
	assert_int_equal(poll_once(w->other), 0);
	for (int i = 0; i < 5000 && (link_stats(here, &a), a.sent < 50); i++)
		usleep(1000); /* counted after it was sent */
	link_stats(there, &b);
	assert_int_equal(a.sent, 50);
	assert_int_equal(a.received, 0); /* what was heard is not passed on */
	assert_int_equal(b.received, 50);
	assert_int_equal(b.sent + a.dropped + b.dropped + a.refused + b.refused, 0);
	service_unwatch(w->other, &watch);
	link_close(&here);
	link_close(&there);
}

static void strangers_are_refused(void **state)
{
	struct world *w = *state;
	unsigned char theirs[LINK_KEY] = { 1 };
	struct link_stats s = { 0 };
	struct watch *watch;
	atomic_int woken = 0;
	struct link *here = open_link(w->s, 1, theirs), *there = open_link(w->other, 2, key);
	introduce(here, there);
	assert_int_equal(service_watch(w->other, 1, 0, count_call, &woken, &watch), OK);
	change(w->s, 1);
	for (int i = 0; i < 5000 && !s.refused; i++, usleep(1000))
		link_stats(there, &s);
	assert_int_equal(s.refused, 1);
	assert_int_equal(woken, 0);
	service_unwatch(w->other, &watch);
	link_close(&here);
	link_close(&there);
}

static void addresses_nobody_could_send_to(void **state)
{
	static const struct listen_address cases[] = { { .host = "*", .port = "0" }, { .host = "0.0.0.0", .port = "0" },
		{ .host = "::", .port = "0" }, { .is_unix = true, .path = "x" } };
	struct world *w = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct link_options o = { .service = w->s, .listen = cases[i] };
		struct link *l;
		assert_int_equal(link_open(&o, &l), ERR_INVALID);
	}
}

/* --- Followers --- */

struct taken {
	int64_t last[ACCOUNTS + 1]; /* by account */
	int n, fail;                /* fail: so many calls refuse */
	int64_t horizon;
};

static int take_rows(void *ctx, const struct follow_row *rows, size_t n)
{
	struct taken *k = ctx;
	if (k->fail && k->fail--)
		return fail_with(ERR_UNAVAILABLE, "not now");
	for (size_t i = 0; i < n; i++) {
		assert_true(rows[i].account <= ACCOUNTS);
		assert_int_equal(rows[i].change, k->last[rows[i].account] + 1);
		k->last[rows[i].account]++;
		k->n++;
		assert_true(rows[i].changeset > 0 && rows[i].stamp > 0);
		assert_true(rows[i].body.n > 0);
	}
	return OK;
}

static int64_t horizon(void *ctx)
{
	return ((struct taken *)ctx)->horizon;
}

static struct follow *open_follower(struct world *w, struct taken *k)
{
	struct follow_options o = { .service = w->s, .name = "test", .alone = true, .sweep = 600 * SECOND_US,
		.horizon = horizon, .rows = take_rows, .ctx = k };
	struct follow *f;
	k->horizon = INT64_MAX;
	assert_int_equal(follow_open(&o, &f), OK);
	return f;
}

static int step(struct follow *f)
{
	return follow_step(f, clock_now());
}

static uint64_t misses(const struct follow *f)
{
	struct follow_stats s;
	follow_stats(f, &s);
	return s.misses;
}

static void check_all(struct world *w, const struct taken *k)
{
	for (int a = 0; a <= ACCOUNTS; a++) {
		assert_int_equal(k->last[a], sql(w, "SELECT change_no FROM head WHERE account = %d", a));
		assert_int_equal(k->last[a], sql(w, "SELECT change_no FROM position WHERE follower = 'test' AND account = %d", a));
	}
}

static void a_follower_takes_every_change_once(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	for (int i = 0; i < 100; i++) {
		change(w->s, 1 + i * 7 % ACCOUNTS);
		if (i % 3 == 0)
			assert_int_equal(step(f), OK);
	}
	for (int i = 0; i < 200; i++)
		change(w->s, 2);
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	int n = k.n;
	assert_int_equal(step(f), OK);
	assert_int_equal(k.n, n);
	assert_int_equal(misses(f), 0);
	follow_close(&f);
	/* the next start goes on where this one was */
	change(w->s, 3);
	f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	assert_int_equal(k.n, n + 1);
	check_all(w, &k);
	follow_close(&f);
}

static void what_is_refused_comes_again(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	for (int i = 1; i <= ACCOUNTS; i++)
		change(w->s, i);
	k.fail = 3;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(step(f), ERR_UNAVAILABLE);
		later(60 * SECOND_US); /* slots grow old, and are not closed meanwhile */
	}
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	assert_int_equal(misses(f), 0);
	follow_close(&f);
}

/* A database that can be read but not written, for long: what was taken comes again, and takes no more memory each time. */
static void positions_that_cannot_be_stored(void **state)
{
	enum { STEPS = 300 };
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow_stats s;
	struct follow *f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	int64_t last[ACCOUNTS + 1];
	memcpy(last, k.last, sizeof last);
	for (int i = 1; i <= ACCOUNTS; i++)
		change(w->s, i);
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_COMMIT, 1, 0, ERR_FULL, false });
	for (int i = 0; i < STEPS; i++) {
		assert_int_equal(step(f), ERR_FULL);
		memcpy(k.last, last, sizeof last);
	}
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_NONE, 0, 0, OK, false });
	follow_stats(f, &s);
	assert_int_equal(s.failures, STEPS);
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	assert_int_equal(misses(f), 0);
	follow_close(&f);
}

/* The account's last change becomes one that was begun so long ago, and is seen only now. */
static void was_begun(struct world *w, int64_t account, int64_t us)
{
	sql(w, "UPDATE dirty SET slot = slot - %lld WHERE account = %lld", (long long)(us / DIRTY_SLOT_US), (long long)account);
	sql(w, "UPDATE journal SET stamp = stamp - %lld WHERE account = %lld AND change_no = (SELECT MAX(change_no) FROM journal WHERE account = %lld)",
	    (long long)us, (long long)account, (long long)account);
}

static struct follow *settled(struct world *w, struct taken *k)
{
	struct follow *f = open_follower(w, k);
	assert_int_equal(step(f), OK);
	later(600 * SECOND_US);
	sql(w, "DELETE FROM dirty");
	return f;
}

static void commits_become_visible_in_any_order(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = settled(w, &k);
	for (int i = 0; i < 40; i++) {
		int account = 1 + i % ACCOUNTS;
		change(w->s, account);
		was_begun(w, account, i * SECOND_US * 100 / 40); /* others that began later were taken long ago */
		assert_int_equal(step(f), OK);
		if (i % 8 == 7) {
			later(15 * SECOND_US);
			follow_close(&f); /* another node, or start: all slots that are open are read */
			f = open_follower(w, &k);
			assert_int_equal(step(f), OK);
			check_all(w, &k);
		}
	}
	assert_int_equal(misses(f), 0);
	follow_close(&f);
}

static void a_slot_stays_open_for_who_may_still_commit(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = settled(w, &k);
	int64_t began = clock_now();
	k.horizon = began; /* a transaction that is open from now on */
	later(3600 * SECOND_US);
	assert_int_equal(step(f), OK);
	change(w->s, 1);
	was_begun(w, 1, 3590 * SECOND_US);
	follow_close(&f);
	f = open_follower(w, &k);
	k.horizon = began;
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	assert_int_equal(misses(f), 0);
	follow_close(&f);
}

static void a_sweep_finds_and_counts_what_was_missed(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = settled(w, &k);
	assert_int_equal(step(f), OK);
	follow_close(&f);
	f = open_follower(w, &k); /* slots are closed up to two minutes ago */
	assert_int_equal(step(f), OK);
	change(w->s, 4);
	was_begun(w, 4, 590 * SECOND_US);
	assert_int_equal(step(f), OK);
	assert_int_equal(k.last[4] + 1, sql(w, "SELECT change_no FROM head WHERE account = 4"));
	assert_int_equal(misses(f), 0);
	follow_close(&f);
	f = open_follower(w, &k); /* begins with a sweep */
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	assert_int_equal(misses(f), 1);
	follow_close(&f);
}

static void one_follows_at_a_time(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow_stats s;
	struct follow *f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	sql(w, "UPDATE lease SET holder = 99, epoch = epoch + 1 WHERE name = 'test'"); /* another node has taken over */
	change(w->s, 1);
	assert_int_equal(step(f), ERR_CONFLICT);
	follow_stats(f, &s);
	assert_int_equal(k.last[1], sql(w, "SELECT change_no FROM head WHERE account = 1")); /* handed over, */
	assert_int_equal(k.last[1] - 1, sql(w, "SELECT change_no FROM position WHERE follower = 'test' AND account = 1")); /* not kept */
	assert_int_equal(step(f), ERR_CONFLICT);
	follow_stats(f, &s);
	assert_false(s.here);
	follow_close(&f);
	assert_int_equal(sql(w, "SELECT holder FROM lease WHERE name = 'test'"), 99);
}

static void a_job_follows_at_once(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = open_follower(w, &k);
	struct follow_job *j;
	assert_int_equal(follow_job_start(w->s, &f, 1, &j), OK);
	for (int i = 0; i < 20; i++) {
		change(w->s, 1 + i % ACCOUNTS);
		usleep(20000);
	}
	struct follow_stats s;
	int64_t total = sql(w, "SELECT SUM(change_no) FROM head");
	for (int i = 0; i < 500; i++, usleep(10000)) {
		follow_stats(f, &s);
		if ((int64_t)s.rows == total)
			break;
	}
	assert_int_equal(s.rows, total);
	assert_int_equal(s.misses, 0);
	assert_true(s.here);
	follow_job_stop(&j);
	check_all(w, &k);
	follow_close(&f);
}

static void a_forgotten_follower_holds_nothing_up(void **state)
{
	struct world *w = *state;
	struct taken k = { 0 };
	struct follow *f = open_follower(w, &k);
	assert_int_equal(step(f), OK);
	follow_close(&f);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM follower"), 1);
	assert_int_equal(follow_forget(w->s, "test"), OK);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM follower"), 0);
	change(w->s, 1);
	f = open_follower(w, &k); /* and comes back as who it was */
	assert_int_equal(step(f), OK);
	check_all(w, &k);
	follow_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(datagrams_come_as_they_went),
		cmocka_unit_test(no_byte_of_a_datagram_can_be_changed),
		cmocka_unit_test(notices_that_make_no_sense),
		cmocka_unit_test(a_datagram_is_never_too_long),
		cmocka_unit_test(a_datagram_counts_once),
		cmocka_unit_test_setup_teardown(a_poll_finds_what_nobody_told, setup, teardown),
		cmocka_unit_test_setup_teardown(notices_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(changes_of_this_node_are_known, setup, teardown),
		cmocka_unit_test_setup_teardown(many_are_polled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_notice_crosses_the_link, setup, teardown),
		cmocka_unit_test_setup_teardown(strangers_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses_nobody_could_send_to, setup, teardown),
		cmocka_unit_test_setup_teardown(a_follower_takes_every_change_once, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_refused_comes_again, setup, teardown),
		cmocka_unit_test_setup_teardown(positions_that_cannot_be_stored, setup_failing, teardown),
		cmocka_unit_test_setup_teardown(commits_become_visible_in_any_order, setup, teardown),
		cmocka_unit_test_setup_teardown(a_slot_stays_open_for_who_may_still_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sweep_finds_and_counts_what_was_missed, setup, teardown),
		cmocka_unit_test_setup_teardown(one_follows_at_a_time, setup, teardown),
		cmocka_unit_test_setup_teardown(a_job_follows_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_forgotten_follower_holds_nothing_up, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
