/* Verify on real stores: a store on which everything was done is found healthy; then each invariant of docs/store.md is
   broken by hand, behind the store's back, and must be named. */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "account.h"
#include "fail.h"
#include "flags.h"
#include "instant.h"
#include "message.h"
#include "restore.h"
#include "scratch.h"
#include "stand.h"
#include "stores.h"
#include "verify.h"
#include "view.h"

static const struct actor tester = { "tester", 7, "test" };

enum { ANNA = 1, BERT = 2, CARL = 3 };

struct world {
	char dir[128];
	struct store *store;
	struct service *s;
};

static char template[64]; /* the healthy store, copied for each case */

static void open_world(struct world *w)
{
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
}

static void close_world(struct world *w)
{
	stores_close(&w->store, &w->s);
}

/* --- A store on which everything was done --- */

static struct incoming *message(struct world *w, const char *subject, size_t body)
{
	struct incoming *in;
	char text[400], *more = calloc(1, body + 1);
	snprintf(text, sizeof text, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %s\r\n\r\nbody of %s\r\n", subject, subject);
	for (uint32_t i = 0, random = 1; i < body; i++, random = random * 1664525 + 1013904223) /* nothing to compress */
		more[i] = (char)(i % 61 == 60 ? '\n' : ' ' + (random >> 24) % 95);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_of(text)), OK);
	assert_int_equal(incoming_write(in, span_from(more, body)), OK);
	assert_int_equal(incoming_finish(in), OK);
	free(more);
	return in;
}

static void put(struct world *w, int64_t account, const char *folder, const char *subject, uint64_t flags, size_t body)
{
	struct append_result r;
	struct incoming *in = message(w, subject, body);
	assert_int_equal(append(w->s, account, span_of(folder),
	                        &(struct append_message){ in, flags, SPAN("project"), 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
}

static void deliver_to_both(struct world *w, const char *subject)
{
	struct recipient r[] = { { .account = ANNA, .address = SPAN("anna@example.org") },
		                 { .account = BERT, .address = SPAN("bert@example.org") } };
	struct incoming *in = message(w, subject, 0);
	assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), r, 2, &tester), OK);
	assert_int_equal(r[0].result | r[1].result, OK);
	incoming_free(&in);
}

static struct imap_set *range(uint32_t first, uint32_t last)
{
	static struct imap_range r;
	static struct imap_set s;
	r = (struct imap_range){ first, last };
	s = (struct imap_set){ &r, 1 };
	return &s;
}

static struct view *look(struct world *w, const char *path)
{
	struct view *v = NULL;
	assert_int_equal(view_open(w->s, ANNA, span_of(path), 0, &v), OK);
	return v;
}

static void store(struct view *v, uint32_t first, uint32_t last, uint64_t flags)
{
	struct store_request q = { .uids = range(first, last), .op = STORE_ADD, .flags = flags, .keywords = SPAN("later") };
	struct store_result r;
	assert_int_equal(view_store(v, &q, &tester, &r), OK);
	free(r.modified);
}

static void copy(struct view *v, uint32_t first, uint32_t last, const char *path, bool move)
{
	struct copy_result c;
	assert_int_equal(view_copy(v, range(first, last), span_of(path), move, &tester, &c), OK);
	free(c.from);
	free(c.to);
}

static void mail_work(struct world *w)
{
	for (int i = 0; i < 12; i++) {
		char subject[16];
		snprintf(subject, sizeof subject, "m%d", i);
		deliver_to_both(w, subject);
	}
	deliver_to_both(w, "m3"); /* a repeat */
	put(w, ANNA, "Archive", "large", FLAG_SEEN, 700000);
	put(w, ANNA, "Archive", "small", FLAG_SEEN | FLAG_FLAGGED, 100);
	struct view *v = look(w, "INBOX");
	store(v, 1, 6, FLAG_SEEN);
	store(v, 2, 3, FLAG_FLAGGED);
	copy(v, 1, 2, "Archive", false);
	copy(v, 3, 4, "Trash", true);
	store(v, 5, 6, FLAG_DELETED);
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	view_close(&v);
	v = look(w, "#at/@12/INBOX");
	copy(v, 5, 5, "Sent", false);
	view_close(&v);
}

static void restore(struct world *w, const char *when, const char *into)
{
	struct restore_report r;
	struct restore_request q = { .account = ANNA, .into = span_of(into), .actor = &tester };
	assert_int_equal(instant_resolve(w->s, ANNA, span_of(when), &q.at), OK);
	assert_int_equal(restore_run(w->s, &q, &r), OK);
}

static void folder_work(struct world *w)
{
	struct snapshot sn;
	assert_int_equal(folder_create(w->s, ANNA, SPAN("work/2026/q1"), &tester), OK);
	put(w, ANNA, "work/2026", "plan", 0, 0);
	put(w, ANNA, "work/2026/q1", "figures", FLAG_SEEN, 0);
	assert_int_equal(folder_rename(w->s, ANNA, SPAN("work"), SPAN("job"), &tester), OK);
	assert_int_equal(snapshot_create(w->s, SPAN("before"), 0, &tester, &sn), OK);
	assert_int_equal(folder_delete(w->s, ANNA, SPAN("job/2026"), &tester), OK); /* leaves a name */
	assert_int_equal(folder_delete(w->s, ANNA, SPAN("Drafts"), &tester), OK);
	assert_int_equal(folder_create(w->s, ANNA, SPAN("Drafts"), &tester), OK); /* another one of that name */
	assert_int_equal(folder_subscribe(w->s, ANNA, SPAN("Junk"), false, &tester), OK);
	restore(w, "before", "");
	restore(w, "@12", "was");
	assert_int_equal(folder_create(w->s, ANNA, SPAN("gone"), &tester), OK);
	put(w, ANNA, "gone", "in a deleted folder", 0, 0);
	assert_int_equal(folder_delete(w->s, ANNA, SPAN("gone"), &tester), OK);
	assert_int_equal(folder_rename(w->s, BERT, SPAN("INBOX"), SPAN("old"), &tester), OK);
}

static int add_follower(struct meta_txn *t, void *arg)
{
	int e = meta_do(t, META_FOLLOWER_ADD, "si", SPAN("index"), INT64_C(0));
	return e ? e : meta_do(t, META_FOLLOWER_SLOT, "is", INT64_C(1), SPAN("index"));
}

static int make_template(void **state)
{
	struct world w;
	struct span names[] = { SPAN("anna@example.org"), SPAN("bert@example.org"), SPAN("carl@example.org") };
	int64_t carl;
	scratch_make("verify", template);
	snprintf(w.dir, sizeof w.dir, "%s", template);
	open_world(&w);
	assert_int_equal(account_add(w.s, names, 3, SPAN("none"), &tester), OK);
	mail_work(&w);
	folder_work(&w);
	put(&w, CARL, "INBOX", "for carl", 0, 0);
	assert_int_equal(account_remove(w.s, CARL, &tester), OK);
	assert_int_equal(restore_account(w.s, names[2], &tester, &carl), OK);
	assert_int_equal(account_password(w.s, &carl, 1, SPAN("other"), &tester), OK);
	assert_int_equal(account_remove(w.s, CARL, &tester), OK);
	assert_int_equal(meta_run(w.store->meta, add_follower, NULL, NULL), OK);
	close_world(&w);
	return 0;
}

static int remove_template(void **state)
{
	char copy[sizeof template + sizeof ".copy"];
	snprintf(copy, sizeof copy, "%s.copy", template);
	test_meta_drop(copy);
	test_stores_remove(template);
	return 0;
}

static void copy_template(struct world *w)
{
	char command[400];
	snprintf(w->dir, sizeof w->dir, "%s.copy", template); /* one at a time: making a database takes longer than filling it */
	snprintf(command, sizeof command, "cp -r '%s' '%s'", template, w->dir);
	assert_int_equal(system(command), 0);
	test_meta_copied(template, w->dir);
}

static void drop_copy(struct world *w)
{
	scratch_remove(w->dir);
}

/* --- Looking --- */

struct said {
	struct buffer all;
	size_t lines;
	uint64_t done, total;
	uint64_t calls, stop_at;
};

static void take_line(void *ctx, const char *line)
{
	struct said *k = ctx;
	buffer_puts(&k->all, line);
	buffer_putc(&k->all, '\n');
	k->lines++;
}

static void take_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct said *k = ctx;
	assert_true(done >= k->done && done <= total);
	k->done = done;
	k->total = total;
}

static int stop(void *ctx)
{
	struct said *k = ctx;
	return k->stop_at && ++k->calls >= k->stop_at;
}

static struct verify_report verify(struct world *w, struct said *k)
{
	struct verify_report r;
	struct verify_request q = { take_line, take_progress, stop, k };
	int e = verify_run(w->s, &q, &r);
	if (e)
		print_message("verify: %s\n", fail_detail());
	assert_int_equal(e, OK);
	assert_int_equal(r.troubles, k->lines);
	buffer_putc(&k->all, 0);
	return r;
}

static void a_healthy_store_is_clean(void **state)
{
	struct world w;
	struct said k = { 0 };
	copy_template(&w);
	open_world(&w);
	struct verify_report r = verify(&w, &k);
	if (r.troubles)
		print_message("%s", k.all.p);
	assert_int_equal(r.troubles, 0);
	assert_int_equal(r.unreferenced, 0);
	assert_int_equal(r.unused, 0);
	assert_int_equal(r.accounts, 4);
	assert_int_equal(r.records, r.blobs);
	assert_int_equal(r.records, 18);
	assert_true(r.bytes > 700000);
	assert_true(r.entries > 60 && r.versions > 20 && r.changes > 50);
	assert_int_equal(k.done, k.total);
	assert_false(r.cancelled);
	buffer_free(&k.all);
	k = (struct said){ .stop_at = 5 };
	assert_true(verify(&w, &k).cancelled);
	buffer_free(&k.all);
	close_world(&w);
	drop_copy(&w);
}

/* --- Beside others --- */

enum { ROUNDS = 4 }; /* for each verify */

struct worker {
	struct world *w;
	atomic_bool stop;
	atomic_int asked; /* rounds that may be worked until now: what it leaves is read by each verify, however slow that is */
	int rounds;
};

/* One round leaves the mailbox as full as it was, and its past longer. */
static void work_a_round(struct world *w, int round)
{
	char subject[32], name[32];
	for (int i = 0; i < 5; i++) {
		snprintf(subject, sizeof subject, "busy %d %d", round, i);
		deliver_to_both(w, subject);
	}
	snprintf(name, sizeof name, "f%d", round);
	assert_int_equal(folder_create(w->s, ANNA, span_of(name), &tester), OK);
	struct view *v = look(w, "INBOX");
	uint32_t last = view_uid(v, view_count(v));
	store(v, last - 3, last, FLAG_SEEN);
	copy(v, last - 3, last - 2, name, false);
	copy(v, last - 1, last, name, true);
	store(v, last - 3, last - 3, FLAG_DELETED);
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	view_close(&v);
	assert_int_equal(folder_delete(w->s, ANNA, span_of(name), &tester), OK);
	if (round % 4 == 0)
		restore(w, "@12", "");
}

static void *work(void *arg)
{
	struct worker *k = arg;
	do /* at least once, however quick the other side is */
		if (k->rounds < atomic_load(&k->asked))
			work_a_round(k->w, k->rounds++);
		else
			usleep(1000);
	while (!atomic_load(&k->stop) || !k->rounds);
	return NULL;
}

static void work_beside_it_is_no_trouble(void **state)
{
	struct world w;
	struct worker k = { .w = &w };
	pthread_t thread;
	copy_template(&w);
	open_world(&w);
	assert_int_equal(pthread_create(&thread, NULL, work, &k), 0);
	for (int i = 0; i < 25; i++) {
		struct said said = { 0 };
		atomic_fetch_add(&k.asked, ROUNDS);
		struct verify_report r = verify(&w, &said);
		if (r.troubles)
			print_message("%s", said.all.p);
		buffer_free(&said.all);
		if (r.troubles) {
			atomic_store(&k.stop, true);
			pthread_join(thread, NULL);
		}
		assert_int_equal(r.troubles, 0);
	}
	atomic_store(&k.stop, true);
	pthread_join(thread, NULL);
	assert_true(k.rounds > 0);
	close_world(&w);
	drop_copy(&w);
}

/* --- Rows --- */

static void run_sql(struct world *w, const char *sql)
{
	int64_t changed = test_meta_sql(w->dir, sql);
	if (changed <= 0)
		print_message("changes nothing: %s\n", sql);
	assert_true(changed > 0);
}

#define IN_ANNA " WHERE account = 1 "
#define IN_INBOX " WHERE account = 1 AND collection = 1 "
/* Anna's past versions of INBOX, UID 5: delivered, seen, deleted, gone. */
#define LAST_CHANGE "(SELECT change_no FROM head WHERE account = 1)"
#define AN_EMAIL "(SELECT email FROM live" IN_INBOX "AND uid = 7)"
#define ITS_BLOB "(SELECT body FROM email WHERE id = " AN_EMAIL ")"
#define COLLECTION_OF(path) "(SELECT id FROM collection WHERE account = 1 AND name = '" path "')"
#define A_LIVE_ROW(collection, uid, created, changed, kind, email, size) \
	"INSERT INTO live VALUES (1, " #collection ", 0, " #uid ", " #created ", " #changed ", " #kind ", 1, NULL, 0, 0, " email ", " \
	size ", NULL, NULL)"

struct case_of_damage {
	const char *invariant, *sql, *said;
};

static const struct case_of_damage damages[] = {
	{ "L1", "UPDATE head SET change_no = change_no + 1" IN_ANNA, "anna@example.org: its head is at" },
	{ "L1", "UPDATE head SET stamp = stamp - 1 WHERE account = 2", "bert@example.org: its head is at" },
	{ "L1", "UPDATE head SET change_no = change_no - 1, stamp = (SELECT stamp FROM journal j WHERE j.account = 1 AND"
	        " j.change_no = head.change_no - 1)" IN_ANNA, "lies above the head" },
	{ "L2", "DELETE FROM journal" IN_ANNA "AND change_no IN (5, 6)", "anna@example.org: journal: the changes from @5 to @6 are missing" },
	{ "L2", "DELETE FROM journal" IN_ANNA "AND change_no = 1", "journal: the changes from @1 to @1 are missing" },
	{ "L3", "UPDATE journal SET stamp = 5" IN_ANNA "AND change_no = 9", "@9 is stamped before @8" },
	{ "L4", "UPDATE journal SET body = x'01ff'" IN_ANNA "AND change_no = 9", "journal: what @9 did cannot be read" },
	{ "L4", "UPDATE journal SET body = x'01010001020000'" IN_ANNA "AND change_no = 9", "journal: what @9 did cannot be read" },
	{ "L5", "UPDATE live SET change_no = 999" IN_INBOX "AND uid = 7", "anna@example.org: INBOX: uid 7: its version is of @999" },
	{ "L5", "UPDATE past SET end_no = 999" IN_INBOX "AND uid = 6 AND gone = 1", "INBOX: uid 6: a past version is of @999" },
	{ "L5", "INSERT INTO names VALUES (77, 1, 'x', 1)", "account 77: has rows, but no head" },
	{ "L5", "DELETE FROM head WHERE account = 3", "account 3: has rows, but no head" },

	{ "L6", "DELETE FROM dirty WHERE account = 2", "bert@example.org: no slot of dirty names its last change" },
	{ "C1", "UPDATE head SET next_collection = 3" IN_ANNA, "anna@example.org: Sent: its id 4 may be given out again" },
	{ "C1", "UPDATE head SET next_uidvalidity = 4" IN_ANNA, "INBOX: its UIDVALIDITY may be given out again" },
	{ "C1", "UPDATE collection SET uidvalidity = (SELECT uidvalidity FROM collection" IN_ANNA "AND id = 1)" IN_ANNA "AND name = 'Sent'",
	  "shares its UIDVALIDITY with another folder" },
	{ "C2", "UPDATE collection SET created_no = 3" IN_ANNA "AND id = 1", "INBOX: its change numbers are out of order" },
	{ "C2", "UPDATE collection_past SET begin_no = end_no" IN_ANNA "AND name = 'work'", "a past definition holds from" },
	{ "C2", "UPDATE collection SET begin_no = 2" IN_ANNA "AND name = 'job'", "two of its definitions" },
	{ "C2", "UPDATE collection_past SET kind = 3" IN_ANNA "AND name = 'work'", "job: is another folder than it was before" },
	{ "C3", "UPDATE collection SET parent = 500" IN_ANNA "AND name = 'Sent'", "Sent: lies in a folder that is not there" },
	{ "C3", "UPDATE collection SET parent = (SELECT id FROM collection_past" IN_ANNA "AND name = 'gone')" IN_ANNA "AND name = 'Sent'",
	  "Sent: lies in a folder that is not there" },
	{ "C3", "UPDATE collection SET parent = id" IN_ANNA "AND name = 'Sent'", "lies in itself" },
	{ "C4", "UPDATE collection SET name = 'Sent'" IN_ANNA "AND name = 'Junk'", "Sent: there are two folders of this name" },
	{ "C5", "UPDATE collection SET messages = messages + 1" IN_ANNA "AND id = 1", "INBOX: the number of messages is said to be" },
	{ "C5", "UPDATE collection SET unseen = unseen + 1" IN_ANNA "AND id = 1", "INBOX: the number of unseen messages is said to be" },
	{ "C5", "UPDATE collection SET bytes = bytes - 1" IN_ANNA "AND id = 1", "INBOX: the size is said to be" },
	{ "C5", "DELETE FROM live" IN_ANNA "AND collection = (SELECT id FROM collection_past" IN_ANNA "AND name = 'gone')",
	  "gone (deleted at @" },
	{ "C6", "UPDATE collection SET uidnext = 5" IN_ANNA "AND id = 1", "INBOX: uid 7: its UID may be given out again (the next is 5)" },
	{ "C6", "UPDATE collection SET uidnext = 7" IN_ANNA "AND name = 'INBOX'", "uid 7: its UID may be given out again" },
	{ "C6", "UPDATE collection SET recent = uidnext + 1" IN_ANNA "AND id = 1", "INBOX: UIDs from" },
	{ "C6", "UPDATE live SET uid = 0" IN_INBOX "AND uid = 7", "its UID may be given out again" },
	{ "C7", "UPDATE collection SET change_no = begin_no" IN_ANNA "AND id = 1", "INBOX: its last change is said to be" },
	{ "C8", "UPDATE head SET messages = messages + 1" IN_ANNA, "anna@example.org: is said to hold" },
	{ "C8", "UPDATE head SET bytes = bytes + 1" IN_ANNA, "anna@example.org: is said to hold" },
	{ "C9", "UPDATE head SET tree = 1" IN_ANNA, "was defined after the account's last change of folders" },
	{ "C10", "DELETE FROM collection WHERE account = 2 AND id = 1", "bert@example.org: collection 1, which every account has" },
	{ "C10", "DELETE FROM collection WHERE account = 0 AND id = 4", "the system log: collection 4, which every account has" },

	{ "E1", "UPDATE live SET collection = 6, uid = 99 WHERE account = 3 AND collection = 1", "uid 99: its UID may be given" },
	{ "E1", A_LIVE_ROW(3000, 1, 5, 5, 2, AN_EMAIL, "0"),
	  "anna@example.org: there are entries of collection 3000, which never was" },
	{ "E1", "UPDATE live SET kind = 9" IN_INBOX "AND uid = 7", "uid 7: its version is of kind 9 in a collection of kind 2" },
	{ "E1", "UPDATE past SET kind = 9" IN_INBOX "AND uid = 6", "uid 6: a past version is of kind 9" },
	{ "E2", "UPDATE live SET created_no = change_no + 1" IN_INBOX "AND uid = 7", "uid 7: the changes of its version are out of order" },
	{ "E2", "UPDATE past SET change_no = end_no" IN_INBOX "AND uid = 6 AND gone = 1", "uid 6: the changes of a past version are" },
	{ "E3", "UPDATE past SET change_no = change_no - 1" IN_INBOX "AND uid = 5 AND gone = 1", "uid 5: two of its versions are valid" },
	{ "E3", "UPDATE live SET change_no = change_no - 1" IN_INBOX "AND uid = 1", "INBOX: uid 1: two of its versions are valid" },
	{ "E3", "DELETE FROM past" IN_INBOX "AND uid = 5 AND gone = 1", "uid 5: a new version of @" },
	{ "E3", "DELETE FROM live" IN_INBOX "AND uid = 1", "uid 1: a new version of @" },
	{ "E3", "UPDATE live SET change_no = change_no + 1" IN_INBOX "AND uid = 1", "INBOX: uid 1: no version of it is valid from @" },
	{ "E4", A_LIVE_ROW(1, 6, 13, 30, 2, AN_EMAIL, "0"), "INBOX: uid 6: its UID was used before" },
	{ "E5", "DELETE FROM email WHERE id = " AN_EMAIL, "INBOX: uid 7: its version shows email" },
	{ "E5", "DELETE FROM email WHERE id = (SELECT email FROM past" IN_INBOX "AND uid = 6 LIMIT 1)", "uid 6: a past version shows email" },
	{ "E5", "UPDATE live SET email = (SELECT MIN(id) FROM email WHERE account = 2)" IN_INBOX "AND uid = 7", "uid 7: its version shows" },
	{ "E5", "UPDATE live SET size = size + 1" IN_INBOX "AND uid = 7", "INBOX: uid 7: its version has" },
	{ "E5", "UPDATE email SET created_no = " LAST_CHANGE " WHERE id = " AN_EMAIL, "INBOX: uid 7: came at @" },
	{ "E6", "DELETE FROM names WHERE account = 1 AND name = 'Sent'", "subscriptions: uid" },
	{ "E6", "UPDATE names SET uid = 500 WHERE account = 0 AND name = 'anna@example.org'", "the name anna@example.org leads to it" },
	{ "E6", "INSERT INTO names VALUES (1, 2, 'nothing', 500)", "anna@example.org: subscriptions: uid 500: the name nothing leads" },

	{ "E7", "INSERT INTO uid_map VALUES (1, 1, " LAST_CHANGE ", x'0500')", "INBOX: the list of UIDs that is kept" },

	{ "B1", "UPDATE email SET created_no = 999 WHERE id = " AN_EMAIL, "its account is not there, or has not come to its change" },
	{ "B1", "UPDATE email SET account = 77 WHERE id = " AN_EMAIL, "account 77: email" },
	{ "B1", "UPDATE email SET summary = x'00' WHERE id = " AN_EMAIL, "what is kept of it for clients cannot be read" },
	{ "B2", "DELETE FROM body WHERE id = " ITS_BLOB, "has no row, so its text cannot be found" },
	{ "B2", "UPDATE email SET size = size + 1 WHERE id = " AN_EMAIL, "its size is not its blob's" },
	{ "B2", "UPDATE body SET state = 1 WHERE id = " ITS_BLOB, "is condemned and will be removed" },
	{ "B6", "UPDATE body SET state = 1 WHERE id = " ITS_BLOB, "is condemned, and no purge will find it" },
	{ "B2", "DELETE FROM body_use WHERE email = " AN_EMAIL, "nothing says that it uses its blob" },
	{ "B2", "INSERT INTO body_use VALUES (" ITS_BLOB ", 12345)", "is kept for email 12345, which is not there" },
	{ "B2", "INSERT INTO body_use VALUES (" ITS_BLOB ", (SELECT MAX(id) FROM email))", "which has another one" },
	{ "B3", "UPDATE body SET pack_at = pack_at + 8 WHERE id = " ITS_BLOB, "pack n1/00000001/" },
	{ "B3", "UPDATE body SET pack_at = pack_at + 8 WHERE id = " ITS_BLOB, "INBOX: uid 7: it cannot be read" },
	{ "B3", "UPDATE body SET size = size + 1 WHERE id = " ITS_BLOB, "the record there is another message" },
	{ "B3", "UPDATE body SET sha256 = x'0000000000000000000000000000000000000000000000000000000000000000', hash = 0 WHERE id = " ITS_BLOB, "the record there is another message" },
	{ "B3", "UPDATE body SET hash = hash + 1 WHERE id = " ITS_BLOB, "its SHA-256 and its short hash differ" },
	{ "B3", "UPDATE body SET pack = pack + 1000 WHERE id = " ITS_BLOB, "is missing" },
	{ "B3", "INSERT INTO body SELECT id + 100000, domain, hash, sha256, size, pack, pack_at, stored, state, since FROM body LIMIT 1",
	  "shares the record at byte" },
	{ "B4", "UPDATE node SET epoch = 0", "was minted by no known start of a node" },
	{ "B4", "UPDATE body SET id = id + (7 << 51) WHERE id = " ITS_BLOB, "was minted by no known start of a node" },
	{ "O1", "UPDATE delivery SET change_no = 999 WHERE account = 2", "bert@example.org: a delivery is remembered of @999" },
	{ "O1", "UPDATE delivery SET body = body + 1000000 WHERE account = 2", "is remembered by a blob that is not there" },
	{ "O1", "INSERT INTO position VALUES ('index', 2, 999)", "account 2: the follower index has read up to @999" },
};

static void each_broken_row_is_named(void **state)
{
	size_t missed = 0;
	for (size_t i = 0; i < COUNT(damages); i++) {
		const struct case_of_damage *d = &damages[i];
		struct world w;
		struct said k = { 0 };
		if (test_blob_shared() && !strcmp(d->invariant, "B3"))
			continue; /* small bodies are rows there, whose damage is told in other words (test_staged.c) */
		copy_template(&w);
		if (!strcmp(d->invariant, "B4")) { /* opening would count the start: break it under a running store */
			open_world(&w);
			run_sql(&w, d->sql);
		} else {
			run_sql(&w, d->sql);
			open_world(&w);
		}
		verify(&w, &k);
		if (!strstr(k.all.p, d->said)) {
			print_message("%s: %s\n   wanted: %s\n   said: %s\n", d->invariant, d->sql, d->said, k.all.p);
			missed++;
		}
		buffer_free(&k.all);
		close_world(&w);
		drop_copy(&w);
	}
	assert_int_equal(missed, 0);
}

/* --- Packs --- */

static char found[256]; /* the smallest pack that nftw comes by */
static off_t found_size;

static int note_pack(const char *path, const struct stat *st, int type, struct FTW *f)
{
	size_t n = strlen(path);
	if (n > 5 && !strcmp(path + n - 5, ".pack") && (found_size == 0 || st->st_size < found_size)) {
		snprintf(found, sizeof found, "%s", path);
		found_size = st->st_size;
	}
	return 0;
}

/* The pack that the small messages are in. */
static void find_pack(struct world *w)
{
	found_size = 0;
	nftw(w->dir, note_pack, 16, FTW_PHYS);
	assert_true(found_size > 0);
}

static void flip_byte(off_t at)
{
	unsigned char c;
	int fd = open(found, O_RDWR);
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 4;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

static struct verify_report verify_said(struct world *w, const char *first, const char *second)
{
	struct said k = { 0 };
	open_world(w);
	struct verify_report r = verify(w, &k);
	bool right = strstr(k.all.p, first) && strstr(k.all.p, second);
	if (!right)
		print_message("wanted: %s ... %s\nsaid: %s\n", first, second, k.all.p);
	assert_true(right);
	buffer_free(&k.all);
	close_world(w);
	drop_copy(w);
	return r;
}

static void a_flipped_bit_is_named(void **state)
{
	if (test_blob_shared())
		skip(); /* it looks into pack files */
	for (off_t back = 200; back < 1200; back += 97) {
		struct world w;
		copy_template(&w);
		find_pack(&w);
		flip_byte(found_size - back);
		struct verify_report r = verify_said(&w, "pack n1/00000001/", "cannot be read: its bytes in the pack are damaged");
		assert_true(r.troubles >= 2);
	}
}

static void a_short_pack_is_named(void **state)
{
	if (test_blob_shared())
		skip(); /* it looks into pack files */
	struct world w;
	copy_template(&w);
	find_pack(&w);
	assert_int_equal(truncate(found, found_size / 2), 0);
	verify_said(&w, "pack n1/00000001/", "anna@example.org: INBOX: uid 12: it cannot be read");
}

static void a_missing_pack_is_named_once(void **state)
{
	if (test_blob_shared())
		skip(); /* it looks into pack files */
	struct world w;
	copy_template(&w);
	find_pack(&w);
	assert_int_equal(unlink(found), 0);
	struct verify_report r = verify_said(&w, "is missing", "bert@example.org: old: uid 1: it cannot be read");
	assert_true(r.troubles > 30);
}

static void a_damaged_database_is_named(void **state)
{
	struct world w;
	if (test_meta_shared())
		skip(); /* it is SQLite's file */
	copy_template(&w);
	open_world(&w);
	close_world(&w);
	run_sql(&w, "PRAGMA writable_schema = 1; DROP INDEX body_hash; CREATE INDEX body_hash ON body (hash);"
	            "UPDATE sqlite_schema SET sql = 'CREATE INDEX body_hash ON body (size)' WHERE name = 'body_hash'");
	verify_said(&w, "database: ", "put a backup of it back");
}

static bool overwrite_page(const char *dir, off_t page)
{
	char path[160], junk[1024];
	memset(junk, 0x5a, sizeof junk);
	snprintf(path, sizeof path, "%s/meta.db", dir);
	int fd = open(path, O_RDWR);
	bool there = lseek(fd, 0, SEEK_END) > page * 1024;
	if (there)
		assert_int_equal(pwrite(fd, junk, sizeof junk, page * 1024), sizeof junk);
	close(fd);
	return there;
}

/* Whatever page it is: either the store is not opened, or verify comes to its end and has something to say. */
static void a_damaged_page_is_named(void **state)
{
	bool there = !test_meta_shared();
	for (off_t page = 1; there; page += 3) {
		struct world w = { 0 };
		struct verify_request q = { 0 };
		struct verify_report r = { 0 };
		struct store_options o = { .dir = w.dir, .node_name = "n1", .meta_url = test_meta_url(w.dir),
			.blob_url = test_blob_url(w.dir) };
		copy_template(&w);
		there = overwrite_page(w.dir, page);
		int e = store_open(&o, &w.store);
		if (!e)
			e = service_open(w.store, &w.s);
		if (!e)
			e = verify_run(w.s, &q, &r);
		if (there && !e && !r.troubles)
			print_message("page %d is damaged and nobody minds\n", (int)page);
		assert_true(!there || e || r.troubles);
		close_world(&w);
		drop_copy(&w);
	}
}

/* A crash between the sync of the pack and the commit leaves a record that nobody refers to. */
static void a_stray_record_is_a_note(void **state)
{
	struct world w;
	struct blob_stage *st;
	struct said k = { 0 };
	if (test_blob_shared())
		skip(); /* small bodies are rows there */
	copy_template(&w);
	open_world(&w);
	assert_int_equal(blob_stage_new(w.store->blob, &st), OK);
	assert_int_equal(blob_stage_write(st, SPAN("Subject: lost\r\n\r\nnever linked\r\n")), OK);
	assert_int_equal(blob_stage_finish(st), OK);
	blob_write(w.store->blob, &st, 1);
	blob_sync(w.store->blob, &st, 1);
	blob_settle(w.store->blob, &st, 1);
	blob_stage_free(&st);
	struct verify_report r = verify(&w, &k);
	assert_int_equal(r.troubles, 0);
	assert_int_equal(r.unreferenced, 1);
	buffer_free(&k.all);
	close_world(&w);
	drop_copy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_store_is_clean),
		cmocka_unit_test(work_beside_it_is_no_trouble),
		cmocka_unit_test(each_broken_row_is_named),
		cmocka_unit_test(a_flipped_bit_is_named),
		cmocka_unit_test(a_short_pack_is_named),
		cmocka_unit_test(a_missing_pack_is_named_once),
		cmocka_unit_test(a_damaged_database_is_named),
		cmocka_unit_test(a_damaged_page_is_named),
		cmocka_unit_test(a_stray_record_is_a_note),
	};
	return cmocka_run_group_tests(tests, make_template, remove_template);
}
