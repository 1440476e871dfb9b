/* What each operation costs where the database is a network away: how often it has to wait for an answer. On SQLite that is
 * reckoned (meta_failing.h); on MariaDB it is counted besides (stores.h). */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"
#include "ahead.h"
#include "directory.h"
#include "fail.h"
#include "flags.h"
#include "history.h"
#include "instant.h"
#include "login.h"
#include "message.h"
#include "meta_failing.h"
#include "metric.h"
#include "restore.h"
#include "route.h"
#include "settings.h"
#include "store.h"
#include "stores.h"
#include "view.h"

enum { MANY = 1000, ACCOUNTS = 10, NODES_OWN = 10 };

static const struct actor tester = { "tester", 7, "test" };

struct world {
	char dir[64];
	struct metrics *metrics;
	struct store *store;
	struct service *s;
	struct identity *identity;
	uint64_t before; /* trips that were counted until begin */
	int64_t account[ACCOUNTS];
	unsigned messages;
};

/* --- Counting --- */

static uint64_t counted(const struct world *w)
{
	static const char name[] = "\nperdura_meta_round_trips_total ";
	struct buffer b = { 0 };
	metrics_put(w->metrics, &b);
	buffer_putc(&b, 0);
	const char *at = strstr(b.p, name);
	uint64_t n = at ? strtoull(at + sizeof name - 1, NULL, 10) : 0;
	buffer_free(&b);
	return n;
}

static void begin(struct world *w)
{
	w->before = counted(w);
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ 0 });
}

/* So many trips since begin, at most. On a shared database the node's own signs of life are
   among them, and what had to be tried again. */
static void end(struct world *w, const char *what, uint64_t most)
{
	struct meta_failing_cost c;
	uint64_t really = counted(w) - w->before;
	meta_failing_cost(w->store->meta, &c);
	print_message("%-44s %4llu transactions, %5llu queries, %5llu writes, %5llu trips (%llu counted)\n", what,
	              (unsigned long long)c.transactions, (unsigned long long)c.queries, (unsigned long long)c.writes,
	              (unsigned long long)c.trips, (unsigned long long)really);
	assert_in_range(c.trips, 0, most + (test_meta_shared() ? NODES_OWN : 0));
	assert_in_range(really, 0, most + NODES_OWN);
}

/* --- The world: ten accounts --- */

static int note_account(void *ctx, const struct account_info *i)
{
	struct world *w = ctx;
	w->account[i->address.p[4] - '0'] = i->id;
	return 0;
}

static void open_world(struct world *w, const char *blob_url)
{
	char url[1024];
	snprintf(url, sizeof url, "failing:%s", test_meta_url(w->dir));
	assert_int_equal(metrics_new(&w->metrics), OK);
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = url, .blob_url = blob_url, .metrics = w->metrics };
	assert_int_equal(store_open(&o, &w->store), OK);
	assert_int_equal(service_open(w->store, &w->s), OK);
	struct identity_options io = { .meta = w->store->meta, .domain = SPAN("example.org"), .cache_minutes = 5 };
	assert_int_equal(identity_open(&io, &w->identity), OK);
	service_obey(w->s, w->identity);
}

static void add_accounts(struct world *w)
{
	char text[ACCOUNTS][32];
	struct span names[ACCOUNTS];
	struct buffer password = { 0 };
	assert_int_equal(identity_password_make(w->identity, SPAN("pass"), &password), OK);
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(text[i], sizeof text[i], "user%d@example.org", i);
		names[i] = span_of(text[i]);
	}
	assert_int_equal(account_add(w->s, names, ACCOUNTS, buffer_span(&password), &tester), OK);
	assert_int_equal(account_list(w->s, note_account, w), OK);
	buffer_free(&password);
	directory_changed(w->identity);
}

static int set_up(void **state, const char *blob_url)
{
	struct world *w = calloc(1, sizeof *w);
	strcpy(w->dir, "/tmp/perdura-trips-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	open_world(w, blob_url);
	add_accounts(w);
	*state = w;
	return 0;
}

static int setup(void **state)
{
	return set_up(state, "file:blobs");
}

/* Small bodies are rows of the database. */
static int setup_rows(void **state)
{
	return set_up(state, "file:blobs?whole=1");
}

static int teardown(void **state)
{
	struct world *w = *state;
	service_close(&w->s);
	identity_close(&w->identity);
	store_close(&w->store);
	metrics_free(&w->metrics);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static struct incoming *message(struct world *w, unsigned number)
{
	struct incoming *in;
	char text[400];
	snprintf(text, sizeof text, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %u\r\n\r\nbody of %u\r\n", number, number);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_of(text)), OK);
	assert_int_equal(incoming_finish(in), OK);
	return in;
}

static void deliver_to(struct world *w, unsigned number, size_t n, const char *folder)
{
	struct recipient r[ACCOUNTS];
	struct incoming *in = message(w, number);
	for (size_t i = 0; i < n; i++)
		r[i] = (struct recipient){ .account = w->account[i], .address = SPAN("x@example.org"), .folder = span_of(folder) };
	assert_int_equal(deliver(w->s, in, SPAN("a@example.org"), r, n, &tester), OK);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(r[i].result, OK);
	incoming_free(&in);
}

static void put(struct world *w, const char *folder)
{
	struct append_result r;
	struct incoming *in = message(w, ++w->messages);
	assert_int_equal(append(w->s, w->account[0], span_of(folder),
	                        &(struct append_message){ in, 0, SPAN(""), 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
}

static void fill(struct world *w, const char *folder, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		put(w, folder);
}

static struct view *look(struct world *w, const char *path)
{
	struct view *v = NULL;
	assert_int_equal(view_open(w->s, w->account[0], span_of(path), 0, &v), OK);
	return v;
}

/* --- Mail that comes in --- */

static void a_recipient_is_looked_up(void **state)
{
	struct world *w = *state;
	struct route r;
	struct settings settings;
	begin(w);
	assert_int_equal(route_find(w->identity, SPAN("user1@example.org"), &r), OK);
	end(w, "RCPT of an account, first", 1);
	route_free(&r);
	begin(w);
	assert_int_equal(settings_of(w->identity, w->account[1], &settings), OK);
	end(w, "its settings, first", 2);
	begin(w);
	assert_int_equal(route_find(w->identity, SPAN("user1@example.org"), &r), OK);
	assert_int_equal(settings_of(w->identity, w->account[1], &settings), OK);
	end(w, "both, again", 0);
	route_free(&r);
	begin(w);
	assert_int_equal(route_find(w->identity, SPAN("nobody@example.org"), &r), ERR_NOT_FOUND);
	end(w, "RCPT of nobody", 2);
}

static void deliveries(void **state)
{
	struct world *w = *state;
	deliver_to(w, 1, ACCOUNTS, ""); /* settings are known now */
	begin(w);
	deliver_to(w, 2, 1, "");
	end(w, "delivery to 1", 2);
	begin(w);
	deliver_to(w, 2, 1, "");
	end(w, "the same again", 3);
	begin(w);
	deliver_to(w, 3, 1, "Trash");
	end(w, "delivery to 1, into a folder", 2);
	begin(w);
	deliver_to(w, 4, 1, "Trash/nowhere");
	end(w, "delivery to 1, no such folder", 3);
	begin(w);
	deliver_to(w, 5, ACCOUNTS, "");
	end(w, "delivery to 10", 2);
	begin(w);
	deliver_to(w, 5, ACCOUNTS, "");
	end(w, "the same again", 3);
}

static void appends(void **state)
{
	struct world *w = *state;
	put(w, "INBOX");
	begin(w);
	put(w, "INBOX");
	end(w, "APPEND", 3);
}

/* --- Sessions --- */

static void a_session_begins(void **state)
{
	struct world *w = *state;
	struct login_pass pass = { 0 };
	struct login who;
	begin(w);
	assert_int_equal(identity_login_plain(w->identity, SPAN("user0"), SPAN("pass"), LOGIN_IMAP, SPAN("here"), &pass, &who), OK);
	end(w, "login", 1);
	fill(w, "INBOX", 20);
	begin(w);
	struct view *v = look(w, "INBOX");
	end(w, "SELECT of a mailbox that is new to the node", 2);
	uint32_t unseen;
	begin(w);
	assert_int_equal(view_first_unseen(v, &unseen), OK);
	end(w, "its first unseen message", 1);
	view_close(&v);
	begin(w);
	v = look(w, "INBOX");
	end(w, "SELECT of one that is known", 1);
	struct view_delta d;
	begin(w);
	assert_int_equal(view_sync(v, true, &d), OK);
	view_delta_free(&d);
	end(w, "NOOP without news", 1);
	put(w, "INBOX");
	begin(w);
	assert_int_equal(view_sync(v, true, &d), OK);
	end(w, "news of a new message, first session", 2);
	view_delta_free(&d);
	view_close(&v);
}

static void accounts(void **state)
{
	struct world *w = *state;
	char text[100][32];
	struct span names[100];
	for (int i = 0; i < 100; i++) {
		snprintf(text[i], sizeof text[i], "more%d@example.org", i);
		names[i] = span_of(text[i]);
	}
	begin(w);
	assert_int_equal(account_add(w->s, names, COUNT(names), SPAN("none"), &tester), OK);
	end(w, "100 accounts", 3);
}

static void folders(void **state)
{
	struct world *w = *state;
	struct tree tree;
	struct arena a = { 0 };
	struct span *names;
	size_t n;
	char path[32];
	for (int i = 0; i < 45; i++) {
		snprintf(path, sizeof path, "folder%d", i);
		assert_int_equal(folder_create(w->s, w->account[0], span_of(path), &tester), OK);
	}
	begin(w);
	assert_int_equal(tree_read(w->s, w->account[0], 0, &tree), OK);
	assert_int_equal(folder_subscriptions(w->s, w->account[0], &a, &names, &n), OK);
	end(w, "LIST of 50 folders, with subscriptions", 2);
	tree_free(&tree);
	arena_free(&a);
	begin(w);
	assert_int_equal(tree_read_path(w->s, w->account[0], SPAN("folder7"), &tree), OK);
	end(w, "STATUS", 1);
	int64_t id = tree_find(&tree, SPAN("folder7"))->id;
	tree_free(&tree);
	begin(w);
	assert_int_equal(tree_read_folders(w->s, w->account[0], (int64_t[]){ id - 1, id, id + 1 }, 3, &tree), OK);
	end(w, "three of 50 folders", 1);
	tree_free(&tree);
	begin(w);
	assert_int_equal(folder_create(w->s, w->account[0], SPAN("another"), &tester), OK);
	end(w, "CREATE", 3);
}

/* --- A thousand messages --- */

static void read_all(struct world *w, struct view *v, bool bodies)
{
	struct arena a = { 0 };
	struct ahead ahead = { 0 };
	struct entry *e;
	size_t n;
	uint32_t from = 1;
	struct imap_range r = { 1, UINT32_MAX };
	struct imap_set all = { &r, 1 };
	do {
		arena_reset(&a);
		assert_int_equal(view_read_set(v, &all, from, 200, bodies ? VIEW_PLACES : VIEW_SUMMARIES, &a, &e, &n), OK);
		for (size_t i = 0; i < n; i++) {
			struct message *m;
			if (bodies) {
				assert_int_equal(ahead_read(w->s, &ahead, &e[i], n - i), OK);
				assert_int_equal(message_open_entry(w->s, &e[i], &m), OK);
				message_close(&m);
			}
			from = e[i].uid + 1;
		}
	} while (n == 200);
	ahead_drop(&ahead);
	arena_free(&a);
}

static void store(struct view *v, uint32_t first, uint32_t last, enum store_op op, uint64_t flags)
{
	struct imap_range r = { first, last };
	struct imap_set s = { &r, 1 };
	struct store_request q = { .uids = &s, .op = op, .flags = flags };
	struct store_result out;
	assert_int_equal(view_store(v, &q, &tester, &out), OK);
	free(out.modified);
}

static void copy(struct view *v, uint32_t first, uint32_t last, const char *to, bool move)
{
	struct imap_range r = { first, last };
	struct imap_set s = { &r, 1 };
	struct copy_result out;
	assert_int_equal(view_copy(v, &s, span_of(to), move, &tester, &out), OK);
	free(out.from);
	free(out.to);
}

/* Every second message: too far from one another to be one range. */
static void store_scattered(struct view *v, uint32_t n, uint32_t step)
{
	struct imap_range r[MANY];
	struct imap_set s = { r, n };
	for (uint32_t i = 0; i < n; i++)
		r[i] = (struct imap_range){ 1 + i * step, 1 + i * step };
	struct store_request q = { .uids = &s, .op = STORE_ADD, .flags = FLAG_FLAGGED };
	struct store_result out;
	assert_int_equal(view_store(v, &q, &tester, &out), OK);
	free(out.modified);
}

/* That the messages are not \Recent any more is written by a thread of its own, once a second: not among what is counted next. */
static void wait_for_mark(struct world *w)
{
	struct meta_failing_cost c = { 0 };
	for (int i = 0; i < 1000 && !c.writes; i++, usleep(10000))
		meta_failing_cost(w->store->meta, &c);
	assert_true(c.writes);
}

static void a_thousand(void **state)
{
	struct world *w = *state;
	struct snapshot sn;
	fill(w, "INBOX", MANY);
	begin(w);
	struct view *v = look(w, "INBOX");
	wait_for_mark(w);
	begin(w);
	read_all(w, v, false);
	end(w, "FETCH of 1,000 envelopes", 5);
	begin(w);
	read_all(w, v, true);
	end(w, "FETCH of 1,000 bodies", 5);
	begin(w);
	store(v, 5, 5, STORE_ADD, FLAG_SEEN);
	end(w, "STORE of 1", 2);
	begin(w);
	store(v, 1, MANY, STORE_ADD, FLAG_FLAGGED);
	end(w, "STORE of 1,000", 8);
	begin(w);
	store(v, 1, MANY, STORE_REPLACE, FLAG_SEEN);
	end(w, "STORE of 1,000, one by one", 8);
	begin(w);
	store_scattered(v, MANY / 10, 10);
	end(w, "STORE of 100 scattered", 2);
	begin(w);
	copy(v, 1, 1, "Trash", false);
	end(w, "COPY of 1", 3);
	begin(w);
	copy(v, 1, MANY, "Trash", false);
	end(w, "COPY of 1,000", 12);
	begin(w);
	assert_int_equal(snapshot_create(w->s, SPAN("now"), 0, &tester, &sn), OK);
	end(w, "snapshot", 2);
	begin(w);
	copy(v, 1, 1, "Trash", true);
	end(w, "MOVE of 1", 2);
	begin(w);
	copy(v, 2, MANY - 500, "Trash", true);
	end(w, "MOVE of 499", 4);
	store(v, MANY - 499, MANY, STORE_ADD, FLAG_DELETED);
	begin(w);
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	end(w, "EXPUNGE of 500", 5);
	struct view *past = NULL;
	begin(w);
	assert_int_equal(view_open(w->s, w->account[0], SPAN("#at/now/INBOX"), 0, &past), OK);
	end(w, "EXAMINE of the past", 20);
	begin(w);
	read_all(w, past, false);
	end(w, "FETCH of 1,000 envelopes of the past", 10);
	view_close(&past);
	view_close(&v);
	struct restore_request q = { .account = w->account[0], .actor = &tester };
	struct restore_report report;
	assert_int_equal(instant_resolve(w->s, w->account[0], SPAN("now"), &q.at), OK);
	begin(w);
	assert_int_equal(restore_run(w->s, &q, &report), OK);
	end(w, "restore of 1,000", 50);
	assert_int_equal(report.messages, MANY);
}

static void a_thousand_in_rows(void **state)
{
	struct world *w = *state;
	fill(w, "INBOX", MANY);
	struct view *v = look(w, "INBOX");
	begin(w);
	read_all(w, v, true);
	end(w, "FETCH of 1,000 bodies in rows", 15);
	view_close(&v);
}

static int next_event(void *ctx, const struct history_event *e)
{
	return 0;
}

static void the_history_of_a_thousand(void **state)
{
	struct world *w = *state;
	fill(w, "INBOX", MANY);
	struct history_request q = { .account = w->account[0] };
	begin(w);
	assert_int_equal(history_run(w->s, &q, next_event, NULL), OK);
	end(w, "history of 1,000 changes", 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_recipient_is_looked_up, setup, teardown),
		cmocka_unit_test_setup_teardown(deliveries, setup, teardown),
		cmocka_unit_test_setup_teardown(appends, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_begins, setup, teardown),
		cmocka_unit_test_setup_teardown(accounts, setup, teardown),
		cmocka_unit_test_setup_teardown(folders, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thousand, setup, teardown),
		cmocka_unit_test_setup_teardown(a_thousand_in_rows, setup_rows, teardown),
		cmocka_unit_test_setup_teardown(the_history_of_a_thousand, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
