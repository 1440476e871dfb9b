#include "model_world.h"

#include <unistd.h>

#include "clock.h"
#include "flags.h"
#include "instant.h"
#include "message.h"
#include "resume.h"
#include "packer.h"
#include "scratch.h"
#include "stand.h"
#include "verify.h"
#include "stores.h"

const struct actor tester = { "tester", 7, "test" };
static const char *const keyword_names[MODEL_KEYWORDS] = { "$x", "alpha", "Beta", "gamma", "later" };

/* --- Chance, and telling where it went wrong --- */

uint64_t next_random(struct world *w)
{
	uint64_t z = w->random += UINT64_C(0x9E3779B97F4A7C15);
	z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
	return z ^ z >> 31;
}

unsigned pick(struct world *w, unsigned n)
{
	return (unsigned)(next_random(w) % n);
}

bool chance(struct world *w, unsigned percent)
{
	return pick(w, 100) < percent;
}

void wrong(const struct world *w, const char *file, int line, const char *fmt, ...)
{
	char text[600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	print_error("seed %llu, step %ld, change %lld, %s: %s (%s), %s:%d\n", (unsigned long long)w->seed, w->step,
	            (long long)w->m.now.change, w->doing, text, fail_detail(), file, line);
	if (w->together)
		abort();
	fail();
}

void trace(const struct world *w, const char *fmt, ...)
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

void wrong_code(const struct world *w, const char *file, int line, int got, int want, const char *what)
{
	wrong(w, file, line, "%s: %s instead of %s", what, fail_name(got), fail_name(want));
}

/* --- The store --- */

static void cannot_resume(void *ctx, const struct changeset *c, int error, bool again)
{
	wrong_code(ctx, __FILE__, __LINE__, error, OK, "resume");
}

void open_world(struct world *w)
{
	stores_open(w->dir, test_meta_url(w->dir), &w->store, &w->s);
	assert_int_equal(resume_run(w->s, &(struct resume_request){ .failed = cannot_resume, .ctx = w }), OK);
	purge_stand(w->store, w->s, 0, &w->identity, &w->purge);
	assert_int_equal(packer_open(&(struct packer_options){ w->store, 64 * 1024, SECOND_US }, &w->packer), OK);
}

void close_world(struct world *w)
{
	packer_close(&w->packer);
	purge_close(&w->purge);
	identity_close(&w->identity);
	stores_close(&w->store, &w->s);
}

static void say_trouble(void *ctx, const char *line)
{
	print_error("verify: %s\n", line);
}

void verify(struct world *w)
{
	struct verify_report r;
	struct verify_request q = { .say = say_trouble };
	expect_code(w, verify_run(w->s, &q, &r), OK, "verify");
	expect(w, r.troubles == 0, "%llu troubles", (unsigned long long)r.troubles);
}

int note_accounts(void *ctx, const struct account_info *i)
{
	struct world *w = ctx;
	*(span_eq(i->address, SPAN("anna@example.org")) ? &w->account : &w->other) = i->id;
	return 0;
}

unsigned keywords_read(const struct world *w, struct span text)
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

struct span keywords_text(unsigned bits, char out[64])
{
	size_t n = 0;
	for (unsigned i = 0; i < MODEL_KEYWORDS; i++)
		if (bits >> i & 1)
			n += (size_t)snprintf(out + n, 64 - n, "%s%s", n ? " " : "", keyword_names[i]);
	return (struct span){ out, n };
}

static size_t body_text(int body, char out[300])
{
	int n = snprintf(out, 300, "From: a@example.org\r\nTo: b@example.org\r\nSubject: subj%03d\r\n\r\n%0*d\r\n",
	                 body, body % 50, body);
	return (size_t)n;
}

struct incoming *new_message(struct world *w, int body)
{
	struct incoming *in;
	char text[300];
	size_t n = body_text(body, text);
	assert_int_equal(incoming_new(w->s, &in), OK);
	assert_int_equal(incoming_write(in, span_from(text, n)), OK);
	assert_int_equal(incoming_finish(in), OK);
	return in;
}

int64_t size_of(int body)
{
	char text[300];
	return (int64_t)body_text(body, text);
}

void check_bytes(struct world *w, const struct entry *e, int body)
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

int body_of(const struct world *w, int64_t email)
{
	for (size_t i = 0; i < w->n_emails; i++)
		if (w->emails[i].email == email)
			return w->emails[i].body;
	return -1;
}

void note_email(struct world *w, int64_t email, int body)
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
	expect(w, keywords_read(w, e->keywords) == k->keywords, "uid %u: keywords %.*s instead of %x", e->uid,
	       SPAN_ARG(e->keywords),
	       k->keywords);
	expect(w, e->change == k->change, "uid %u: MODSEQ %lld instead of %lld", e->uid, (long long)e->change,
	       (long long)k->change);
	expect(w, e->created <= e->change && e->created > 0, "uid %u: created %lld", e->uid, (long long)e->created);
	expect(w, e->email == k->email, "uid %u: another EMAILID", e->uid);
	expect(w, e->date == k->date, "uid %u: date %lld instead of %lld", e->uid, (long long)e->date,
	       (long long)k->date);
	expect(w, (int64_t)e->size == k->size, "uid %u: another size", e->uid);
}

int open_view(struct world *w, const char *path, int flags, struct view **v)
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
			expect(w, view_uid(v, (uint32_t)seen + 1) == e[i].uid && view_number(v, e[i].uid) == seen + 1,
			       "numbers and UIDs");
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
	expect(w, span_eq(f->path, span_of(path)), "folder %lld is called %.*s instead of %s", (long long)k->id,
	       SPAN_ARG(f->path), path);
	expect(w, span_eq(f->name, span_of(k->name)), "folder %s: name %.*s", path, SPAN_ARG(f->name));
	expect(w, f->parent == k->parent, "folder %s: parent %lld instead of %lld", path, (long long)f->parent,
	       (long long)k->parent);
	expect(w, f->uidvalidity == k->uidvalidity, "folder %s: UIDVALIDITY %lld instead of %lld", path,
	       (long long)f->uidvalidity,
	       (long long)k->uidvalidity);
	expect(w, !!(f->attributes & FOLDER_NOSELECT) == k->noselect, "folder %s: attributes %llx", path,
	       (long long)f->attributes);
	expect(w, (f->attributes & ~(int64_t)FOLDER_NOSELECT) == k->special, "folder %s: attributes %llx", path,
	       (long long)f->attributes);
	expect(w, f->has_children == m_has_children(s, k->id), "folder %s: children", path);
}

static void compare_counters(struct world *w, const struct folder *f, const struct m_folder *k)
{
	expect(w, f->messages == (int64_t)k->c->n, "%s: %lld messages instead of %zu", k->name, (long long)f->messages,
	       k->c->n);
	expect(w, f->unseen == (int64_t)m_unseen(k), "%s: %lld unseen instead of %zu", k->name, (long long)f->unseen,
	       m_unseen(k));
	expect(w, f->bytes == m_bytes(k), "%s: %lld bytes instead of %lld", k->name, (long long)f->bytes,
	       (long long)m_bytes(k));
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
		expect(w, f->uidnext == k->uidnext, "%s: UIDNEXT %lld instead of %lld", k->name, (long long)f->uidnext,
		       (long long)k->uidnext);
		expect(w, f->change == k->change, "%s: HIGHESTMODSEQ %lld instead of %lld", k->name,
		       (long long)f->change, (long long)k->change);
		expect(w, keywords_read(w, f->keywords) == k->keywords, "%s: keywords %.*s instead of %x", k->name,
		       SPAN_ARG(f->keywords),
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
		expect(w, span_eq(names[i], span_of(w->m.now.subs[i])), "subscribed: %.*s instead of %s",
		       SPAN_ARG(names[i]),
		       w->m.now.subs[i]);
	arena_free(&a);
}

void compare_account(struct world *w)
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
	expect(w, i.messages == messages && i.bytes == bytes, "%lld messages of %lld bytes instead of %lld of %lld",
	       (long long)i.messages,
	       (long long)i.bytes, (long long)messages, (long long)bytes);
	w->m.now.stamp = i.stamp;
}

const struct m_folder *any_folder(struct world *w)
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
	expect(w, view_info(v)->folder.change == f->change && view_change(v) == f->change, "%s: the view's change",
	       path);
	expect(w, view_info(v)->folder.uidnext == f->uidnext, "%s: the view's UIDNEXT", path);
	expect_code(w, view_first_unseen(v, &number), OK, "first unseen");
	size_t first = 0;
	while (first < f->c->n && f->c->e[first].flags & FLAG_SEEN)
		first++;
	expect(w, number == (first < f->c->n ? first + 1 : 0), "%s: first unseen is %u", path, number);
	view_close(&v);
}

void compare_present(struct world *w)
{
	compare_account(w);
	compare_tree(w, 0, &w->m.now);
	compare_subscriptions(w);
	for (size_t i = 0; i < w->m.now.n && w->step % 50 == 0; i++)
		compare_fresh(w, &w->m.now.f[i]);
	compare_fresh(w, any_folder(w));
}

/* The state right after change n, or NULL: it is not known, or purged. */
struct m_state *state_at(struct world *w, int64_t n)
{
	struct m_state *s = &w->kept[n % KEPT];
	bool shown = n >= w->floor;
	for (size_t i = 0; !shown && i < SNAPSHOTS; i++)
		shown = w->snapshots[i].change == n;
	return n > 0 && s->change == n && shown ? s : NULL;
}

void keep_state(struct world *w)
{
	struct m_state *s = &w->kept[w->m.now.change % KEPT];
	if (s->change == w->m.now.change && s->f) /* the same change: nothing happened */
		return;
	m_state_free(s);
	*s = m_state_copy(&w->m.now);
}

struct m_state *any_past(struct world *w)
{
	int64_t now = w->m.now.change, back = now < KEPT ? now : KEPT;
	for (int i = 0; i < 20; i++) {
		struct m_state *s = state_at(w, now - (int64_t)pick(w, chance(w, 50) &&
		                                                    back > 30 ? 30 : (unsigned)back));
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
	expect(w, view_info(v)->past && view_info(v)->read_only && view_info(v)->at.change == s->change,
	       "%s: at change %lld", name,
	       (long long)view_info(v)->at.change);
	expect(w, view_info(v)->folder.id == f->id && view_info(v)->folder.uidvalidity == f->uidvalidity,
	       "%s: another folder", name);
	compare_view(w, v, f);
	view_close(&v);
}

void compare_past(struct world *w)
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

void close_session(struct session *s)
{
	view_close(&s->v);
	free(s->p);
	*s = (struct session){ 0 };
}

void look_at(struct world *w, struct session *s, struct picture *p)
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

void learn_new(struct world *w, struct session *s)
{
	size_t n = view_count(s->v);
	s->p = realloc(s->p, (n + 1) * sizeof *s->p);
	assert_non_null(s->p);
	for (; s->n < n; s->n++) {
		s->p[s->n] = (struct picture){ .uid = view_uid(s->v, (uint32_t)s->n + 1) };
		look_at(w, s, &s->p[s->n]);
	}
}

void apply_delta(struct world *w, struct session *s, const struct view_delta *d)
{
	for (size_t i = 0; i < d->n_expunged; i++) {
		uint32_t k = d->expunged[i].number;
		expect(w, k >= 1 && k <= s->n, "EXPUNGE of number %u of %zu", k, s->n);
		expect(w, s->p[k - 1].uid == d->expunged[i].uid, "EXPUNGE of number %u names uid %u", k, d->expunged[i].uid);
		memmove(s->p + k - 1, s->p + k, (s->n-- - k) * sizeof *s->p);
	}
	expect(w, d->exists == (view_count(s->v) > s->n), "news of new messages: %d, %u instead of %zu", d->exists,
	       view_count(s->v), s->n);
	for (size_t i = 0; i < d->n_changed; i++) {
		uint32_t k = view_number(s->v, d->changed[i]);
		expect(w, k >= 1 && k <= s->n && s->p[k - 1].uid == d->changed[i], "flags of uid %u, number %u of %zu",
		       d->changed[i], k, s->n);
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
		expect(w, view_uid(s->v, (uint32_t)i + 1) == p->uid, "number %zu is uid %u for the client", i + 1,
		       p->uid);
		living += !!e;
		if (!e) {
			e = m_grave(&w->m, f->id, p->uid);
			expect(w, !all && e, "uid %u is not there", p->uid);
			struct picture now = *p;
			look_at(w, s, &now);
			expect(w, now.flags == e->flags && now.keywords == e->keywords,
			       "uid %u is gone and looks different", p->uid);
			continue;
		}
		expect(w, e->flags == p->flags && e->keywords == p->keywords,
		       "uid %u: flags %llx %x, the client has %llx %x", p->uid,
		       (unsigned long long)e->flags, e->keywords, (unsigned long long)p->flags, p->keywords);
	}
	expect(w, living == f->c->n, "the client sees %zu of %zu messages", living, f->c->n);
}

void sync_session(struct world *w, struct session *s, bool expunges)
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
	expect(w, view_change(s->v) == f->change, "the view is at %lld instead of %lld", (long long)view_change(s->v),
	       (long long)f->change);
	s->told = expunges ? f->change : s->told;
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
	s->told = f->change;
	size_t recent = 0;
	for (size_t i = 0; i < f->c->n; i++)
		recent += f->recent >= 0 && f->c->e[i].uid >= f->recent;
	expect(w, f->recent < 0 || view_recent(s->v) == recent, "%s: %u recent instead of %zu", path, view_recent(s->v),
	       recent);
	f->recent = f->uidnext;
	learn_new(w, s);
	compare_session(w, s, f, true);
}

struct session *any_session(struct world *w)
{
	struct session *s = &w->sessions[pick(w, SESSIONS)];
	if (s->v && !m_by_id(&w->m.now, s->folder))
		sync_session(w, s, true); /* hears that it is over */
	if (!s->v)
		open_session(w, s);
	return s->v ? s : NULL;
}

long setting(const char *name, long otherwise)
{
	const char *s = getenv(name);
	return s ? atol(s) : otherwise;
}

int world_setup(void **state)
{
	struct world *w = calloc(1, sizeof *w);
	uint64_t seed = (uintptr_t)*state;
	struct span names[] = { SPAN("anna@example.org"), SPAN("bob@example.org") };
	assert_non_null(w);
	w->seed = w->random = seed;
	w->doing = "beginning";
	w->trace = getenv("MODEL_TRACE");
	scratch_make("model", w->dir);
	open_world(w);
	assert_int_equal(account_add(w->s, names, 2, SPAN("none"), &tester), OK);
	assert_int_equal(account_list(w->s, note_accounts, w), OK);
	*state = w;
	return 0;
}

int world_teardown(void **state)
{
	struct world *w = *state;
	for (size_t i = 0; i < SESSIONS; i++)
		close_session(&w->sessions[i]);
	for (size_t i = 0; i < KEPT; i++)
		m_state_free(&w->kept[i]);
	m_free(&w->m);
	close_world(w);
	if (!getenv("MODEL_KEEP"))
		test_stores_remove(w->dir);
	free(w->emails);
	free(w);
	return 0;
}

void random_path(struct world *w, char out[MODEL_PATH])
{
	static const char *const first[] = { "a", "b", "c", "d", "INBOX", "inbox", "Trash", "Archive" };
	static const char *const below[] = { "a", "b", "x" };
	size_t n = (size_t)snprintf(out, MODEL_PATH, "%s", first[pick(w, COUNT(first))]);
	for (int depth = 0; depth < 3 && chance(w, 40); depth++)
		n += (size_t)snprintf(out + n, MODEL_PATH - n, "/%s", below[pick(w, COUNT(below))]);
}
