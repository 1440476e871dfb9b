/* Quantities as people write them; settings of the cluster, a domain, an account, and what they bound; domains; where mail
   goes. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"
#include "app.h"
#include "clock.h"
#include "directory.h"
#include "directory_write.h"
#include "fail.h"
#include "import.h"
#include "message.h"
#include "quantity.h"
#include "route.h"
#include "scratch.h"
#include "settings.h"
#include "store.h"
#include "stores.h"
#include "view.h"

static void quantities(void **state)
{
	static const struct {
		enum quantity q;
		const char *text;
		int64_t value; /* -1: none */
		const char *written;
	} cases[] = {
		{ QUANTITY_NUMBER, "0", 0, "0" }, { QUANTITY_NUMBER, "12", 12, "12" }, { QUANTITY_NUMBER, "1K", -1, "" },
		{ QUANTITY_NUMBER, "", -1, "" }, { QUANTITY_NUMBER, "-1", -1, "" }, { QUANTITY_NUMBER, " 1", -1, "" },
		{ QUANTITY_NUMBER, "18446744073709551617", -1, "" }, { QUANTITY_NUMBER, "9223372036854775807", INT64_MAX, "9223372036854775807" },
		{ QUANTITY_SIZE, "1024", 1024, "1K" }, { QUANTITY_SIZE, "1K", 1024, "1K" }, { QUANTITY_SIZE, "7M", 7 << 20, "7M" },
		{ QUANTITY_SIZE, "10G", INT64_C(10) << 30, "10G" }, { QUANTITY_SIZE, "1024G", INT64_C(1) << 40, "1T" },
		{ QUANTITY_SIZE, "M", -1, "" }, { QUANTITY_SIZE, "1 M", -1, "" }, { QUANTITY_SIZE, "1k", -1, "" },
		{ QUANTITY_SIZE, "9007199254740992G", -1, "" }, { QUANTITY_SIZE, "0", 0, "0" }, { QUANTITY_SIZE, "1025", 1025, "1025" },
		{ QUANTITY_DURATION, "250ms", 250000, "250ms" }, { QUANTITY_DURATION, "5", 5 * SECOND_US, "5s" },
		{ QUANTITY_DURATION, "90s", 90 * SECOND_US, "90s" }, { QUANTITY_DURATION, "120s", 120 * SECOND_US, "2m" },
		{ QUANTITY_DURATION, "30d", 30 * 86400 * SECOND_US, "30d" }, { QUANTITY_DURATION, "14d", 14 * 86400 * SECOND_US, "2w" },
		{ QUANTITY_DURATION, "1y", -1, "" }, { QUANTITY_DURATION, "s", -1, "" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		int64_t v;
		bool good = quantity_parse(cases[i].q, span_of(cases[i].text), &v);
		assert_int_equal(good, cases[i].value >= 0);
		if (good) {
			assert_int_equal(v, cases[i].value);
			quantity_write(cases[i].q, v, &b);
			assert_true(span_eq(buffer_span(&b), span_of(cases[i].written)));
		}
		buffer_free(&b);
	}
}

/* ---- Settings in a store */

static const struct actor tester = { .name = "admin", .client = "test" };

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	struct identity *i;
	struct watch *watch;
};

static void moved(void *identity)
{
	directory_changed(identity);
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	scratch_make("settings", w->dir);
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = test_meta_url(w->dir),
		.blob_url = test_blob_url(w->dir) };
	assert_int_equal(store_open(&o, &w->store), OK);
	struct identity_options io = { .meta = w->store->meta, .domain = SPAN("here.test") };
	assert_int_equal(identity_open(&io, &w->i), OK);
	assert_int_equal(service_open(w->store, &w->s), OK);
	service_obey(w->s, w->i);
	assert_int_equal(service_watch(w->s, 0, 0, moved, w->i, &w->watch), OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	service_unwatch(w->s, &w->watch);
	service_close(&w->s);
	identity_close(&w->i);
	store_close(&w->store);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static int64_t add(struct world *w, const char *address)
{
	struct span name = span_of(address);
	struct account a;
	assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	assert_int_equal(directory_find(w->i, name, &a), OK);
	return a.id;
}

static struct setting_value checked(struct world *w, enum settings_scope where, const char *name, const char *value, struct buffer *b)
{
	assert_int_equal(settings_check(w->i, where, span_of(name), span_of(value), b), OK);
	return (struct setting_value){ span_of(name), buffer_span(b) };
}

static void set_cluster(struct world *w, const char *name, const char *value)
{
	struct buffer b = { 0 };
	struct setting_value v = checked(w, SETTINGS_CLUSTER, name, value, &b);
	assert_int_equal(settings_set(w->s, &v, 1, &tester), OK);
	buffer_free(&b);
}

static void set_domain(struct world *w, const char *domain, const char *name, const char *value)
{
	struct buffer b = { 0 };
	struct setting_value v = checked(w, SETTINGS_DOMAIN, name, value, &b);
	assert_int_equal(domain_set(w->s, span_of(domain), &v, 1, &tester), OK);
	buffer_free(&b);
}

static void set_account(struct world *w, int64_t account, const char *name, const char *value)
{
	struct buffer b = { 0 };
	struct setting_value v = checked(w, SETTINGS_ACCOUNT, name, value, &b);
	assert_int_equal(account_set(w->s, account, &v, 1, &tester), OK);
	buffer_free(&b);
}

static struct settings of(struct world *w, int64_t account)
{
	struct settings s;
	assert_int_equal(settings_of(w->i, account, &s), OK);
	return s;
}

static void defaults(void **state)
{
	struct world *w = *state;
	struct settings s = of(w, 0), d;
	assert_int_equal(s.retention_window, 30 * 86400 * SECOND_US);
	assert_int_equal(s.quota, 0);
	assert_int_equal(s.message_max, 50 << 20);
	assert_int_equal(s.duplicate_window, 7 * 86400 * SECOND_US);
	assert_string_equal(s.postmaster, "");
	assert_int_equal(settings_of(w->i, 77, &s), ERR_NOT_FOUND);
	assert_int_equal(settings_of_domain(w->i, SPAN("unknown.test"), &d), OK);
	assert_int_equal(d.message_max, 50 << 20);
}

static void nearer_counts(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test"), b = add(w, "b@two.test");
	set_cluster(w, "quota.default", "10M");
	assert_int_equal(of(w, a).quota, 10 << 20);
	set_domain(w, "one.test", "quota.default", "20M");
	assert_int_equal(of(w, a).quota, 20 << 20);
	assert_int_equal(of(w, b).quota, 10 << 20);
	set_account(w, a, "quota", "30M");
	set_account(w, a, "retention.window", "1h");
	assert_int_equal(of(w, a).quota, 30 << 20);
	assert_int_equal(of(w, a).retention_window, 3600 * SECOND_US);
	set_account(w, a, "quota", "0"); /* no bound is a value */
	assert_int_equal(of(w, a).quota, 0);
	set_account(w, a, "quota", "");
	assert_int_equal(of(w, a).quota, 20 << 20);
	assert_int_equal(of(w, a).retention_window, 3600 * SECOND_US); /* the others stay */
	set_domain(w, "one.test", "quota.default", "");
	set_cluster(w, "quota.default", "");
	set_cluster(w, "quota.default", ""); /* nothing to take back is fine */
	assert_int_equal(of(w, a).quota, 0);
}

static void the_cluster_bounds_messages(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test");
	set_account(w, a, "message.max", "1G");
	assert_int_equal(of(w, a).message_max, 50 << 20);
	set_account(w, a, "message.max", "1M");
	assert_int_equal(of(w, a).message_max, 1 << 20);
	set_cluster(w, "message.max", "2K");
	assert_int_equal(of(w, a).message_max, 2048);
}

static void a_removed_account_keeps_its_settings(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test");
	set_account(w, a, "retention.window", "52w");
	assert_int_equal(account_remove(w->s, a, &tester), OK);
	assert_int_equal(of(w, a).retention_window, 364 * 86400 * SECOND_US);
}

static void postmaster(void **state)
{
	struct world *w = *state;
	struct settings s;
	add(w, "x@one.test");
	set_cluster(w, "account.postmaster", "Root");
	assert_string_equal(of(w, 0).postmaster, "root@here.test");
	set_domain(w, "one.test", "account.postmaster", "x@one.test");
	assert_int_equal(settings_of_domain(w->i, SPAN("one.test"), &s), OK);
	assert_string_equal(s.postmaster, "x@one.test");
	assert_string_equal(of(w, 0).postmaster, "root@here.test");
}

static void refused(void **state)
{
	struct world *w = *state;
	static const struct {
		enum settings_scope where;
		const char *name, *value, *says;
	} cases[] = {
		{ SETTINGS_CLUSTER, "no.such", "1", "no setting \"no.such\"" },
		{ SETTINGS_CLUSTER, "", "1", "no setting" },
		{ SETTINGS_CLUSTER, "quota", "1G", "no setting of the cluster" },
		{ SETTINGS_ACCOUNT, "quota.default", "1G", "no setting of an account" },
		{ SETTINGS_ACCOUNT, "account.postmaster", "a@b", "no setting of an account" },
		{ SETTINGS_CLUSTER, "retention.window", "0", "1s to " },
		{ SETTINGS_CLUSTER, "retention.window", "30", "" },
		{ SETTINGS_CLUSTER, "retention.window", "-1d", "duration" },
		{ SETTINGS_CLUSTER, "retention.window", "36501d", "36500d" },
		{ SETTINGS_DOMAIN, "message.max", "1023", "1K to 1G" },
		{ SETTINGS_DOMAIN, "message.max", "2G", "1K to 1G" },
		{ SETTINGS_ACCOUNT, "quota", "many", "size" },
		{ SETTINGS_ACCOUNT, "lmtp.duplicate.window", "1y", "0 to " },
		{ SETTINGS_CLUSTER, "account.postmaster", "a b@c", "no address" },
		{ SETTINGS_CLUSTER, "account.postmaster", "a@b\nquota=1", "no address" },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		print_message("%s=%s\n", cases[i].name, cases[i].value);
		int e = settings_check(w->i, cases[i].where, span_of(cases[i].name), span_of(cases[i].value), &b);
		assert_int_equal(e, *cases[i].says ? ERR_INVALID : OK);
		if (e)
			assert_non_null(strstr(fail_detail(), cases[i].says));
		buffer_free(&b);
	}
	struct setting_value v = { SPAN("quota"), SPAN("1G") };
	assert_int_equal(account_set(w->s, 99, &v, 1, &tester), ERR_NOT_FOUND);
	assert_int_equal(domain_set(w->s, SPAN("none.test"), &v, 1, &tester), ERR_NOT_FOUND);
}

/* ---- What they bound */

enum { SIZE = 1000, PARALLEL = 8 };

/* A message of SIZE bytes, all of them different. */
static struct incoming *message(struct world *w, int number)
{
	struct incoming *in;
	char text[SIZE];
	memset(text, 'x', sizeof text);
	text[snprintf(text, sizeof text, "Subject: %d\r\n\r\n", number)] = 'x';
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_from(text, sizeof text)), OK);
	assert_int_equal(incoming_finish(in), OK);
	assert_int_equal(incoming_size(in), SIZE);
	return in;
}

static int deliver_to(struct world *w, int64_t account, int number)
{
	struct recipient r = { .account = account, .address = SPAN("x@x") };
	struct incoming *in = message(w, number);
	assert_int_equal(deliver(w->s, in, SPAN("s@s"), &r, 1, &tester), OK);
	incoming_free(&in);
	return r.result;
}

static int append_to(struct world *w, int64_t account, int number)
{
	struct append_result done;
	struct incoming *in = message(w, number);
	int e = append(w->s, account, SPAN("INBOX"), &(struct append_message){ in, 0, SPAN(""), 0 }, 1, &tester, &done);
	incoming_free(&in);
	return e;
}

static int64_t used(struct world *w, int64_t account)
{
	struct account_info i;
	assert_int_equal(account_show(w->s, account, &i), OK);
	return i.bytes;
}

static void quota(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test"), b = add(w, "b@one.test");
	set_account(w, a, "quota", "3000");
	assert_int_equal(deliver_to(w, a, 1), OK);
	assert_int_equal(append_to(w, a, 2), OK);
	assert_int_equal(deliver_to(w, a, 3), OK); /* just full */
	assert_int_equal(used(w, a), 3 * SIZE);
	assert_int_equal(deliver_to(w, a, 4), ERR_QUOTA);
	assert_int_equal(append_to(w, a, 5), ERR_QUOTA);
	assert_int_equal(deliver_to(w, a, 3), OK); /* a repeat of what is there needs no room */
	assert_int_equal(used(w, a), 3 * SIZE);
	struct recipient both[] = { { .account = a, .address = SPAN("a") }, { .account = b, .address = SPAN("b") } };
	struct incoming *in = message(w, 6);
	assert_int_equal(deliver(w->s, in, SPAN("s@s"), both, 2, &tester), OK); /* one has no room, the other has */
	incoming_free(&in);
	assert_int_equal(both[0].result, ERR_QUOTA);
	assert_int_equal(both[1].result, OK);
	assert_int_equal(used(w, a), 3 * SIZE);
	assert_int_equal(used(w, b), SIZE);
	set_account(w, a, "quota", "10"); /* already over it */
	assert_int_equal(deliver_to(w, a, 7), ERR_QUOTA);
	set_account(w, a, "quota", "0");
	assert_int_equal(deliver_to(w, a, 7), OK);
}

static void copies_and_moves(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test");
	for (int i = 0; i < 3; i++)
		assert_int_equal(deliver_to(w, a, i), OK);
	set_account(w, a, "quota", "5000");
	struct view *v;
	struct copy_result done;
	struct imap_range ranges[] = { { 1, 3 } };
	struct imap_set set = { ranges, 1 };
	assert_int_equal(view_open(w->s, a, SPAN("INBOX"), false, &v), OK);
	assert_int_equal(view_copy(v, &set, SPAN("Archive"), false, &tester, &done), ERR_QUOTA);
	assert_int_equal(used(w, a), 3 * SIZE); /* nothing of it stays */
	assert_int_equal(view_copy(v, &set, SPAN("Archive"), true, &tester, &done), OK); /* a move needs no room */
	free(done.from);
	free(done.to);
	assert_int_equal(used(w, a), 3 * SIZE);
	view_close(&v);
}

static void imports(void **state)
{
	struct world *w = *state;
	struct import *m;
	int64_t a = add(w, "a@one.test");
	set_account(w, a, "quota", "1500");
	assert_int_equal(import_open(w->s, a, &tester, &m), OK);
	assert_int_equal(import_add(m, SPAN("INBOX"), message(w, 1), 0, SPAN(""), 0), OK);
	assert_int_equal(import_add(m, SPAN("INBOX"), message(w, 2), 0, SPAN(""), 0), OK);
	assert_int_equal(import_flush(m), ERR_QUOTA);
	import_close(&m);
	assert_int_equal(used(w, a), 0);
}

static void same_account_by_many_names(void **state)
{
	struct world *w = *state;
	int64_t a = add(w, "a@one.test"), b = add(w, "b@one.test");
	set_cluster(w, "lmtp.duplicate.window", "0");
	struct recipient r[] = { { .account = a, .address = SPAN("info") }, { .account = b, .address = SPAN("b") },
		{ .account = a, .address = SPAN("sales") }, { .account = a, .address = SPAN("a+x"), .folder = SPAN("x") } };
	struct incoming *in = message(w, 1);
	assert_int_equal(deliver(w->s, in, SPAN("s@s"), r, COUNT(r), &tester), OK);
	incoming_free(&in);
	for (size_t i = 0; i < COUNT(r); i++)
		assert_int_equal(r[i].result, OK);
	assert_int_equal(used(w, a), 2 * SIZE);
	assert_int_equal(used(w, b), SIZE);
	assert_int_equal(deliver_to(w, b, 1), OK); /* the window is off: a repeat is stored again */
	assert_int_equal(used(w, b), 2 * SIZE);
	set_cluster(w, "lmtp.duplicate.window", "1h");
	assert_int_equal(deliver_to(w, b, 1), OK);
	assert_int_equal(used(w, b), 2 * SIZE);
}

/* Each of them is numbered after the one before it, however the folder was spelled. */
static void one_delivery_twice_into_inbox(void **state)
{
	static const struct span ways[][2] = { { { "INBOX", 5 }, { "", 0 } }, { { "inbox/none", 10 }, { "", 0 } },
		{ { "none", 4 }, { "", 0 } }, { { "", 0 }, { "INBOX", 5 } } };
	struct world *w = *state;
	int64_t a = add(w, "a@one.test");
	for (size_t i = 0; i < COUNT(ways); i++) {
		struct recipient r[] = { { .account = a, .address = SPAN("a+x"), .folder = ways[i][0] },
			{ .account = a, .address = SPAN("a"), .folder = ways[i][1] } };
		struct incoming *in = message(w, (int)i + 1);
		assert_int_equal(deliver(w->s, in, SPAN("s@s"), r, 2, &tester), OK);
		incoming_free(&in);
		assert_int_equal(r[0].result, OK);
		assert_int_equal(r[1].result, OK);
		assert_int_equal(r[0].uid + r[1].uid, 4 * i + 3);
	}
}

struct crowd {
	struct world *w;
	int64_t account;
	int number;
	int results[4];
};

static void *deliver_some(void *arg)
{
	struct crowd *c = arg;
	for (int i = 0; i < 4; i++) {
		c->results[i] = deliver_to(c->w, c->account, c->number * 100 + i);
		if (c->results[i] && c->results[i] != ERR_QUOTA)
			print_message("%s\n", fail_detail());
	}
	return NULL;
}

static void parallel_deliveries_never_cross_it(void **state)
{
	struct world *w = *state;
	struct crowd all[PARALLEL];
	pthread_t threads[PARALLEL];
	int stored = 0;
	int64_t a = add(w, "a@one.test");
	set_account(w, a, "quota", "10500");
	for (int i = 0; i < PARALLEL; i++) {
		all[i] = (struct crowd){ .w = w, .account = a, .number = i };
		assert_int_equal(pthread_create(&threads[i], NULL, deliver_some, &all[i]), 0);
	}
	for (int i = 0; i < PARALLEL; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < PARALLEL * 4; i++) {
		int result = all[i / 4].results[i % 4];
		assert_true(result == OK || result == ERR_QUOTA);
		stored += result == OK;
	}
	assert_int_equal(stored, 10);
	assert_int_equal(used(w, a), 10 * SIZE);
}

/* ---- Domains */

static int collect(void *ctx, struct span domain, struct span settings)
{
	buffer_printf(ctx, "%.*s ", SPAN_ARG(domain));
	return 0;
}

static void domains_are(struct world *w, const char *all)
{
	struct buffer b = { 0 };
	assert_int_equal(domain_list(w->s, collect, &b), OK);
	assert_true(span_eq(buffer_span(&b), span_of(all)));
	buffer_free(&b);
}

static void domains(void **state)
{
	struct world *w = *state;
	struct span two[] = { SPAN("b.test"), SPAN("a_b.test") }, again[] = { SPAN("c.test"), SPAN("b.test") };
	assert_int_equal(domain_add(w->s, two, 2, &tester), OK);
	assert_int_equal(domain_add(w->s, again, 2, &tester), ERR_EXISTS);
	int64_t a = add(w, "x@a.test");
	domains_are(w, "a.test a_b.test b.test ");
	assert_int_equal(domain_remove(w->s, SPAN("a.test"), &tester), ERR_CANNOT);
	assert_non_null(strstr(fail_detail(), "x@a.test"));
	assert_int_equal(domain_remove(w->s, SPAN("c.test"), &tester), ERR_NOT_FOUND);
	add(w, "x@sub.a_b.test");
	assert_int_equal(domain_remove(w->s, SPAN("a_b.test"), &tester), OK);
	assert_int_equal(account_remove(w->s, a, &tester), OK);
	assert_int_equal(domain_remove(w->s, SPAN("a.test"), &tester), OK);
	domains_are(w, "b.test sub.a_b.test ");
	int64_t u = add(w, "x@b\xc3\xbc" "cher.test"); /* of more bytes than characters */
	assert_int_equal(domain_remove(w->s, SPAN("b\xc3\xbc" "cher.test"), &tester), ERR_CANNOT);
	assert_int_equal(account_remove(w->s, u, &tester), OK);
	assert_int_equal(domain_remove(w->s, SPAN("b\xc3\xbc" "cher.test"), &tester), OK);
}

/* ---- Where mail goes */

static int try_alias(struct world *w, const char *alias, const char *target)
{
	char kept[ADDRESS_MAX];
	int e = route_check(w->i, span_of(alias), span_of(target), kept);
	struct span one = span_of(kept);
	return e ? e : alias_add(w->s, span_of(alias), &one, 1, &tester);
}

/* Past the checks, as two commands at once might. */
static void force_alias(struct world *w, const char *alias, const char *target)
{
	struct span one = span_of(target);
	assert_int_equal(alias_add(w->s, span_of(alias), &one, 1, &tester), OK);
}

/* "account[detail] ..." or "elsewhere", or the error. */
static const char *route_of(struct world *w, const char *address)
{
	static struct buffer out;
	struct route r;
	buffer_reset(&out);
	int e = route_find(w->i, span_of(address), &r);
	for (size_t i = 0; !e && i < r.n; i++) {
		const struct route_target *t = &r.list[i];
		struct account a = { 0 };
		if (t->account)
			assert_int_equal(directory_find_id(w->i, t->account, &a), OK);
		if (t->account && t->detail.n)
			buffer_printf(&out, "%s[%.*s] ", a.address, SPAN_ARG(t->detail));
		else
			buffer_printf(&out, "%s%.*s ", t->account ? "" : "> ", SPAN_ARG(t->address));
	}
	if (!e)
		route_free(&r);
	else
		buffer_printf(&out, "%s", fail_name(e));
	buffer_putc(&out, 0);
	return out.p;
}

static void routes(void **state)
{
	struct world *w = *state;
	add(w, "anna@here.test");
	add(w, "anna+list@here.test");
	add(w, "bob@two.test");
	add(w, "j\xc3\xbcrgen@b\xc3\xbc" "cher.test");
	set_cluster(w, "account.postmaster", "anna");
	set_domain(w, "two.test", "account.postmaster", "bob@two.test");
	assert_int_equal(try_alias(w, "info@here.test", "anna"), OK);
	assert_int_equal(try_alias(w, "info@here.test", "Bob@two.test"), OK);
	assert_int_equal(try_alias(w, "all@here.test", "info@here.test"), OK);
	assert_int_equal(try_alias(w, "all@here.test", "anna@here.test"), OK);
	assert_int_equal(try_alias(w, "lists@here.test", "anna+lists@here.test"), OK);
	assert_int_equal(try_alias(w, "away@here.test", "someone@else.test"), OK);
	assert_int_equal(try_alias(w, "away@here.test", "anna@here.test"), OK);
	assert_int_equal(try_alias(w, "@two.test", "bob@two.test"), OK);
	assert_int_equal(try_alias(w, "@old.test", "@two.test"), OK);
	assert_int_equal(try_alias(w, "@xn--bcher-kva.test", "@b\xc3\xbc" "cher.test"), OK);
	static const struct { const char *address, *route; } cases[] = {
		{ "anna", "anna@here.test " }, { "ANNA@Here.Test", "anna@here.test " }, { "anna+Work/Big", "anna@here.test[Work/Big] " },
		{ "anna+list", "anna+list@here.test " }, { "anna+list+x@here.test", "anna@here.test[list+x] " }, { "anna+@here.test", "anna@here.test " },
		{ "nobody@here.test", "not-found" }, { "anna@nowhere.test", "not-found" }, { "", "not-found" }, { "@", "not-found" },
		{ "@here.test", "not-found" }, { "anna@", "not-found" }, { "anna' OR 1=1 --", "not-found" },
		{ "anna+\xff\x01@here.test", "anna@here.test[\xff\x01] " }, { "anna@here.test+x@nowhere", "not-found" },
		{ "info@here.test", "anna@here.test bob@two.test " }, { "INFO+x@here.test", "anna@here.test[x] bob@two.test[x] " },
		{ "all", "anna@here.test bob@two.test " }, { "lists", "anna@here.test[lists] " }, { "lists+y", "anna@here.test[lists] " },
		{ "away", "> someone@else.test anna@here.test " }, { "away+z", "> someone+z@else.test anna@here.test[z] " },
		{ "any.body@two.test", "bob@two.test " }, { "any+x@two.test", "bob@two.test " }, { "a b \"c\"@two.test", "bob@two.test " },
		{ "bob+x@old.test", "bob@two.test[x] " }, { "nobody@old.test", "bob@two.test " },
		{ "postmaster", "anna@here.test " }, { "PostMaster@two.test", "bob@two.test " }, { "postmaster@old.test", "anna@here.test " },
		{ "j\xc3\xbcrgen@b\xc3\xbc" "cher.test", "j\xc3\xbcrgen@b\xc3\xbc" "cher.test " },
		{ "j\xc3\xbcrgen+x@xn--bcher-kva.test", "j\xc3\xbcrgen@b\xc3\xbc" "cher.test[x] " },
	};
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(route_of(w, cases[i].address), cases[i].route);
}

static void wrong_aliases(void **state)
{
	struct world *w = *state;
	add(w, "anna@here.test");
	assert_int_equal(try_alias(w, "info@here.test", "nobody@here.test"), ERR_INVALID);
	assert_int_equal(try_alias(w, "info@here.test", "a b@c"), ERR_INVALID);
	assert_int_equal(try_alias(w, "info@here.test", "info@here.test"), ERR_INVALID);
	assert_int_equal(try_alias(w, "info@here.test", "@else.test"), ERR_INVALID);
	assert_int_equal(try_alias(w, "anna@here.test", "x@else.test"), ERR_EXISTS);
	assert_int_equal(try_alias(w, "a@here.test", "anna@here.test"), OK);
	assert_int_equal(try_alias(w, "b@here.test", "a@here.test"), OK);
	assert_int_equal(try_alias(w, "a@here.test", "b+x@here.test"), ERR_INVALID);
	assert_non_null(strstr(fail_detail(), "leads back to a@here.test"));
	assert_int_equal(try_alias(w, "@one.test", "@two.test"), OK);
	assert_int_equal(try_alias(w, "@two.test", "@one.test"), ERR_INVALID);
	assert_int_equal(try_alias(w, "@two.test", "who@one.test"), ERR_INVALID);
	struct span taken = SPAN("a@here.test");
	assert_int_equal(account_add(w->s, &taken, 1, SPAN("none"), &tester), ERR_EXISTS);
}

static void circles_end(void **state)
{
	struct world *w = *state;
	char from[40], to[40];
	add(w, "anna@here.test");
	force_alias(w, "a@here.test", "b@here.test");
	force_alias(w, "b@here.test", "a@here.test");
	assert_string_equal(route_of(w, "a@here.test"), "cannot");
	assert_string_equal(route_of(w, "a+x@here.test"), "cannot");
	force_alias(w, "b@here.test", "anna@here.test"); /* who can be reached is */
	assert_string_equal(route_of(w, "a@here.test"), "anna@here.test ");
	force_alias(w, "@one.test", "@two.test");
	force_alias(w, "@two.test", "@one.test");
	assert_string_equal(route_of(w, "x@one.test"), "cannot");
	for (int i = 0; i < ROUTE_STEPS_MAX + 1; i++) {
		snprintf(from, sizeof from, "n%d@here.test", i);
		snprintf(to, sizeof to, i < ROUTE_STEPS_MAX ? "n%d@here.test" : "anna@here.test", i + 1);
		force_alias(w, from, to);
	}
	assert_string_equal(route_of(w, "n0@here.test"), "cannot");
	assert_string_equal(route_of(w, "n900@here.test"), "anna@here.test ");
}

static void aliases_change(void **state)
{
	struct world *w = *state;
	struct span two[] = { SPAN("bob@two.test"), SPAN("x@else.test") };
	int64_t a = add(w, "anna@here.test");
	add(w, "bob@two.test");
	assert_int_equal(try_alias(w, "info@new.test", "anna@here.test"), OK);
	assert_int_equal(alias_add(w->s, SPAN("info@new.test"), two, 2, &tester), OK);
	assert_int_equal(alias_add(w->s, SPAN("info@new.test"), two, 2, &tester), OK);
	assert_string_equal(route_of(w, "info@new.test"), "anna@here.test bob@two.test > x@else.test ");
	assert_int_equal(alias_remove(w->s, SPAN("info@new.test"), two + 1, 1, &tester), OK);
	assert_int_equal(account_remove(w->s, a, &tester), OK);
	assert_string_equal(route_of(w, "info@new.test"), "bob@two.test "); /* who is gone is passed over */
	assert_int_equal(domain_remove(w->s, SPAN("new.test"), &tester), ERR_CANNOT);
	assert_int_equal(alias_remove(w->s, SPAN("info@new.test"), NULL, 0, &tester), OK);
	assert_int_equal(alias_remove(w->s, SPAN("info@new.test"), NULL, 0, &tester), ERR_NOT_FOUND);
	assert_string_equal(route_of(w, "info@new.test"), "not-found");
	assert_int_equal(domain_remove(w->s, SPAN("new.test"), &tester), OK);
}

#define WITH_STORE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

/* ---- Application passwords */

static int64_t id_at(const struct buffer *b, size_t i)
{
	assert_true(i < b->n / sizeof(int64_t));
	return ((const int64_t *)(const void *)b->p)[i];
}

static void application_passwords(void **state)
{
	struct world *w = *state;
	char secret[APP_TEXT], name[8];
	struct app_info list[APP_PASSWORDS_MAX];
	size_t n = 77;
	int64_t dana = add(w, "dana@here.test"), emil = add(w, "emil@here.test");
	assert_int_equal(app_list(w->s, dana, list, &n), OK);
	assert_int_equal(n, 0);
	for (int i = 0; i < APP_PASSWORDS_MAX; i++) {
		snprintf(name, sizeof name, "p%02d", i);
		assert_int_equal(app_add(w->s, dana, span_of(name), (unsigned)i % 4, &tester, secret), OK);
	}
	assert_int_equal(app_add(w->s, dana, SPAN("p20"), 0, &tester, secret), ERR_LIMIT);
	assert_int_equal(secret[0], 0);
	assert_int_equal(app_add(w->s, emil, SPAN("p00"), LOGIN_SMTP, &tester, secret), OK);
	assert_int_equal(app_add(w->s, emil, SPAN("p00"), 0, &tester, secret), ERR_EXISTS);
	assert_int_equal(app_add(w->s, emil, SPAN("P00"), 0, &tester, secret), OK);
	assert_int_equal(app_add(w->s, emil, SPAN(""), 0, &tester, secret), ERR_INVALID);
	assert_int_equal(app_add(w->s, 999, SPAN("x"), 0, &tester, secret), ERR_NOT_FOUND);
	assert_int_equal(app_list(w->s, dana, list, &n), OK);
	assert_int_equal(n, APP_PASSWORDS_MAX);
	assert_string_equal(list[3].name, "p03");
	assert_int_equal(list[3].protocols, LOGIN_IMAP | LOGIN_SMTP);
	assert_true(list[3].made > list[2].made);
	assert_int_equal(app_remove(w->s, dana, SPAN("p03"), &tester), OK);
	assert_int_equal(app_remove(w->s, dana, SPAN("p03"), &tester), ERR_NOT_FOUND);
	assert_int_equal(app_remove(w->s, 999, SPAN("p04"), &tester), ERR_NOT_FOUND);
	assert_int_equal(app_list(w->s, dana, list, &n), OK);
	assert_int_equal(n, APP_PASSWORDS_MAX - 1);
	assert_int_equal(account_remove(w->s, dana, &tester), OK);
	assert_int_equal(app_list(w->s, dana, list, &n), OK);
	assert_int_equal(n, 0);
	assert_int_equal(app_add(w->s, dana, SPAN("x"), 0, &tester, secret), ERR_NOT_FOUND);
	assert_int_equal(app_list(w->s, emil, list, &n), OK);
	assert_int_equal(n, 2);
}

static void logins_that_end(void **state)
{
	struct world *w = *state;
	struct app_ends ends = { 0 };
	char secret[APP_TEXT];
	int64_t since = 0, before, dana = add(w, "dana@here.test"), emil = add(w, "emil@here.test");
	assert_int_equal(app_ends(w->s, &since, &ends), OK);
	assert_true(since > 0);
	assert_int_equal(ends.accounts.n + ends.apps.n, 0);
	assert_int_equal(app_add(w->s, dana, SPAN("a"), 0, &tester, secret), OK);
	assert_int_equal(app_add(w->s, dana, SPAN("b"), 0, &tester, secret), OK);
	assert_int_equal(app_add(w->s, emil, SPAN("a"), 0, &tester, secret), OK);
	before = since;
	assert_int_equal(app_ends(w->s, &since, &ends), OK);
	assert_true(since > before);
	assert_int_equal(ends.accounts.n + ends.apps.n, 0);
	assert_int_equal(app_remove(w->s, dana, SPAN("b"), &tester), OK);
	assert_int_equal(app_ends(w->s, &since, &ends), OK);
	assert_int_equal(ends.accounts.n, 0);
	assert_int_equal(ends.apps.n, sizeof(int64_t));
	assert_int_equal(id_at(&ends.apps, 0), 2);
	assert_int_equal(account_remove(w->s, dana, &tester), OK);
	assert_int_equal(app_remove(w->s, emil, SPAN("a"), &tester), OK);
	assert_int_equal(app_ends(w->s, &since, &ends), OK);
	assert_int_equal(id_at(&ends.accounts, 0), dana);
	assert_int_equal(ends.accounts.n, sizeof(int64_t));
	assert_int_equal(id_at(&ends.apps, 0), 1);
	assert_int_equal(id_at(&ends.apps, 1), 3);
	assert_int_equal(app_ends(w->s, &since, &ends), OK);
	assert_int_equal(ends.accounts.n + ends.apps.n, 0);
	buffer_free(&ends.accounts);
	buffer_free(&ends.apps);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantities),
		WITH_STORE(defaults),
		WITH_STORE(nearer_counts),
		WITH_STORE(the_cluster_bounds_messages),
		WITH_STORE(a_removed_account_keeps_its_settings),
		WITH_STORE(postmaster),
		WITH_STORE(refused),
		WITH_STORE(quota),
		WITH_STORE(copies_and_moves),
		WITH_STORE(imports),
		WITH_STORE(same_account_by_many_names),
		WITH_STORE(one_delivery_twice_into_inbox),
		WITH_STORE(parallel_deliveries_never_cross_it),
		WITH_STORE(domains),
		WITH_STORE(routes),
		WITH_STORE(wrong_aliases),
		WITH_STORE(circles_end),
		WITH_STORE(aliases_change),
		WITH_STORE(application_passwords),
		WITH_STORE(logins_that_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
