/* The mailbox service against a model of it (model.h): random operations by several sessions on one account, everything
 * compared after each of them, and what was at random instants of the past.
 *
 * MODEL_SEED, MODEL_SEEDS, MODEL_STEPS: where to begin, how many runs, how long each; MODEL_TRACE=1 tells every step. */
#include "model_world.h"

#include "flags.h"
#include "import.h"
#include "message.h"
#include "restore.h"

enum { SEEDS_MAX = 100000, FOLDERS_MAX = 60 };

/* --- Operations --- */

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

/* What is to be appended, and its bytes; text keeps the keywords. */
static struct m_entry random_message(struct world *w, struct append_message *m, char text[64])
{
	int body = (int)pick(w, BODIES);
	struct m_entry e = { .body = body, .size = size_of(body), .flags = random_flags(w), .keywords = random_keywords(w),
		             .date = chance(w, 50) ? 1000000 * (int64_t)(1 + pick(w, 1000)) : 0 };
	*m = (struct append_message){ new_message(w, body), e.flags, keywords_text(e.keywords, text), e.date };
	return e;
}

/* Mostly one. */
static void do_append(struct world *w)
{
	char path[MODEL_PATH], text[4][64];
	struct append_message m[4];
	struct m_entry e[4];
	struct append_result r;
	size_t n = chance(w, 70) ? 1 : 2 + pick(w, 3);
	target_path(w, path);
	for (size_t i = 0; i < n; i++)
		e[i] = random_message(w, &m[i], text[i]);
	trace(w, "%zu to %s", n, path);
	int got = append(w->s, w->account, span_of(path), m, n, &tester, &r);
	for (size_t i = 0; i < n; i++)
		incoming_free(&m[i].in);
	struct m_folder *f = m_find(&w->m.now, path);
	bool can = f && !f->noselect;
	expect_code(w, got, can ? OK : ERR_NOT_FOUND, path);
	if (!can)
		return;
	for (size_t i = 0; i < n; i++)
		e[i].uid = m_add(&w->m, f, e[i])->uid;
	took(w, true);
	expect(w, r.uid == e[0].uid && r.uidvalidity == f->uidvalidity && r.change == w->m.now.change,
	       "APPENDUID %u of %lld", r.uid, (long long)r.uidvalidity);
	learn_entries(w, f, n);
}

static void do_replace(struct world *w)
{
	char path[MODEL_PATH], text[64];
	struct session *s = any_session(w);
	struct append_message m;
	struct append_result r;
	if (!s || !s->n)
		return;
	uint32_t uid = s->p[pick(w, (unsigned)s->n)].uid;
	target_path(w, path);
	struct m_entry e = random_message(w, &m, text);
	trace(w, "%u by one in %s", uid, path);
	int got = replace(s->v, uid, span_of(path), &m, &tester, &r);
	incoming_free(&m.in);
	struct m_folder *to = m_find(&w->m.now, path), *f = m_by_id(&w->m.now, s->folder);
	bool can = to && !to->noselect, lives = m_entry(f, uid);
	expect_code(w, got, !can ? ERR_NOT_FOUND : lives ? OK : ERR_CONFLICT, path);
	if (!can || !lives)
		return;
	m_end(&w->m, f, uid);
	e.uid = m_add(&w->m, to, e)->uid;
	took(w, true);
	expect(w, r.uid == e.uid && r.uidvalidity == to->uidvalidity && r.change == w->m.now.change, "APPENDUID %u of %lld",
	       r.uid, (long long)r.uidvalidity);
	learn_entries(w, to, 1);
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
	struct delivered d = { .body = (int)pick(w, 4 * BODIES), .sender = (int)pick(w, 2) };
	size_t address = pick(w, 2);
	if (w->n_deliveries + 2 >= DELIVERIES)
		return;
	if (chance(w, 50))
		target_path(w, path);
	memcpy(d.folder, path, strlen(path));
	trace(w, "body %d to %s", d.body, path);
	struct incoming *in = new_message(w, d.body);
	struct recipient r[2] = { { .account = w->account, .address = span_of(addresses[address]),
	                           .folder = span_of(path) },
		                  { .account = w->other, .address = SPAN("bob@example.org") } };
	size_t n = 1 + pick(w, 2);
	expect_code(w, deliver(w->s, in, span_of(d.sender ? "s@example.org" : ""), r, n, &tester), OK, "deliver");
	incoming_free(&in);
	for (size_t i = 0; i < n; i++) {
		expect_code(w, r[i].result, OK, "delivery");
		if (i)
			d = (struct delivered){ d.body, d.sender, 1, "" };
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
		expect_code(w, import_add(im, span_of(path), new_message(w, bodies[i]), FLAG_SEEN, (struct span){ 0 },
		                          0), OK, "import_add");
	}
	expect_code(w, import_flush(im), OK, "import_flush");
	struct m_folder *f = m_find(&w->m.now, path);
	if (!f || f->noselect) { /* it is made and subscribed first */
		took(w, !m_create(&w->m, path));
		took(w, m_subscribe(&w->m, path, true));
	}
	for (int k = 0; k < BODIES; k++)
		there[k] = holds(m_find(&w->m.now, path), k);
	for (size_t i = 0; i < n; i++) {
		int k = bodies[i];
		if (++seen[k] <= there[k])
			continue;
		added++;
		m_add(&w->m, m_ensure_selectable(&w->m, path), (struct m_entry){ .body = k, .size = size_of(k),
		                                                                .flags = FLAG_SEEN });
	}
	expect(w, import_counts(im).added == added && import_counts(im).skipped == n - added,
	       "%llu were added instead of %zu",
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
			expect(w, failed < r.n_modified && r.modified[failed] == e->uid,
			       "uid %u is not told as modified", e->uid);
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
	expect(w, r.first == (did ? w->m.now.change : 0) && r.last == r.first, "changes %lld to %lld",
	       (long long)r.first, (long long)r.last);
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
		expect(w, r->from[i] == e[i].uid && r->to[i] == uid, "pair %zu: %u %u instead of %u %u", i, r->from[i],
		       r->to[i], e[i].uid, uid);
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
			snprintf(to, sizeof to, "%s%.*s/x", strncmp(path, "INBOX", 5) ? "" : "Inbox", 60, strncmp(path,
				"INBOX", 5) ? path : path + 5);
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
	snprintf(name, sizeof name, "s%u", (unsigned)k);
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

/* Restores into folders multiply them: leaves go until they are few. */
static void prune(struct world *w)
{
	char path[MODEL_PATH];
	while (w->m.now.n > FOLDERS_MAX) {
		const struct m_folder *f = any_folder(w);
		if (f->id == 1 || m_has_children(&w->m.now, f->id))
			continue;
		w->doing = "pruning";
		m_path(&w->m.now, f, path);
		expect_code(w, folder_delete(w->s, w->account, span_of(path), &tester), OK, path);
		m_delete(&w->m, path);
		took(w, true);
		compare_account(w);
		keep_state(w);
	}
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
	{ "append", do_append, 150 }, { "replace", do_replace, 40 }, { "deliver", do_deliver, 60 }, { "import", do_import, 25 }, { "store", do_store,
	                                                                                           160 },
	{ "copy", do_copy, 90 }, { "copy out of the past", do_copy_from_past, 20 }, { "expunge", do_expunge, 60 },
	{ "sync", do_sync, 150 }, { "folder", do_folder, 120 }, { "subscribe", do_subscribe, 25 }, { "snapshot",
	                                                                                            do_snapshot, 15 },
	{ "account", do_account, 5 }, { "reopen", do_reopen, 4 }, { "restore", restore_at_random, 30 }, { "undo", undo_at_random, 30 }, { "exact", exact_at_random, 15 }, { "purge", purge_at_random, 12 }, { "pack", pack_at_random, 12 },
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
	prune(w);
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
		{ "INBOX", 0 }, { "", 0 }, { "Drafts", FOLDER_DRAFTS }, { "Sent", FOLDER_SENT }, { "Junk",
		                                                                                  FOLDER_JUNK },
		{ "Trash", FOLDER_TRASH }, { "Archive", FOLDER_ARCHIVE },
	};
	struct tree t;
	expect_code(w, tree_read(w->s, w->account, 0, &t), OK, "tree_read");
	int64_t first = t.list[0].uidvalidity;
	tree_free(&t);
	for (size_t i = 0; i < COUNT(usual); i++) {
		struct m_folder f = { .id = (int64_t)i + 1, .uidvalidity = first + (int64_t)i, .uidnext = 1,
		                     .change = 1, .recent = 1,
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
	expect(w, i.messages == w->others, "the other account has %lld messages instead of %lld", (long long)i.messages,
	       (long long)w->others);
	verify(w);
}

static void the_model_agrees(void **state)
{
	struct world *w = *state;
	walk(w, setting("MODEL_STEPS", 600));
}

int main(void)
{
	long first = setting("MODEL_SEED", 1), n = setting("MODEL_SEEDS", 3);
	struct CMUnitTest *tests = calloc(SEEDS_MAX + 1, sizeof *tests);
	char *names = calloc(SEEDS_MAX + 1, 32);
	if (!tests || !names || n < 1 || n > SEEDS_MAX)
		return 1;
	for (long i = 0; i < n; i++) {
		snprintf(names + i * 32, 32, "seed %ld", first + i);
		tests[i] = (struct CMUnitTest){ names + i * 32, the_model_agrees, world_setup, world_teardown,
		                               (void *)(uintptr_t)(first + i) };
	}
	int failed = _cmocka_run_group_tests("model", tests, (size_t)n, NULL, NULL);
	free(tests);
	free(names);
	return failed;
}
