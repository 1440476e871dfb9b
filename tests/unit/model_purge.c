/* One purge at random: the clock is stopped when the window begins right after some state of the past. What the floor leaves
 * must look as it did, what snapshots show too, and the rest must be refused. */
#include "model_world.h"

#include "clock.h"
#include "directory.h"
#include "directory_write.h"
#include "instant.h"
#include "packer.h"
#include "past.h"
#include "purge.h"

#define SHORT_US SECOND_US
#define LONG_US (30 * 86400 * SECOND_US)

static int64_t stopped_at; /* the clock, while purge runs; 0: it goes */

int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return stopped_at ? stopped_at : __real_clock_now();
}

/* Does the session know less than there is to know? */
static bool lags(const struct world *w, const struct session *s)
{
	const struct m_folder *f = s->v ? m_by_id(&w->m.now, s->folder) : NULL;
	return s->v && (!f || f->change != s->told);
}

static void set_window(struct world *w, bool long_one)
{
	struct setting_value v = { SPAN("retention.window"), span_of(long_one ? "30d" : "1s") };
	expect_code(w, settings_set(w->s, &v, 1, &tester), OK, "settings_set");
	directory_changed(w->identity);
}

static void run_purge(struct world *w, bool dry, struct purge_report *out)
{
	struct purge_request q = { .dry_run = dry, .clock_is_right = true };
	expect_code(w, purge_run(w->purge, &q, out), OK, "purge_run");
}

/* Those that lagged behind for more than an hour hear that it is over; the others have lost nothing. */
static void check_sessions(struct world *w, bool long_one)
{
	for (size_t i = 0; i < SESSIONS; i++) {
		struct session *s = &w->sessions[i];
		struct view_delta d;
		if (!s->v)
			continue;
		if (lags(w, s) && long_one && m_by_id(&w->m.now, s->folder)) {
			int e = view_sync(s->v, true, &d);
			expect(w, e == OK || e == ERR_NOT_FOUND, "view_sync: %s", fail_name(e));
			if (!e)
				view_delta_free(&d);
			close_session(s);
		} else {
			sync_session(w, s, true);
		}
	}
}

static bool readable(const struct world *w, int64_t change)
{
	if (change >= w->floor)
		return true;
	for (size_t i = 0; i < SNAPSHOTS; i++)
		if (w->snapshots[i].change == change)
			return true;
	return false;
}

static void check_refused(struct world *w, int64_t change)
{
	char when[32];
	struct instant at;
	snprintf(when, sizeof when, "@%lld", (long long)change);
	int e = instant_resolve(w->s, w->account, span_of(when), &at);
	expect_code(w, e, readable(w, change) ? OK : ERR_INVALID, when);
}

static void check_floor(struct world *w, int64_t cut, bool exact)
{
	struct past_floor floor;
	expect_code(w, past_floor(w->s, w->account, &floor), OK, "past_floor");
	int64_t most = cut > w->floor ? cut : w->floor;
	expect(w, floor.change >= w->floor && floor.change <= most, "the floor is @%lld: was @%lld, the window is cut at @%lld",
	       (long long)floor.change, (long long)w->floor, (long long)cut);
	expect(w, !exact || floor.change == most, "the floor is @%lld instead of @%lld", (long long)floor.change,
	       (long long)most);
	w->floor = floor.change;
}

void pack_at_random(struct world *w)
{
	struct packer_report r;
	bool all = chance(w, 50);
	expect_code(w, packer_run(w->packer, all, NULL, NULL, &r), OK, "packer_run");
	trace(w, "%s: %llu packs", all ? "all" : "some", (unsigned long long)r.packs);
	compare_account(w);
}

void purge_at_random(struct world *w)
{
	const struct m_state *cut = any_past(w);
	struct purge_report dry = { 0 }, r;
	bool long_one = chance(w, 50), any_lags = false, tried = chance(w, 30);
	for (size_t i = 0; i < SESSIONS; i++)
		any_lags = any_lags || lags(w, &w->sessions[i]);
	set_window(w, long_one);
	stopped_at = cut->stamp + (long_one ? LONG_US : SHORT_US);
	trace(w, "up to @%lld, window %s", (long long)cut->change, long_one ? "long" : "short");
	if (tried)
		run_purge(w, true, &dry);
	run_purge(w, false, &r);
	stopped_at = 0;
	if (tried)
		expect(w, dry.counts.versions == r.counts.versions && dry.counts.folders == r.counts.folders &&
		       dry.counts.emails == r.counts.emails && dry.counts.bytes == r.counts.bytes,
		       "dry run: %llu versions, %llu folders, %llu emails; then %llu, %llu, %llu",
		       (unsigned long long)dry.counts.versions, (unsigned long long)dry.counts.folders,
		       (unsigned long long)dry.counts.emails, (unsigned long long)r.counts.versions,
		       (unsigned long long)r.counts.folders, (unsigned long long)r.counts.emails);
	check_floor(w, cut->change, !any_lags || long_one);
	if (long_one) /* every delivery was so long ago that it may come again */
		w->n_deliveries = 0;
	check_sessions(w, long_one);
	compare_account(w);
	for (int i = 0; i < 5; i++)
		check_refused(w, 1 + (int64_t)pick(w, (unsigned)w->m.now.change));
	compare_past(w);
	if (chance(w, 20))
		verify(w);
}
