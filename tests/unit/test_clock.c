/* The clock goes wrong: it is set back, forward, and right again, with restarts in between. Stamps never decrease, the log
   stays sound, times can still be named, and purge does not believe a jump. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "account.h"
#include "clock.h"
#include "fail.h"
#include "instant.h"
#include "message.h"
#include "scratch.h"
#include "stand.h"
#include "stores.h"
#include "verify.h"

#define DAY_US (86400 * SECOND_US)

static const struct actor tester = { "tester", 7, "test" };
static int64_t wrong_by; /* us */

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return __real_clock_now() + wrong_by;
}

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	struct identity *identity;
	struct purge *purge;
	int64_t account, last;
	int messages;
};

static void open_world(struct world *w)
{
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
	purge_stand(w->store, w->s, 0, &w->identity, &w->purge);
}

static void close_world(struct world *w)
{
	purge_close(&w->purge);
	identity_close(&w->identity);
	stores_close(&w->store, &w->s);
}

static int note_account(void *ctx, const struct account_info *i)
{
	*(int64_t *)ctx = i->id;
	return 1;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct span name = SPAN("anna@example.org");
	wrong_by = 0;
	scratch_make("clock", w->dir);
	open_world(w);
	assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	assert_int_equal(account_list(w->s, note_account, &w->account), OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	wrong_by = 0;
	close_world(w);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static int read_last(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_MAX_STAMP, "");
	if (e)
		return e;
	*(int64_t *)arg = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static void say(void *ctx, const char *line)
{
	print_message("%s\n", line);
}

static void is_sound(struct world *w)
{
	struct verify_report report;
	assert_int_equal(verify_run(w->s, &(struct verify_request){ .say = say }, &report), OK);
	assert_int_equal(report.troubles, 0);
}

/* One more message; its stamp is later than every one before. */
static void put(struct world *w)
{
	struct incoming *in;
	struct append_result r;
	char text[100];
	int64_t before = w->last;
	snprintf(text, sizeof text, "Subject: %d\r\n\r\nbody\r\n", ++w->messages);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_of(text)), OK);
	assert_int_equal(incoming_finish(in), OK);
	assert_int_equal(append(w->s, w->account, SPAN("INBOX"),
	                        &(struct append_message){ in, 0, SPAN(""), 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
	assert_int_equal(meta_read(w->store->meta, read_last, &w->last), OK);
	assert_true(w->last > before);
}

/* What has just been stamped can be named by its time, whatever the clock says. */
static void can_be_named(struct world *w)
{
	struct instant at;
	char when[40];
	instant_write(w->last, when);
	assert_int_equal(instant_resolve(w->s, w->account, span_of(when), &at), OK);
	assert_int_equal(at.stamp, w->last);
	int64_t newest = at.change;
	snprintf(when, sizeof when, "@%lld", (long long)newest);
	assert_int_equal(instant_resolve(w->s, w->account, span_of(when), &at), OK);
	assert_int_equal(at.change, newest);
}

/* Where nodes share a database, one whose clock is not the database's refuses changes: none of them gets such a stamp (presence.h). */
static void skip_if_refused(void)
{
	if (!test_meta_shared())
		return;
	print_message("PERDURA_TEST_META names a database that nodes share: with a wrong clock they refuse changes: skipped\n");
	skip();
}

static void jumps(void **state)
{
	skip_if_refused();
	static const int64_t by[] = { 0, -3600, -86400 * 400, 5, 0, 86400 * 3650, -10, 86400, 0 };
	struct world *w = *state;
	for (size_t i = 0; i < COUNT(by); i++) {
		wrong_by = by[i] * SECOND_US;
		put(w);
		put(w);
		can_be_named(w);
		close_world(w);
		open_world(w);
		put(w);
		can_be_named(w);
		is_sound(w);
	}
	assert_true(w->last > __real_clock_now() + 3600 * DAY_US); /* it never came back */
}

/* A snapshot taken while the clock is behind shows all that was there. */
static void snapshots(void **state)
{
	skip_if_refused();
	struct world *w = *state;
	struct snapshot sn;
	struct instant at, now;
	put(w);
	wrong_by = -30 * DAY_US;
	put(w);
	assert_int_equal(snapshot_create(w->s, SPAN("behind"), 0, &tester, &sn), OK);
	assert_int_equal(instant_resolve(w->s, w->account, SPAN("behind"), &at), OK);
	put(w);
	assert_int_equal(instant_resolve(w->s, w->account, SPAN("@3"), &now), OK);
	assert_true(at.change >= 3 && sn.stamp < w->last);
	is_sound(w);
}

static int purge(struct world *w)
{
	struct purge_report report = { 0 };
	return purge_run(w->purge, &(struct purge_request){ 0 }, &report);
}

static void purge_refuses(void **state)
{
	struct world *w = *state;
	put(w);
	assert_int_equal(purge(w), OK);
	for (int i = 0; i < 2; i++) { /* before and after a restart */
		for (int days = -1000; days <= 4000; days += 1000) {
			wrong_by = days * DAY_US;
			int r = purge(w);
			assert_int_equal(r, days ? ERR_DENIED : OK);
			if (days)
				assert_non_null(strstr(fail_detail(), "clock"));
		}
		wrong_by = 0;
		assert_int_equal(purge(w), OK);
		close_world(w);
		open_world(w);
	}
	/* The log is ahead of a clock that was set right again: purge waits for it. */
	wrong_by = 100 * DAY_US;
	put(w);
	wrong_by = 0;
	assert_int_equal(purge(w), ERR_DENIED);
	wrong_by = 100 * DAY_US;
	assert_int_equal(purge(w), ERR_DENIED);
	is_sound(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(jumps, setup, teardown),
		cmocka_unit_test_setup_teardown(snapshots, setup, teardown),
		cmocka_unit_test_setup_teardown(purge_refuses, setup, teardown),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
