/* The mailbox service on real stores in a temporary folder. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"
#include "acl.h"
#include "change.h"
#include "entry_cache.h"
#include "fail.h"
#include "flags.h"
#include "instant.h"
#include "message.h"
#include "metadata.h"
#include "meta_failing.h"
#include "nodes.h"
#include "restore.h"
#include "resume.h"
#include "scratch.h"
#include "stand.h"
#include "stores.h"
#include "view.h"

static const struct actor tester = { "tester", 7, "test" };

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	int64_t account;
};

static void open_world_at(struct world *w, const char *meta_url)
{
	stores_open(w->dir, meta_url, &w->store, &w->s);
}

static void open_world(struct world *w)
{
	open_world_at(w, test_meta_url(w->dir));
}

static void open_failing(struct world *w)
{
	char url[1100];
	snprintf(url, sizeof url, "failing:%s", test_meta_url(w->dir));
	open_world_at(w, url);
}

static void close_world(struct world *w)
{
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
	scratch_make("mailbox", w->dir);
	open_world(w);
	assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	assert_int_equal(account_list(w->s, note_account, &w->account), OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	close_world(w);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

static struct incoming *message(struct world *w, const char *subject)
{
	struct incoming *in;
	char text[400];
	snprintf(text, sizeof text, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %s\r\n\r\nbody of %s\r\n", subject, subject);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_of(text)), OK);
	assert_int_equal(incoming_finish(in), OK);
	return in;
}

static uint32_t put(struct world *w, const char *folder, const char *subject, uint64_t flags)
{
	struct append_result r;
	struct incoming *in = message(w, subject);
	assert_int_equal(append(w->s, w->account, span_of(folder),
	                        &(struct append_message){ in, flags, (struct span){ 0 }, 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
	return r.uid;
}

static struct view *look(struct world *w, const char *path)
{
	struct view *v = NULL;
	int e = view_open(w->s, w->account, span_of(path), 0, &v);
	if (e)
		print_message("%s: %s\n", path, fail_detail());
	assert_int_equal(e, OK);
	return v;
}

static struct imap_set *range(uint32_t first, uint32_t last)
{
	static struct imap_range r;
	static struct imap_set s;
	r = (struct imap_range){ first, last };
	s = (struct imap_set){ &r, 1 };
	return &s;
}

static void store(struct view *v, uint32_t first, uint32_t last, enum store_op op, uint64_t flags, const char *keywords)
{
	struct store_request q = { .uids = range(first, last), .op = op, .flags = flags, .keywords = span_of(keywords) };
	struct store_result r;
	assert_int_equal(view_store(v, &q, &tester, &r), OK);
	free(r.modified);
}

static void read_one(struct view *v, uint32_t uid, struct entry *out, struct arena *a)
{
	struct entry *e;
	size_t n;
	assert_int_equal(view_read(v, uid, uid, 10, true, a, &e, &n), OK);
	assert_int_equal(n, 1);
	*out = e[0];
}

static void deliveries_are_stored_once(void **state)
{
	struct world *w = *state;
	struct recipient r = { .account = w->account, .address = SPAN("anna@example.org") };
	for (int i = 0; i < 3; i++) {
		struct incoming *in = message(w, "once");
		assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), &r, 1, &tester), OK);
		assert_int_equal(r.result, OK);
		assert_int_equal(r.duplicate, i > 0);
		incoming_free(&in);
	}
	struct incoming *in = message(w, "once");
	r.address = SPAN("info@example.org"); /* an alias of the same account leads to the same place */
	assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), &r, 1, &tester), OK);
	assert_true(r.duplicate);
	incoming_free(&in);
	in = message(w, "once");
	r.folder = SPAN("x"); /* another folder is another delivery, also where it is not there */
	assert_int_equal(deliver(w->s, in, SPAN("s@example.org"), &r, 1, &tester), OK);
	assert_false(r.duplicate);
	incoming_free(&in);
	struct view *v = look(w, "inbox");
	assert_int_equal(view_count(v), 2);
	assert_int_equal(view_recent(v), 2);
	view_close(&v);
	v = look(w, "INBOX");
	assert_int_equal(view_recent(v), 0);
	view_close(&v);
}

static void bytes_come_back(void **state)
{
	struct world *w = *state;
	uint32_t uid = put(w, "INBOX", "hello", FLAG_SEEN);
	struct view *v = look(w, "INBOX");
	struct arena a = { 0 };
	struct entry e;
	struct message *m;
	struct span bytes;
	read_one(v, uid, &e, &a);
	assert_int_equal(e.flags, FLAG_SEEN);
	assert_true(e.summary.n > 50);
	assert_int_equal(message_open(w->s, e.email, &m), OK);
	assert_int_equal(message_size(m), e.size);
	assert_int_equal(message_at(m, 0, &bytes), OK);
	assert_int_equal(bytes.n, e.size);
	assert_memory_equal(bytes.p, "From: a@example.org\r\n", 21);
	message_close(&m);
	arena_free(&a);
	view_close(&v);
}

static void two_views_agree(void **state)
{
	struct world *w = *state;
	struct arena a = { 0 };
	struct view_delta d;
	struct entry e;
	for (int i = 0; i < 10; i++) {
		char s[16];
		snprintf(s, sizeof s, "m%d", i);
		put(w, "INBOX", s, 0);
	}
	struct view *v = look(w, "INBOX"), *u = look(w, "INBOX");
	store(v, 3, 5, STORE_ADD, FLAG_DELETED, "later urgent");
	assert_int_equal(view_sync(u, false, &d), OK);
	assert_int_equal(d.n_changed, 3);
	assert_int_equal(d.changed[0], 3);
	view_delta_free(&d);
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	put(w, "INBOX", "new", 0);

	assert_int_equal(view_sync(u, false, &d), OK); /* not told: still numbered, still readable */
	assert_int_equal(d.n_expunged, 0);
	assert_true(d.exists);
	assert_int_equal(view_count(u), 11);
	read_one(u, 4, &e, &a);
	assert_true(span_eq(e.keywords, SPAN("later urgent")));
	view_delta_free(&d);

	assert_int_equal(view_sync(u, true, &d), OK);
	assert_int_equal(d.n_expunged, 3);
	assert_int_equal(d.expunged[0].number, 3);
	assert_int_equal(d.expunged[1].number, 3);
	assert_int_equal(d.expunged[2].number, 3);
	assert_int_equal(view_count(u), 8);
	assert_int_equal(view_uid(u, 3), 6);
	view_delta_free(&d);
	assert_int_equal(view_sync(v, true, &d), OK);
	assert_int_equal(view_count(v), 8);
	view_delta_free(&d);
	arena_free(&a);
	view_close(&v);
	view_close(&u);
}

static void the_past_can_be_seen(void **state)
{
	struct world *w = *state;
	struct arena a = { 0 };
	struct snapshot sn;
	struct entry e;
	struct copy_result c;
	for (int i = 0; i < 5; i++)
		put(w, "INBOX", "x", 0);
	struct view *v = look(w, "INBOX");
	store(v, 2, 2, STORE_ADD, FLAG_FLAGGED, "");
	assert_int_equal(snapshot_create(w->s, SPAN("before"), 0, &tester, &sn), OK);
	assert_int_equal(snapshot_create(w->s, SPAN("before"), 0, &tester, &sn), ERR_EXISTS);
	assert_int_equal(snapshot_create(w->s, SPAN("5m"), 0, &tester, &sn), ERR_INVALID);
	store(v, 1, 3, STORE_REPLACE, FLAG_DELETED, "");
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
	put(w, "INBOX", "later", 0);
	view_close(&v);

	struct view *p = look(w, "#at/before/INBOX");
	assert_int_equal(view_count(p), 5);
	assert_true(view_info(p)->past && view_info(p)->read_only);
	read_one(p, 2, &e, &a);
	assert_int_equal(e.flags, FLAG_FLAGGED);
	struct store_request q = { .uids = range(1, 1), .op = STORE_ADD, .flags = FLAG_SEEN };
	struct store_result sr;
	assert_int_equal(view_store(p, &q, &tester, &sr), ERR_CANNOT);
	assert_int_equal(view_copy(p, range(1, 3), SPAN("Archive"), false, &tester, &c), OK);
	assert_int_equal(c.n, 3);
	free(c.from);
	free(c.to);
	view_close(&p);
	v = look(w, "Archive");
	assert_int_equal(view_count(v), 3);
	struct entry f;
	read_one(v, 2, &f, &a);
	assert_int_equal(f.flags, FLAG_FLAGGED);
	assert_int_equal(f.email, e.email);
	view_close(&v);
	arena_free(&a);
}

static void folders(void **state)
{
	struct world *w = *state;
	static const struct { const char *op, *a, *b; int result; } steps[] = {
		{ "create", "work/2026/q1", "", OK }, { "create", "work/2026/q1", "", ERR_EXISTS }, { "create", "inbox/sub", "", OK },
		{ "create", "../x", "", ERR_INVALID }, { "create", "", "", ERR_INVALID }, { "create", "#at/1h/x", "", ERR_CANNOT },
		{ "rename", "work", "job", OK }, { "rename", "job", "job/below", ERR_INVALID }, { "rename", "nothing", "x", ERR_NOT_FOUND },
		{ "rename", "job", "Sent", ERR_EXISTS }, { "delete", "job/2026", "", OK }, { "delete", "job/2026", "", ERR_CANNOT },
		{ "create", "job/2026", "", OK }, { "delete", "job/2026/q1", "", OK }, { "delete", "job/2026/q1", "", ERR_NOT_FOUND },
		{ "delete", "INBOX", "", ERR_CANNOT }, { "rename", "INBOX", "old", OK },
	};
	put(w, "INBOX", "x", 0);
	for (size_t i = 0; i < COUNT(steps); i++) {
		struct span a = span_of(steps[i].a), b = span_of(steps[i].b);
		int e = steps[i].op[0] == 'c' ? folder_create(w->s, w->account, a, &tester)
		        : steps[i].op[0] == 'd' ? folder_delete(w->s, w->account, a, &tester)
		                                : folder_rename(w->s, w->account, a, b, &tester);
		if (e != steps[i].result)
			print_message("%s %s: %s %s\n", steps[i].op, steps[i].a, fail_name(e), fail_detail());
		assert_int_equal(e, steps[i].result);
	}
	struct tree t;
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	assert_true(span_eq(t.list[0].path, SPAN("INBOX")));
	assert_int_equal(t.list[0].messages, 0);
	assert_true(t.list[0].has_children);
	assert_int_equal(tree_find(&t, SPAN("old"))->messages, 1);
	assert_non_null(tree_find(&t, SPAN("InBox/sub")));
	assert_null(tree_find(&t, SPAN("work")));
	tree_free(&t);
}

/* Some folders are read by themselves: with what they lie in, without what is not there, each once. */
static void some_folders(void **state)
{
	struct world *w = *state;
	struct tree all, some;
	assert_int_equal(folder_create(w->s, w->account, SPAN("work/2026/q1/week"), &tester), OK);
	assert_int_equal(folder_create(w->s, w->account, SPAN("work/2026/q2"), &tester), OK);
	put(w, "work/2026/q1", "x", 0);
	assert_int_equal(tree_read(w->s, w->account, 0, &all), OK);
	int64_t q1 = tree_find(&all, SPAN("work/2026/q1"))->id, work = tree_find(&all, SPAN("work"))->id;
	int64_t ids[] = { q1, 123456, work, q1, INBOX, SUBSCRIPTIONS, 0 };
	assert_int_equal(tree_read_folders(w->s, w->account, ids, COUNT(ids), &some), OK);
	static const char *const paths[] = { "INBOX", "work", "work/2026", "work/2026/q1" };
	assert_int_equal(some.n, COUNT(paths));
	assert_int_equal(some.change, all.change);
	for (size_t i = 0; i < COUNT(paths); i++) {
		const struct folder *f = &some.list[i], *same = tree_by_id(&all, f->id);
		assert_true(span_eq(f->path, span_of(paths[i])) && same && span_eq(same->path, f->path));
		assert_int_equal(f->messages, same->messages);
	}
	tree_free(&some);
	assert_int_equal(tree_read_folders(w->s, w->account, NULL, 0, &some), OK);
	assert_int_equal(some.n, 0);
	tree_free(&some);
	assert_int_equal(tree_read_folders(w->s, 123456, ids, COUNT(ids), &some), ERR_NOT_FOUND);
	tree_free(&all);
}

static void move_and_reopen(void **state)
{
	struct world *w = *state;
	struct copy_result c;
	for (int i = 0; i < 1200; i++)
		put(w, "INBOX", "same", i % 2 ? FLAG_SEEN : 0);
	struct view *v = look(w, "INBOX");
	assert_int_equal(view_copy(v, range(1, 1100), SPAN("nowhere"), true, &tester, &c), ERR_NOT_FOUND);
	assert_int_equal(view_copy(v, range(1, 1100), SPAN("Trash"), true, &tester, &c), OK);
	assert_int_equal(c.n, 1100);
	assert_int_equal(c.from[1099], 1100);
	free(c.from);
	free(c.to);
	view_close(&v);
	close_world(w);
	open_world(w);
	struct tree t;
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	assert_int_equal(tree_find(&t, SPAN("INBOX"))->messages, 100);
	assert_int_equal(tree_find(&t, SPAN("INBOX"))->unseen, 50);
	assert_int_equal(tree_find(&t, SPAN("Trash"))->messages, 1100);
	tree_free(&t);
}

static struct restore_report restore(struct world *w, const char *when, const char *folder, const char *match, const char *into, bool dry)
{
	struct restore_report r = { 0 };
	struct restore_request q = { .account = w->account, .folder = span_of(folder), .match = span_of(match), .into = span_of(into),
		                     .dry_run = dry, .actor = &tester };
	assert_int_equal(instant_resolve(w->s, w->account, span_of(when), &q.at), OK);
	int e = restore_run(w->s, &q, &r);
	if (e)
		print_message("restore: %s\n", fail_detail());
	assert_int_equal(e, OK);
	return r;
}

static void snap(struct world *w, const char *name)
{
	struct snapshot sn;
	assert_int_equal(snapshot_create(w->s, span_of(name), 0, &tester, &sn), OK);
}

static void expunge(struct view *v, uint32_t first, uint32_t last)
{
	store(v, first, last, STORE_ADD, FLAG_DELETED, "");
	assert_int_equal(view_expunge(v, NULL, &tester), OK);
}

static int64_t messages_in(struct world *w, const char *path)
{
	struct tree t;
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	struct folder *f = tree_find(&t, span_of(path));
	int64_t n = f ? f->messages : -1;
	tree_free(&t);
	return n;
}

static void expunged_messages_come_back(void **state)
{
	struct world *w = *state;
	struct arena a = { 0 };
	struct entry before, e;
	char s[16];
	for (int i = 0; i < 1300; i++) {
		snprintf(s, sizeof s, "m%d", i);
		put(w, "INBOX", s, i % 3 ? FLAG_SEEN : 0);
	}
	struct view *v = look(w, "INBOX");
	store(v, 7, 7, STORE_ADD, FLAG_FLAGGED, "tax");
	read_one(v, 7, &before, &a);
	snap(w, "s1");
	store(v, 7, 9, STORE_ADD, FLAG_ANSWERED, "");
	store(v, 1200, 1210, STORE_REPLACE, 0, "");
	expunge(v, 1, 1100);
	put(w, "INBOX", "later", 0);
	struct restore_report r = restore(w, "s1", "INBOX", "", "", true);
	assert_int_equal(r.messages, 1100);
	assert_int_equal(messages_in(w, "INBOX"), 201);
	r = restore(w, "s1", "INBOX", "", "", false);
	assert_int_equal(r.messages, 1100);
	assert_int_equal(r.flags, 7); /* of 1200..1210, two of three were \Seen */
	assert_int_equal(messages_in(w, "INBOX"), 1301);
	r = restore(w, "s1", "", "", "", false);
	assert_int_equal(r.messages + r.flags + r.folders, 0);
	view_close(&v);
	v = look(w, "INBOX");
	assert_int_equal(view_count(v), 1301);
	read_one(v, 1301 + 7, &e, &a); /* UIDs 1..1301 were given out before */
	assert_int_equal(e.flags, FLAG_FLAGGED);
	assert_true(span_eq(e.keywords, SPAN("tax")));
	assert_int_equal(e.email, before.email);
	assert_int_equal(e.date, before.date);
	view_close(&v);
	arena_free(&a);
}

static void deleted_folders_come_back_as_themselves(void **state)
{
	struct world *w = *state;
	struct tree t;
	assert_int_equal(folder_create(w->s, w->account, SPAN("work/q1"), &tester), OK);
	assert_int_equal(folder_subscribe(w->s, w->account, SPAN("work/q1"), true, &tester), OK);
	for (int i = 0; i < 10; i++)
		put(w, "work/q1", "q", 0);
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	struct folder was = *tree_find(&t, SPAN("work/q1"));
	tree_free(&t);
	struct view *v = look(w, "work/q1");
	snap(w, "s1");
	expunge(v, 4, 5);
	view_close(&v);
	assert_int_equal(folder_subscribe(w->s, w->account, SPAN("work/q1"), false, &tester), OK);
	assert_int_equal(folder_delete(w->s, w->account, SPAN("work/q1"), &tester), OK);
	assert_int_equal(folder_delete(w->s, w->account, SPAN("work"), &tester), OK);
	struct restore_report r = restore(w, "s1", "", "", "", true);
	assert_int_equal(r.folders, 2);
	assert_int_equal(r.messages, 10);
	assert_int_equal(messages_in(w, "work/q1"), -1);
	r = restore(w, "s1", "", "", "", false);
	assert_int_equal(r.folders, 2);
	assert_int_equal(r.messages, 10);
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	struct folder *is = tree_find(&t, SPAN("work/q1"));
	assert_int_equal(is->id, was.id);
	assert_int_equal(is->uidvalidity, was.uidvalidity);
	assert_int_equal(is->messages, 10);
	tree_free(&t);
	struct arena a = { 0 };
	struct span *names;
	size_t n, found = 0;
	assert_int_equal(folder_subscriptions(w->s, w->account, &a, &names, &n), OK);
	for (size_t i = 0; i < n; i++)
		found += span_eq(names[i], SPAN("work/q1"));
	assert_int_equal(found, 1);
	arena_free(&a);
	v = look(w, "work/q1");
	assert_int_equal(view_uid(v, 1), 1); /* UIDs are what they were; the two expunged ones got new ones */
	assert_int_equal(view_uid(v, 10), 12);
	view_close(&v);
}

static void taken_names_are_joined(void **state)
{
	struct world *w = *state;
	assert_int_equal(folder_create(w->s, w->account, SPAN("a"), &tester), OK);
	for (int i = 0; i < 5; i++)
		put(w, "a", "old", 0);
	snap(w, "s1");
	assert_int_equal(folder_delete(w->s, w->account, SPAN("a"), &tester), OK);
	assert_int_equal(folder_create(w->s, w->account, SPAN("a"), &tester), OK);
	put(w, "a", "new", 0);
	assert_int_equal(restore(w, "s1", "a", "", "", false).messages, 5);
	assert_int_equal(messages_in(w, "a"), 6);
	assert_int_equal(restore(w, "s1", "a", "", "", false).messages, 0);
	assert_int_equal(restore(w, "s1", "a", "", "back/here", false).messages, 5);
	assert_int_equal(messages_in(w, "back/here"), 5);
	assert_int_equal(restore(w, "s1", "a", "", "back/here", false).messages, 0);
}

static void renamed_and_moved_come_back(void **state)
{
	struct world *w = *state;
	struct copy_result c;
	assert_int_equal(folder_create(w->s, w->account, SPAN("a/b"), &tester), OK);
	put(w, "a/b", "x", 0);
	put(w, "INBOX", "invoice", FLAG_SEEN);
	put(w, "INBOX", "other", 0);
	snap(w, "s1");
	assert_int_equal(folder_rename(w->s, w->account, SPAN("a/b"), SPAN("b"), &tester), OK);
	assert_int_equal(folder_rename(w->s, w->account, SPAN("a"), SPAN("b/a"), &tester), OK);
	struct view *v = look(w, "INBOX");
	assert_int_equal(view_copy(v, range(1, 2), SPAN("Trash"), true, &tester, &c), OK);
	free(c.from);
	free(c.to);
	view_close(&v);
	assert_int_equal(restore(w, "s1", "INBOX", "subject:invoice", "", false).messages, 1);
	assert_int_equal(messages_in(w, "INBOX"), 1);
	struct restore_report r = restore(w, "s1", "", "", "", false);
	assert_int_equal(r.folders, 2);
	assert_int_equal(r.messages, 1);
	assert_int_equal(messages_in(w, "a/b"), 1);
	assert_int_equal(messages_in(w, "b"), -1);
	assert_int_equal(messages_in(w, "Trash"), 2);
}

static void cannot_resume(void *ctx, const struct changeset *c, int error, bool again)
{
	fail_msg("changeset %lld: %s", (long long)c->id, fail_detail());
}

/* An operation in three transactions whose second one never comes: it is finished at the next start. */
static void large_operations_are_resumed(void **state)
{
	struct world *w = *state;
	static const struct { const char *op; int64_t inbox, trash, unseen; } cases[] = {
		{ "store", 1300, 0, 0 }, { "copy", 1300, 1300, 0 }, { "move", 0, 2600, 0 },
	};
	for (int i = 0; i < 1300; i++)
		put(w, "INBOX", "same", 0);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct copy_result c;
		struct store_result sr = { 0 };
		struct store_request q = { .uids = range(1, 1300), .op = STORE_ADD, .flags = FLAG_SEEN,
			                   .keywords = SPAN("k") }; /* one by one, so that it takes several */
		close_world(w);
		open_failing(w);
		struct view *v = look(w, "INBOX");
		meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_COMMIT, 2, 0, ERR_UNAVAILABLE, false });
		int e = cases[i].op[0] == 's' ? view_store(v, &q, &tester, &sr)
		                              : view_copy(v, range(1, 1300), SPAN("Trash"), cases[i].op[0] == 'm', &tester, &c);
		assert_int_equal(e, ERR_UNAVAILABLE);
		free(sr.modified);
		view_close(&v);
		close_world(w);
		open_world(w);
		assert_int_equal(resume_run(w->s, &(struct resume_request){ .failed = cannot_resume }), OK);
		struct tree t;
		assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
		assert_int_equal(tree_find(&t, SPAN("INBOX"))->messages, cases[i].inbox);
		assert_int_equal(tree_find(&t, SPAN("INBOX"))->unseen, cases[i].unseen);
		assert_int_equal(tree_find(&t, SPAN("Trash"))->messages, cases[i].trash);
		tree_free(&t);
	}
}

/* 1,300 messages in INBOX; of what is done to all of them the second transaction fails. */
static struct view *look_before_failure(struct world *w)
{
	for (int i = 0; i < 1300; i++)
		put(w, "INBOX", "same", 0);
	close_world(w);
	open_failing(w);
	struct view *v = look(w, "INBOX");
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_COMMIT, 2, 0, ERR_UNAVAILABLE, false });
	return v;
}

static void note_left(void *ctx, const struct changeset *c, int error, bool again)
{
	assert_int_equal(error, ERR_UNAVAILABLE);
	assert_true(again);
	*(int *)ctx += 1;
}

/* The store does not answer while one is carried out, and gone on with, also by the start that began it: the next run has it, and it
   is told once. */
static void left_operations_are_tried_again(void **state)
{
	struct world *w = *state;
	struct copy_result c;
	int told = 0;
	const struct resume_request q = { .failed = note_left, .ctx = &told };
	struct view *v = look_before_failure(w);
	assert_int_equal(view_copy(v, range(1, 1300), SPAN("Trash"), true, &tester, &c), ERR_UNAVAILABLE);
	free(c.from);
	free(c.to);
	view_close(&v);
	assert_int_equal(resume_run(w->s, &q), OK);
	assert_int_equal(told, 0); /* who asked for it was */
	assert_int_equal(messages_in(w, "INBOX"), 1000);
	close_world(w);
	open_failing(w);
	for (int i = 0; i < 2; i++) {
		meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_COMMIT, 2, 0, ERR_UNAVAILABLE, false });
		assert_int_equal(resume_run(w->s, &q), OK); /* the take is committed, what follows is not */
		assert_int_equal(told, 1);
		assert_int_equal(messages_in(w, "INBOX"), 1000);
	}
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ 0 });
	assert_int_equal(resume_run(w->s, &q), OK);
	assert_int_equal(messages_in(w, "INBOX"), 0);
	assert_int_equal(messages_in(w, "Trash"), 1300);
}

/* By the start that began it, as soon as the store is back. */
static void its_own_node_goes_on(void **state)
{
	struct world *w = *state;
	struct buffer plans = { 0 };
	struct store_result r = { 0 };
	struct store_request q = { .uids = range(1, 1300), .op = STORE_ADD, .flags = FLAG_SEEN, .keywords = SPAN("k") };
	struct view *v = look_before_failure(w);
	assert_int_equal(view_store(v, &q, &tester, &r), ERR_UNAVAILABLE);
	free(r.modified);
	view_close(&v);
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ 0 });
	assert_int_equal(resume_run(w->s, &(struct resume_request){ .failed = cannot_resume }), OK);
	struct tree t;
	assert_int_equal(tree_read(w->s, w->account, 0, &t), OK);
	assert_int_equal(tree_find(&t, SPAN("INBOX"))->unseen, 0);
	tree_free(&t);
	assert_int_equal(changeset_list(w->store->meta, &plans), OK);
	assert_int_equal(plans.n, 0); /* purge is held no longer */
	buffer_free(&plans);
}

struct adding {
	struct store *store;
	struct changeset c;
};

static int add_plan(struct meta_txn *t, void *arg)
{
	struct adding *q = arg;
	return changeset_add(t, q->store, &q->c);
}

static int do_nothing(struct meta_txn *t, void *arg)
{
	return OK;
}

/* Whose owner is taken for dead, and is not. */
static void taken_over_is_fenced(void **state)
{
	struct world *w = *state;
	struct store other = { .meta = w->store->meta };
	struct adding q = { w->store, { .account = w->account, .id = 77, .kind = CHANGE_RESTORE, .plan = SPAN("plan"), .progress = SPAN("") } };
	struct buffer list = { 0 };
	assert_int_equal(nodes_join(w->store->meta, "n2", "another folder", &other.nodes), OK);
	assert_int_equal(meta_run(w->store->meta, add_plan, &q, NULL), OK);
	assert_int_equal(changeset_list(w->store->meta, &list), OK);
	struct changeset *c = (struct changeset *)(void *)list.p;
	assert_int_equal(list.n, sizeof *c);
	assert_true(changeset_owned(w->store, c));
	assert_int_equal(changeset_step(w->store, w->account, 77, do_nothing, NULL), OK);
	assert_int_equal(changeset_step(&other, w->account, 77, do_nothing, NULL), ERR_CONFLICT);
	struct changeset again = *c;
	assert_int_equal(changeset_take(&other, c), OK);
	assert_int_equal(changeset_take(w->store, &again), ERR_CONFLICT); /* as it was read before */
	assert_int_equal(changeset_step(w->store, w->account, 77, do_nothing, NULL), ERR_CONFLICT);
	assert_int_equal(changeset_end(w->store, w->account, 77, OK), OK); /* nothing of it was taken back, and the plan stays */
	assert_int_equal(changeset_end(w->store, w->account, 77, ERR_FULL), ERR_FULL);
	assert_int_equal(changeset_step(&other, w->account, 77, do_nothing, NULL), OK);
	assert_int_equal(changeset_end(&other, w->account, 77, OK), OK);
	assert_int_equal(changeset_take(w->store, c), ERR_CONFLICT); /* it has ended */
	assert_int_equal(changeset_list(w->store->meta, &list), OK);
	assert_int_equal(list.n, 0);
	nodes_leave(&other.nodes);
	buffer_free(&list);
}

static void note_failed(void *ctx, const struct changeset *c, int error, bool again)
{
	int *dropped = ctx;
	assert_int_equal(error, ERR_CORRUPT);
	assert_false(again);
	*dropped += 1;
}

/* Plans that cannot be read are dropped, as nothing was answered and they would hold purge for ever; of any number; and
   none stands in the way of the next. */
static void damaged_plans_are_dropped(void **state)
{
	static const enum change_kind kinds[] = { CHANGE_FLAGS, CHANGE_COPY, CHANGE_MOVE, CHANGE_EXPUNGE, CHANGE_RESTORE, CHANGE_UNDO,
		                                  CHANGE_DELIVER, (enum change_kind)1000 };
	static const struct span plans[] = { SPAN(""), SPAN("\1"), SPAN("\2"), SPAN("\1\1\1\0\0\0\0\0"), SPAN("\377\377\377"),
		                             SPAN("\1\4\1\0\0\0\0\0\0\0\0\0\0\0\0\377\377\377\377\1") };
	struct world *w = *state;
	struct buffer left = { 0 };
	int64_t accounts[] = { 0, w->account, 999 }, id = 1;
	int dropped = 0, n = 0;
	put(w, "INBOX", "stays", FLAG_DELETED);
	for (size_t a = 0; a < COUNT(accounts); a++)
		for (size_t k = 0; k < COUNT(kinds); k++)
			for (size_t p = 0; p < 5 * COUNT(plans); p++, n++) {
				struct adding q = { w->store, { .account = accounts[a], .id = id++, .kind = kinds[k],
					                        .plan = plans[p % COUNT(plans)], .progress = SPAN("\377") } };
				assert_int_equal(meta_run(w->store->meta, add_plan, &q, NULL), OK);
			}
	assert_int_equal(resume_run(w->s, &(struct resume_request){ .failed = note_failed, .ctx = &dropped }), OK);
	assert_int_equal(dropped, 0); /* they are this start's, and may run */
	close_world(w);
	open_world(w);
	assert_int_equal(resume_run(w->s, &(struct resume_request){ .failed = note_failed, .ctx = &dropped }), OK);
	assert_int_equal(dropped, n);
	assert_int_equal(changeset_list(w->store->meta, &left), OK);
	assert_int_equal(left.n, 0);
	buffer_free(&left);
	assert_int_equal(messages_in(w, "INBOX"), 1);
}

/* A COPY that fails in the middle takes back what it had copied. */
static void failed_copies_leave_nothing(void **state)
{
	struct world *w = *state;
	struct copy_result c;
	for (int i = 0; i < 1300; i++)
		put(w, "INBOX", "same", 0);
	close_world(w);
	open_failing(w);
	struct view *v = look(w, "INBOX");
	meta_failing_set(w->store->meta, &(struct meta_failing_plan){ META_FAILING_COMMIT, 3, 1, ERR_FULL, false });
	assert_int_equal(view_copy(v, range(1, 1300), SPAN("Trash"), false, &tester, &c), ERR_FULL);
	view_close(&v);
	assert_int_equal(messages_in(w, "Trash"), 0);
	close_world(w);
	open_world(w);
	assert_int_equal(messages_in(w, "Trash"), 0);
	assert_int_equal(messages_in(w, "INBOX"), 1300);
}

/* --- A body that moves while it is read --- */

enum { LARGE = 700000 };

/* Bytes that depend on where they are alone, and do not compress. */
static char *large_text(void)
{
	char *p = malloc(LARGE);
	uint64_t x = 88172645463325252u;
	memcpy(p, "Subject: large\r\n\r\n", 18);
	for (size_t i = 18; i < LARGE; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		p[i] = (char)('0' + x % 64);
	}
	return p;
}

static int64_t put_large(struct world *w, const char *text)
{
	struct incoming *in;
	struct append_result r;
	struct arena a = { 0 };
	struct entry e;
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_from(text, LARGE)), OK);
	assert_int_equal(incoming_finish(in), OK);
	assert_int_equal(append(w->s, w->account, SPAN("INBOX"),
	                        &(struct append_message){ in, 0, SPAN(""), 0 }, 1, &tester, &r), OK);
	incoming_free(&in);
	struct view *v = look(w, "INBOX");
	read_one(v, r.uid, &e, &a);
	int64_t email = e.email;
	arena_free(&a);
	view_close(&v);
	return email;
}

struct move {
	struct blob_stage *stage;
	int64_t body, pack, offset;
};

static int only_body(struct meta_txn *t, void *arg)
{
	struct move *m = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_BODIES, "ii", (int64_t)0, (int64_t)1);
	if (e)
		return e;
	m->body = meta_int(&r, 0);
	m->pack = meta_int(&r, 1);
	m->offset = meta_int(&r, 2);
	meta_done(&r);
	return OK;
}

static int lead(struct meta_txn *t, void *arg)
{
	struct move *m = arg;
	struct blob_location to;
	int e = blob_stage_result(m->stage, &to);
	return e ? e : meta_do(t, META_PURGE_BODY_MOVE, "iiiiii", to.pack, to.offset, to.stored, m->body, m->pack, m->offset);
}

/* It is read on from where it lies now; when it is nowhere, that is said. */
static void a_body_moves_while_it_is_read(void **state)
{
	struct world *w = *state;
	char *text = large_text();
	struct message *m;
	struct span piece;
	struct move k = { 0 };
	int64_t email = put_large(w, text);
	assert_int_equal(message_open(w->s, email, &m), OK);
	assert_int_equal(message_at(m, 0, &piece), OK);
	assert_int_equal(meta_read(w->store->meta, only_body, &k), OK);
	assert_int_equal(blob_stage_new(w->store->blob, &k.stage), OK);
	assert_int_equal(blob_stage_write(k.stage, span_from(text, LARGE)), OK);
	assert_int_equal(blob_stage_finish(k.stage), OK);
	assert_int_equal(store_commit(w->store, &k.stage, 1, lead, &k), OK);
	blob_stage_free(&k.stage);
	assert_int_equal(blob_remove_pack(w->store->blob, k.pack), OK);
	for (size_t at = piece.n; at < LARGE; at += piece.n) {
		assert_int_equal(message_at(m, at, &piece), OK);
		assert_memory_equal(piece.p, text + at, piece.n);
	}
	message_close(&m);
	assert_int_equal(message_open(w->s, email, &m), OK);
	assert_int_equal(meta_read(w->store->meta, only_body, &k), OK);
	assert_int_equal(blob_remove_pack(w->store->blob, k.pack), OK);
	assert_int_equal(message_at(m, LARGE - 1, &piece), ERR_CORRUPT);
	message_close(&m);
	assert_int_equal(message_open(w->s, email, &m), ERR_CORRUPT);
	free(text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

/* --- Annotations --- */

/* What a name of an item says; NULL: nothing. */
static void annotation_names(void **state)
{
	static const struct { const char *name; int64_t owner, folder; const char *entry; } cases[] = {
		{ "12/shared/comment", 0, 12, "/shared/comment" }, { "0/private/a/b", 0, 0, "/private/a/b" },
		{ "12@7/private/x@y", 7, 12, "/private/x@y" }, { "1/", 0, 1, "/" },
		{ "", 0, 0, NULL }, { "12", 0, 0, NULL }, { "/shared/a", 0, 0, NULL }, { "x/shared/a", 0, 0, NULL }, { "12@/shared/a", 0, 0, NULL },
		{ "@7/shared/a", 0, 0, NULL }, { "-1/shared/a", 0, 0, NULL }, { "1@2@3/shared/a", 0, 0, NULL },
		{ "99999999999999999999/shared/a", 0, 0, NULL }, { "Projects/North", 0, 0, NULL },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		int64_t owner, folder;
		struct span entry;
		bool is = metadata_item(span_of(cases[i].name), &owner, &folder, &entry);
		assert_int_equal(is, cases[i].entry != NULL);
		if (!is)
			continue;
		assert_int_equal(owner, cases[i].owner);
		assert_int_equal(folder, cases[i].folder);
		assert_true(span_eq(entry, span_of(cases[i].entry)));
	}
}

static int annotate(struct world *w, int64_t folder, struct imap_metadata_value *values, size_t n)
{
	const struct metadata_place p = { w->account, w->account, folder };
	return metadata_change(w->s, &p, values, n, NULL, &tester);
}

/* As many as an account may have, then one more; what is refused changes nothing. */
static void annotations_of_an_account(void **state)
{
	struct world *w = *state;
	char names[METADATA_ENTRIES_MAX][32], path[32];
	struct imap_metadata_value values[METADATA_ENTRIES_MAX + 1] = { 0 }, *got;
	int64_t folder = 0, attributes;
	struct arena arena = { 0 };
	size_t n;
	for (int i = 0; i < METADATA_ENTRIES_MAX; i++) {
		snprintf(names[i], sizeof names[i], "/shared/%d", i);
		values[i] = (struct imap_metadata_value){ span_of(names[i]), SPAN("x") };
	}
	for (int i = 0; i <= METADATA_ACCOUNT_MAX / METADATA_ENTRIES_MAX; i++) {
		snprintf(path, sizeof path, "f%d", i);
		assert_int_equal(folder_create(w->s, w->account, span_of(path), &tester), OK);
		assert_int_equal(metadata_folder(w->s, w->account, span_of(path), &folder, &attributes), OK);
		bool fits = i < METADATA_ACCOUNT_MAX / METADATA_ENTRIES_MAX;
		assert_int_equal(annotate(w, folder, values, METADATA_ENTRIES_MAX), fits ? OK : ERR_LIMIT);
	}
	const struct metadata_place p = { w->account, w->account, folder };
	assert_int_equal(metadata_read(w->s, &p, &arena, &got, &n), OK);
	assert_int_equal(n, 0);
	assert_int_equal(metadata_folder(w->s, w->account, SPAN("f0"), &folder, &attributes), OK);
	values[METADATA_ENTRIES_MAX] = (struct imap_metadata_value){ SPAN("/shared/more"), SPAN("x") };
	assert_int_equal(annotate(w, folder, values, METADATA_ENTRIES_MAX + 1), ERR_LIMIT);
	values[0].value = (struct span){ 0 };
	assert_int_equal(annotate(w, folder, values, METADATA_ENTRIES_MAX + 1), OK);
	assert_int_equal(annotate(w, 12345, values, 1), ERR_NOT_FOUND);
	arena_free(&arena);
}

/* An entry several times in one change: the last counts. Nothing different leaves no trace. */
static void annotations_in_one_change(void **state)
{
	struct world *w = *state;
	const struct metadata_place p = { w->account, w->account, 1 };
	struct imap_metadata_value v[] = { { SPAN("/shared/a"), SPAN("1") }, { SPAN("/shared/a"), { 0 } }, { SPAN("/shared/a"), SPAN("2") },
		                           { SPAN("/private/b"), SPAN("") }, { SPAN("/shared/c"), { 0 } } };
	struct imap_metadata_value *got;
	struct arena arena = { 0 };
	struct account_info before, after;
	size_t n;
	assert_int_equal(annotate(w, 1, v, COUNT(v)), OK);
	assert_int_equal(metadata_read(w->s, &p, &arena, &got, &n), OK);
	assert_int_equal(n, 2);
	assert_true(span_eq(got[0].name, SPAN("/shared/a")) && span_eq(got[0].value, SPAN("2")));
	assert_true(span_eq(got[1].name, SPAN("/private/b")) && got[1].value.p && !got[1].value.n);
	assert_int_equal(account_show(w->s, w->account, &before), OK);
	assert_int_equal(annotate(w, 1, v + 2, 3), OK);
	assert_int_equal(account_show(w->s, w->account, &after), OK);
	assert_int_equal(before.change, after.change);
	arena_free(&arena);
}

/* A store that fails at whatever statement, or at the commit, changes nothing. */
static void annotations_that_fail(void **state)
{
	struct world *w = *state;
	const struct metadata_place p = { w->account, w->account, 1 };
	struct imap_metadata_value v[] = { { SPAN("/shared/a"), SPAN("1") }, { SPAN("/private/b"), SPAN("2") } }, *got;
	struct arena arena = { 0 };
	size_t n;
	int failed = ERR_UNAVAILABLE;
	close_world(w);
	open_failing(w);
	for (uint64_t at = 0; failed; at++) {
		enum meta_failing_call call = at ? META_FAILING_STATEMENT : META_FAILING_COMMIT;
		meta_failing_set(w->store->meta, &(struct meta_failing_plan){ call, at ? at : 1, 1, ERR_UNAVAILABLE, false });
		failed = annotate(w, 1, v, 2);
		assert_true(at > 5 || failed == ERR_UNAVAILABLE);
		meta_failing_set(w->store->meta, &(struct meta_failing_plan){ 0 });
		assert_int_equal(metadata_read(w->s, &p, &arena, &got, &n), OK);
		assert_int_equal(n, failed ? 0 : 2);
	}
	arena_free(&arena);
}

/* All that a view shows, read so many at a time: small steps are read from rows, whatever is kept. */
static size_t read_all(struct view *v, size_t step, struct arena *a, struct entry out[2000])
{
	size_t n = 0, got;
	uint64_t from = 1;
	do {
		struct entry *part = NULL;
		assert_int_equal(view_read_set(v, range(1, UINT32_MAX), from, step, VIEW_ENTRIES, a, &part, &got), OK);
		for (size_t i = 0; i < got; i++)
			out[n++] = part[i];
		from = got ? (uint64_t)part[got - 1].uid + 1 : from;
	} while (got == step);
	return n;
}

static void compare_entries(const struct entry *x, const struct entry *y)
{
	assert_int_equal(x->uid, y->uid);
	assert_int_equal(x->created, y->created);
	assert_int_equal(x->change, y->change);
	assert_int_equal(x->flags, y->flags);
	assert_int_equal(x->date, y->date);
	assert_int_equal(x->saved, y->saved);
	assert_int_equal(x->email, y->email);
	assert_int_equal(x->size, y->size);
	assert_true(span_eq(x->keywords, y->keywords));
}

static void compare_lists(struct view *v)
{
	static struct entry large[2000], small[2000];
	struct arena a = { 0 };
	size_t n = read_all(v, 2000, &a, large);
	assert_int_equal(read_all(v, 100, &a, small), n);
	for (size_t i = 0; i < n; i++)
		compare_entries(&large[i], &small[i]);
	arena_free(&a);
}

static void tell(struct view *v)
{
	struct view_delta d;
	assert_int_equal(view_sync(v, true, &d), OK);
	view_delta_free(&d);
}

/* Lists of many messages are those that the rows give, whoever changed what meanwhile, and whoever was told of it. */
static void long_lists(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 800; i++)
		put(w, "INBOX", "listed", 0);
	struct view *v[2] = { look(w, "INBOX"), look(w, "INBOX") };
	srand(7);
	for (int i = 0; i < 150; i++) {
		struct view *one = v[rand() % 2];
		uint32_t uid = 1 + (uint32_t)rand() % 800;
		switch (rand() % 6) {
		case 0: store(one, uid, uid + (uint32_t)rand() % 300, STORE_ADD, FLAG_FLAGGED, rand() % 2 ? "key" : ""); break;
		case 1: store(one, uid, uid, STORE_REPLACE, FLAG_SEEN, "other words"); break;
		case 2: store(one, uid, uid + 3, STORE_ADD, FLAG_DELETED, ""), assert_int_equal(view_expunge(one, NULL, &tester), OK); break;
		case 3: put(w, "INBOX", "more", FLAG_SEEN); break;
		case 4: tell(one); break;
		default: compare_lists(one);
		}
		compare_lists(v[rand() % 2]);
	}
	view_close(&v[0]);
	view_close(&v[1]);
}

/* Pages that are kept take no more memory than there is for them, and the last ones are there. */
static void lists_give_way(void **state)
{
	enum { PAGES = 600, N = 2000 };
	static struct entry list[N], out[N];
	struct entry_cache *c;
	struct arena a = { 0 };
	size_t n, kept = 0;
	assert_int_equal(entry_cache_new(&c), OK);
	for (uint32_t i = 0; i < N; i++)
		list[i] = (struct entry){ .uid = i + 1, .flags = i, .keywords = i % 2 ? SPAN("key words") : (struct span){ 0 } };
	for (int64_t i = 1; i <= PAGES; i++)
		entry_cache_put(c, &(struct entry_page){ i, 1, 5, 0, 1, N }, list, N);
	for (int64_t i = 1; i <= PAGES; i++)
		kept += entry_cache_get(c, &(struct entry_page){ i, 1, 5, 0, 1, N }, &a, out, N, &n);
	assert_in_range(kept * N * sizeof *list, 32 << 20, 64 << 20);
	const struct entry_page last = { PAGES, 1, 5, 0, 1, N }, others[] = {
		{ PAGES, 1, 6, 0, 1, N }, { PAGES, 1, 4, 0, 1, N }, { PAGES, 2, 5, 0, 1, N }, { PAGES, 1, 5, 1, 1, N }, { PAGES, 1, 5, 0, 2, N },
		{ PAGES, 1, 5, 0, 1, N - 1 }, { PAGES + 1, 1, 5, 0, 1, N },
	};
	assert_true(entry_cache_get(c, &last, &a, out, N, &n));
	assert_int_equal(n, N);
	for (size_t i = 0; i < N; i++)
		compare_entries(&out[i], &list[i]);
	for (size_t i = 0; i < COUNT(others); i++)
		assert_false(entry_cache_get(c, &others[i], &a, out, N, &n));
	assert_false(entry_cache_get(c, &last, &a, out, N - 1, &n));
	entry_cache_put(c, &others[1], list, 1); /* an older state */
	assert_true(entry_cache_get(c, &last, &a, out, N, &n));
	arena_free(&a);
	entry_cache_free(&c);
}

static int act(struct world *w, const char *what, const struct actor *a)
{
	static const struct acl_entry more = { .who = 5000, .rights = RIGHT_LOOKUP };
	struct service *s = w->s;
	switch (*what) {
	case 'd': return folder_delete(s, w->account, SPAN("shared"), a);
	case 'r': return folder_rename(s, w->account, SPAN("shared"), SPAN("up/renamed"), a);
	case 'c': return folder_create(s, w->account, SPAN("shared/new/below"), a);
	default: return acl_change(s, w->account, SPAN("shared"), RIGHTS_SET, more, a);
	}
}

static void let(struct world *w, const char *path, unsigned rights)
{
	const struct acl_entry viewer = { .who = 4000, .rights = rights };
	assert_int_equal(acl_change(w->s, w->account, span_of(path), RIGHTS_SET, viewer, &tester), OK);
}

/* What somebody else may do is asked again within the change, whatever a session found out before. */
static void rights_count_within_the_change(void **state)
{
	struct world *w = *state;
	static const struct actor viewer = { "viewer", 7, "test", 4000 };
	static const struct { const char *what; unsigned here, above; int e; } rows[] = {
		{ "delete", 0, 0, ERR_NOT_FOUND }, { "delete", RIGHT_LOOKUP | RIGHT_CREATE | RIGHT_ADMIN, RIGHT_DELETE_MAILBOX, ERR_DENIED },
		{ "delete", RIGHT_DELETE_MAILBOX, 0, OK },
		{ "rename", 0, RIGHT_CREATE, ERR_NOT_FOUND }, { "rename", RIGHT_LOOKUP, RIGHT_CREATE, ERR_DENIED },
		{ "rename", RIGHT_DELETE_MAILBOX, 0, ERR_NOT_FOUND }, { "rename", RIGHT_DELETE_MAILBOX, RIGHT_LOOKUP | RIGHT_READ, ERR_DENIED },
		{ "rename", RIGHT_DELETE_MAILBOX, RIGHT_CREATE, OK },
		{ "create", 0, RIGHT_CREATE, ERR_NOT_FOUND }, { "create", RIGHT_LOOKUP | RIGHT_ADMIN, 0, ERR_DENIED }, { "create", RIGHT_CREATE, 0, OK },
		{ "acl", 0, 0, ERR_NOT_FOUND }, { "acl", RIGHT_LOOKUP | RIGHT_CREATE, 0, ERR_DENIED }, { "acl", RIGHT_ADMIN, 0, OK },
	};
	assert_int_equal(folder_create(w->s, w->account, SPAN("up"), &tester), OK);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(folder_create(w->s, w->account, SPAN("shared"), &tester), OK);
		let(w, "shared", rows[i].here);
		let(w, "up", rows[i].above);
		assert_int_equal(act(w, rows[i].what, &viewer), rows[i].e);
		if (rows[i].e)
			assert_int_equal(act(w, rows[i].what, &tester), OK);
		folder_delete(w->s, w->account, SPAN("up/renamed"), &tester);
		folder_delete(w->s, w->account, SPAN("shared/new/below"), &tester);
		folder_delete(w->s, w->account, SPAN("shared/new"), &tester);
		folder_delete(w->s, w->account, SPAN("shared"), &tester);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(deliveries_are_stored_once), TEST(bytes_come_back), TEST(two_views_agree), TEST(the_past_can_be_seen),
		TEST(folders), TEST(some_folders), TEST(move_and_reopen),
		TEST(expunged_messages_come_back), TEST(deleted_folders_come_back_as_themselves), TEST(taken_names_are_joined),
		TEST(renamed_and_moved_come_back), TEST(large_operations_are_resumed), TEST(left_operations_are_tried_again), TEST(its_own_node_goes_on), TEST(damaged_plans_are_dropped), TEST(taken_over_is_fenced),
		TEST(failed_copies_leave_nothing), TEST(a_body_moves_while_it_is_read),
		cmocka_unit_test(annotation_names), TEST(annotations_of_an_account), TEST(annotations_in_one_change), TEST(annotations_that_fail),
		TEST(rights_count_within_the_change), TEST(long_lists),
		cmocka_unit_test(lists_give_way),
	};
	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
