/* Purge: what holds what, and what it does beside deliveries, restores and sessions. The clock is the test's. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"
#include "acl.h"
#include "clock.h"
#include "directory.h"
#include "directory_write.h"
#include "fail.h"
#include "flags.h"
#include "instant.h"
#include "message.h"
#include "metadata.h"
#include "past.h"
#include "restore.h"
#include "scratch.h"
#include "stand.h"
#include "stores.h"
#include "verify.h"
#include "uidmap_saved.h"
#include "view.h"

static const struct actor tester = { "tester", 7, "test" };

enum { ANNA = 1, BERT = 2 };
#define HOUR_US (3600 * SECOND_US)
#define DAY_US (24 * HOUR_US)

/* --- The clock --- */

static atomic_int_fast64_t ahead; /* us */
static _Thread_local int64_t waited; /* us that purge believes to have passed since sessions were opened */

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return __real_clock_now() + atomic_load(&ahead);
}

int64_t __real_clock_mono(void);
int64_t __wrap_clock_mono(void);
int64_t __wrap_clock_mono(void)
{
	return __real_clock_mono() + waited;
}

static void later(int64_t us)
{
	atomic_fetch_add(&ahead, us);
}

/* --- The world --- */

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	struct identity *identity;
	struct purge *purge;
};

static void open_world(struct world *w, int64_t grace)
{
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
	purge_stand(w->store, w->s, grace, &w->identity, &w->purge);
}

static void close_world(struct world *w)
{
	purge_close(&w->purge);
	identity_close(&w->identity);
	stores_close(&w->store, &w->s);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct span names[] = { SPAN("anna@example.org"), SPAN("bert@example.org") };
	atomic_store(&ahead, 0);
	scratch_make("purge", w->dir);
	open_world(w, 0);
	assert_int_equal(account_add(w->s, names, 2, SPAN("none"), &tester), OK);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	close_world(w);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static int64_t sql(struct world *w, const char *text)
{
	return test_meta_sql(w->dir, text);
}

static void say_trouble(void *ctx, const char *line)
{
	print_message("verify: %s\n", line);
}

static void assert_sound(struct world *w)
{
	struct verify_request q = { .say = say_trouble };
	struct verify_report r;
	assert_int_equal(verify_run(w->s, &q, &r), OK);
	assert_int_equal(r.troubles, 0);
}

static struct purge_counts purge(struct world *w)
{
	struct purge_request q = { .clock_is_right = true };
	struct purge_report r;
	int e = purge_run(w->purge, &q, &r);
	if (e)
		print_message("purge: %s\n", fail_detail());
	assert_int_equal(e, OK);
	return r.counts;
}

/* --- Mail --- */

static struct incoming *message(struct world *w, const char *subject)
{
	struct incoming *in;
	char text[300];
	snprintf(text, sizeof text, "From: a@example.org\r\nSubject: %s\r\n\r\nbody of %s\r\n", subject, subject);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_of(text)), OK);
	assert_int_equal(incoming_finish(in), OK);
	return in;
}

static void put(struct world *w, const char *folder, const char *subject)
{
	struct append_result r;
	struct incoming *in = message(w, subject);
	assert_int_equal(append(w->s, ANNA, span_of(folder),
	                        &(struct append_message){ in, 0, (struct span){ 0 }, 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
}

/* Was it a repeat? */
static bool deliver_one(struct world *w, const char *subject)
{
	struct recipient r = { .account = ANNA, .address = SPAN("anna@example.org") };
	struct incoming *in = message(w, subject);
	assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), &r, 1, &tester), OK);
	assert_int_equal(r.result, OK);
	incoming_free(&in);
	return r.duplicate;
}

static struct view *look(struct world *w, const char *path)
{
	struct view *v = NULL;
	int e = view_open(w->s, ANNA, span_of(path), 0, &v);
	if (e)
		print_message("%s: %s\n", path, fail_detail());
	assert_int_equal(e, OK);
	return v;
}

/* All messages of the view end. ERR_NOT_FOUND: purge was told that the session has lagged behind for a month. */
static int expunge_by(struct view *v)
{
	struct imap_range all = { 1, UINT32_MAX };
	struct imap_set set = { &all, 1 };
	struct store_request q = { .uids = &set, .op = STORE_ADD, .flags = FLAG_DELETED };
	struct store_result r = { 0 };
	int e = view_store(v, &q, &tester, &r);
	free(r.modified);
	return e ? e : view_expunge(v, NULL, &tester);
}

static void expunge(struct world *w, const char *folder)
{
	int e;
	do {
		struct view *v = look(w, folder);
		e = expunge_by(v);
		view_close(&v);
	} while (e == ERR_NOT_FOUND);
	assert_int_equal(e, OK);
}

static size_t count(struct world *w, const char *path)
{
	struct view *v = look(w, path);
	struct arena a = { 0 };
	struct entry *e;
	size_t n = 0;
	assert_int_equal(view_read(v, 1, UINT32_MAX, 1000000, true, &a, &e, &n), OK);
	assert_int_equal(n, view_count(v));
	for (size_t i = 0; i < n; i++) {
		struct message *m;
		struct span s;
		assert_int_equal(message_open(w->s, e[i].email, &m), OK);
		assert_int_equal(message_at(m, 0, &s), OK);
		message_close(&m);
	}
	arena_free(&a);
	view_close(&v);
	return n;
}

static int64_t head(struct world *w)
{
	struct account_info i;
	assert_int_equal(account_show(w->s, ANNA, &i), OK);
	return i.change;
}

static int64_t floor_of(struct world *w)
{
	struct past_floor f;
	assert_int_equal(past_floor(w->s, ANNA, &f), OK);
	return f.change;
}

static void take_snapshot(struct world *w, const char *name, int64_t expires)
{
	struct snapshot sn;
	assert_int_equal(snapshot_create(w->s, span_of(name), expires, &tester, &sn), OK);
}

static int resolve(struct world *w, const char *when)
{
	struct instant at;
	return instant_resolve(w->s, ANNA, span_of(when), &at);
}

static bool says(const char *part)
{
	return strstr(fail_detail(), part);
}

/* --- What holds what --- */

struct hold {
	const char *name;
	void (*take)(struct world *w, int64_t at);  /* at: the change that something stands on */
	void (*leave)(struct world *w);
	bool floor;     /* keeps the floor there; else only that state stays to be seen */
	const char *says; /* in a dry run */
};

static struct view *session;

static void hold_follower(struct world *w, int64_t at)
{
	char text[200];
	sql(w, "INSERT INTO follower VALUES ('vault', 1, 0), ('index', 0, 0)");
	snprintf(text, sizeof text, "INSERT INTO position VALUES ('vault', 0, 100000), ('vault', 2, 1000), ('vault', %d, %lld)", ANNA,
	         (long long)at);
	sql(w, text);
	sql(w, "UPDATE position SET change_no = (SELECT h.change_no FROM head h WHERE h.account = position.account)"
	       " WHERE account <> 1");
}

static void leave_follower(struct world *w)
{
	sql(w, "UPDATE position SET change_no = (SELECT h.change_no FROM head h WHERE h.account = position.account)");
}

static void hold_snapshot(struct world *w, int64_t at)
{
	take_snapshot(w, "monday", 0);
}

static void leave_snapshot(struct world *w)
{
	assert_int_equal(snapshot_remove(w->s, SPAN("monday"), &tester), OK);
}

static void hold_session(struct world *w, int64_t at)
{
	char path[64];
	snprintf(path, sizeof path, "#at/@%lld/INBOX", (long long)at);
	session = look(w, path);
}

static void leave_session(struct world *w)
{
	view_close(&session);
}

static void hold_nothing(struct world *w, int64_t at)
{
}

static void leave_nothing(struct world *w)
{
}

static const struct hold holds[] = {
	{ "nothing", hold_nothing, leave_nothing, false, NULL },
	{ "a follower", hold_follower, leave_follower, true, "follower vault" },
	{ "a snapshot", hold_snapshot, leave_snapshot, false, "snapshot monday" },
	{ "a session in the past", hold_session, leave_session, false, "a session" },
};

static void find_hold(void *ctx, const struct purge_account *a)
{
	const char **wanted = ctx;
	for (size_t i = 0; i < a->n_holds; i++)
		if (*wanted && a->account == ANNA && strcmp(a->holds[i].what, *wanted) == 0 && a->holds[i].versions)
			*wanted = NULL;
}

/* Ten messages come, five of them go: before, at and after an instant that something holds. */
static void each_hold(void **state)
{
	for (size_t i = 0; i < COUNT(holds); i++) {
		const struct hold *h = &holds[i];
		struct world *w;
		char at[32], before[32], path[64];
		set_up((void **)&w);
		for (int k = 0; k < 5; k++)
			put(w, "INBOX", "early");
		later(DAY_US);
		expunge(w, "INBOX");
		put(w, "INBOX", "one");
		put(w, "INBOX", "two");
		int64_t change = head(w);
		snprintf(at, sizeof at, "@%lld", (long long)change);
		snprintf(before, sizeof before, "@%lld", (long long)change - 1);
		snprintf(path, sizeof path, "#at/%s/INBOX", h->take == hold_snapshot ? "monday" : at);
		if (h->take != hold_session) /* that one is young when purge comes */
			h->take(w, change);
		later(DAY_US);
		expunge(w, "INBOX");
		put(w, "INBOX", "now");
		later(40 * DAY_US);
		if (h->take == hold_session)
			h->take(w, change);
		struct purge_report r;
		const char *wanted = h->says;
		struct purge_request q = { .dry_run = true, .clock_is_right = true, .say = find_hold, .ctx = &wanted };
		assert_int_equal(purge_run(w->purge, &q, &r), OK);
		if (wanted)
			print_message("%s: not told\n", h->name);
		assert_null(wanted);
		assert_int_equal(floor_of(w), 0);
		purge(w);
		assert_sound(w);
		assert_int_equal(floor_of(w), h->floor ? change : head(w));
		assert_int_equal(resolve(w, before), ERR_INVALID);
		assert_true(says("is purged"));
		if (h->take == hold_session) /* only who is in may stay in */
			assert_int_equal(view_count(session), 2);
		else if (h->take != hold_nothing)
			assert_int_equal(count(w, path), 2);
		assert_int_equal(count(w, "INBOX"), 1);
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), h->take == hold_nothing ? 1 : 3);
		h->leave(w);
		purge(w);
		assert_sound(w);
		assert_int_equal(resolve(w, at), ERR_INVALID);
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 1);
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM past WHERE account = 1"), 0);
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), 1);
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM journal WHERE account = 1"), 2); /* the first, and the floor's */
		assert_int_equal(purge(w).versions, 0);
		tear_down((void **)&w);
	}
}

/* An operation of several transactions that is not finished keeps all of its account. */
static void unfinished_operation(void **state)
{
	struct world *w = *state;
	struct purge_report r;
	struct purge_request q = { .clock_is_right = true };
	put(w, "INBOX", "x");
	expunge(w, "INBOX");
	later(40 * DAY_US);
	sql(w, "INSERT INTO changeset VALUES (1, 5, 15, 1, 1, 0, x'', x'')");
	assert_int_equal(purge_run(w->purge, &q, &r), OK);
	assert_int_equal(r.busy, 1);
	assert_int_equal(floor_of(w), 0);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 1);
	sql(w, "UPDATE changeset SET account = 0"); /* of the whole server */
	assert_int_equal(purge(w).emails, 0);
	sql(w, "DELETE FROM changeset");
	assert_int_equal(purge(w).emails, 1);
}

/* Each account by its own window. */
static void windows(void **state)
{
	struct world *w = *state;
	struct setting_value all = { SPAN("retention.window"), SPAN("1d") }, own = { SPAN("retention.window"), SPAN("365d") };
	assert_int_equal(settings_set(w->s, &all, 1, &tester), OK);
	assert_int_equal(account_set(w->s, ANNA, &own, 1, &tester), OK);
	directory_changed(w->identity);
	struct recipient both[] = { { .account = ANNA, .address = SPAN("anna@example.org") },
		                    { .account = BERT, .address = SPAN("bert@example.org") } };
	struct incoming *in = message(w, "to both");
	assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), both, 2, &tester), OK);
	incoming_free(&in);
	later(40 * DAY_US);
	purge(w);
	assert_int_equal(floor_of(w), 0);
	assert_int_equal(sql(w, "SELECT floor > 0 FROM head WHERE account = 2"), 1);
	later(366 * DAY_US);
	purge(w);
	assert_int_equal(floor_of(w), head(w));
}

/* --- Sessions --- */

static void at_sessions(void **state)
{
	struct world *w = *state;
	struct arena a = { 0 };
	struct entry *e;
	struct view_delta d;
	size_t n;
	for (int i = 0; i < 5; i++)
		put(w, "INBOX", "then");
	take_snapshot(w, "monday", 0);
	expunge(w, "INBOX");
	later(40 * DAY_US);
	purge(w);
	struct view *v = look(w, "#at/monday/INBOX");
	assert_int_equal(snapshot_remove(w->s, SPAN("monday"), &tester), OK);
	purge(w);
	if (!test_meta_shared()) { /* another node could not know of the session: there it ends with the snapshot */
		assert_int_equal(view_read(v, 1, UINT32_MAX, 100, true, &a, &e, &n), OK); /* it was let in */
		assert_int_equal(n, 5);
		assert_int_equal(view_sync(v, true, &d), OK);
	}
	waited = 2 * HOUR_US;
	purge(w);
	waited = 0;
	assert_int_equal(view_read(v, 1, UINT32_MAX, 100, true, &a, &e, &n), ERR_NOT_FOUND);
	assert_int_equal(view_sync(v, true, &d), ERR_NOT_FOUND);
	view_close(&v);
	arena_free(&a);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 0);
	assert_sound(w);
}

/* One that lags behind by less than an hour keeps what it was not told the end of; after that it ends. One in a mailbox
   where nothing happened goes on for ever. */
static void lagging_sessions(void **state)
{
	struct world *w = *state;
	struct view_delta d;
	struct arena a = { 0 };
	struct entry *e;
	size_t n;
	struct setting_value window = { SPAN("retention.window"), SPAN("1s") };
	assert_int_equal(settings_set(w->s, &window, 1, &tester), OK);
	directory_changed(w->identity);
	put(w, "INBOX", "one");
	put(w, "Sent", "two");
	struct view *lags = look(w, "INBOX"), *quiet = look(w, "Sent");
	later(31 * DAY_US);
	expunge(w, "INBOX");
	later(HOUR_US / 2);
	purge(w);
	assert_int_equal(view_read(lags, 1, UINT32_MAX, 100, true, &a, &e, &n), OK);
	assert_int_equal(n, 1);
	later(HOUR_US);
	purge(w);
	assert_int_equal(view_sync(lags, true, &d), ERR_NOT_FOUND);
	put(w, "Sent", "three");
	assert_int_equal(view_sync(quiet, true, &d), OK);
	assert_true(d.exists);
	view_delta_free(&d);
	assert_int_equal(view_count(quiet), 2);
	view_close(&lags);
	view_close(&quiet);
	arena_free(&a);
	assert_sound(w);
}

/* What is remembered of a mailbox may be older than its past. */
static void remembered_mailbox(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 5; i++)
		put(w, "INBOX", "x");
	struct view *v = look(w, "INBOX"); /* its UIDs are remembered now */
	assert_int_equal(expunge_by(v), OK);
	view_close(&v);
	put(w, "INBOX", "new");
	later(40 * DAY_US);
	put(w, "Sent", "moves the head on");
	later(40 * DAY_US);
	purge(w);
	assert_int_equal(count(w, "INBOX"), 1);
}

/* What is saved of a folder's UIDs goes with the folder; the others' stays, though definitions of theirs go. */
static void saved_uids(void **state)
{
	struct world *w = *state;
	struct uidmap *m = uidmap_new(0);
	assert_int_equal(folder_create(w->s, ANNA, SPAN("x"), &tester), OK);
	uidmap_saved_write(w->s, ANNA, sql(w, "SELECT MAX(id) FROM collection WHERE account = 1"), m);
	assert_int_equal(folder_create(w->s, ANNA, SPAN("y"), &tester), OK);
	uidmap_saved_write(w->s, ANNA, sql(w, "SELECT MAX(id) FROM collection WHERE account = 1"), m);
	later(HOUR_US);
	assert_int_equal(folder_rename(w->s, ANNA, SPAN("y"), SPAN("z"), &tester), OK);
	assert_int_equal(folder_delete(w->s, ANNA, SPAN("x"), &tester), OK);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM uid_map"), 2);
	later(40 * DAY_US);
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM collection_past WHERE account = 1"), 0);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM uid_map"), 1);
	uidmap_unref(&m);
}

/* --- Snapshots whose time is over, times in between --- */

static void expired_snapshot(void **state)
{
	struct world *w = *state;
	char between[40];
	put(w, "INBOX", "x");
	take_snapshot(w, "short", clock_now() + 50 * DAY_US);
	later(HOUR_US);
	put(w, "INBOX", "y");
	instant_write(clock_now(), between);
	later(HOUR_US);
	expunge(w, "INBOX");
	later(40 * DAY_US);
	purge(w);
	assert_int_equal(count(w, "#at/short/INBOX"), 1);
	assert_int_equal(resolve(w, between), ERR_INVALID);
	assert_true(says("but for the snapshot short"));
	later(20 * DAY_US);
	assert_int_equal(resolve(w, "@7"), ERR_INVALID);
	purge(w);
	assert_int_equal(resolve(w, "short"), ERR_INVALID);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 0);
	assert_sound(w);
}

/* An exact restore to a snapshot from before the window: what came by delivery before the window stays, though the journal
   does not say so any more; what was appended within it goes. */
static void exact_restore(void **state)
{
	struct world *w = *state;
	struct restore_report r;
	struct restore_request q = { .account = ANNA, .actor = &tester, .exact = true };
	put(w, "INBOX", "then");
	put(w, "Sent", "elsewhere then");
	take_snapshot(w, "monday", 0);
	deliver_one(w, "delivered since");
	struct view *v = look(w, "Sent");
	struct imap_range all = { 1, UINT32_MAX };
	struct imap_set set = { &all, 1 };
	struct copy_result c;
	assert_int_equal(view_copy(v, &set, SPAN("Work/moved"), true, &tester, &c), ERR_NOT_FOUND);
	assert_int_equal(folder_create(w->s, ANNA, SPAN("Work"), &tester), OK);
	assert_int_equal(view_copy(v, &set, SPAN("INBOX"), true, &tester, &c), OK);
	free(c.from);
	free(c.to);
	view_close(&v);
	later(40 * DAY_US);
	put(w, "INBOX", "appended since");
	later(DAY_US);
	purge(w);
	assert_int_equal(count(w, "INBOX"), 4);
	q.folder = SPAN("INBOX");
	assert_int_equal(instant_resolve(w->s, ANNA, SPAN("monday"), &q.at), OK);
	assert_int_equal(restore_run(w->s, &q, &r), OK);
	assert_int_equal(count(w, "INBOX"), 3); /* what was moved in from elsewhere stays too */
	q.folder = (struct span){ 0 };
	assert_int_equal(restore_run(w->s, &q, &r), OK);
	assert_int_equal(count(w, "INBOX"), 2);
	assert_int_equal(count(w, "Sent"), 1);
	q.with_deliveries = true;
	assert_int_equal(restore_run(w->s, &q, &r), OK);
	assert_int_equal(count(w, "INBOX"), 1);
	assert_sound(w);
}

/* --- The clock --- */

static void jumping_clock(void **state)
{
	struct world *w = *state;
	struct purge_request q = { 0 }, sure = { .clock_is_right = true };
	struct purge_report r;
	struct purge_stats stats;
	put(w, "INBOX", "x");
	expunge(w, "INBOX");
	assert_int_equal(purge_run(w->purge, &q, &r), OK);
	later(365 * DAY_US);
	assert_int_equal(purge_run(w->purge, &q, &r), ERR_DENIED);
	assert_true(says("jumped forward") && says("--clock-is-right"));
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 1);
	later(-366 * DAY_US);
	assert_int_equal(purge_run(w->purge, &q, &r), ERR_DENIED);
	assert_true(says("is behind the last change"));
	later(DAY_US);
	assert_int_equal(purge_run(w->purge, &q, &r), OK);
	sql(w, "UPDATE facts SET value = '1 1 other-boot' WHERE name = 'purge.clock'");
	assert_int_equal(purge_run(w->purge, &q, &r), ERR_DENIED);
	assert_int_equal(purge_run(w->purge, &sure, &r), OK);
	assert_int_equal(purge_run(w->purge, &q, &r), OK);
	later(40 * DAY_US);
	assert_int_equal(purge_run(w->purge, &sure, &r), OK);
	assert_int_equal(r.counts.emails, 1);
	purge_stats(w->purge, &stats);
	assert_int_equal(stats.refused, 3);
	assert_int_equal(stats.counts.emails, 1);
}

/* --- Bodies --- */

static void grace(void **state)
{
	struct world *w = *state;
	close_world(w);
	open_world(w, DAY_US);
	assert_false(deliver_one(w, "same"));
	expunge(w, "INBOX");
	later(31 * DAY_US);
	assert_int_equal(purge(w).condemned, 1);
	assert_int_equal(sql(w, "SELECT state FROM body"), 1);
	/* a copy of the data may have the row of a body that has no bytes any more */
	sql(w, "UPDATE body SET pack = pack + 1 WHERE pack > 0");
	assert_sound(w);
	sql(w, "UPDATE body SET pack = pack - 1 WHERE pack > 0");
	assert_false(deliver_one(w, "same")); /* the same bytes: not linked to what is to go */
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body WHERE state = 0"), 1);
	assert_int_equal(purge(w).bodies, 0);
	assert_sound(w);
	later(2 * DAY_US);
	assert_int_equal(purge(w).bodies, 1);
	assert_int_equal(count(w, "INBOX"), 1);
	assert_sound(w);
}

/* A delivery that may come again keeps its body's row, by which it is found. */
static void remembered_delivery(void **state)
{
	struct world *w = *state;
	put(w, "Sent", "x"); /* keeps the system's settings row company */
	assert_false(deliver_one(w, "again"));
	later(28 * DAY_US);
	sql(w, "UPDATE delivery SET stamp = stamp + 28 * 86400000000"); /* the same bytes came again later, and nothing was stored */
	expunge(w, "INBOX");
	later(5 * DAY_US);
	sql(w, "UPDATE journal SET stamp = stamp - 28 * 86400000000 WHERE account = 1");
	sql(w, "UPDATE head SET stamp = stamp - 28 * 86400000000 WHERE account = 1");
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 1);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), 2);
	assert_true(deliver_one(w, "again"));
	later(5 * DAY_US);
	assert_int_equal(purge(w).bodies, 1);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM delivery"), 0);
	assert_false(deliver_one(w, "again"));
}

/* --- Accounts --- */

static void removed_account(void **state)
{
	static const char *const tables[] = { "head", "live", "past", "collection", "collection_past", "journal", "names", "email",
		                              "changeset", "position", "purged" };
	struct world *w = *state;
	struct span anna = SPAN("anna@example.org");
	int64_t id;
	char text[100];
	for (int i = 0; i < 300; i++)
		put(w, "INBOX", "mine");
	expunge(w, "INBOX");
	for (int i = 0; i < 250; i++)
		put(w, "Sent", "mine");
	take_snapshot(w, "before", 0);
	assert_int_equal(account_remove(w->s, ANNA, &tester), OK);
	later(29 * DAY_US);
	purge(w);
	assert_int_equal(restore_account(w->s, anna, &tester, &id), OK);
	assert_int_equal(id, ANNA);
	assert_int_equal(account_remove(w->s, ANNA, &tester), OK);
	later(40 * DAY_US);
	assert_int_equal(purge(w).accounts, 0); /* the snapshot shows it */
	assert_int_equal(snapshot_remove(w->s, SPAN("before"), &tester), OK);
	later(HOUR_US);
	assert_int_equal(purge(w).accounts, 1);
	for (size_t i = 0; i < COUNT(tables); i++) {
		snprintf(text, sizeof text, "SELECT COUNT(*) FROM %s WHERE account = 1", tables[i]);
		assert_int_equal(sql(w, text), 0);
	}
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), 0);
	assert_sound(w);
	assert_int_equal(restore_account(w->s, anna, &tester, &id), ERR_NOT_FOUND);
	assert_int_equal(account_add(w->s, &anna, 1, SPAN("none"), &tester), OK);
	assert_int_equal(sql(w, "SELECT uid FROM names WHERE name = 'anna@example.org'"), 3); /* never the same id */
	later(40 * DAY_US);
	purge(w);
	assert_sound(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM live WHERE account = 0 AND collection = 2 AND uid = 1"), 0);
}

/* --- What hangs on folders --- */

static void annotate(struct world *w, int64_t viewer, int64_t folder)
{
	const struct metadata_place p = { ANNA, viewer, folder };
	struct imap_metadata_value shared_and_private[] = { { SPAN("/private/comment"), SPAN("x") }, { SPAN("/shared/comment"), SPAN("y") } };
	assert_int_equal(metadata_change(w->s, &p, shared_and_private, viewer == ANNA && folder ? 2 : 1, NULL, &tester), OK);
}

/* Rights to a folder and its annotations, also those that somebody else has of it, end once nobody can bring it back. */
static void folders_gone(void **state)
{
	struct world *w = *state;
	const struct acl_entry bert = { .who = BERT, .rights = RIGHT_LOOKUP | RIGHT_READ };
	static const char *const paths[] = { "kept", "gone" };
	int64_t folder, attributes;
	for (size_t i = 0; i < COUNT(paths); i++) {
		assert_int_equal(folder_create(w->s, ANNA, span_of(paths[i]), &tester), OK);
		assert_int_equal(acl_change(w->s, ANNA, span_of(paths[i]), RIGHTS_SET, bert, &tester), OK);
		assert_int_equal(metadata_folder(w->s, ANNA, span_of(paths[i]), &folder, &attributes), OK);
		annotate(w, ANNA, folder);
		annotate(w, BERT, folder);
	}
	annotate(w, ANNA, 0);
	const char *items = "SELECT COUNT(*) FROM collection c JOIN names n ON n.account = c.account AND n.collection = c.id WHERE c.kind IN (4, 5)";
	assert_int_equal(folder_delete(w->s, ANNA, SPAN("gone"), &tester), OK);
	later(20 * DAY_US);
	purge(w);
	assert_int_equal(sql(w, items), 9);
	later(20 * DAY_US);
	put(w, "INBOX", "moves the floor");
	assert_int_equal(folder_subscribe(w->s, BERT, SPAN("x"), true, &tester), OK);
	purge(w);
	assert_int_equal(sql(w, items), 5);
	assert_sound(w);
	struct acl_found found;
	assert_int_equal(acl_find(w->s, ANNA, SPAN("kept"), BERT, &found), OK);
	assert_int_equal(found.rights, RIGHT_LOOKUP | RIGHT_READ);
	later(40 * DAY_US);
	put(w, "INBOX", "moves it again");
	purge(w); /* and with their past */
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM past WHERE kind IN (4, 5)"), 0);
	assert_sound(w);
}

/* --- Slots of followers --- */

static void slots(void **state)
{
	struct world *w = *state;
	put(w, "INBOX", "x");
	later(DAY_US);
	put(w, "INBOX", "y");
	int64_t before = sql(w, "SELECT COUNT(*) FROM dirty");
	sql(w, "INSERT INTO follower VALUES ('index', 0, 0)");
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM dirty"), before); /* it has read none */
	sql(w, "UPDATE follower SET slot = 1000000000000");
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM dirty"), 1);
}

/* --- Commit ids --- */

static void commit_ids(void **state)
{
	static const char add[] = "INSERT INTO commit_id WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 2499)"
		" SELECT %lld + i, 0, %lld + i FROM n";
	struct world *w = *state;
	char text[300];
	int64_t now = clock_now();
	if (test_meta_shared())
		skip(); /* every transaction adds one there */
	snprintf(text, sizeof text, add, (long long)meta_commit_id(1, now), (long long)now);
	sql(w, text);
	snprintf(text, sizeof text, "INSERT INTO commit_id VALUES (77, 1, %lld), (5000000, 0, %lld)", (long long)now,
		(long long)(now + 2 * DAY_US));
	sql(w, text);
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM commit_id"), 2502);
	later(DAY_US + 1200);
	purge(w);
	assert_in_range(sql(w, "SELECT COUNT(*) FROM commit_id"), 1, 1302); /* the clock has gone on since */
	later(HOUR_US);
	purge(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM commit_id"), 1);
}

/* --- Beside others --- */

struct beside {
	struct world *w;
	atomic_bool stop;
	atomic_long rounds;
	int result;
};

static void *purge_on(void *ctx)
{
	struct beside *b = ctx;
	struct purge_request q = { .clock_is_right = true };
	struct purge_report r;
	while (!atomic_load(&b->stop) && !b->result) {
		later(31 * DAY_US);
		b->result = purge_run(b->w->purge, &q, &r);
		atomic_fetch_add(&b->rounds, 1);
	}
	return NULL;
}

/* The same bytes come and go all the time; whatever is there can be read. */
static void beside_deliveries(void **state)
{
	struct world *w = *state;
	struct beside b = { .w = w };
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, purge_on, &b), 0);
	for (int i = 0; i < 60 || atomic_load(&b.rounds) <= 3; i++) {
		char subject[16];
		snprintf(subject, sizeof subject, "same %d", i % 3);
		deliver_one(w, subject);
		put(w, "INBOX", subject);
		assert_true(count(w, "INBOX") >= 1);
		if (i % 4 == 3)
			expunge(w, "INBOX");
	}
	atomic_store(&b.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(b.result, OK);
	assert_sound(w);
}

/* A folder is lost and restored from a snapshot while the past it comes from is purged. */
static void beside_restores(void **state)
{
	struct world *w = *state;
	struct beside b = { .w = w };
	pthread_t thread;
	for (int i = 0; i < 700; i++)
		put(w, "INBOX", "kept");
	take_snapshot(w, "monday", 0);
	assert_int_equal(pthread_create(&thread, NULL, purge_on, &b), 0);
	for (int i = 0; i < 6; i++) {
		struct restore_report r;
		struct restore_request q = { .account = ANNA, .folder = SPAN("INBOX"), .actor = &tester };
		expunge(w, "INBOX");
		assert_int_equal(instant_resolve(w->s, ANNA, SPAN("monday"), &q.at), OK);
		assert_int_equal(restore_run(w->s, &q, &r), OK);
		assert_int_equal(r.messages, 700);
		assert_int_equal(count(w, "INBOX"), 700);
		assert_int_equal(count(w, "#at/monday/INBOX"), 700);
	}
	atomic_store(&b.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(b.result, OK);
	assert_sound(w);
}

/* check runs beside it without a false word. */
static void beside_check(void **state)
{
	struct world *w = *state;
	struct beside b = { .w = w };
	pthread_t thread;
	char folder[16];
	for (int i = 0; i < 20; i++) {
		snprintf(folder, sizeof folder, "f%d", i);
		assert_int_equal(folder_create(w->s, ANNA, span_of(folder), &tester), OK);
		for (int k = 0; k < 30; k++)
			put(w, folder, "x");
		if (i % 2)
			expunge(w, folder);
	}
	assert_int_equal(pthread_create(&thread, NULL, purge_on, &b), 0);
	for (int i = 0; i < 20; i++) {
		snprintf(folder, sizeof folder, "f%d", i);
		assert_int_equal(folder_delete(w->s, ANNA, span_of(folder), &tester), OK);
		if (i == 10)
			assert_int_equal(account_remove(w->s, BERT, &tester), OK);
		assert_sound(w);
	}
	atomic_store(&b.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(b.result, OK);
	later(31 * DAY_US); /* the thread's last round may have come before the last folder went */
	purge(w);
	assert_sound(w);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 0);
}

/* What a transaction that is being cut short by a crash leaves is in test_crash; a run that is told to stop goes on later. */
static int stop_at_once(void *ctx)
{
	return ++*(int *)ctx > 8;
}

static void broken_off(void **state)
{
	struct world *w = *state;
	struct purge_report r;
	int calls = 0;
	struct purge_request q = { .clock_is_right = true, .cancelled = stop_at_once, .ctx = &calls };
	for (int i = 0; i < 300; i++)
		put(w, "INBOX", "x");
	expunge(w, "INBOX");
	later(40 * DAY_US);
	int rounds = 0;
	do {
		calls = -rounds * 5;
		assert_int_equal(purge_run(w->purge, &q, &r), OK);
		assert_sound(w);
	} while (r.cancelled && ++rounds < 200);
	assert_false(r.cancelled);
	assert_true(rounds > 1);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM email"), 0);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), 0);
}

int main(int argc, char **argv)
{
#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_hold),
		EACH(unfinished_operation),
		EACH(windows),
		EACH(at_sessions),
		EACH(lagging_sessions),
		EACH(remembered_mailbox),
		EACH(saved_uids),
		EACH(expired_snapshot),
		EACH(exact_restore),
		EACH(jumping_clock),
		EACH(grace),
		EACH(remembered_delivery),
		EACH(removed_account),
		EACH(folders_gone),
		EACH(commit_ids), EACH(slots),
		EACH(beside_deliveries),
		EACH(beside_restores),
		EACH(beside_check),
		EACH(broken_off),
	};
	if (argc > 1) /* "beside*" alone */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
