/* Small bodies where nothing can be appended to a pack: rows of the database, until the packer has gathered them. The clocks are
 * the test's. */
#include "unit.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "ahead.h"
#include "clock.h"
#include "durable_file.h"
#include "fail.h"
#include "failing.h"
#include "flags.h"
#include "identity.h"
#include "message.h"
#include "meta_failing.h"
#include "nodes.h"
#include "packer.h"
#include "purge.h"
#include "scratch.h"
#include "staged.h"
#include "store.h"
#include "store_inside.h"
#include "verify.h"
#include "view.h"

static const struct actor tester = { "tester", 7, "test" };

enum { ANNA = 1, MAILS = 250 };
#define HOUR_US (3600 * SECOND_US)

static atomic_int_fast64_t ahead; /* us */
static _Thread_local int64_t waited;

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return __real_clock_now() + atomic_load(&ahead);
}

/* Times of files move with the clock, unless their disk has one of its own. */
static bool disk_stays;
int __real_utimensat(int dir, const char *path, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec t[2], int flags)
{
	int64_t us = clock_now();
	struct timespec now = { us / SECOND_US, us % SECOND_US * 1000 };
	return __real_utimensat(dir, path, disk_stays ? t : (struct timespec[]){ now, now }, flags);
}

int64_t __real_clock_mono(void);
int64_t __wrap_clock_mono(void);
int64_t __wrap_clock_mono(void)
{
	return __real_clock_mono() + waited;
}

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	struct packer *packer;
	sqlite3 *db; /* behind the store's back */
};

static void open_at(struct world *w, const char *meta, const char *blob)
{
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = meta, .blob_url = blob };
	assert_int_equal(store_open(&o, &w->store), OK);
	assert_int_equal(service_open(w->store, &w->s), OK);
	assert_int_equal(packer_open(&(struct packer_options){ w->store, 64 * 1024, HOUR_US }, &w->packer), OK);
}

static void open_world(struct world *w)
{
	open_at(w, "failing:sqlite:meta.db", "failing:file:blobs?whole=1");
}

static void close_world(struct world *w)
{
	packer_close(&w->packer);
	service_close(&w->s);
	store_close(&w->store);
}

static void open_behind(struct world *w)
{
	char path[100];
	snprintf(path, sizeof path, "%s/meta.db", w->dir);
	assert_int_equal(sqlite3_open(path, &w->db), SQLITE_OK);
	sqlite3_busy_timeout(w->db, 10000);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct span name = SPAN("anna@example.org");
	atomic_store(&ahead, 0);
	scratch_make("staged", w->dir);
	open_world(w);
	assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	open_behind(w);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;
	sqlite3_close(w->db);
	close_world(w);
	scratch_remove(w->dir);
	free(w);
	return 0;
}

static int64_t sql(struct world *w, const char *text)
{
	sqlite3_stmt *s;
	assert_int_equal(sqlite3_prepare_v2(w->db, text, -1, &s, NULL), SQLITE_OK);
	int rc = sqlite3_step(s);
	int64_t n = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	assert_true(rc == SQLITE_ROW || rc == SQLITE_DONE);
	sqlite3_finalize(s);
	return n;
}

/* --- Mail --- */

/* The bytes of a mail that does not shrink. */
static struct span text_of(struct buffer *b, unsigned number, size_t size)
{
	uint32_t random = number * 2654435761u + 1;
	buffer_reset(b);
	buffer_printf(b, "From: a@example.org\r\nSubject: number %u\r\n\r\n", number);
	for (size_t i = 0; i < size; i++, random = random * 1664525 + 1013904223)
		buffer_putc(b, i % 100 == 99 ? '\n' : (char)(' ' + (random >> 24) % 95));
	return buffer_span(b);
}

static int put(struct world *w, unsigned number, size_t size)
{
	struct append_result r;
	struct incoming *in = NULL;
	struct buffer b = { 0 };
	int e = incoming_new(w->s, &in);
	if (!e)
		e = incoming_write(in, text_of(&b, number, size));
	if (!e)
		e = incoming_finish(in);
	if (!e)
		e = append(w->s, ANNA, SPAN("INBOX"),
		           &(struct append_message){ in, 0, (struct span){ 0 }, 0 }, 1, &tester, &r);
	if (in)
		incoming_free(&in);
	buffer_free(&b);
	return e;
}

/* Mails of these numbers, of the same size each. */
static void put_all(struct world *w, unsigned first, unsigned n, size_t size)
{
	for (unsigned i = first; i < first + n; i++)
		assert_int_equal(put(w, i, size), OK);
}

/* Closes it. */
static int compare(struct message *m, unsigned number, size_t size)
{
	struct buffer is = { 0 }, want = { 0 };
	struct span piece = { "", 0 };
	int e = OK;
	for (uint64_t at = 0; !e && at < message_size(m); at += piece.n)
		if (!(e = message_at(m, at, &piece)))
			buffer_put(&is, piece.p, piece.n);
	message_close(&m);
	bool right = e || span_eq(buffer_span(&is), text_of(&want, number, size));
	buffer_free(&is);
	buffer_free(&want);
	return right ? e : fail_with(ERR_CORRUPT, "other bytes");
}

static int read_one(struct world *w, int64_t email, unsigned number, size_t size)
{
	struct message *m;
	int e = message_open(w->s, email, &m);
	return e ? e : compare(m, number, size);
}

/* The mails of these sizes are what the INBOX holds, in this order. */
static void assert_mails(struct world *w, unsigned n, size_t size)
{
	struct view *v;
	struct arena a = { 0 };
	struct entry *list;
	size_t count;
	assert_int_equal(view_open(w->s, ANNA, SPAN("INBOX"), VIEW_READ_ONLY, &v), OK);
	assert_int_equal(view_read(v, 1, UINT32_MAX, SIZE_MAX / 2, false, &a, &list, &count), OK);
	assert_int_equal(count, n);
	for (unsigned i = 0; i < n; i++) {
		int e = read_one(w, list[i].email, i, size);
		if (e)
			print_message("mail %u: %s\n", i, fail_detail());
		assert_int_equal(e, OK);
	}
	arena_free(&a);
	view_close(&v);
}

static void say_trouble(void *ctx, const char *line)
{
	buffer_puts(ctx, line);
	buffer_putc(ctx, '\n');
}

static struct verify_report look(struct world *w, struct buffer *said)
{
	struct verify_request q = { .say = say_trouble, .ctx = said };
	struct verify_report r;
	assert_int_equal(verify_run(w->s, &q, &r), OK);
	buffer_putc(said, 0);
	return r;
}

static struct verify_report assert_sound(struct world *w)
{
	struct buffer said = { 0 };
	struct verify_report r = look(w, &said);
	if (r.troubles)
		print_message("%s", said.p);
	assert_int_equal(r.troubles, 0);
	buffer_free(&said);
	return r;
}

static struct packer_report pack_all(struct world *w)
{
	struct packer_report r;
	int e = packer_run(w->packer, true, NULL, NULL, &r);
	if (e)
		print_message("packer: %s\n", fail_detail());
	assert_int_equal(e, OK);
	return r;
}

/* --- Where bodies go --- */

static void rows_and_objects(void **state)
{
	static const struct {
		size_t size;
		bool staged;
	} cases[] = { { 0, true }, { 1, true }, { 4000, true }, { 100000, true }, { 140000, true /* 111 kB compressed */ },
		{ 240000, false }, { 262144, false }, { 300000, false }, { 900000, false } };
	struct world *w = *state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		int64_t rows = sql(w, "SELECT COUNT(*) FROM staged"), packs = sql(w, "SELECT COUNT(DISTINCT pack) FROM body WHERE pack > 0");
		assert_int_equal(put(w, i, cases[i].size), OK);
		assert_int_equal(put(w, i, cases[i].size), OK); /* the same bytes again write nothing */
		assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged") - rows, cases[i].staged);
		assert_int_equal(sql(w, "SELECT COUNT(DISTINCT pack) FROM body WHERE pack > 0") - packs, !cases[i].staged);
		assert_int_equal(read_one(w, sql(w, "SELECT MAX(id) FROM email"), i, cases[i].size), OK);
	}
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), COUNT(cases));
	assert_true(sql(w, "SELECT MAX(stored) FROM staged") <= BLOB_STAGED);
	struct verify_report r = assert_sound(w);
	assert_int_equal(r.staged, 5);
	assert_int_equal(r.records, COUNT(cases));
	assert_int_equal(pack_all(w).bodies, 5);
	assert_sound(w);
	assert_int_equal(read_one(w, sql(w, "SELECT MIN(id) FROM email"), 0, 0), OK);
}

static void gathered(void **state)
{
	struct world *w = *state;
	struct packer_report r;
	struct staged_stats s;
	put_all(w, 0, MAILS, 2000);
	assert_int_equal(packer_run(w->packer, false, NULL, NULL, &r), OK);
	assert_true(r.packs >= 5 && r.bodies < MAILS); /* as long as there is one whole pack of 64 KiB */
	assert_int_equal(staged_stats(w->store, &s), OK);
	assert_true(s.rows == MAILS - r.bodies && s.bytes < 64 * 1024);
	assert_int_equal(packer_run(w->packer, false, NULL, NULL, &r), OK);
	assert_int_equal(r.packs, 0);
	assert_mails(w, MAILS, 2000);
	atomic_fetch_add(&ahead, HOUR_US + SECOND_US); /* what waits for so long is gathered, however little there is */
	assert_int_equal(packer_run(w->packer, false, NULL, NULL, &r), OK);
	assert_int_equal(r.packs, 1);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 0);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body WHERE pack = 0"), 0);
	assert_mails(w, MAILS, 2000);
	struct verify_report v = assert_sound(w);
	assert_int_equal(v.unreferenced, 0);
	assert_int_equal(v.orphans, 0);
	close_world(w);
	open_world(w);
	assert_mails(w, MAILS, 2000);
}

/* --- Beside readers and deliveries --- */

static int read_through(struct world *w, struct ahead *a, struct entry *list, size_t n, unsigned number, size_t size)
{
	struct message *m;
	int e = ahead_read(w->s, a, list, n);
	if (!e)
		e = message_open_entry(w->s, list, &m);
	return e ? e : compare(m, number, size);
}

/* Many are read together. One of them is damaged, and the others are gathered meanwhile. */
static void ahead_of_the_reader(void **state)
{
	enum { SIZE = 9000, DAMAGED = 3, GATHERED = 180 };
	struct world *w = *state;
	struct imap_range r = { 1, UINT32_MAX };
	struct imap_set all = { &r, 1 };
	struct arena arena = { 0 };
	struct ahead a = { 0 };
	struct entry *list;
	struct view *v;
	size_t n;
	put_all(w, 0, MAILS, SIZE);
	sql(w, "UPDATE staged SET record = SUBSTR(record, 1, 50) WHERE body = (SELECT body FROM staged ORDER BY body LIMIT 1 OFFSET 3)");
	assert_int_equal(view_open(w->s, ANNA, SPAN("INBOX"), VIEW_READ_ONLY, &v), OK);
	assert_int_equal(view_read_set(v, &all, 1, MAILS, VIEW_PLACES, &arena, &list, &n), OK);
	assert_int_equal(n, MAILS);
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ 0 });
	for (unsigned i = 0; i < MAILS; i++) {
		if (i == GATHERED) {
			struct meta_failing_cost c;
			meta_failing_cost(w->store->meta, &c);
			assert_in_range(c.trips, 2, 10); /* the damaged one costs some of its own */
			pack_all(w);
		}
		assert_int_equal(read_through(w, &a, &list[i], n - i, i, SIZE), i == DAMAGED ? ERR_CORRUPT : OK);
	}
	ahead_drop(&a);
	arena_free(&arena);
	view_close(&v);
}

struct reader {
	struct world *w;
	atomic_bool stop;
	int failure;
	long reads;
};

static int64_t emails[MAILS];

static void *read_emails(void *arg)
{
	struct reader *k = arg;
	while (!atomic_load(&k->stop) && !k->failure)
		for (unsigned i = 0; i < MAILS && !k->failure; i++, k->reads++)
			k->failure = read_one(k->w, emails[i], i, 500);
	return NULL;
}

static void beside_readers(void **state)
{
	struct world *w = *state;
	struct reader k = { .w = w };
	pthread_t thread;
	put_all(w, 0, MAILS, 500);
	for (unsigned i = 0; i < MAILS; i++) {
		char text[100];
		snprintf(text, sizeof text, "SELECT id FROM email ORDER BY id LIMIT 1 OFFSET %u", i);
		emails[i] = sql(w, text);
	}
	assert_int_equal(pthread_create(&thread, NULL, read_emails, &k), 0);
	for (unsigned i = 0; i < 20; i++) {
		put_all(w, MAILS + i, 1, 500);
		pack_all(w);
	}
	atomic_store(&k.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(k.failure, OK);
	assert_true(k.reads > 0);
	assert_sound(w);
}

/* --- Purge --- */

static int count_pack(void *ctx, const struct blob_pack_info *p)
{
	++*(int *)ctx;
	return 0;
}

static int count_packs(struct world *w)
{
	int n = 0;
	assert_int_equal(blob_list(w->store->blob, count_pack, &n), OK);
	return n;
}

static int try_purge(struct world *w, int64_t us, struct purge_report *out)
{
	struct identity_options io = { .meta = w->store->meta };
	struct identity *identity;
	struct purge *p;
	struct purge_request q = { .clock_is_right = true };
	atomic_fetch_add(&ahead, us);
	assert_int_equal(identity_open(&io, &identity), OK);
	assert_int_equal(purge_open(&(struct purge_options){ w->s, identity, 0 }, &p), OK);
	int e = purge_run(p, &q, out);
	if (e)
		print_message("purge: %s\n", fail_detail());
	purge_close(&p);
	identity_close(&identity);
	return e;
}

static void purge_later(struct world *w, int64_t us, struct purge_report *out)
{
	assert_int_equal(try_purge(w, us, out), OK);
}

static void expunge_all(struct world *w, uint32_t first, uint32_t last)
{
	struct view *v;
	struct imap_range range = { first, last };
	struct imap_set set = { &range, 1 };
	struct store_request q = { .uids = &set, .op = STORE_ADD, .flags = FLAG_DELETED };
	struct store_result r = { 0 };
	assert_int_equal(view_open(w->s, ANNA, SPAN("INBOX"), 0, &v), OK);
	assert_int_equal(view_store(v, &q, &tester, &r), OK);
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	free(r.modified);
	view_close(&v);
}

/* A body that is purged takes its row along; one in a pack that is mostly dead becomes a row again. */
static void purged(void **state)
{
	struct world *w = *state;
	struct purge_report r;
	put_all(w, 0, 40, 500);
	expunge_all(w, 1, 10);
	purge_later(w, 40 * 24 * HOUR_US, &r);
	purge_later(w, HOUR_US, &r);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 30);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), 30);
	assert_sound(w);
	pack_all(w);
	expunge_all(w, 11, 35);
	purge_later(w, 40 * 24 * HOUR_US, &r);
	purge_later(w, 2 * HOUR_US, &r);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 5);
	assert_sound(w);
	assert_int_equal(count_packs(w), 0);
	pack_all(w);
	assert_int_equal(count_packs(w), 1);
	assert_int_equal(assert_sound(w).orphans, 0);
	assert_int_equal(read_one(w, sql(w, "SELECT MAX(id) FROM email"), 39, 500), OK);
}

/* By the clock of a server of files that is behind, what was written just now would be old. */
static void young_on_a_slow_disk(void **state)
{
	struct world *w = *state;
	struct purge_report r;
	put_all(w, 0, 10, 500);
	pack_all(w);
	expunge_all(w, 1, 10);
	disk_stays = true;
	purge_later(w, 40 * 24 * HOUR_US, &r);
	purge_later(w, HOUR_US, &r);
	assert_int_equal(count_packs(w), 1);
	disk_stays = false;
	purge_later(w, HOUR_US, &r);
	purge_later(w, 2 * HOUR_US, &r);
	assert_int_equal(count_packs(w), 0);
}

/* Packs that turn out to be another store's, which was not reached when the node started, stay. */
static void not_ours(void **state)
{
	struct world *w = *state;
	struct purge_report r;
	char mark[100];
	close_world(w);
	open_at(w, "failing:sqlite:meta.db", "file:blobs?whole=1");
	put_all(w, 0, 10, 500);
	pack_all(w);
	expunge_all(w, 1, 10);
	sql(w, "INSERT INTO facts (name, value) VALUES ('bodies', 'ours')");
	snprintf(mark, sizeof mark, "%s/blobs/.store", w->dir);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(try_purge(w, 40 * 24 * HOUR_US, &r), ERR_INVALID);
		assert_int_equal(count_packs(w), 1);
		assert_int_equal(durable_file_write(mark, i ? SPAN("ours\n") : SPAN("theirs\n"), 0600), OK);
	}
	purge_later(w, HOUR_US, &r);
	assert_int_equal(count_packs(w), 0);
}

/* --- A packer that is stopped --- */

struct stopped {
	struct world *w;
	struct store other; /* the same stores, as another node */
	bool pack;          /* the other one packs meanwhile */
	int64_t ahead;      /* and so much time goes by */
	int calls;
	uint64_t packs;
};

/* Asked between the steps of the first one: once its pack is there, the other one works, as the first has been silent. */
static int stop_after_put(void *ctx)
{
	struct stopped *k = ctx;
	struct packer *p;
	struct packer_report r;
	if (!count_packs(k->w) || k->calls++)
		return 0;
	atomic_fetch_add(&ahead, k->ahead);
	if (!k->pack)
		return 0;
	assert_int_equal(packer_open(&(struct packer_options){ &k->other, 64 * 1024, HOUR_US }, &p), OK);
	assert_int_equal(packer_run(p, true, NULL, NULL, &r), OK);
	assert_true(r.elsewhere);
	waited += HOUR_US;
	assert_int_equal(packer_run(p, true, NULL, NULL, &r), OK);
	waited -= HOUR_US;
	assert_false(r.elsewhere);
	k->packs = r.packs;
	packer_close(&p);
	return 0;
}

static void fenced_out(void **state)
{
	struct world *w = *state;
	struct purge_report purged;
	struct packer_report r;
	struct stopped k = { .w = w, .other = { .meta = w->store->meta, .blob = w->store->blob }, .pack = true };
	assert_int_equal(nodes_join(w->store->meta, "n2", "n2", &k.other.nodes), OK);
	put_all(w, 0, 30, 500);
	assert_int_equal(packer_run(w->packer, true, stop_after_put, &k, &r), ERR_CONFLICT);
	assert_int_equal(k.packs, 1);
	assert_int_equal(count_packs(w), 2);
	assert_mails(w, 30, 500);
	assert_int_equal(assert_sound(w).orphans, 1);
	purge_later(w, 23 * HOUR_US, &purged);
	assert_int_equal(purged.counts.packs, 0);
	purge_later(w, 2 * HOUR_US, &purged);
	assert_int_equal(purged.counts.packs, 1);
	assert_int_equal(assert_sound(w).orphans, 0);
	assert_mails(w, 30, 500);
	assert_int_equal(packer_run(w->packer, true, NULL, NULL, &r), OK);
	nodes_leave(&k.other.nodes);
}

/* Nobody took over, but by now purge may have found that nobody refers to the pack. */
static void too_late(void **state)
{
	struct world *w = *state;
	struct packer_report r;
	struct stopped k = { .w = w, .ahead = 2 * HOUR_US };
	put_all(w, 0, 30, 500);
	assert_int_equal(packer_run(w->packer, true, stop_after_put, &k, &r), ERR_UNAVAILABLE);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 30);
	pack_all(w);
	assert_mails(w, 30, 500);
	assert_int_equal(assert_sound(w).orphans, 1);
}

/* --- Each call fails once --- */

static void each_blob_call_fails(void **state)
{
	static const enum fault_op ops[] = { FAULT_CREATE, FAULT_WRITE, FAULT_SYNC, FAULT_READ };
	struct world *w = *state;
	struct packer_report r;
	unsigned n = 0, failed = 0;
	for (size_t i = 0; i < COUNT(ops) * 2; i++)
		for (int64_t at = 1;; at++) {
			struct fault_plan plan = { .op = ops[i / 2], .at = at, .cut = i & 1 }, none = { 0 };
			put_all(w, n, 3, 500);
			n += 3;
			blob_failing_set(w->store->blob->backend, &plan);
			int e = packer_run(w->packer, true, NULL, NULL, &r);
			bool reached = blob_failing_calls(w->store->blob->backend) >= at;
			blob_failing_set(w->store->blob->backend, &none);
			assert_int_equal(e != OK, reached);
			failed += reached;
			if (!reached)
				break;
			assert_sound(w);
			pack_all(w);
		}
	assert_true(failed > 8);
	pack_all(w);
	assert_mails(w, n, 500);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 0);
}

static void each_statement_fails(void **state)
{
	static const struct meta_failing_plan plans[] = {
		{ .call = META_FAILING_STATEMENT, .code = ERR_UNAVAILABLE }, { .call = META_FAILING_COMMIT, .code = ERR_UNAVAILABLE },
		{ .call = META_FAILING_COMMIT, .code = ERR_UNAVAILABLE, .committed = true }, { .call = META_FAILING_STATEMENT, .code = ERR_FULL },
	};
	struct world *w = *state;
	struct packer_report r;
	unsigned n = 0, failed = 0;
	for (size_t i = 0; i < COUNT(plans); i++)
		for (uint64_t at = 1;; at++) {
			struct meta_failing_plan plan = plans[i], none = { 0 };
			uint64_t statements, commits;
			plan.at = at;
			plan.times = 1;
			put_all(w, n, 2, 500);
			n += 2;
			meta_failing_set(w->store->meta, &plan);
			int e = packer_run(w->packer, true, NULL, NULL, &r);
			meta_failing_seen(w->store->meta, &statements, &commits);
			meta_failing_set(w->store->meta, &none);
			bool reached = (plan.call == META_FAILING_COMMIT ? commits : statements) >= at;
			failed += e != OK;
			assert_true(reached || !e);
			if (!reached)
				break;
			assert_sound(w);
			pack_all(w);
		}
	assert_true(failed > 10);
	pack_all(w);
	assert_mails(w, n, 500);
}

/* --- kill -9 at each step --- */

static int die_at(void *ctx)
{
	if (!--*(int *)ctx)
		raise(SIGKILL);
	return 0;
}

/* Two packs' worth of bodies; true when it died. */
static bool pack_and_die(struct world *w, int step, int cut)
{
	char blob[100];
	int status;
	struct packer_report r;
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		snprintf(blob, sizeof blob, "file:blobs?whole=1&powercut=1&seed=%d&cut=%d", cut + step, cut ? cut : -1);
		open_at(w, "sqlite:meta.db?powercut=1", blob);
		_exit(packer_run(w->packer, true, die_at, &step, &r) != OK);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
	return WIFSIGNALED(status);
}

static void killed(void **state)
{
	struct world *w = *state;
	unsigned n = 0;
	for (int how = 0; how < 2; how++) {
		bool died = true;
		for (int at = 1; died; at += how ? 7 : 1) { /* there are hundreds of writes */
			put_all(w, n, how ? 60 : 150, 500);
			n += how ? 60 : 150;
			close_world(w);
			sqlite3_close(w->db);
			died = pack_and_die(w, how ? 0 : at, how ? at : 0);
			open_world(w);
			open_behind(w);
			assert_sound(w);
			assert_int_equal(sql(w, "SELECT COUNT(*) FROM body"), n);
		}
	}
	pack_all(w);
	assert_mails(w, n, 500);
	assert_sound(w);
}

/* --- Damage --- */

static void damage_is_named(void **state)
{
	static const struct {
		const char *sql, *want;
	} cases[] = {
		{ "DELETE FROM staged WHERE body = (SELECT MAX(body) FROM staged)", "is not staged" },
		{ "UPDATE staged SET record = substr(record, 1, 100) || x'00' || substr(record, 102) WHERE body = (SELECT MAX(body) FROM staged)",
		  "its record is damaged" },
		{ "UPDATE staged SET record = substr(record, 1, 100) WHERE body = (SELECT MAX(body) FROM staged)", "its record is damaged" },
		{ "INSERT INTO staged SELECT body + 1, stamp, stored, record FROM staged ORDER BY body DESC LIMIT 1", "its record is damaged" },
		{ "UPDATE body SET pack_at = (SELECT MIN(id) FROM body) WHERE id = (SELECT MAX(id) FROM body)", "leads to the staged bytes of" },
		{ "UPDATE body SET pack = 2251801961168900, pack_at = 32 WHERE id = (SELECT MAX(id) FROM body)", "no blob lies there" },
	};
	struct world *w = *state;
	put_all(w, 0, 4, 500);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer said = { 0 };
		sql(w, "CREATE TABLE kept AS SELECT * FROM staged");
		sql(w, "CREATE TABLE bodies AS SELECT * FROM body");
		sql(w, cases[i].sql);
		struct verify_report r = look(w, &said);
		if (!r.troubles || !strstr(said.p, cases[i].want))
			print_message("%s: said: %s", cases[i].sql, said.p);
		assert_true(r.troubles && strstr(said.p, cases[i].want));
		buffer_free(&said);
		sql(w, "DELETE FROM staged");
		sql(w, "INSERT INTO staged SELECT * FROM kept");
		sql(w, "DELETE FROM body");
		sql(w, "INSERT INTO body SELECT * FROM bodies");
		sql(w, "DROP TABLE kept");
		sql(w, "DROP TABLE bodies");
	}
	assert_sound(w);
}

/* What is no record stays where it is; the rest is gathered. */
static void damaged_rows_stay(void **state)
{
	struct world *w = *state;
	put_all(w, 0, 10, 500);
	sql(w, "UPDATE staged SET record = substr(record, 1, 100) || x'00' || substr(record, 102) WHERE body = (SELECT MIN(body) FROM staged)");
	assert_int_equal(pack_all(w).bodies, 9);
	assert_int_equal(pack_all(w).packs, 0);
	assert_int_equal(sql(w, "SELECT COUNT(*) FROM staged"), 1);
	for (unsigned i = 10; i < 13; i++) { /* nor does it make the others go one by one */
		struct packer_report r;
		put_all(w, i, 1, 500);
		if (i == 11)
			atomic_fetch_add(&ahead, HOUR_US + SECOND_US);
		assert_int_equal(packer_run(w->packer, false, NULL, NULL, &r), OK);
		assert_int_equal(r.bodies, i == 11 ? 2 : 0);
	}
	assert_int_equal(read_one(w, sql(w, "SELECT MIN(id) FROM email"), 0, 500), ERR_CORRUPT);
	assert_int_equal(read_one(w, sql(w, "SELECT MAX(id) FROM email"), 12, 500), OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
		TEST(rows_and_objects), TEST(gathered), TEST(ahead_of_the_reader), TEST(beside_readers), TEST(purged), TEST(fenced_out), TEST(too_late),
		TEST(each_blob_call_fails), TEST(each_statement_fails), TEST(killed), TEST(damage_is_named), TEST(young_on_a_slow_disk),
		TEST(not_ours), TEST(damaged_rows_stay),
	};
	return cmocka_run_group_tests_name("staged", tests, NULL, NULL);
}
