/* What undo.h and the exact restore promise, held against the states before, after and then. */
#include "model_world.h"

#include "flags.h"
#include "restore.h"
#include "undo.h"

/* A message as people know it. */
static bool same_message(const struct m_entry *a, const struct m_entry *b, uint64_t ignored)
{
	return a->email == b->email && !((a->flags ^ b->flags) & ~ignored) && a->keywords == b->keywords && a->date == b->date;
}

static size_t count_like(const struct m_folder *f, const struct m_entry *e, uint64_t ignored)
{
	size_t n = 0;
	for (size_t i = 0; i < f->c->n; i++)
		n += same_message(&f->c->e[i], e, ignored);
	return n;
}

/* The same folders with the same messages, UIDs aside; and the same subscriptions. */
static void expect_same(struct world *w, const struct m_state *is, const struct m_state *wanted, uint64_t ignored)
{
	char path[MODEL_PATH];
	for (size_t i = 0; i < is->n; i++) {
		m_path(is, &is->f[i], path);
		expect(w, m_find(wanted, path), "%s is there", path);
	}
	for (size_t i = 0; i < wanted->n; i++) {
		const struct m_folder *f = &wanted->f[i];
		m_path(wanted, f, path);
		const struct m_folder *k = m_find(is, path);
		expect(w, k, "%s is not there", path);
		expect(w, k->noselect == f->noselect, "%s: is it only a name?", path);
		expect(w, k->c->n == f->c->n, "%s: %zu messages instead of %zu", path, k->c->n, f->c->n);
		for (size_t j = 0; j < f->c->n; j++)
			expect(w, count_like(k, &f->c->e[j], ignored) == count_like(f, &f->c->e[j], ignored),
			       "%s: what was uid %u is there %zu times instead of %zu", path, f->c->e[j].uid,
			       count_like(k, &f->c->e[j], ignored), count_like(f, &f->c->e[j], ignored));
	}
	expect(w, is->n_subs == wanted->n_subs, "%zu subscriptions instead of %zu", is->n_subs, wanted->n_subs);
	for (size_t i = 0; i < wanted->n_subs; i++)
		expect(w, m_subscribed(is, wanted->subs[i]), "%s is not subscribed", wanted->subs[i]);
}

static int run_undo(struct world *w, int64_t first, int64_t last, bool deliveries, bool dry, struct undo_report *out)
{
	struct undo_request q = { .account = w->account, .first = first, .last = last, .dry_run = dry, .actor = &tester,
		                  .client = deliveries ? span_of(tester.client) : (struct span){ 0 } };
	*out = (struct undo_report){ 0 };
	return undo_run(w->s, &q, out);
}

static void expect_dry(struct world *w, const struct undo_report *dry, const struct undo_report *did)
{
	expect(w, dry->folders == did->folders && dry->messages == did->messages && dry->removed == did->removed &&
	       dry->flags == did->flags && dry->skipped == did->skipped,
	       "dry run: %llu %llu %llu %llu %llu, then: %llu %llu %llu %llu %llu", (unsigned long long)dry->folders,
	       (unsigned long long)dry->messages, (unsigned long long)dry->removed, (unsigned long long)dry->flags,
	       (unsigned long long)dry->skipped, (unsigned long long)did->folders, (unsigned long long)did->messages,
	       (unsigned long long)did->removed, (unsigned long long)did->flags, (unsigned long long)did->skipped);
}

void undo_at_random(struct world *w)
{
	struct undo_report dry, did;
	int64_t now = w->m.now.change, first = now - (int64_t)pick(w, chance(w, 60) ? 8 : 60), last = now;
	bool deliveries = chance(w, 60), tried = chance(w, 40);
	if (first < 2)
		return;
	if (chance(w, 40))
		last = first + (int64_t)pick(w, (unsigned)(now - first) + 1);
	trace(w, "@%lld to @%lld of @%lld%s", (long long)first, (long long)last, (long long)now, deliveries ? ", deliveries too" : "");
	int e = tried ? run_undo(w, first, last, deliveries, true, &dry) : OK;
	if (!e && tried)
		compare_present(w);
	struct m_state before = m_state_copy(&w->m.now), after;
	e = e ? e : run_undo(w, first, last, deliveries, false, &did);
	if (e == ERR_INVALID) { /* nothing but deliveries */
		m_state_free(&before);
		return;
	}
	expect_code(w, e, OK, "undo");
	if (tried)
		expect_dry(w, &dry, &did);
	after = read_state(w);
	const struct m_state *then = state_at(w, first - 1);
	if (then && last == now && deliveries) {
		expect(w, did.skipped == 0, "%llu changed again since", (unsigned long long)did.skipped);
		expect_same(w, &after, then, FLAG_DELETED);
	}
	take_over(w, &after);
	compare_account(w);
	int64_t undone = w->m.now.change;
	if (undone > now && chance(w, 70)) {
		w->doing = "undo of the undo";
		expect_code(w, run_undo(w, now + 1, undone, false, false, &did), OK, "undo of the undo");
		expect(w, did.skipped == 0, "%llu changed again since", (unsigned long long)did.skipped);
		after = read_state(w);
		expect_same(w, &after, &before, FLAG_DELETED);
		take_over(w, &after);
		compare_account(w);
	}
	m_state_free(&before);
}

static void run_exact(struct world *w, const struct m_state *then, bool deliveries, bool dry, struct restore_report *out)
{
	char when[40];
	struct restore_request q = { .account = w->account, .exact = true, .with_deliveries = deliveries, .dry_run = dry, .actor = &tester };
	snprintf(when, sizeof when, "@%lld", (long long)then->change);
	*out = (struct restore_report){ 0 };
	expect_code(w, instant_resolve(w->s, w->account, span_of(when), &q.at), OK, when);
	expect_code(w, restore_run(w->s, &q, out), OK, "restore --exact");
}

void exact_at_random(struct world *w)
{
	struct restore_report dry, did;
	struct m_state then = m_state_copy(any_past(w)), after;
	bool deliveries = chance(w, 60), tried = chance(w, 40);
	trace(w, "@%lld%s", (long long)then.change, deliveries ? " with deliveries" : "");
	if (tried) {
		run_exact(w, &then, deliveries, true, &dry);
		compare_present(w);
	}
	run_exact(w, &then, deliveries, false, &did);
	if (tried)
		expect(w, dry.folders == did.folders && dry.messages == did.messages && dry.removed == did.removed && dry.flags == did.flags &&
		       dry.folders_removed == did.folders_removed && dry.kept == did.kept,
		       "dry run: %llu %llu %llu %llu, then: %llu %llu %llu %llu", (unsigned long long)dry.folders,
		       (unsigned long long)dry.messages, (unsigned long long)dry.removed, (unsigned long long)dry.flags,
		       (unsigned long long)did.folders, (unsigned long long)did.messages, (unsigned long long)did.removed,
		       (unsigned long long)did.flags);
	after = read_state(w);
	if (deliveries || !did.kept)
		expect_same(w, &after, &then, 0);
	take_over(w, &after);
	compare_account(w);
	w->doing = "a second exact restore";
	run_exact(w, &then, deliveries, false, &did);
	expect(w, did.folders + did.messages + did.flags + did.removed + did.folders_removed == 0, "%llu folders, %llu messages, %llu flags, %llu %llu",
	       (unsigned long long)did.folders, (unsigned long long)did.messages, (unsigned long long)did.flags,
	       (unsigned long long)did.removed, (unsigned long long)did.folders_removed);
	compare_account(w);
	m_state_free(&then);
}
