/* Several threads on one mailbox service: each has a folder of its own and all share INBOX. Nobody knows what the others
 * do, so there is no model; but what a session is told must fit together at every moment, and in the end all must believe
 * what is there. Meant for the thread sanitizer too. TOGETHER_STEPS: how long.
 *
 * Where the stores can be shared they are two nodes, each with a service and pools of its own. */
#include "model_world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "flags.h"
#include "instant.h"
#include "message.h"
#include "restore.h"
#include "stand.h"
#include "stores.h"

enum { THREADS = 5, VIEWS = 3 };

struct worker {
	struct world w; /* the store's, with chance and sessions of its own */
	pthread_t thread;
	int64_t account;
	char folder[16];
	int64_t since; /* change that made the folder, or a later one */
	long steps;
	atomic_int noticed;
};

static void notice(void *ctx)
{
	atomic_fetch_add((atomic_int *)ctx, 1);
}

static struct session *look(struct worker *k)
{
	struct world *w = &k->w;
	struct session *s = &w->sessions[pick(w, VIEWS)];
	if (s->v)
		return s;
	expect_code(w, open_view(w, chance(w, 50) ? "INBOX" : k->folder, 0, &s->v), OK, k->folder);
	learn_new(w, s);
	return s;
}

static void listen_to(struct worker *k, struct session *s, bool expunges)
{
	struct view_delta d;
	expect_code(&k->w, view_sync(s->v, expunges, &d), OK, "view_sync");
	apply_delta(&k->w, s, &d);
	view_delta_free(&d);
}

static void put(struct worker *k)
{
	struct world *w = &k->w;
	struct append_result r;
	struct recipient to = { .account = k->account, .address = span_of(k->folder), .folder = chance(w,
		50) ? span_of(k->folder) : SPAN("") };
	struct incoming *in = new_message(w, (int)pick(w, 1000));
	if (chance(w, 50)) {
		expect_code(w, deliver(w->s, in, SPAN("s@example.org"), &to, 1, &tester), OK, "deliver");
		expect_code(w, to.result, OK, "delivery");
	} else {
		expect_code(w, append(w->s, k->account, span_of(k->folder),
		                      &(struct append_message){ in, 0, (struct span){ 0 }, 0 }, 1, &tester, &r),
		            OK, "append");
	}
	incoming_free(&in);
}

static struct imap_range some(struct worker *k, const struct session *s)
{
	uint32_t last = s->n ? s->p[s->n - 1].uid : 1, first = 1 + pick(&k->w, last);
	return (struct imap_range){ first, first + pick(&k->w, 8) };
}

static void store(struct worker *k)
{
	struct world *w = &k->w;
	struct session *s = look(k);
	struct imap_range range = some(k, s);
	struct imap_set set = { &range, 1 };
	struct store_request q = { .uids = &set, .op = (enum store_op)pick(w, 3), .keywords = chance(w,
		20) ? SPAN("alpha") : SPAN(""),
		                   .flags = chance(w, 50) ? FLAG_DELETED : FLAG_SEEN };
	struct store_result r;
	expect_code(w, view_store(s->v, &q, &tester, &r), OK, "view_store");
	free(r.modified);
}

static void copy(struct worker *k)
{
	struct world *w = &k->w;
	struct session *s = look(k);
	struct imap_range range = some(k, s);
	struct imap_set set = { &range, 1 };
	struct copy_result r;
	expect_code(w, view_copy(s->v, &set, chance(w, 30) ? SPAN("INBOX") : span_of(k->folder), chance(w, 60), &tester,
	                         &r), OK, "view_copy");
	free(r.from);
	free(r.to);
}

/* One of the last n changes, since the worker's folder is there. */
static int64_t earlier(struct worker *k, int64_t change, unsigned n)
{
	int64_t at = change - pick(&k->w, n);
	return at > k->since ? at : k->since;
}

/* The past stays as it was, whatever the others do. */
static void look_back(struct worker *k)
{
	struct world *w = &k->w;
	struct account_info i;
	struct view *a, *b;
	char path[80];
	expect_code(w, account_show(w->s, k->account, &i), OK, "account_show");
	snprintf(path, sizeof path, "#at/@%lld/INBOX", (long long)earlier(k, i.change, 5));
	expect_code(w, open_view(w, path, 0, &a), OK, path);
	expect_code(w, open_view(w, path, 0, &b), OK, path);
	struct session s = { .v = a }, t = { .v = b };
	learn_new(w, &s);
	learn_new(w, &t);
	expect(w, s.n == t.n && (s.n == 0 || !memcmp(s.p, t.p, s.n * sizeof *s.p)), "%s is not what it was", path);
	close_session(&s);
	close_session(&t);
}

static void bring_back(struct worker *k)
{
	struct world *w = &k->w;
	struct account_info i;
	char when[32];
	expect_code(w, account_show(w->s, k->account, &i), OK, "account_show");
	snprintf(when, sizeof when, "@%lld", (long long)earlier(k, i.change, 30));
	struct restore_request q = { .account = k->account, .folder = span_of(k->folder), .actor = &tester };
	struct restore_report r;
	expect_code(w, instant_resolve(w->s, k->account, span_of(when), &q.at), OK, when);
	expect_code(w, restore_run(w->s, &q, &r), OK, when);
}

static void read_tree(struct worker *k)
{
	struct tree t;
	expect_code(&k->w, tree_read(k->w.s, k->account, 0, &t), OK, "tree_read");
	expect(&k->w, tree_find(&t, span_of(k->folder)), "%s is not there", k->folder);
	tree_free(&t);
}

static void one_step(struct worker *k)
{
	struct world *w = &k->w;
	unsigned what = pick(w, 100);
	if (what < 30)
		put(k);
	else if (what < 50)
		store(k);
	else if (what < 60)
		copy(k);
	else if (what < 68)
		expect_code(w, view_expunge(look(k)->v, NULL, &tester), OK, "view_expunge");
	else if (what < 92)
		listen_to(k, look(k), chance(w, 50));
	else if (what < 94)
		close_session(look(k));
	else if (what < 96)
		look_back(k);
	else if (what < 98)
		read_tree(k);
	else
		bring_back(k);
}

static void *work(void *arg)
{
	struct worker *k = arg;
	for (k->w.step = 0; k->w.step < k->steps; k->w.step++)
		one_step(k);
	return NULL;
}

/* All is quiet: a session that listens once more believes what one sees that comes anew. */
static void check_beliefs(struct worker *k)
{
	struct world *w = &k->w;
	for (size_t i = 0; i < VIEWS; i++) {
		struct session *s = &w->sessions[i], fresh = { 0 };
		char path[64];
		if (!s->v)
			continue;
		listen_to(k, s, true);
		snprintf(path, sizeof path, "%.*s", SPAN_ARG(view_info(s->v)->folder.path));
		expect_code(w, open_view(w, path, VIEW_READ_ONLY, &fresh.v), OK, path);
		learn_new(w, &fresh);
		expect(w, s->n == fresh.n, "%s: %zu messages instead of %zu", path, s->n, fresh.n);
		for (size_t n = 0; n < s->n; n++)
			expect(w, s->p[n].uid == fresh.p[n].uid && s->p[n].flags == fresh.p[n].flags &&
			       s->p[n].keywords == fresh.p[n].keywords,
			       "%s: number %zu is believed to be uid %u with flags %llx, not %u with %llx", path, n + 1,
			        s->p[n].uid,
			       (unsigned long long)s->p[n].flags, fresh.p[n].uid, (unsigned long long)fresh.p[n].flags);
		close_session(&fresh);
		close_session(s);
	}
}

/* Another node on the same stores, at another node of the database where its URL names several. */
struct node {
	struct store *store;
	struct service *s;
};

static void second_host(const char *url, char *out, size_t n)
{
	const char *hosts = strrchr(url, '@'), *rest = hosts ? strchr(hosts, '/') : NULL;
	const char *comma = hosts && rest ? memchr(hosts, ',', (size_t)(rest - hosts)) : NULL;
	if (!comma) {
		snprintf(out, n, "%s", url);
		return;
	}
	size_t len = strcspn(comma + 1, ",/");
	snprintf(out, n, "%.*s%.*s%s", (int)(hosts + 1 - url), url, (int)len, comma + 1, rest);
}

static void open_node(const struct world *w, struct node *n)
{
	char dir[100], meta[1100], blobs[1100];
	snprintf(dir, sizeof dir, "%s/second", w->dir);
	second_host(test_meta_url(w->dir), meta, sizeof meta);
	snprintf(blobs, sizeof blobs, "file:%s/blobs", w->dir);
	struct store_options o = { .dir = dir, .node_name = "n2", .meta_url = meta,
		                   .blob_url = test_blob_shared() ? test_blob_url(w->dir) : blobs };
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(store_open(&o, &n->store), OK);
	assert_int_equal(service_open(n->store, &n->s), OK);
}

static void begin(struct worker *k, struct world *w, const struct node *n, size_t number, bool other)
{
	k->w = (struct world){ .store = n->store, .s = n->s, .account = other ? w->other : w->account,
	                      .random = w->seed * 100 + number,
		               .seed = w->seed, .doing = "together", .together = true };
	k->account = k->w.account;
	k->steps = setting("TOGETHER_STEPS", 1000);
	snprintf(k->folder, sizeof k->folder, "t%u", (unsigned)number);
	struct account_info i;
	assert_int_equal(folder_create(n->s, k->account, span_of(k->folder), &tester), OK);
	assert_int_equal(account_show(w->s, k->account, &i), OK);
	k->since = i.change;
}

static void all_agree(void **state)
{
	struct world *w = *state;
	struct worker *all = calloc(THREADS, sizeof *all);
	struct watch *watches[THREADS];
	struct node nodes[2] = { { w->store, w->s }, { w->store, w->s } };
	bool two = test_meta_shared();
	assert_non_null(all);
	if (two)
		open_node(w, &nodes[1]);
	for (size_t i = 0; i < THREADS; i++) {
		begin(&all[i], w, &nodes[i % 2], i, i + 1 == THREADS);
		assert_int_equal(service_watch(all[i].w.s, all[i].account, 0, notice, &all[i].noticed, &watches[i]), OK);
	}
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&all[i].thread, NULL, work, &all[i]), 0);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(all[i].thread, NULL), 0);
	for (size_t i = 0; i < THREADS; i++) {
		check_beliefs(&all[i]);
		service_unwatch(all[i].w.s, &watches[i]);
		assert_true(atomic_load(&all[i].noticed) > 0);
	}
	if (two)
		stores_close(&nodes[1].store, &nodes[1].s);
	w->doing = "the end";
	verify(w);
	free(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(all_agree, world_setup, world_teardown, (void *)(uintptr_t)1),
		cmocka_unit_test_prestate_setup_teardown(all_agree, world_setup, world_teardown, (void *)(uintptr_t)2),
	};
	return cmocka_run_group_tests_name("together", tests, NULL, NULL);
}
