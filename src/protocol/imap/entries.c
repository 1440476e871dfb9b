#include "entries.h"

#include "fail.h"

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
	if (!imap_sp(&c->args))
		return false;
	if (imap_take(&c->args, '$')) {
		*uids = c->session->saved;
		return true;
	}
	if (!imap_set(&c->args, uids))
		return false;
	if (!c->uid)
		return numbers_to_uids(c, uids);
	clip_uids(c->session->view, uids);
	return true;
}

bool read_message(struct command *c, uint32_t *uid)
{
	const struct view *v = c->session->view;
	uint32_t n = c->uid ? view_last_uid(v) : view_count(v);
	if (!imap_sp(&c->args) || (!imap_take(&c->args, '*') && !imap_nz_number(&c->args, &n)))
		return false;
	*uid = c->uid ? n : view_uid(v, n);
	if (!view_number(v, *uid))
		*uid = 0;
	return *uid || c->uid || imap_bad(&c->args, "There is no message of that number");
}

/* Summaries may be large: fewer are read when they do not fit, and a single one always fits. */
static int read_some(const struct entries *w, size_t *max, struct arena *a, struct entry **e, size_t *n)
{
	for (;; *max = *max > 8 ? *max / 8 : 1) {
		arena_reset(a);
		a->limit = *max > 1 ? ENTRIES_MEMORY : 0;
		int rc = view_read_set(w->view, w->uids, w->next, *max, w->depth, a, e, n);
		if (rc != ERR_LIMIT || *max == 1)
			return rc;
	}
}

int entries_next(struct entries *w, struct arena *a, struct entry **out, size_t *n)
{
	size_t max = w->depth == VIEW_ENTRIES ? ENTRIES_BATCH : ENTRIES_SUMMARIES;
	*n = 0;
	int rc = w->next > view_last_uid(w->view) ? OK : read_some(w, &max, a, out, n);
	if (!rc && *n)
		w->next = (uint64_t)(*out)[*n - 1].uid + 1;
	return rc;
}
