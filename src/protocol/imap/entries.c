#include "entries.h"

#include "fail.h"

enum { GAP_MAX = 16 /* messages between two of the set that are read along with them */ };

uint32_t view_last_uid(const struct view *v)
{
	return view_uid(v, view_count(v));
}

/* Message numbers, in place, to the UIDs they stand for: the view holds every UID between two neighbours. */
static bool numbers_to_uids(struct command *c, struct imap_set *set)
{
	const struct view *v = c->session->view;
	imap_set_resolve(set, view_count(v));
	if (imap_set_last(set) > view_count(v))
		return imap_bad(&c->args, "There is no message of that number");
	for (size_t i = 0; i < set->n; i++) {
		set->ranges[i].first = view_uid(v, set->ranges[i].first);
		set->ranges[i].last = view_uid(v, set->ranges[i].last);
	}
	return true;
}

/* UIDs over the last one known to the session belong to messages it was not told of. */
static void clip_uids(const struct view *v, struct imap_set *set)
{
	uint32_t last = view_last_uid(v);
	imap_set_resolve(set, last);
	while (set->n && set->ranges[set->n - 1].first > last)
		set->n--;
	if (set->n && set->ranges[set->n - 1].last > last)
		set->ranges[set->n - 1].last = last;
}

bool read_messages(struct command *c, struct imap_set *uids)
{
	if (!imap_sp(&c->args) || !imap_set(&c->args, uids))
		return false;
	if (!c->uid)
		return numbers_to_uids(c, uids);
	clip_uids(c->session->view, uids);
	return true;
}

/* The first UID >= from that is in the set and in the view; 0 for none. */
static uint32_t first_of(const struct entries *w, uint64_t from)
{
	uint32_t uid = from <= UINT32_MAX ? imap_set_next(w->uids, from) : 0;
	while (uid) {
		uint32_t there = view_uid(w->view, view_number_from(w->view, uid));
		if (there == 0 || there == uid)
			return there;
		uid = imap_set_next(w->uids, there);
	}
	return 0;
}

static size_t range_of(const struct imap_set *s, uint32_t uid)
{
	size_t low = 0, high = s->n - 1;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (s->ranges[mid].last < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* How far one read should go: over small gaps, not over large ones. */
static uint32_t reach(const struct entries *w, uint32_t uid, size_t max)
{
	const struct imap_set *s = w->uids;
	size_t i = range_of(s, uid);
	uint32_t begin = view_number(w->view, uid);
	for (; i + 1 < s->n; i++) {
		uint32_t here = view_number_from(w->view, s->ranges[i].last);
		uint32_t there = view_number_from(w->view, s->ranges[i + 1].first);
		if (there - here > GAP_MAX || there - begin >= max)
			break;
	}
	return s->ranges[i].last;
}

static size_t keep_members(const struct imap_set *s, struct entry *e, size_t n)
{
	size_t kept = 0;
	for (size_t i = 0; i < n; i++)
		if (imap_set_contains(s, e[i].uid))
			e[kept++] = e[i];
	return kept;
}

/* Summaries may be large: fewer are read when they do not fit, and a single one always fits. */
static int read_some(const struct entries *w, uint32_t from, uint32_t to, size_t *max, struct arena *a,
                     struct entry **e, size_t *n)
{
	for (;; *max = *max > 8 ? *max / 8 : 1) {
		arena_reset(a);
		a->limit = *max > 1 ? ENTRIES_MEMORY : 0;
		int rc = view_read(w->view, from, to, *max, w->summaries, a, e, n);
		if (rc != ERR_LIMIT || *max == 1)
			return rc;
	}
}

int entries_next(struct entries *w, struct arena *a, struct entry **out, size_t *n)
{
	size_t max = w->summaries ? ENTRIES_SUMMARIES : ENTRIES_BATCH;
	*n = 0;
	for (uint32_t from; *n == 0 && (from = first_of(w, w->next)) > 0;) {
		uint32_t to = reach(w, from, max);
		size_t got;
		int rc = read_some(w, from, to, &max, a, out, &got);
		if (rc)
			return rc;
		w->next = (uint64_t)(got < max ? to : (*out)[got - 1].uid) + 1;
		*n = keep_members(w->uids, *out, got);
	}
	return OK;
}
