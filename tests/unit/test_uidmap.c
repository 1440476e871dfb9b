/* The UIDs of a mailbox: what is saved of them, and how that leads to the present. */
#include "unit.h"

#include <stdlib.h>

#include "account.h"
#include "flags.h"
#include "message.h"
#include "scratch.h"
#include "stand.h"
#include "uidmap_saved.h"
#include "view.h"

/* --- Runs --- */

static struct uidmap *map_of(const uint32_t *uids, uint32_t n)
{
	struct uidmap *m = uidmap_new(n);
	assert_non_null(m);
	for (uint32_t i = 0; i < n; i++)
		m->uid[m->n++] = uids[i];
	return m;
}

static void runs_come_back(void **state)
{
	static const struct {
		uint32_t n, uids[8];
		size_t bytes;
	} cases[] = {
		{ 0, { 0 }, 0 },
		{ 1, { 1 }, 2 },
		{ 5, { 1, 2, 3, 4, 5 }, 2 },
		{ 3, { 2, 4, 6 }, 6 },
		{ 4, { 7, 8, 200, 201 }, 5 },
		{ 2, { 1, UINT32_MAX }, 8 },
		{ 1, { UINT32_MAX }, 6 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buffer b = { 0 };
		struct uidmap *m = map_of(cases[i].uids, cases[i].n), *again;
		uidmap_encode(m, &b);
		assert_int_equal(b.n, cases[i].bytes);
		assert_non_null(again = uidmap_decode(buffer_span(&b)));
		assert_int_equal(again->n, m->n);
		assert_memory_equal(again->uid, m->uid, m->n * sizeof *m->uid);
		uidmap_unref(&m);
		uidmap_unref(&again);
		buffer_free(&b);
	}
}

static void no_runs_are_refused(void **state)
{
	static const struct span cases[] = {
		SPAN("\x80"),                                     /* cut in a number */
		SPAN("\x01"),                                     /* no length */
		SPAN("\x00\x00\x05"),                             /* the same, behind one that is whole */
		SPAN("\xff\xff\xff\xff\x0f\x00"),                 /* UID 2^32 */
		SPAN("\x00\xff\xff\xff\xff\x0f"),                 /* as many as there can be: too many */
		SPAN("\xff\xff\xff\xff\x10\x00"),                 /* no 32 bits */
		SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
		SPAN("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		SPAN("\x00\xff\xff\xff\x7f\x00\xff\xff\xff\xff\x0f"), /* together past the end */
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_null(uidmap_decode(cases[i]));
}

/* --- On stores --- */

static const struct actor tester = { "tester", 7, "test" };

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	int64_t account;
};

static int note_account(void *ctx, const struct account_info *i)
{
	*(int64_t *)ctx = i->id;
	return 1;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	struct span name = SPAN("anna@example.org");
	scratch_make("uidmap", w->dir);
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
	assert_int_equal(account_add(w->s, &name, 1, SPAN("none"), &tester), OK);
	assert_int_equal(account_list(w->s, note_account, &w->account), OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	stores_close(&w->store, &w->s);
	test_stores_remove(w->dir);
	free(w);
	return 0;
}

/* As a process that never saw the mailbox. */
static void forget(struct world *w)
{
	stores_close(&w->store, &w->s);
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
}

static void put(struct world *w, size_t n)
{
	struct incoming *in;
	struct append_message *m = calloc(n, sizeof *m);
	struct append_result *r = calloc(n, sizeof *r);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, SPAN("Subject: s\r\n\r\n")), OK);
	assert_int_equal(incoming_finish(in), OK);
	for (size_t i = 0; i < n; i++)
		m[i].in = in;
	assert_int_equal(append(w->s, w->account, SPAN("INBOX"), m, n, &tester, r), OK);
	incoming_free(&in);
	free(m);
	free(r);
}

static struct view *look(struct world *w)
{
	struct view *v = NULL;
	assert_int_equal(view_open(w->s, w->account, SPAN("INBOX"), 0, &v), OK);
	return v;
}

static struct imap_set set(struct imap_range *r, uint32_t first, uint32_t last)
{
	*r = (struct imap_range){ first, last };
	return (struct imap_set){ r, 1 };
}

static void expunge(struct world *w, uint32_t first, uint32_t last)
{
	struct imap_range r;
	struct imap_set uids = set(&r, first, last);
	struct store_request q = { .uids = &uids, .op = STORE_ADD, .flags = FLAG_DELETED };
	struct store_result got;
	struct view *v = look(w);
	assert_int_equal(view_store(v, &q, &tester, &got), OK);
	assert_int_equal(view_expunge(v, &uids, &tester), OK);
	free(got.modified);
	view_close(&v);
}

static void flag_all(struct world *w, const char *keyword)
{
	struct imap_range r;
	struct imap_set uids = set(&r, 1, UINT32_MAX);
	struct store_request q = { .uids = &uids, .op = STORE_ADD, .keywords = span_of(keyword) };
	struct store_result got;
	struct view *v = look(w);
	assert_int_equal(view_store(v, &q, &tester, &got), OK);
	free(got.modified);
	view_close(&v);
}

static void copy_all(struct world *w)
{
	struct imap_range r;
	struct imap_set uids = set(&r, 1, UINT32_MAX);
	struct copy_result got = { 0 };
	struct view *v = look(w);
	assert_int_equal(view_copy(v, &uids, SPAN("INBOX"), false, &tester, &got), OK);
	free(got.from);
	free(got.to);
	view_close(&v);
}

static uint32_t count(struct world *w)
{
	struct view *v = look(w);
	uint32_t n = view_count(v);
	view_close(&v);
	return n;
}

/* As of a large mailbox, so that what is saved is looked at. */
static void assert_uids(struct world *w, const uint32_t *want, uint32_t n)
{
	struct uidmap *m;
	assert_int_equal(uidmap_latest(w->s, w->account, 1, 0, INT64_MAX, &m), OK);
	assert_int_equal(m->n, n);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(m->uid[i], want[i]);
	uidmap_unref(&m);
}

static void save(struct world *w)
{
	struct uidmap *m;
	assert_int_equal(uidmap_latest(w->s, w->account, 1, 0, 0, &m), OK);
	uidmap_saved_write(w->s, w->account, 1, m);
	uidmap_unref(&m);
}

static void assert_good(struct world *w, bool want)
{
	bool good;
	assert_int_equal(uidmap_verify(w->s, w->account, 1, &good), OK);
	assert_int_equal(good, want);
}

/* Whatever came and went since it was saved, also what came and went again. */
static void what_is_saved_leads_to_the_present(void **state)
{
	struct world *w = *state;
	put(w, 6);
	expunge(w, 2, 2);
	save(w);
	forget(w);
	assert_uids(w, (uint32_t[]){ 1, 3, 4, 5, 6 }, 5);
	put(w, 3);
	expunge(w, 4, 4);
	expunge(w, 8, 8);
	forget(w);
	assert_uids(w, (uint32_t[]){ 1, 3, 5, 6, 7, 9 }, 6);
	assert_good(w, true);
	expunge(w, 1, 9);
	forget(w);
	assert_uids(w, NULL, 0);
	assert_good(w, true);
	put(w, 1);
	forget(w);
	assert_uids(w, (uint32_t[]){ 10 }, 1);
}

/* One that was saved of another mailbox, say: check tells. */
static void a_wrong_one_is_found(void **state)
{
	struct world *w = *state;
	put(w, 3);
	struct uidmap *m;
	assert_int_equal(uidmap_latest(w->s, w->account, 1, 0, 0, &m), OK);
	assert_good(w, true);
	struct uidmap *wrong = map_of((uint32_t[]){ 1, 3 }, 2);
	wrong->change = m->change;
	uidmap_saved_write(w->s, w->account, 1, wrong);
	assert_good(w, false);
	uidmap_unref(&wrong);
	uidmap_unref(&m);
}

/* 0: nothing is saved. */
static int64_t saved_change(struct world *w)
{
	struct uidmap *m = uidmap_saved_read(w->s, w->account, 1);
	int64_t change = m ? m->change : 0;
	uidmap_unref(&m);
	return change;
}

static bool is_saved(struct world *w)
{
	return saved_change(w) > 0;
}

/* Small mailboxes have none: their rows are read as fast. */
static void large_ones_are_saved(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 10; i++)
		put(w, 50);
	forget(w);
	assert_int_equal(count(w), 500);
	for (int i = 0; i < 3; i++)
		copy_all(w);
	assert_int_equal(count(w), 4000);
	assert_false(is_saved(w));
	copy_all(w);
	assert_true(is_saved(w)); /* though nobody came that did not know them */
	forget(w);
	assert_int_equal(count(w), 8000);
	assert_good(w, true);
}

/* As what was saved gets old by flags that change, it is saved anew by who read them all. */
static void old_ones_are_saved_anew(void **state)
{
	struct world *w = *state;
	for (int i = 0; i < 20; i++)
		put(w, 50);
	for (int i = 0; i < 3; i++)
		copy_all(w);
	int64_t before = saved_change(w);
	flag_all(w, "a");
	flag_all(w, "b");
	expunge(w, 7000, 7001);
	forget(w);
	assert_int_equal(count(w), 7998);
	assert_true(saved_change(w) > before);
	assert_good(w, true);
}

static void none_of_a_mailbox_that_is_gone(void **state)
{
	struct world *w = *state;
	struct uidmap *m = map_of((uint32_t[]){ 1 }, 1);
	m->change = 1;
	uidmap_saved_write(w->s, w->account, 999, m);
	assert_null(uidmap_saved_read(w->s, w->account, 999));
	uidmap_unref(&m);
}

int main(void)
{
#define T(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_come_back), cmocka_unit_test(no_runs_are_refused), T(what_is_saved_leads_to_the_present),
		T(a_wrong_one_is_found), T(large_ones_are_saved), T(old_ones_are_saved_anew), T(none_of_a_mailbox_that_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
