/* What restore.h promises, held against the states before, after and then. */
#include "model_world.h"

#include "flags.h"
#include "restore.h"

/* What the service says is there, as a state. */
struct m_state read_state(struct world *w)
{
	struct m_state s = { .change = w->m.now.change, .stamp = w->m.now.stamp };
	struct arena a = { 0 };
	struct tree t;
	expect_code(w, tree_read(w->s, w->account, 0, &t), OK, "tree_read");
	s.change = t.change;
	for (size_t i = 0; i < t.n; i++) {
		const struct folder *f = &t.list[i];
		struct m_folder k = { .id = f->id, .parent = f->parent, .uidvalidity = f->uidvalidity,
		                     .uidnext = f->uidnext,
			              .change = f->change, .recent = -1, .noselect = f->attributes & FOLDER_NOSELECT,
			              .special = f->attributes & ~(int64_t)FOLDER_NOSELECT };
		snprintf(k.name, sizeof k.name, "%.*s", SPAN_ARG(f->name));
		struct m_folder *p = m_push_folder(&s, &k);
		expect(w, !k.noselect || f->messages == 0, "%.*s has messages that nobody can see", SPAN_ARG(f->path));
		struct view *v;
		struct entry *e;
		size_t n = 0;
		p->keywords = keywords_read(w, f->keywords);
		if (k.noselect)
			continue;
		expect_code(w, view_open(w->s, w->account, f->path, VIEW_READ_ONLY, &v), OK, k.name);
		expect_code(w, view_read(v, 1, UINT32_MAX, SIZE_MAX >> 1, false, &a, &e, &n), OK, "view_read");
		for (size_t j = 0; j < n; j++) {
			struct m_entry x = { .uid = e[j].uid, .flags = e[j].flags, .keywords = keywords_read(w,
				e[j].keywords),
				             .change = e[j].change, .email = e[j].email, .date = e[j].date,
				        .size = (int64_t)e[j].size,
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
	if (!now)
		now = m_find(&r->after, path);
	for (size_t i = 0; i < r->after.n && !now; i++) /* its parent is called something else now */
		if (f->parent && r->after.f[i].parent == f->parent && !strcmp(r->after.f[i].name, f->name))
			now = &r->after.f[i];
	return now;
}

static void check_folder_is_back(struct world *w, const struct restore_case *r, const struct m_folder *f)
{
	struct m_folder *to = where_now(r, f);
	char path[MODEL_PATH], now[MODEL_PATH];
	m_path(r->then, f, path);
	expect(w, to || !whole(r), "%s is not back", path);
	if (to && whole(r)) {
		m_path(&r->after, to, now);
		expect(w, !strcmp(now, path) || m_find(&r->after, path) || f->parent,
		       "%s is called %s, although its name is free", path, now);
		expect(w, !to->noselect || f->noselect, "%s is only a name", path);
	}
	for (size_t i = 0; i < f->c->n; i++) {
		const struct m_entry *e = &f->c->e[i], *is = to && to->id == f->id ? m_entry(to, e->uid) : NULL;
		if (!wanted(r, e))
			continue;
		expect(w, to, "%s: uid %u is nowhere", path, e->uid);
		expect(w, count_email(r, to, e->email) >= count_email(r, f, e->email), "%s: uid %u has not come back",
		       path, e->uid);
		expect(w, !is || r->into[0] || !((e->flags & ~(uint64_t)FLAG_DELETED) & ~is->flags ||
		                                 e->keywords & ~is->keywords),
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
			if (t->email == e->email && (t->flags & ~(uint64_t)FLAG_DELETED) == e->flags &&
			    t->keywords == e->keywords &&
			    t->date == e->date && wanted(r, t))
				return true;
		}
	}
	return false;
}

/* One folder before and after: nothing is lost, and only what was asked for has changed. */
static void check_entries(struct world *w, const struct restore_case *r, const struct m_folder *was,
                          const struct m_folder *is,
                          uint64_t *linked, uint64_t *flagged)
{
	const struct m_folder *then = m_by_id(r->then, was->id);
	expect(w, is->uidvalidity == was->uidvalidity && is->uidnext >= was->uidnext,
	       "%s: another UIDVALIDITY or UIDNEXT", was->name);
	for (size_t i = 0; i < was->c->n; i++) {
		const struct m_entry *e = &was->c->e[i], *now = m_entry(is, e->uid);
		bool stays = !r->into[0] || !strcmp(r->into, r->folder); /* into itself is into where it was */
		const struct m_entry *t = then && in_scope(r, then) && stays ? m_entry(then, e->uid) : NULL;
		uint64_t flags = e->flags | (t && wanted(r, t) ? t->flags & ~(uint64_t)FLAG_DELETED : 0);
		unsigned keywords = e->keywords | (t && wanted(r, t) ? t->keywords : 0);
		expect(w, now && now->email == e->email && now->date == e->date, "%s: uid %u is lost", was->name,
		       e->uid);
		expect(w, now->flags == flags && now->keywords == keywords,
		       "%s: uid %u: flags %llx %x instead of %llx %x", was->name, e->uid,
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
		if (!strcmp(r->after.f[i].name, name) && !m_by_id(&r->before, r->after.f[i].id) && m_by_id(r->then,
			r->after.f[i].id))
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
	bool in_place = (is->parent == was->parent || !m_by_id(&r->after, was->parent)) && !strcmp(is->name, was->name);
	expect(w, !strcmp(path, now) || back || in_place, "%s is called %s now", path, now);
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
		const struct m_folder *is = &r->after.f[i], *was = m_by_id(&r->before, is->id), *dead = m_dead(&w->m,
		                                                                                               is->id);
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
		expect(w, !(!r->folder[0] || m_within(r->then->subs[i], r->folder)) || m_subscribed(&r->after,
		                                                                                    r->then->subs[i]),
		       "%s is not subscribed again", r->then->subs[i]);
	for (size_t i = 0; i < r->before.n_subs; i++)
		expect(w, m_subscribed(&r->after, r->before.subs[i]), "%s is not subscribed any more",
		       r->before.subs[i]);
	expect(w, r->report.messages == linked, "%llu messages reported, %llu came",
	       (unsigned long long)r->report.messages,
	       (unsigned long long)linked);
	expect(w, r->report.flags == flagged, "%llu messages reported with flags, %llu got some",
	       (unsigned long long)r->report.flags,
	       (unsigned long long)flagged);
}

/* The model goes on from what the service says now. */
void take_over(struct world *w, struct m_state *s)
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
	for (size_t i = 0; i < s->n; i++) { /* sessions that were not told remember what ended, also in folders that came back */
		const struct m_folder *is = &s->f[i], *was = m_by_id(&m->now, is->id);
		was = was ? was : m_dead(m, is->id);
		for (size_t k = 0; was && k < was->c->n; k++) {
			if (m_entry(is, was->c->e[k].uid))
				continue;
			m->graves = realloc(m->graves, (m->n_graves + 1) * sizeof *m->graves);
			assert_non_null(m->graves);
			m->graves[m->n_graves++] = (struct m_grave){ was->id, was->c->e[k] };
		}
	}
	for (size_t i = 0; i < m->now.n; i++)
		if (!m_by_id(s, m->now.f[i].id)) { /* it ended */
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

static void trace_folders(const struct world *w, const char *when, const struct m_state *s)
{
	char path[MODEL_PATH];
	for (size_t i = 0; i < s->n && w->trace; i++) {
		m_path(s, &s->f[i], path);
		printf("  %s: %lld %s%s, %zu messages\n", when, (long long)s->f[i].id, path,
		       s->f[i].noselect ? " (a name)" : "", s->f[i].c->n);
	}
}

static void choose_restore(struct world *w, struct restore_case *r)
{
	*r = (struct restore_case){ .then = any_past(w), .body = -1 };
	if (chance(w, 40))
		m_path(r->then, &r->then->f[pick(w, (unsigned)r->then->n)], r->folder);
	if (chance(w, 30) && r->then->n < 80)
		random_path(w, r->into);
	if (chance(w, 25)) {
		r->body = (int)pick(w, BODIES);
		snprintf(r->match, sizeof r->match, "subject:subj%03d", r->body);
	}
}

void restore_at_random(struct world *w)
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
	trace_folders(w, "then", &then);
	trace_folders(w, "before", &r.before);
	trace_folders(w, "after", &r.after);
	check_restore(w, &r);
	if (tried && then.n <= 100) /* of more it is an estimate */
		expect(w, dry.folders == r.report.folders && dry.flags == r.report.flags &&
		       dry.messages >= r.report.messages,
		       "dry run: %llu %llu %llu, then: %llu %llu %llu", (unsigned long long)dry.folders,
		        (unsigned long long)dry.messages,
		       (unsigned long long)dry.flags, (unsigned long long)r.report.folders,
		        (unsigned long long)r.report.messages,
		       (unsigned long long)r.report.flags);
	take_over(w, &r.after);
	w->doing = "a second restore";
	run_restore(w, &r, false, &again);
	expect(w, again.folders + again.messages + again.flags == 0, "%llu folders, %llu messages, %llu flags",
	       (unsigned long long)again.folders,
	       (unsigned long long)again.messages, (unsigned long long)again.flags);
	compare_account(w);
	m_state_free(&r.before);
	m_state_free(&then);
}
