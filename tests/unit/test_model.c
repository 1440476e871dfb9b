/* The mailbox service against a model of it (model.h): random operations by several sessions on one account, everything
 * compared after each of them, and what was at random instants of the past.
 *
 * MODEL_SEED, MODEL_SEEDS, MODEL_STEPS: where to begin, how many runs, how long each; MODEL_TRACE=1 tells every step. */
#include "unit.h"

#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "account.h"
#include "fail.h"
#include "flags.h"
#include "import.h"
#include "instant.h"
#include "message.h"
#include "model.h"
#include "restore.h"
#include "store.h"
#include "verify.h"
#include "view.h"

enum { SESSIONS = 5, KEPT = 2000, BODIES = 40, SNAPSHOTS = 6, DELIVERIES = 400, MESSAGES_MAX = 250 };

static const struct actor tester = { "tester", 7, "test" };
static const char *const keyword_names[MODEL_KEYWORDS] = { "$x", "alpha", "Beta", "gamma", "later" };

/* What a client of a session believes. */
struct picture {
	uint32_t uid;
	uint64_t flags;
	unsigned keywords;
};

struct session {
	struct view *v;
	int64_t folder;
	struct picture *p;
	size_t n;
};

struct delivered {
	int body, sender, address;
};

struct world {
	char dir[64];
	struct store *store;
	struct service *s;
	int64_t account, other;
	int64_t others; /* messages delivered to the other account */
	uint64_t seed, random;
	long step;
	const char *doing;
	bool trace;
	struct model m;
	struct m_state kept[KEPT]; /* by change number modulo KEPT */
	struct session sessions[SESSIONS];
	struct { int64_t change; char name[8]; } snapshots[SNAPSHOTS];
	struct delivered deliveries[DELIVERIES];
	size_t n_deliveries;
	struct { int64_t email; int body; } *emails;
	size_t n_emails;
};

/* --- Chance, and telling where it went wrong --- */

static uint64_t next_random(struct world *w)
{
	uint64_t z = w->random += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

static unsigned pick(struct world *w, unsigned n)
{
	return (unsigned)(next_random(w) % n);
}

static bool chance(struct world *w, unsigned percent)
{
	return pick(w, 100) < percent;
}

#define expect(w, yes, ...) ((yes) ? (void)0 : wrong(w, __LINE__, __VA_ARGS__))

__attribute__((format(printf, 3, 4))) static void wrong(const struct world *w, int line, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	print_error("seed %llu, step %ld, line %d, change %lld, %s: %s (%s)\n", (unsigned long long)w->seed, w->step, line,
	            (long long)w->m.now.change, w->doing, text, fail_detail());
	fail();
}

__attribute__((format(printf, 2, 3))) static void trace(const struct world *w, const char *fmt, ...)
{
	va_list ap;
	if (!w->trace)
		return;
	va_start(ap, fmt);
	printf("%ld @%lld %s ", w->step, (long long)w->m.now.change, w->doing);
	vprintf(fmt, ap);
	printf("\n");
	va_end(ap);
}

static void expect_code(const struct world *w, int got, int want, const char *what)
{
	expect(w, got == want, "%s: %s instead of %s", what, fail_name(got), fail_name(want));
}

/* --- The store --- */

static void open_world(struct world *w)
{
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = "sqlite:meta.db", .blob_url = "file:blobs" };
	assert_int_equal(store_open(&o, &w->store), OK);
	assert_int_equal(service_open(w->store, &w->s), OK);
	assert_int_equal(restore_resume(w->s, NULL, NULL), OK);
}

static void close_world(struct world *w)
{
	service_close(&w->s);
	store_close(&w->store);
}

static void say_trouble(void *ctx, const char *line)
{
	print_error("verify: %s\n", line);
}

static void verify(struct world *w)
{
	struct verify_report r;
	struct verify_request q = { .say = say_trouble };
	expect_code(w, verify_run(w->s, &q, &r), OK, "verify");
	expect(w, r.troubles == 0, "%llu troubles", (unsigned long long)r.troubles);
}

static int note_accounts(void *ctx, const struct account_info *i)
{
	struct world *w = ctx;
	*(span_eq(i->address, SPAN("anna@example.org")) ? &w->account : &w->other) = i->id;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static unsigned keywords_read(const struct world *w, struct span text)
{
	struct span name;
	unsigned bits = 0;
	while (keywords_next(&text, &name)) {
		unsigned i = 0;
		while (i < MODEL_KEYWORDS && !span_eq(name, span_of(keyword_names[i])))
			i++;
		expect(w, i < MODEL_KEYWORDS, "an unknown keyword %.*s", SPAN_ARG(name));
		bits |= 1u << i;
	}
	return bits;
}

static struct span keywords_text(unsigned bits, char out[64])
{
	size_t n = 0;
	for (unsigned i = 0; i < MODEL_KEYWORDS; i++)
		if (bits >> i & 1)
			n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? " " : "", keyword_names[i]);
	return (struct span){ out, n };
}

static size_t body_text(int body, char out[300])
{
	int n = snprintf(out, 300, "From: a@example.org\r\nTo: b@example.org\r\nSubject: subj%03d\r\n\r\n%0*d\r\n", body, body % 50, body);
	return (size_t)n;
}

static struct incoming *message(struct world *w, int body)
{
	struct incoming *in;
	char text[300];
	size_t n = body_text(body, text);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_from(text, n)), OK);
	assert_int_equal(incoming_finish(in), OK);
	return in;
}

static int64_t size_of(int body)
{
	char text[300];
	return (int64_t)body_text(body, text);
}

static void check_bytes(struct world *w, const struct entry *e, int body)
{
	char text[300];
	size_t n = body_text(body, text);
	struct message *m;
	struct span bytes;
	expect_code(w, message_open(w->s, e->email, &m), OK, "message_open");
	expect_code(w, message_at(m, 0, &bytes), OK, "message_at");
	expect(w, span_eq(bytes, span_from(text, n)), "the bytes of another message");
	message_close(&m);
}

static int body_of(const struct world *w, int64_t email)
{
	for (size_t i = 0; i < w->n_emails; i++)
		if (w->emails[i].email == email)
			return w->emails[i].body;
	return -1;
}

static void note_email(struct world *w, int64_t email, int body)
{
	expect(w, body_of(w, email) < 0, "an EMAILID twice");
	w->emails = realloc(w->emails, (w->n_emails + 1) * sizeof *w->emails);
	assert_non_null(w->emails);
	w->emails[w->n_emails].email = email;
	w->emails[w->n_emails++].body = body;
}

/* --- Comparing --- */

static void compare_entry(struct world *w, const struct entry *e, const struct m_entry *k)
{
	expect(w, e->uid == k->uid, "uid %u instead of %u", e->uid, k->uid);
	expect(w, e->flags == k->flags, "uid %u: flags %llx instead of %llx", e->uid, (unsigned long long)e->flags,
	       (unsigned long long)k->flags);
	expect(w, keywords_read(w, e->keywords) == k->keywords, "uid %u: keywords %.*s instead of %x", e->uid, SPAN_ARG(e->keywords),
	       k->keywords);
	expect(w, e->change == k->change, "uid %u: MODSEQ %lld instead of %lld", e->uid, (long long)e->change, (long long)k->change);
	expect(w, e->created <= e->change && e->created > 0, "uid %u: created %lld", e->uid, (long long)e->created);
	expect(w, e->email == k->email, "uid %u: another EMAILID", e->uid);
	expect(w, e->date == k->date, "uid %u: date %lld instead of %lld", e->uid, (long long)e->date, (long long)k->date);
	expect(w, (int64_t)e->size == k->size, "uid %u: another size", e->uid);
}

static int open_view(struct world *w, const char *path, int flags, struct view **v)
{
	return view_open(w->s, w->account, span_of(path), flags, v);
}

/* A view and what it must show. */
static void compare_view(struct world *w, struct view *v, const struct m_folder *f)
{
	struct arena a = { 0 };
	struct entry *e;
	size_t n, seen = 0, max = 1 + pick(w, 60);
	uint32_t from = 1;
	expect(w, view_count(v) == f->c->n, "%s: %u messages instead of %zu", f->name, view_count(v), f->c->n);
	do {
		expect_code(w, view_read(v, from, UINT32_MAX, max, chance(w, 10), &a, &e, &n), OK, "view_read");
		for (size_t i = 0; i < n; i++, seen++) {
			expect(w, seen < f->c->n, "more entries than messages");
			compare_entry(w, &e[i], &f->c->e[seen]);
			expect(w, view_uid(v, (uint32_t)seen + 1) == e[i].uid && view_number(v, e[i].uid) == seen + 1, "numbers and UIDs");
			if (chance(w, 2))
				check_bytes(w, &e[i], f->c->e[seen].body);
		}
		from = n ? e[n - 1].uid + 1 : 0;
	} while (n >= max);
	expect(w, seen == f->c->n, "%zu entries of %zu messages", seen, f->c->n);
	arena_free(&a);
}

static void compare_folder(struct world *w, const struct folder *f, const struct m_state *s, const struct m_folder *k)
{
	char path[MODEL_PATH];
	m_path(s, k, path);
	expect(w, span_eq(f->path, span_of(path)), "folder %lld is called %.*s instead of %s", (long long)k->id, SPAN_ARG(f->path), path);
	expect(w, span_eq(f->name, span_of(k->name)), "folder %s: name %.*s", path, SPAN_ARG(f->name));
	expect(w, f->parent == k->parent, "folder %s: parent %lld instead of %lld", path, (long long)f->parent, (long long)k->parent);
	expect(w, f->uidvalidity == k->uidvalidity, "folder %s: UIDVALIDITY %lld instead of %lld", path, (long long)f->uidvalidity,
	       (long long)k->uidvalidity);
	expect(w, !!(f->attributes & FOLDER_NOSELECT) == k->noselect, "folder %s: attributes %llx", path, (long long)f->attributes);
	expect(w, (f->attributes & ~(int64_t)FOLDER_NOSELECT) == k->special, "folder %s: attributes %llx", path, (long long)f->attributes);
	expect(w, f->has_children == m_has_children(s, k->id), "folder %s: children", path);
}

static void compare_counters(struct world *w, const struct folder *f, const struct m_folder *k)
{
	expect(w, f->messages == (int64_t)k->c->n, "%s: %lld messages instead of %zu", k->name, (long long)f->messages, k->c->n);
	expect(w, f->unseen == (int64_t)m_unseen(k), "%s: %lld unseen instead of %zu", k->name, (long long)f->unseen, m_unseen(k));
	expect(w, f->bytes == m_bytes(k), "%s: %lld bytes instead of %lld", k->name, (long long)f->bytes, (long long)m_bytes(k));
}

static void compare_tree(struct world *w, int64_t at, const struct m_state *s)
{
	struct tree t;
	expect_code(w, tree_read(w->s, w->account, at, &t), OK, "tree_read");
	expect(w, t.n == s->n, "%zu folders instead of %zu", t.n, s->n);
	for (size_t i = 0; i < t.n; i++) {
		struct folder *f = &t.list[i];
		const struct m_folder *k = m_by_id(s, f->id);
		expect(w, k, "a folder %.*s that is not in the model", SPAN_ARG(f->path));
		compare_folder(w, f, s, k);
		expect(w, !f->parent || tree_by_id(&t, f->parent) < f, "a child before its parent");
		if (at) {
			if (i % 4 == 0)
				expect_code(w, folder_count(w->s, w->account, at, f), OK, "folder_count");
			if (i % 4 == 0)
				compare_counters(w, f, k);
			continue;
		}
		compare_counters(w, f, k);
		expect(w, f->uidnext == k->uidnext, "%s: UIDNEXT %lld instead of %lld", k->name, (long long)f->uidnext, (long long)k->uidnext);
		expect(w, f->change == k->change, "%s: HIGHESTMODSEQ %lld instead of %lld", k->name, (long long)f->change, (long long)k->change);
		expect(w, keywords_read(w, f->keywords) == k->keywords, "%s: keywords %.*s instead of %x", k->name, SPAN_ARG(f->keywords),
		       k->keywords);
	}
	tree_free(&t);
}

static void compare_subscriptions(struct world *w)
{
	struct arena a = { 0 };
	struct span *names;
	size_t n;
	expect_code(w, folder_subscriptions(w->s, w->account, &a, &names, &n), OK, "subscriptions");
	expect(w, n == w->m.now.n_subs, "%zu subscriptions instead of %zu", n, w->m.now.n_subs);
	for (size_t i = 0; i < n; i++)
		expect(w, span_eq(names[i], span_of(w->m.now.subs[i])), "subscribed: %.*s instead of %s", SPAN_ARG(names[i]),
		       w->m.now.subs[i]);
	arena_free(&a);
}

static void compare_account(struct world *w)
{
	struct account_info i;
	int64_t messages = 0, bytes = 0;
	for (size_t k = 0; k < w->m.now.n; k++) {
		messages += (int64_t)w->m.now.f[k].c->n;
		bytes += m_bytes(&w->m.now.f[k]);
	}
	expect_code(w, account_show(w->s, w->account, &i), OK, "account_show");
	expect(w, i.change == w->m.now.change, "the account is at change %lld", (long long)i.change);
	expect(w, i.stamp >= w->m.now.stamp, "stamps go back");
	expect(w, i.messages == messages && i.bytes == bytes, "%lld messages of %lld bytes instead of %lld of %lld", (long long)i.messages,
	       (long long)i.bytes, (long long)messages, (long long)bytes);
	w->m.now.stamp = i.stamp;
}

static const struct m_folder *any_folder(struct world *w)
{
	return &w->m.now.f[pick(w, (unsigned)w->m.now.n)];
}

/* A folder opened anew. */
static void compare_fresh(struct world *w, const struct m_folder *f)
{
	struct view *v;
	char path[MODEL_PATH];
	uint32_t number;
	m_path(&w->m.now, f, path);
	int e = open_view(w, path, VIEW_READ_ONLY, &v);
	expect_code(w, e, f->noselect ? ERR_CANNOT : OK, path);
	if (e)
		return;
	compare_view(w, v, f);
	expect(w, view_info(v)->folder.change == f->change && view_change(v) == f->change, "%s: the view's change", path);
	expect(w, view_info(v)->folder.uidnext == f->uidnext, "%s: the view's UIDNEXT", path);
	expect_code(w, view_first_unseen(v, &number), OK, "first unseen");
	size_t first = 0;
	while (first < f->c->n && f->c->e[first].flags & FLAG_SEEN)
		first++;
	expect(w, number == (first < f->c->n ? first + 1 : 0), "%s: first unseen is %u", path, number);
	view_close(&v);
}

static void compare_present(struct world *w)
{
	compare_account(w);
	compare_tree(w, 0, &w->m.now);
	compare_subscriptions(w);
	for (size_t i = 0; i < w->m.now.n && w->step % 50 == 0; i++)
		compare_fresh(w, &w->m.now.f[i]);
	compare_fresh(w, any_folder(w));
}

/* The state right after change n, or NULL. */
static struct m_state *state_at(struct world *w, int64_t n)
{
	struct m_state *s = &w->kept[n % KEPT];
	return n > 0 && s->change == n ? s : NULL;
}

static void keep_state(struct world *w)
{
	struct m_state *s = &w->kept[w->m.now.change % KEPT];
	if (s->change == w->m.now.change && s->f) /* the same change: nothing happened */
		return;
	m_state_free(s);
	*s = m_state_copy(&w->m.now);
}

static struct m_state *any_past(struct world *w)
{
	int64_t now = w->m.now.change, back = now < KEPT ? now : KEPT;
	for (int i = 0; i < 20; i++) {
		struct m_state *s = state_at(w, now - (int64_t)pick(w, chance(w, 50) && back > 30 ? 30 : (unsigned)back));
		if (s)
			return s;
	}
	return state_at(w, now);
}

static void compare_past_folder(struct world *w, const struct m_state *s, const struct m_folder *f, const char *when)
{
	char path[MODEL_PATH], name[MODEL_PATH + 64];
	struct view *v;
	m_path(s, f, path);
	snprintf(name, sizeof name, "#at/%s/%s", when, path);
	int e = open_view(w, name, 0, &v);
	expect_code(w, e, f->noselect ? ERR_CANNOT : OK, name);
	if (e)
		return;
	expect(w, view_info(v)->past && view_info(v)->read_only && view_info(v)->at.change == s->change, "%s: at change %lld", name,
	       (long long)view_info(v)->at.change);
	expect(w, view_info(v)->folder.id == f->id && view_info(v)->folder.uidvalidity == f->uidvalidity, "%s: another folder", name);
	compare_view(w, v, f);
	view_close(&v);
}

static void compare_past(struct world *w)
{
	char when[40];
	struct m_state *s = any_past(w);
	w->doing = "the past";
	compare_tree(w, s->change, s);
	if (chance(w, 50))
		snprintf(when, sizeof when, "@%lld", (long long)s->change);
	else
		instant_write(s->stamp, when);
	compare_past_folder(w, s, &s->f[pick(w, (unsigned)s->n)], when);
	size_t k = pick(w, SNAPSHOTS);
	s = w->snapshots[k].change ? state_at(w, w->snapshots[k].change) : NULL;
	if (s)
		compare_past_folder(w, s, &s->f[pick(w, (unsigned)s->n)], w->snapshots[k].name);
}

/* --- Sessions --- */

static void close_session(struct session *s)
{
	view_close(&s->v);
	free(s->p);
	*s = (struct session){ 0 };
}

static void look_at(struct world *w, struct session *s, struct picture *p)
{
	struct arena a = { 0 };
	struct entry *e;
	size_t n;
	expect_code(w, view_read(s->v, p->uid, p->uid, 1, false, &a, &e, &n), OK, "view_read");
	expect(w, n == 1 && e->uid == p->uid, "uid %u cannot be read", p->uid);
	p->flags = e->flags;
	p->keywords = keywords_read(w, e->keywords);
	arena_free(&a);
}

static void learn_new(struct world *w, struct session *s)
{
	size_t n = view_count(s->v);
	s->p = realloc(s->p, (n + 1) * sizeof *s->p);
	assert_non_null(s->p);
	for (; s->n < n; s->n++) {
		s->p[s->n] = (struct picture){ .uid = view_uid(s->v, (uint32_t)s->n + 1) };
		look_at(w, s, &s->p[s->n]);
	}
}

static void apply_delta(struct world *w, struct session *s, const struct view_delta *d)
{
	for (size_t i = 0; i < d->n_expunged; i++) {
		uint32_t k = d->expunged[i];
		expect(w, k >= 1 && k <= s->n, "EXPUNGE of number %u of %zu", k, s->n);
		memmove(s->p + k - 1, s->p + k, (s->n-- - k) * sizeof *s->p);
	}
	expect(w, d->exists == (view_count(s->v) > s->n), "news of new messages: %d, %u instead of %zu", d->exists, view_count(s->v), s->n);
	for (size_t i = 0; i < d->n_changed; i++) {
		uint32_t k = view_number(s->v, d->changed[i]);
		expect(w, k >= 1 && k <= s->n && s->p[k - 1].uid == d->changed[i], "flags of uid %u, number %u of %zu", d->changed[i], k, s->n);
		expect(w, i == 0 || d->changed[i - 1] < d->changed[i], "changed UIDs are not ascending");
		look_at(w, s, &s->p[k - 1]);
	}
	learn_new(w, s);
}

/* What the client believes is what the model says: of the living, and of those that are gone but untold. */
static void compare_session(struct world *w, struct session *s, const struct m_folder *f, bool all)
{
	size_t living = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct picture *p = &s->p[i];
		const struct m_entry *e = m_entry(f, p->uid);
		expect(w, view_uid(s->v, (uint32_t)i + 1) == p->uid, "number %zu is uid %u for the client", i + 1, p->uid);
		living += !!e;
		if (!e) {
			e = m_grave(&w->m, f->id, p->uid);
			expect(w, !all && e, "uid %u is not there", p->uid);
			struct picture now = *p;
			look_at(w, s, &now);
			expect(w, now.flags == e->flags && now.keywords == e->keywords, "uid %u is gone and looks different", p->uid);
			continue;
		}
		expect(w, e->flags == p->flags && e->keywords == p->keywords, "uid %u: flags %llx %x, the client has %llx %x", p->uid,
		       (unsigned long long)e->flags, e->keywords, (unsigned long long)p->flags, p->keywords);
	}
	expect(w, living == f->c->n, "the client sees %zu of %zu messages", living, f->c->n);
}

static void sync_session(struct world *w, struct session *s, bool expunges)
{
	struct view_delta d;
	const struct m_folder *f = m_by_id(&w->m.now, s->folder);
	int e = view_sync(s->v, expunges, &d);
	expect_code(w, e, f ? OK : ERR_NOT_FOUND, "view_sync");
	if (e) {
		close_session(s);
		return;
	}
	expect(w, expunges || d.n_expunged == 0, "expunges nobody asked for");
	apply_delta(w, s, &d);
	view_delta_free(&d);
	expect(w, view_change(s->v) == f->change, "the view is at %lld instead of %lld", (long long)view_change(s->v), (long long)f->change);
	compare_session(w, s, f, expunges);
}

static void open_session(struct world *w, struct session *s)
{
	char path[MODEL_PATH];
	struct m_folder *f = (struct m_folder *)(uintptr_t)any_folder(w);
	m_path(&w->m.now, f, path);
	if (f->noselect)
		return;
	expect_code(w, open_view(w, path, 0, &s->v), OK, path);
	s->folder = f->id;
	size_t recent = 0;
	for (size_t i = 0; i < f->c->n; i++)
		recent += f->recent >= 0 && f->c->e[i].uid >= f->recent;
	expect(w, f->recent < 0 || view_recent(s->v) == recent, "%s: %u recent instead of %zu", path, view_recent(s->v), recent);
	f->recent = f->uidnext;
	learn_new(w, s);
	compare_session(w, s, f, true);
}

static struct session *any_session(struct world *w)
{
	struct session *s = &w->sessions[pick(w, SESSIONS)];
	if (s->v && !m_by_id(&w->m.now, s->folder))
		sync_session(w, s, true); /* hears that it is over */
	if (!s->v)
		open_session(w, s);
	return s->v ? s : NULL;
}

/* --- Operations --- */

static void random_path(struct world *w, char out[MODEL_PATH])
{
	static const char *const first[] = { "a", "b", "c", "d", "INBOX", "inbox", "Trash", "Archive" };
	static const char *const below[] = { "a", "b", "x" };
	size_t n = (size_t)snprintf(out, MODEL_PATH, "%s", first[pick(w, COUNT(first))]);
	for (int depth = 0; depth < 3 && chance(w, 40); depth++)
		n += (size_t)snprintf(out + n, MODEL_PATH - n, "/%s", below[pick(w, COUNT(below))]);
}

/* Mostly one that is there. */
static void target_path(struct world *w, char out[MODEL_PATH])
{
	if (chance(w, 15))
		random_path(w, out);
	else
		m_path(&w->m.now, any_folder(w), out);
}

static uint64_t random_flags(struct world *w)
{
	static const uint64_t some[] = { FLAG_SEEN, FLAG_ANSWERED, FLAG_FLAGGED, FLAG_DELETED, FLAG_DRAFT, FLAG_JUNK };
	uint64_t f = 0;
	while (chance(w, 50))
		f |= some[pick(w, COUNT(some))];
	return f;
}

static unsigned random_keywords(struct world *w)
{
	return chance(w, 70) ? 0 : pick(w, 1u << MODEL_KEYWORDS);
}

/* The operation took one change, or none; the model has done the same already. */
static void took(struct world *w, bool changed)
{
	if (changed)
		m_commit(&w->m);
}

/* EMAILIDs and dates of the newest n messages of a folder are the service's to choose. */
static void learn_entries(struct world *w, struct m_folder *f, size_t n)
{
	char path[MODEL_PATH];
	struct arena a = { 0 };
	struct view *v;
	struct entry *e;
	size_t got;
	m_path(&w->m.now, f, path);
	expect_code(w, open_view(w, path, VIEW_READ_ONLY, &v), OK, path);
	struct m_entry *k = f->c->e + f->c->n - n;
	expect_code(w, view_read(v, k->uid, UINT32_MAX, n + 1, false, &a, &e, &got), OK, "view_read");
	expect(w, got == n, "%zu new messages instead of %zu", got, n);
	for (size_t i = 0; i < n; i++) {
		if (!k[i].email) {
			k[i].email = e[i].email;
			note_email(w, e[i].email, k[i].body);
			check_bytes(w, &e[i], k[i].body);
		}
		if (!k[i].date)
			k[i].date = e[i].date;
	}
	arena_free(&a);
	view_close(&v);
}

static void do_append(struct world *w)
{
	char path[MODEL_PATH], text[64];
	struct append_result r;
	target_path(w, path);
	int body = (int)pick(w, BODIES);
	struct m_entry e = { .body = body, .size = size_of(body), .flags = random_flags(w), .keywords = random_keywords(w),
		             .date = chance(w, 50) ? 1000000 * (int64_t)(1 + pick(w, 1000)) : 0 };
	trace(w, "%s", path);
	struct incoming *in = message(w, body);
	int got = append(w->s, w->account, span_of(path), in, e.flags, keywords_text(e.keywords, text), e.date, &tester, &r);
	incoming_free(&in);
	struct m_folder *f = m_find(&w->m.now, path);
	bool can = f && !f->noselect;
	expect_code(w, got, can ? OK : ERR_NOT_FOUND, path);
	if (!can)
		return;
	e.uid = m_add(&w->m, f, e)->uid;
	took(w, true);
	expect(w, r.uid == e.uid && r.uidvalidity == f->uidvalidity && r.change == w->m.now.change, "APPENDUID %u of %lld", r.uid,
	       (long long)r.uidvalidity);
	learn_entries(w, f, 1);
}

static bool was_delivered(const struct world *w, const struct delivered *d)
{
	for (size_t i = 0; i < w->n_deliveries; i++)
		if (!memcmp(&w->deliveries[i], d, sizeof *d))
			return true;
	return false;
}

static void do_deliver(struct world *w)
{
	static const char *const addresses[] = { "anna@example.org", "anna+x@example.org", "bob@example.org" };
	char path[MODEL_PATH] = "";
	struct delivered d = { (int)pick(w, 4 * BODIES), (int)pick(w, 2), (int)pick(w, 2) };
	if (w->n_deliveries + 2 >= DELIVERIES)
		return;
	if (chance(w, 50))
		target_path(w, path);
	trace(w, "body %d to %s", d.body, path);
	struct incoming *in = message(w, d.body);
	struct recipient r[2] = { { .account = w->account, .address = span_of(addresses[d.address]), .folder = span_of(path) },
		                  { .account = w->other, .address = SPAN("bob@example.org") } };
	size_t n = 1 + pick(w, 2);
	expect_code(w, deliver(w->s, in, span_of(d.sender ? "s@example.org" : ""), r, n, &tester), OK, "deliver");
	incoming_free(&in);
	for (size_t i = 0; i < n; i++) {
		expect_code(w, r[i].result, OK, "delivery");
		if (i)
			d.address = 2;
		expect(w, r[i].duplicate == was_delivered(w, &d), "duplicate: %d", r[i].duplicate);
		if (r[i].duplicate)
			continue;
		w->deliveries[w->n_deliveries++] = d;
		w->others += i;
		if (i)
			continue;
		struct m_folder *f = m_find(&w->m.now, path);
		if (!f || f->noselect)
			f = m_find(&w->m.now, "INBOX");
		uint32_t uid = m_add(&w->m, f, (struct m_entry){ .body = d.body, .size = size_of(d.body) })->uid;
		expect(w, r[i].uid == uid, "delivered as uid %u instead of %u", r[i].uid, uid);
		took(w, true);
		learn_entries(w, f, 1);
	}
}

/* How often the folder holds these bytes. */
static size_t holds(const struct m_folder *f, int body)
{
	size_t n = 0;
	for (size_t i = 0; f && i < f->c->n; i++)
		n += f->c->e[i].body == body;
	return n;
}

static void do_import(struct world *w)
{
	char path[MODEL_PATH];
	int bodies[8];
	size_t n = 1 + pick(w, 8), added = 0, seen[BODIES] = { 0 }, there[BODIES];
	struct import *im;
	target_path(w, path);
	trace(w, "%zu into %s", n, path);
	expect_code(w, import_open(w->s, w->account, &tester, &im), OK, "import_open");
	for (size_t i = 0; i < n; i++) {
		bodies[i] = (int)pick(w, BODIES);
		expect_code(w, import_add(im, span_of(path), message(w, bodies[i]), FLAG_SEEN, (struct span){ 0 }, 0), OK, "import_add");
	}
	expect_code(w, import_flush(im), OK, "import_flush");
	for (int k = 0; k < BODIES; k++)
		there[k] = holds(m_find(&w->m.now, path), k);
	for (size_t i = 0; i < n; i++) {
		int k = bodies[i];
		if (++seen[k] <= there[k])
			continue;
		added++;
		m_add(&w->m, m_ensure_selectable(&w->m, path), (struct m_entry){ .body = k, .size = size_of(k), .flags = FLAG_SEEN });
	}
	expect(w, import_counts(im).added == added && import_counts(im).skipped == n - added, "%llu were added instead of %zu",
	       (unsigned long long)import_counts(im).added, added);
	import_close(&im);
	took(w, added);
	if (added)
		learn_entries(w, m_find(&w->m.now, path), added);
}

/* A random set over what the session sees. */
static void random_set(struct world *w, const struct session *s, struct imap_set *set, struct imap_range ranges[4])
{
	uint32_t at = 0, last = s->n ? s->p[s->n - 1].uid : 0;
	*set = (struct imap_set){ ranges, 0 };
	if (chance(w, 15))
		ranges[set->n++] = (struct imap_range){ 1, UINT32_MAX };
	else
		for (unsigned i = pick(w, 4); i < 4 && at < last; i++) {
			uint32_t first = at + 1 + pick(w, last - at), upto = first + pick(w, 6);
			ranges[set->n++] = (struct imap_range){ first, upto };
			at = upto + 1;
		}
}

static void do_store(struct world *w)
{
	struct session *s = any_session(w);
	struct imap_range ranges[4];
	struct imap_set set;
	char text[64];
	if (!s)
		return;
	random_set(w, s, &set, ranges);
	struct m_folder *f = m_by_id(&w->m.now, s->folder);
	unsigned keywords = random_keywords(w);
	struct store_request q = { .uids = &set, .op = (enum store_op)pick(w, 3), .flags = random_flags(w),
		                   .keywords = keywords_text(keywords, text), .has_unchanged_since = chance(w, 30),
		                   .unchanged_since = w->m.now.change - pick(w, 20) };
	struct store_result r;
	trace(w, "%s", f->name);
	expect_code(w, view_store(s->v, &q, &tester, &r), OK, "view_store");
	size_t failed = 0;
	bool did = false;
	for (size_t i = 0; i < s->n; i++) {
		struct m_entry *e = m_entry(f, s->p[i].uid);
		if (!e || !imap_set_contains(&set, e->uid))
			continue;
		if (q.has_unchanged_since && e->change > q.unchanged_since) {
			expect(w, failed < r.n_modified && r.modified[failed] == e->uid, "uid %u is not told as modified", e->uid);
			failed++;
			continue;
		}
		uint64_t flags = q.op == STORE_REPLACE ? q.flags : q.op == STORE_ADD ? e->flags | q.flags : e->flags & ~q.flags;
		unsigned words = q.op == STORE_REPLACE ? keywords : q.op == STORE_ADD ? e->keywords | keywords : e->keywords & ~keywords;
		if (flags == e->flags && words == e->keywords)
			continue;
		m_set_flags(&w->m, f, e->uid, flags, words);
		did = true;
	}
	took(w, did);
	expect(w, r.n_modified == failed, "%zu are told as modified instead of %zu", r.n_modified, failed);
	expect(w, r.first == (did ? w->m.now.change : 0) && r.last == r.first, "changes %lld to %lld", (long long)r.first, (long long)r.last);
	free(r.modified);
}

/* Puts what a COPY gave in the target; pairs are compared. */
static void take_copies(struct world *w, const struct m_entry *e, size_t n, int64_t target, const struct copy_result *r)
{
	expect(w, r->n == n, "%zu pairs instead of %zu", r->n, n);
	for (size_t i = 0; i < n; i++) {
		struct m_folder *to = m_by_id(&w->m.now, target);
		struct m_entry copy = e[i];
		uint32_t uid = m_add(&w->m, to, copy)->uid;
		expect(w, r->from[i] == e[i].uid && r->to[i] == uid, "pair %zu: %u %u instead of %u %u", i, r->from[i], r->to[i], e[i].uid, uid);
		expect(w, r->uidvalidity == to->uidvalidity, "another UIDVALIDITY");
	}
	took(w, n);
}

static void do_copy(struct world *w)
{
	struct session *s = any_session(w);
	struct imap_range ranges[4];
	struct imap_set set;
	struct copy_result r;
	char path[MODEL_PATH];
	bool move = chance(w, 50);
	if (!s)
		return;
	random_set(w, s, &set, ranges);
	target_path(w, path);
	trace(w, "%s to %s", move ? "move" : "copy", path);
	int got = view_copy(s->v, &set, span_of(path), move, &tester, &r);
	struct m_folder *to = m_find(&w->m.now, path), *f = m_by_id(&w->m.now, s->folder);
	bool can = to && !to->noselect;
	expect_code(w, got, can ? OK : ERR_NOT_FOUND, path);
	if (!can)
		return;
	struct m_entry list[4 * MESSAGES_MAX];
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct m_entry *e = m_entry(f, s->p[i].uid);
		if (!e && !move)
			e = m_grave(&w->m, f->id, s->p[i].uid);
		if (e && imap_set_contains(&set, e->uid))
			list[n++] = *e;
	}
	int64_t target = to->id;
	for (size_t i = 0; i < n && move; i++)
		m_end(&w->m, f, list[i].uid);
	take_copies(w, list, n, target, &r);
	free(r.from);
	free(r.to);
}

/* UID COPY out of the past. */
static void do_copy_from_past(struct world *w)
{
	struct m_state *s = any_past(w);
	const struct m_folder *f = &s->f[pick(w, (unsigned)s->n)];
	char path[MODEL_PATH], name[MODEL_PATH + 40];
	struct view *v;
	struct copy_result r;
	if (f->noselect || !f->c->n)
		return;
	m_path(s, f, path);
	snprintf(name, sizeof name, "#at/@%lld/%s", (long long)s->change, path);
	target_path(w, path);
	trace(w, "%s to %s", name, path);
	expect_code(w, open_view(w, name, 0, &v), OK, name);
	uint32_t first = 1 + pick(w, (unsigned)f->uidnext), last = first + pick(w, 5);
	struct imap_range range = { first, last };
	struct imap_set set = { &range, 1 };
	expect_code(w, view_copy(v, &set, span_of(path), true, &tester, &r), ERR_CANNOT, "a move out of the past");
	int got = view_copy(v, &set, span_of(path), false, &tester, &r);
	struct m_folder *to = m_find(&w->m.now, path);
	expect_code(w, got, to && !to->noselect ? OK : ERR_NOT_FOUND, path);
	if (!got) {
		struct m_entry list[8];
		size_t n = 0;
		for (uint32_t uid = first; uid <= last; uid++)
			if (m_entry(f, uid)) {
				list[n] = *m_entry(f, uid);
				list[n++].flags &= ~(uint64_t)FLAG_DELETED;
			}
		take_copies(w, list, n, to->id, &r);
		free(r.from);
		free(r.to);
	}
	view_close(&v);
}

static void do_expunge(struct world *w)
{
	struct session *s = any_session(w);
	struct imap_range ranges[4];
	struct imap_set set;
	bool some = chance(w, 50), did = false;
	if (!s)
		return;
	random_set(w, s, &set, ranges);
	struct m_folder *f = m_by_id(&w->m.now, s->folder);
	trace(w, "%s", f->name);
	expect_code(w, view_expunge(s->v, some ? &set : NULL, &tester), OK, "view_expunge");
	for (size_t i = 0; i < f->c->n;) {
		const struct m_entry *e = &f->c->e[i];
		bool goes = e->flags & FLAG_DELETED && (!some || imap_set_contains(&set, e->uid));
		if (goes)
			m_end(&w->m, f, e->uid);
		did = did || goes;
		i += !goes;
	}
	took(w, did);
}

static void do_sync(struct world *w)
{
	struct session *s = any_session(w);
	trace(w, "%d", s != NULL);
	if (s)
		sync_session(w, s, chance(w, 50));
	if (s && s->v && chance(w, 10))
		close_session(s);
}

static void do_folder(struct world *w)
{
	char path[MODEL_PATH], to[MODEL_PATH];
	int got, want;
	random_path(w, path);
	switch (pick(w, 5)) {
	case 0: case 1:
		trace(w, "create %s", path);
		got = folder_create(w->s, w->account, span_of(path), &tester);
		want = m_create(&w->m, path);
		break;
	case 2:
		target_path(w, path);
		trace(w, "delete %s", path);
		got = folder_delete(w->s, w->account, span_of(path), &tester);
		want = m_delete(&w->m, path);
		break;
	default:
		random_path(w, to);
		if (chance(w, 80))
			target_path(w, path);
		if (chance(w, 30)) /* below itself, in another case */
			snprintf(to, sizeof to, "%s%.*s/x", strncmp(path, "INBOX", 5) ? "" : "Inbox", 60, strncmp(path, "INBOX", 5) ? path : path + 5);
		trace(w, "rename %s to %s", path, to);
		got = folder_rename(w->s, w->account, span_of(path), span_of(to), &tester);
		want = m_rename(&w->m, path, to);
	}
	expect_code(w, got, want, path);
	took(w, !want);
}

static void do_subscribe(struct world *w)
{
	char path[MODEL_PATH];
	bool on = chance(w, 60);
	random_path(w, path);
	trace(w, "%s %d", path, on);
	expect_code(w, folder_subscribe(w->s, w->account, span_of(path), on, &tester), OK, path);
	if (m_within(path, "INBOX"))
		memcpy(path, "INBOX", 5);
	took(w, m_subscribe(&w->m, path, on));
}

static void do_snapshot(struct world *w)
{
	struct snapshot sn;
	size_t k = pick(w, SNAPSHOTS);
	char name[sizeof w->snapshots[k].name];
	snprintf(name, sizeof name, "s%zu", k);
	bool there = w->snapshots[k].change;
	expect_code(w, snapshot_create(w->s, span_of(name), 0, &tester, &sn), there ? ERR_EXISTS : OK, name);
	if (there)
		expect_code(w, snapshot_remove(w->s, span_of(name), &tester), OK, name);
	w->snapshots[k].change = there ? 0 : w->m.now.change;
	memcpy(w->snapshots[k].name, name, sizeof name);
}

static void do_account(struct world *w)
{
	int64_t id = 0, before = w->account;
	int e = restore_account(w->s, SPAN("anna@example.org"), &tester, &id);
	expect(w, e == ERR_EXISTS || e == ERR_NOT_FOUND, "an account that lives comes back: %s", fail_name(e));
	expect_code(w, account_remove(w->s, w->account, &tester), OK, "account_remove");
	expect_code(w, account_remove(w->s, w->account, &tester), ERR_NOT_FOUND, "account_remove again");
	w->account = 0;
	expect_code(w, account_list(w->s, note_accounts, w), OK, "account_list");
	expect(w, w->account == 0, "a removed account is listed");
	w->account = before;
	expect_code(w, restore_account(w->s, SPAN("anna@example.org"), &tester, &id), OK, "restore_account");
	expect(w, id == before, "another account came back");
}

static void do_reopen(struct world *w)
{
	for (size_t i = 0; i < SESSIONS; i++)
		close_session(&w->sessions[i]);
	w->m.n_graves = 0;
	close_world(w);
	open_world(w);
	verify(w);
}

/* --- Restore --- */

/* What the service says is there, as a state. */
static struct m_state read_state(struct world *w)
{
	struct m_state s = { .change = w->m.now.change, .stamp = w->m.now.stamp };
	struct arena a = { 0 };
	struct tree t;
	expect_code(w, tree_read(w->s, w->account, 0, &t), OK, "tree_read");
	s.change = t.change;
	for (size_t i = 0; i < t.n; i++) {
		const struct folder *f = &t.list[i];
		struct m_folder k = { .id = f->id, .parent = f->parent, .uidvalidity = f->uidvalidity, .uidnext = f->uidnext,
			              .change = f->change, .recent = -1, .noselect = f->attributes & FOLDER_NOSELECT,
			              .special = f->attributes & ~(int64_t)FOLDER_NOSELECT };
		snprintf(k.name, sizeof k.name, "%.*s", SPAN_ARG(f->name));
		struct m_folder *p = m_push_folder(&s, &k);
		expect(w, !k.noselect || f->messages == 0, "%.*s has messages that nobody can see", SPAN_ARG(f->path));
		struct view *v;
		struct entry *e;
		size_t n = 0;
		if (k.noselect)
			continue;
		expect_code(w, view_open(w->s, w->account, f->path, VIEW_READ_ONLY, &v), OK, k.name);
		expect_code(w, view_read(v, 1, UINT32_MAX, SIZE_MAX >> 1, false, &a, &e, &n), OK, "view_read");
		for (size_t j = 0; j < n; j++) {
			struct m_entry x = { .uid = e[j].uid, .flags = e[j].flags, .keywords = keywords_read(w, e[j].keywords),
				             .change = e[j].change, .email = e[j].email, .date = e[j].date, .size = (int64_t)e[j].size,
				             .body = body_of(w, e[j].email) };
			m_push_entry(p, &x);
		}
		p->keywords = keywords_read(w, f->keywords);
		view_close(&v);
	}
	tree_free(&t);
	struct span *names;
	expect_code(w, folder_subscriptions(w->s, w->account, &a, &names, &s.n_subs), OK, "subscriptions");
	s.subs = calloc(s.n_subs + 1, sizeof *s.subs);
	for (size_t i = 0; i < s.n_subs; i++)
		snprintf(s.subs[i], MODEL_PATH, "%.*s", SPAN_ARG(names[i]));
	arena_free(&a);
	return s;
}

struct restore_case {
	const struct m_state *then;
	struct m_state before, after;
	char folder[MODEL_PATH], into[MODEL_PATH], match[32];
	int body; /* of match, or -1 */
	struct restore_report report;
};

static bool wanted(const struct restore_case *r, const struct m_entry *e)
{
	return r->body < 0 || e->body == r->body;
}

static bool in_scope(const struct restore_case *r, const struct m_folder *f)
{
	char path[MODEL_PATH];
	m_path(r->then, f, path);
	return !r->folder[0] || m_within(path, r->folder);
}

static bool whole(const struct restore_case *r)
{
	return r->body < 0 && !r->into[0];
}

static size_t count_email(const struct restore_case *r, const struct m_folder *f, int64_t email)
{
	size_t n = 0;
	for (size_t i = 0; i < f->c->n; i++)
		n += f->c->e[i].email == email && wanted(r, &f->c->e[i]);
	return n;
}

/* Where the messages of a folder of then must be now. */
static struct m_folder *where_now(const struct restore_case *r, const struct m_folder *f)
{
	char path[MODEL_PATH], to[2 * MODEL_PATH + 2];
	struct m_folder *now = m_by_id(&r->after, f->id);
	m_path(r->then, f, path);
	if (r->into[0]) {
		size_t n = strlen(r->folder);
		const char *below = !n ? path : path[n] ? path + n + 1 : "";
		snprintf(to, sizeof to, "%s%s%s", r->into, *below ? "/" : "", below);
		return m_find(&r->after, to);
	}
	return now ? now : m_find(&r->after, path);
}

static void check_folder_is_back(struct world *w, const struct restore_case *r, const struct m_folder *f)
{
	struct m_folder *to = where_now(r, f);
	char path[MODEL_PATH], now[MODEL_PATH];
	m_path(r->then, f, path);
	expect(w, to || !whole(r), "%s is not back", path);
	if (to && whole(r)) {
		m_path(&r->after, to, now);
		expect(w, !strcmp(now, path) || m_find(&r->after, path) || f->parent, "%s is called %s, although its name is free", path, now);
		expect(w, !to->noselect || f->noselect, "%s is only a name", path);
	}
	for (size_t i = 0; i < f->c->n; i++) {
		const struct m_entry *e = &f->c->e[i], *is = to && to->id == f->id ? m_entry(to, e->uid) : NULL;
		if (!wanted(r, e))
			continue;
		expect(w, to, "%s: uid %u is nowhere", path, e->uid);
		expect(w, count_email(r, to, e->email) >= count_email(r, f, e->email), "%s: uid %u has not come back", path, e->uid);
		expect(w, !is || r->into[0] || !((e->flags & ~(uint64_t)FLAG_DELETED) & ~is->flags || e->keywords & ~is->keywords),
		       "%s: uid %u has not got its flags back", path, e->uid);
	}
}

/* Was this new entry one of then? */
static bool was_then(const struct restore_case *r, const struct m_entry *e)
{
	for (size_t i = 0; i < r->then->n; i++) {
		const struct m_folder *f = &r->then->f[i];
		for (size_t k = 0; k < f->c->n && in_scope(r, f); k++) {
			const struct m_entry *t = &f->c->e[k];
			if (t->email == e->email && (t->flags & ~(uint64_t)FLAG_DELETED) == e->flags && t->keywords == e->keywords &&
			    t->date == e->date && wanted(r, t))
				return true;
		}
	}
	return false;
}

/* One folder before and after: nothing is lost, and only what was asked for has changed. */
static void check_entries(struct world *w, const struct restore_case *r, const struct m_folder *was, const struct m_folder *is,
                          uint64_t *linked, uint64_t *flagged)
{
	const struct m_folder *then = m_by_id(r->then, was->id);
	expect(w, is->uidvalidity == was->uidvalidity && is->uidnext >= was->uidnext, "%s: another UIDVALIDITY or UIDNEXT", was->name);
	for (size_t i = 0; i < was->c->n; i++) {
		const struct m_entry *e = &was->c->e[i], *now = m_entry(is, e->uid);
		const struct m_entry *t = then && in_scope(r, then) && !r->into[0] ? m_entry(then, e->uid) : NULL;
		uint64_t flags = e->flags | (t && wanted(r, t) ? t->flags & ~(uint64_t)FLAG_DELETED : 0);
		unsigned keywords = e->keywords | (t && wanted(r, t) ? t->keywords : 0);
		expect(w, now && now->email == e->email && now->date == e->date, "%s: uid %u is lost", was->name, e->uid);
		expect(w, now->flags == flags && now->keywords == keywords, "%s: uid %u: flags %llx %x instead of %llx %x", was->name, e->uid,
		       (unsigned long long)now->flags, now->keywords, (unsigned long long)flags, keywords);
		*flagged += flags != e->flags || keywords != e->keywords;
	}
	for (size_t i = 0; i < is->c->n; i++) {
		const struct m_entry *e = &is->c->e[i];
		if (m_entry(was, e->uid))
			continue;
		expect(w, e->uid >= was->uidnext, "%s: uid %u was used again", was->name, e->uid);
		expect(w, was_then(r, e), "%s: uid %u was not there then", was->name, e->uid);
		++*linked;
	}
}

/* A name alone may give way to the folder it stood for. */
static bool took_place(const struct restore_case *r, const char *name)
{
	for (size_t i = 0; i < r->after.n; i++)
		if (!strcmp(r->after.f[i].name, name) && !m_by_id(&r->before, r->after.f[i].id) && m_by_id(r->then, r->after.f[i].id))
			return true;
	return false;
}

static void check_folder_is_kept(struct world *w, const struct restore_case *r, const struct m_folder *was)
{
	const struct m_folder *is = m_by_id(&r->after, was->id), *then = m_by_id(r->then, was->id);
	char path[MODEL_PATH], now[MODEL_PATH];
	m_path(&r->before, was, path);
	if (!is) {
		expect(w, was->noselect && whole(r) && took_place(r, was->name), "%s is lost", path);
		return;
	}
	m_path(&r->after, is, now);
	bool back = then && whole(r) && in_scope(r, then) && !strcmp(is->name, then->name);
	expect(w, !strcmp(path, now) || back || (is->parent == was->parent && !strcmp(is->name, was->name)), "%s is called %s now", path, now);
}

static void check_restore(struct world *w, const struct restore_case *r)
{
	uint64_t linked = 0, flagged = 0;
	for (size_t i = 0; i < r->then->n; i++)
		if (in_scope(r, &r->then->f[i]))
			check_folder_is_back(w, r, &r->then->f[i]);
	for (size_t i = 0; i < r->before.n; i++)
		check_folder_is_kept(w, r, &r->before.f[i]);
	for (size_t i = 0; i < r->after.n; i++) {
		const struct m_folder *is = &r->after.f[i], *was = m_by_id(&r->before, is->id), *dead = m_dead(&w->m, is->id);
		struct m_content none = { .refs = 1 };
		struct m_folder fresh = { .id = is->id, .uidvalidity = is->uidvalidity, .uidnext = 1, .c = &none };
		expect(w, was || dead || is->id >= w->m.next_id, "%s: a folder out of nowhere", is->name);
		if (!was && dead)
			linked += dead->c->n; /* came back with its folder */
		if (!was && !dead)
			expect(w, is->uidvalidity >= w->m.next_uidvalidity, "%s: an old UIDVALIDITY", is->name);
		check_entries(w, r, was ? was : dead ? dead : &fresh, is, &linked, &flagged);
	}
	for (size_t i = 0; i < r->then->n_subs && whole(r); i++)
		expect(w, !(!r->folder[0] || m_within(r->then->subs[i], r->folder)) || m_subscribed(&r->after, r->then->subs[i]),
		       "%s is not subscribed again", r->then->subs[i]);
	for (size_t i = 0; i < r->before.n_subs; i++)
		expect(w, m_subscribed(&r->after, r->before.subs[i]), "%s is not subscribed any more", r->before.subs[i]);
	expect(w, r->report.messages == linked, "%llu messages reported, %llu came", (unsigned long long)r->report.messages,
	       (unsigned long long)linked);
	expect(w, r->report.flags == flagged, "%llu messages reported with flags, %llu got some", (unsigned long long)r->report.flags,
	       (unsigned long long)flagged);
}

/* The model goes on from what the service says now. */
static void take_over(struct world *w, struct m_state *s)
{
	struct model *m = &w->m;
	for (size_t i = 0; i < s->n; i++) {
		struct m_folder *f = &s->f[i], *was = m_by_id(&m->now, f->id);
		f->recent = was ? was->recent : -1;
		if (f->id >= m->next_id)
			m->next_id = f->id + 1;
		if (f->uidvalidity >= m->next_uidvalidity)
			m->next_uidvalidity = f->uidvalidity + 1;
	}
	for (size_t i = 0; i < m->now.n; i++)
		if (!m_by_id(s, m->now.f[i].id)) { /* a name that gave way */
			m->dead = realloc(m->dead, (m->n_dead + 1) * sizeof *m->dead);
			assert_non_null(m->dead);
			m->dead[m->n_dead] = m->now.f[i];
			m->dead[m->n_dead++].c->refs++;
		}
	m_state_free(&m->now);
	m->now = *s;
	*s = (struct m_state){ 0 };
}

static void run_restore(struct world *w, struct restore_case *r, bool dry, struct restore_report *out)
{
	char when[40];
	struct restore_request q = { .account = w->account, .folder = span_of(r->folder), .match = span_of(r->match),
		                     .into = span_of(r->into), .dry_run = dry, .actor = &tester };
	snprintf(when, sizeof when, "@%lld", (long long)r->then->change);
	*out = (struct restore_report){ 0 };
	expect_code(w, instant_resolve(w->s, w->account, span_of(when), &q.at), OK, when);
	expect_code(w, restore_run(w->s, &q, out), OK, "restore");
}

static void choose_restore(struct world *w, struct restore_case *r)
{
	*r = (struct restore_case){ .then = any_past(w), .body = -1 };
	if (chance(w, 40))
		m_path(r->then, &r->then->f[pick(w, (unsigned)r->then->n)], r->folder);
	if (chance(w, 30))
		random_path(w, r->into);
	if (chance(w, 25)) {
		r->body = (int)pick(w, BODIES);
		snprintf(r->match, sizeof r->match, "subject:subj%03d", r->body);
	}
}

static void do_restore(struct world *w)
{
	struct restore_case r;
	struct restore_report dry = { 0 }, again;
	choose_restore(w, &r);
	struct m_state then = m_state_copy(r.then);
	r.then = &then;
	trace(w, "@%lld folder '%s' into '%s' match '%s'", (long long)then.change, r.folder, r.into, r.match);
	bool tried = chance(w, 40);
	if (tried) {
		run_restore(w, &r, true, &dry);
		w->doing = "restore --dry-run";
		compare_present(w);
		w->doing = "restore";
	}
	r.before = m_state_copy(&w->m.now);
	run_restore(w, &r, false, &r.report);
	r.after = read_state(w);
	check_restore(w, &r);
	if (tried)
		expect(w, dry.folders == r.report.folders && dry.flags == r.report.flags && dry.messages >= r.report.messages,
		       "dry run: %llu %llu %llu, then: %llu %llu %llu", (unsigned long long)dry.folders, (unsigned long long)dry.messages,
		       (unsigned long long)dry.flags, (unsigned long long)r.report.folders, (unsigned long long)r.report.messages,
		       (unsigned long long)r.report.flags);
	take_over(w, &r.after);
	w->doing = "a second restore";
	run_restore(w, &r, false, &again);
	expect(w, again.folders + again.messages + again.flags == 0, "%llu folders, %llu messages, %llu flags", (unsigned long long)again.folders,
	       (unsigned long long)again.messages, (unsigned long long)again.flags);
	compare_account(w);
	m_state_free(&r.before);
	m_state_free(&then);
}

/* Keeps it small: everything in the largest folder goes. */
static void empty_largest(struct world *w)
{
	struct m_folder *f = w->m.now.f;
	size_t total = 0;
	char path[MODEL_PATH];
	struct view *v;
	struct store_result r;
	struct imap_range all = { 1, UINT32_MAX };
	struct imap_set set = { &all, 1 };
	for (size_t i = 0; i < w->m.now.n; i++) {
		total += w->m.now.f[i].c->n;
		if (w->m.now.f[i].c->n > f->c->n)
			f = &w->m.now.f[i];
	}
	if (total < MESSAGES_MAX)
		return;
	w->doing = "emptying";
	m_path(&w->m.now, f, path);
	expect_code(w, open_view(w, path, 0, &v), OK, path);
	f->recent = f->uidnext;
	struct store_request q = { .uids = &set, .op = STORE_ADD, .flags = FLAG_DELETED };
	expect_code(w, view_store(v, &q, &tester, &r), OK, path);
	free(r.modified);
	expect_code(w, view_expunge(v, &set, &tester), OK, path);
	view_close(&v);
	bool did = false;
	for (size_t i = 0; i < f->c->n; i++)
		if (!(f->c->e[i].flags & FLAG_DELETED)) {
			m_set_flags(&w->m, f, f->c->e[i].uid, f->c->e[i].flags | FLAG_DELETED, f->c->e[i].keywords);
			did = true;
		}
	took(w, did);
	while (f->c->n)
		m_end(&w->m, f, f->c->e[f->c->n - 1].uid);
	took(w, true);
}

static const struct { const char *name; void (*run)(struct world *w); unsigned weight; } operations[] = {
	{ "append", do_append, 150 }, { "deliver", do_deliver, 60 }, { "import", do_import, 25 }, { "store", do_store, 160 },
	{ "copy", do_copy, 90 }, { "copy out of the past", do_copy_from_past, 20 }, { "expunge", do_expunge, 60 },
	{ "sync", do_sync, 150 }, { "folder", do_folder, 120 }, { "subscribe", do_subscribe, 25 }, { "snapshot", do_snapshot, 15 },
	{ "account", do_account, 5 }, { "reopen", do_reopen, 4 }, { "restore", do_restore, 40 },
};

static void one_step(struct world *w)
{
	unsigned total = 0, k;
	for (size_t i = 0; i < COUNT(operations); i++)
		total += operations[i].weight;
	k = pick(w, total);
	size_t i = 0;
	for (; k >= operations[i].weight; i++)
		k -= operations[i].weight;
	w->doing = operations[i].name;
	operations[i].run(w);
	compare_present(w);
	keep_state(w);
	empty_largest(w);
	compare_account(w);
	keep_state(w);
	if (chance(w, 30))
		compare_past(w);
}

/* --- Runs --- */

/* What a new account begins with. */
static void begin_model(struct world *w)
{
	static const struct { const char *name; int64_t special; } usual[] = {
		{ "INBOX", 0 }, { "", 0 }, { "Drafts", FOLDER_DRAFTS }, { "Sent", FOLDER_SENT }, { "Junk", FOLDER_JUNK },
		{ "Trash", FOLDER_TRASH }, { "Archive", FOLDER_ARCHIVE },
	};
	struct tree t;
	expect_code(w, tree_read(w->s, w->account, 0, &t), OK, "tree_read");
	int64_t first = t.list[0].uidvalidity;
	tree_free(&t);
	for (size_t i = 0; i < COUNT(usual); i++) {
		struct m_folder f = { .id = (int64_t)i + 1, .uidvalidity = first + (int64_t)i, .uidnext = 1, .change = 1, .recent = 1,
			              .special = usual[i].special };
		snprintf(f.name, sizeof f.name, "%s", usual[i].name);
		if (!f.name[0])
			continue;
		m_push_folder(&w->m.now, &f);
		m_subscribe(&w->m, f.name, true);
	}
	w->m.now.change = 1;
	w->m.next_id = COUNT(usual) + 1;
	w->m.next_uidvalidity = first + (int64_t)COUNT(usual);
}

static long number(const char *name, long otherwise)
{
	const char *s = getenv(name);
	return s ? atol(s) : otherwise;
}

static int setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	uint64_t seed = (uintptr_t)*state;
	struct span names[] = { SPAN("anna@example.org"), SPAN("bob@example.org") };
	assert_non_null(w);
	w->seed = w->random = seed;
	w->doing = "beginning";
	w->trace = getenv("MODEL_TRACE");
	strcpy(w->dir, access("/dev/shm", W_OK) ? "/tmp/perdura-model-XXXXXX" : "/dev/shm/perdura-model-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	open_world(w);
	assert_int_equal(account_add(w->s, names, 2, SPAN("none"), &tester), OK);
	assert_int_equal(account_list(w->s, note_accounts, w), OK);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < SESSIONS; i++)
		close_session(&w->sessions[i]);
	for (size_t i = 0; i < KEPT; i++)
		m_state_free(&w->kept[i]);
	m_free(&w->m);
	close_world(w);
	if (!getenv("MODEL_KEEP"))
		nftw(w->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(w->emails);
	free(w);
	return 0;
}

static void walk(struct world *w, long steps)
{
	struct account_info i;
	begin_model(w);
	compare_present(w);
	keep_state(w);
	for (w->step = 1; w->step <= steps; w->step++)
		one_step(w);
	w->doing = "the end";
	expect_code(w, account_show(w->s, w->other, &i), OK, "account_show");
	expect(w, i.messages == w->others, "the other account has %lld messages instead of %lld", (long long)i.messages, (long long)w->others);
	verify(w);
}

static void the_model_agrees(void **state)
{
	struct world *w = *state;
	walk(w, number("MODEL_STEPS", 800));
}

int main(void)
{
	enum { SEEDS_MAX = 100000 };
	long first = number("MODEL_SEED", 1), n = number("MODEL_SEEDS", 3);
	struct CMUnitTest *tests = calloc(SEEDS_MAX + 1, sizeof *tests);
	char *names = calloc(SEEDS_MAX + 1, 32);
	if (!tests || !names || n < 1 || n > SEEDS_MAX)
		return 1;
	for (long i = 0; i < n; i++) {
		snprintf(names + i * 32, 32, "seed %ld", first + i);
		tests[i] = (struct CMUnitTest){ names + i * 32, the_model_agrees, setup, teardown, (void *)(uintptr_t)(first + i) };
	}
	int failed = _cmocka_run_group_tests("model", tests, (size_t)n, NULL, NULL);
	free(tests);
	free(names);
	return failed;
}
