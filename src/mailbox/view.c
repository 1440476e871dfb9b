#include "view.h"

#include <stdio.h>
#include <stdlib.h>

#include "acl_private.h"
#include "clock.h"
#include "fail.h"
#include "flags.h"
#include "mailbox_name.h"
#include "past.h"
#include "recent.h"
#include "service_private.h"
#include "view_private.h"

enum { UNSEEN_STEP = 200 };

static void copy_folder(struct view *v, const struct folder *f)
{
	v->info.folder = *f;
	v->info.folder.name = arena_copy(&v->arena, f->name);
	v->info.folder.path = arena_copy(&v->arena, f->path);
	v->info.folder.keywords = arena_copy(&v->arena, f->keywords);
}

static int find(struct view *v, struct span path, int64_t at)
{
	struct tree tree;
	int e = at ? tree_read(v->s, v->account, at, &tree) : tree_read_path(v->s, v->account, path, &tree);
	if (e)
		return e;
	struct folder *f = tree_find(&tree, path);
	if (!f)
		e = fail_with(ERR_NOT_FOUND, "no such folder");
	else if (f->attributes & FOLDER_NOSELECT)
		e = fail_with(ERR_CANNOT, "that is only a name with folders below it");
	else
		copy_folder(v, f);
	tree_free(&tree);
	return e;
}

static void take_rights(struct view *v, unsigned rights)
{
	v->info.rights = rights;
	v->info.read_only = v->flags & VIEW_READ_ONLY || !(rights & (RIGHTS_FLAGS | RIGHT_INSERT | RIGHT_EXPUNGE));
	v->denied = !(rights & RIGHT_READ);
}

static int read_rights(struct meta_txn *t, void *arg)
{
	struct view *v = arg;
	unsigned rights;
	int e = acl_rights_to(t, v->account, v->info.folder.id, v->info.viewer, &rights);
	if (!e)
		take_rights(v, rights);
	return e;
}

int view_allowed(struct view *v)
{
	int e = v->info.viewer ? meta_read(v->s->store->meta, read_rights, v) : OK;
	return e || !v->denied ? e : fail_with(ERR_NOT_FOUND, "the mailbox may not be read any more");
}

bool view_denied(const struct view *v)
{
	return v->denied;
}

static int open_present(struct view *v, struct span path, int flags)
{
	int e = find(v, path, 0);
	v->flags = flags;
	v->info.read_only = flags & VIEW_READ_ONLY;
	if (!e && (e = view_allowed(v)) == ERR_NOT_FOUND)
		e = fail_with(ERR_DENIED, "the folder may not be read");
	if (!e)
		e = uidmap_latest(v->s, v->account, v->info.folder.id, v->info.folder.change, v->info.folder.messages,
		                  &v->map);
	if (e)
		return e;
	e = pin_new(v->s, v->account, v->info.folder.id, PIN_SINCE, v->map->change, &v->pin);
	if (e)
		return e;
	struct folder *f = &v->info.folder;
	v->change = v->expunged = v->map->change;
	v->told = clock_mono();
	f->change = v->change;
	if (v->map->n && f->uidnext <= v->map->uid[v->map->n - 1]) /* the map may be newer than the row */
		f->uidnext = (int64_t)v->map->uid[v->map->n - 1] + 1;
	v->info.recent_from = UINT32_MAX;
	if (!v->info.viewer)
		v->info.recent_from = recent_mark(v->s->recent, v->account, f->id, f->recent, f->uidnext, !v->info.read_only);
	folder_objectid(v->account, f->id, v->info.id);
	return OK;
}

static int open_past(struct view *v, struct span when, struct span path)
{
	int e = instant_resolve(v->s, v->account, when, &v->info.at);
	if (!e)
		e = pin_new(v->s, v->account, 0, PIN_AT, v->info.at.change, &v->pin);
	if (!e) /* once more: purge may have come before the pin */
		e = past_check_now(v->s, v->account, v->info.at.change);
	v->info.past = v->info.read_only = true;
	if (!e)
		e = find(v, path, v->info.at.change);
	if (!e)
		e = view_past_map(v);
	if (e)
		return e;
	v->info.recent_from = UINT32_MAX;
	v->change = v->expunged = v->info.at.change;
	v->info.folder.messages = v->map->n;
	v->info.folder.uidnext = v->map->n ? (int64_t)v->map->uid[v->map->n - 1] + 1 : 1; /* later UIDs are not of then */
	snprintf(v->info.id, sizeof v->info.id, "p%llx-%llx-%llx", (unsigned long long)v->account,
	         (unsigned long long)v->info.folder.id, (unsigned long long)v->info.at.change);
	return OK;
}

bool past_split(struct span name, struct span *when, struct span *path)
{
	struct span head, rest = name;
	if (!mailbox_name_next(&rest, &head) || !span_eq(head, SPAN("#at")))
		return false;
	if (!mailbox_name_next(&rest, when))
		*when = (struct span){ 0 };
	*path = rest;
	return true;
}

int view_open(struct service *s, int64_t account, struct span path, int flags, struct view **out)
{
	return view_open_others(s, account, 0, path, flags, out);
}

int view_open_others(struct service *s, int64_t account, int64_t viewer, struct span path, int flags, struct view **out)
{
	struct span when, rest;
	struct view *v = calloc(1, sizeof *v);
	if (!v)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	v->s = s;
	v->account = v->info.account = account;
	v->info.viewer = viewer;
	v->info.rights = RIGHTS_ALL;
	int e = !viewer && past_split(path, &when, &rest) ? open_past(v, when, rest) : open_present(v, path, flags);
	if (e)
		view_close(&v);
	else
		*out = v;
	return e;
}

void view_close(struct view **vp)
{
	struct view *v = *vp;
	*vp = NULL;
	if (!v)
		return;
	pin_free(&v->pin);
	uidmap_unref(&v->map);
	free(v->ends);
	arena_free(&v->arena);
	free(v);
}

bool view_purged(const struct view *v)
{
	return pin_lost(v->pin);
}

int view_stands(const struct view *v)
{
	return view_purged(v) ? fail_with(ERR_NOT_FOUND, "what this session looks at is purged") : OK;
}

/* Purge leaves what ended within the last PIN_AGE_US; so a present view that was up to date lately stands. What it marks is true
   whichever try finds it. */
static int find_lost(struct meta_txn *t, const struct view *v)
{
	struct head h;
	if (v->info.past) {
		int e = past_check(t, v->account, v->info.at.change, 0);
		return e == ERR_INVALID ? ERR_NOT_FOUND : e;
	}
	if (clock_mono() - v->told < PIN_AGE_US * 3 / 4)
		return OK;
	int e = change_head(t, v->account, &h);
	return e || h.floor <= v->expunged ? e : ERR_NOT_FOUND;
}

int view_holds(struct meta_txn *t, const struct view *v)
{
	int e = meta_shared(v->s->store->meta) ? find_lost(t, v) : OK;
	if (e != ERR_NOT_FOUND)
		return e;
	pin_give_up(v->pin);
	return view_stands(v);
}

const struct view_info *view_info(const struct view *v)
{
	return &v->info;
}

int64_t view_change(const struct view *v)
{
	return v->change;
}

int64_t view_settled(const struct view *v)
{
	return v->expunged < v->change ? v->expunged : v->change;
}

uint32_t view_count(const struct view *v)
{
	return v->map->n;
}

uint32_t view_uid(const struct view *v, uint32_t number)
{
	return number && number <= v->map->n ? v->map->uid[number - 1] : 0;
}

uint32_t view_number(const struct view *v, uint32_t uid)
{
	uint32_t i = uidmap_lower(v->map, uid);
	return i < v->map->n && v->map->uid[i] == uid ? i + 1 : 0;
}

uint32_t view_recent(const struct view *v)
{
	return v->map->n - uidmap_lower(v->map, v->info.recent_from);
}

/* The messages with numbers low + 1 .. high, and what came behind the last one that the view knows. */
struct stretch {
	uint32_t low, high;
};

static int64_t last_uid(const struct uidmap *m, struct stretch s)
{
	return s.high == m->n ? UINT32_MAX : m->uid[s.high - 1];
}

static void expect_unseen(struct meta_txn *t, const struct view *v, struct stretch s)
{
	meta_expect(t, META_LIVE_UNSEEN, "iiii", v->account, v->info.folder.id, (int64_t)v->map->uid[s.low], last_uid(v->map, s));
}

/* How many of them are unseen, and the first of those. */
static int unseen_among(struct meta_txn *t, const struct view *v, struct stretch s, int64_t *n, uint32_t *first)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_UNSEEN, "iiii", v->account, v->info.folder.id, (int64_t)v->map->uid[s.low],
	                 last_uid(v->map, s));
	if (e)
		return e;
	*n = meta_int(&r, 0);
	*first = (uint32_t)meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

/* What is left to look through, and the next to be looked through: off either end of it, the second may be none. */
struct unseen_search {
	struct stretch left, front, back;
	uint32_t step;
};

static void next_ends(struct meta_txn *t, const struct view *v, struct unseen_search *q)
{
	uint32_t n = q->left.high - q->left.low, first = n < q->step ? n : q->step;
	uint32_t second = n - first < q->step ? n - first : q->step;
	q->front = (struct stretch){ q->left.low, q->left.low + first };
	q->back = (struct stretch){ q->left.high - second, q->left.high };
	q->left = (struct stretch){ q->front.high, q->back.low };
	q->step *= 2;
	if (first)
		expect_unseen(t, v, q->front);
	if (second)
		expect_unseen(t, v, q->back);
}

static int count_unseen(struct meta_txn *t, const struct view *v, int64_t *n)
{
	struct meta_rows r;
	*n = 0;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", v->account, v->info.folder.id);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*n = meta_int(&r, 12);
	meta_done(&r);
	return OK;
}

/* Unseen messages are mostly the newest, or there are many: so it is looked for from both ends, in growing steps, and the
   end is known to be there when all were met. */
static int first_unseen(struct meta_txn *t, void *arg)
{
	struct view *v = arg;
	struct unseen_search q = { .left = { 0, v->map->n }, .step = UNSEEN_STEP };
	int64_t n, unmet;
	uint32_t uid;
	meta_expect(t, META_COLLECTION_GET, "ii", v->account, v->info.folder.id);
	next_ends(t, v, &q);
	v->unseen = 0;
	int e = count_unseen(t, v, &unmet);
	for (; !e && unmet > 0 && q.front.low < q.front.high; next_ends(t, v, &q)) {
		e = unseen_among(t, v, q.front, &n, &uid);
		if (e || n) {
			v->unseen = e ? 0 : uid;
			return e;
		}
		if (q.back.low == q.back.high)
			break;
		e = unseen_among(t, v, q.back, &n, &uid);
		if (!e && n)
			v->unseen = uid;
		unmet -= e ? 0 : n;
	}
	return e;
}

/* To somebody else than the owner. */
static int first_without(struct meta_txn *t, void *arg)
{
	struct view *v = arg;
	struct meta_rows r;
	v->unseen = 0;
	int e = meta_one(t, &r, META_SEEN_FIRST_WITHOUT, "iii", v->info.viewer, v->account, v->info.folder.id);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	v->unseen = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

int view_first_unseen(struct view *v, uint32_t *number)
{
	*number = 0;
	if (v->info.past || (!v->info.viewer && !v->info.folder.unseen))
		return OK;
	int e = meta_read(v->s->store->meta, v->info.viewer ? first_without : first_unseen, v);
	if (!e)
		*number = view_number(v, v->unseen);
	return e;
}

/* What happened in the mailbox since the view was brought up to date. */
struct news {
	struct view *v;
	struct collection row;
	struct buffer flagged, gone; /* uint32_t UIDs */
};

int view_seen_since(struct meta_txn *t, const struct view *v, int64_t since, struct buffer *out)
{
	struct meta_rows r;
	int e = v->info.viewer ? meta_query(t, &r, META_SEEN_SINCE, "iiii", v->account, v->info.folder.id, v->info.viewer, since) : ERR_NOT_FOUND;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	while ((e = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		buffer_put(out, &uid, sizeof uid);
	}
	meta_done(&r);
	return e;
}

static int read_news(struct meta_txn *t, void *arg)
{
	struct news *n = arg;
	struct view *v = n->v;
	struct meta_rows r;
	buffer_reset(&n->flagged);
	buffer_reset(&n->gone);
	meta_expect(t, META_COLLECTION_GET, "ii", v->account, v->info.folder.id);
	meta_expect(t, META_PAST_SINCE, "iii", v->account, v->info.folder.id, v->expunged);
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", v->account, v->info.folder.id);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "the mailbox was deleted") : e;
	collection_from_row(&r, &n->row);
	n->row.keywords = span_eq(n->row.keywords, v->info.folder.keywords) ? v->info.folder.keywords
	                                                                     : arena_copy(&v->arena, n->row.keywords);
	meta_done(&r);
	if (n->row.change == v->change && v->expunged == v->change)
		return OK;
	e = view_holds(t, v);
	if (!e)
		e = meta_query(t, &r, META_PAST_SINCE, "iii", v->account, v->info.folder.id, v->expunged);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		if (meta_int(&r, 1))
			buffer_put(&n->gone, &uid, sizeof uid);
		else if (meta_int(&r, 2) > v->change)
			buffer_put(&n->flagged, &uid, sizeof uid);
	}
	meta_done(&r);
	return e ? e : view_seen_since(t, v, v->change, &n->flagged);
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* The UIDs whose flags changed: once each, known to the session, still there. */
static void take_flagged(const struct view *v, const struct uidmap *now, struct buffer *flagged, struct view_delta *out)
{
	uint32_t *uid = (uint32_t *)(void *)flagged->p;
	size_t n = flagged->n / sizeof *uid, kept = 0;
	if (!n)
		return;
	qsort(uid, n, sizeof *uid, compare_uids);
	for (size_t i = 0; i < n; i++) {
		uint32_t at = uidmap_lower(now, uid[i]);
		if ((kept == 0 || uid[kept - 1] != uid[i]) && at < now->n && now->uid[at] == uid[i] && view_number(v, uid[i]))
			uid[kept++] = uid[i];
	}
	out->changed = uid;
	out->n_changed = kept;
	*flagged = (struct buffer){ 0 };
}

/* Message numbers that vanish on the way from old to now, as they are to be announced. */
static int take_expunged(const struct uidmap *old, const struct uidmap *now, struct view_delta *out)
{
	struct view_gone *gone = NULL;
	size_t n = 0, cap = 0;
	uint32_t j = 0;
	for (uint32_t i = 0; i < old->n; i++) {
		while (j < now->n && now->uid[j] < old->uid[i])
			j++;
		if (j < now->n && now->uid[j] == old->uid[i])
			continue;
		if (n == cap) {
			cap = cap ? cap * 2 : 64;
			struct view_gone *more = realloc(gone, cap * sizeof *more);
			if (!more) {
				free(gone);
				return fail_with(ERR_UNAVAILABLE, "no memory");
			}
			gone = more;
		}
		gone[n] = (struct view_gone){ i + 1 - (uint32_t)n, old->uid[i] };
		n++;
	}
	out->expunged = gone;
	out->n_expunged = n;
	return OK;
}

/* What the session knows, and what is new behind it: for when expunges may not be told yet. */
static struct uidmap *keep_gone(const struct uidmap *old, const struct uidmap *now)
{
	uint32_t last = old->n ? old->uid[old->n - 1] : 0;
	uint32_t from = uidmap_lower(now, last + 1), more = last == UINT32_MAX ? 0 : now->n - from;
	struct uidmap *m = uidmap_new(old->n + more);
	if (!m)
		return NULL;
	memcpy(m->uid, old->uid, old->n * sizeof *m->uid);
	memcpy(m->uid + old->n, now->uid + from, more * sizeof *m->uid);
	m->n = old->n + more;
	m->change = now->change;
	return m;
}

static int move_to(struct view *v, struct uidmap *now, bool expunges, bool any_gone, struct view_delta *out)
{
	uint32_t before = v->map->n;
	struct uidmap *next;
	if (expunges || !any_gone) {
		int e = any_gone ? take_expunged(v->map, now, out) : OK;
		if (e)
			return e;
		next = uidmap_ref(now);
	} else if (!(next = keep_gone(v->map, now))) {
		return ERR_UNAVAILABLE;
	}
	out->exists = next->n + out->n_expunged > before;
	uidmap_unref(&v->map);
	v->map = next;
	return OK;
}

int view_sync(struct view *v, bool expunges, struct view_delta *out)
{
	*out = (struct view_delta){ 0 };
	if (v->info.past)
		return view_stands(v);
	struct news n = { .v = v };
	struct uidmap *now = NULL;
	bool any_gone = false;
	int e = view_allowed(v);
	if (!e)
		e = meta_read(v->s->store->meta, read_news, &n);
	if (!e)
		e = view_stands(v);
	if (!e && n.row.change == v->change && v->expunged == v->change)
		v->told = clock_mono();
	bool news = !e && (n.row.change != v->change || (expunges && v->expunged != v->change));
	if (news)
		e = uidmap_latest(v->s, v->account, v->info.folder.id, n.row.change, n.row.messages, &now);
	if (!e && news) {
		take_flagged(v, now, &n.flagged, out);
		/* the map may be newer than what was read: then somebody may be gone who is not among n.gone */
		any_gone = n.gone.n || now->change != n.row.change;
		e = move_to(v, now, expunges, any_gone, out);
	}
	if (!e && news) {
		v->change = n.row.change;
		v->expunged = expunges || !any_gone ? v->change : v->expunged;
		v->told = v->expunged == v->change ? clock_mono() : v->told;
		pin_move(v->pin, v->expunged);
		v->info.folder.keywords = n.row.keywords;
		v->info.folder.uidnext = n.row.uidnext;
		v->info.folder.change = n.row.change;
	}
	uidmap_unref(&now);
	buffer_free(&n.flagged);
	buffer_free(&n.gone);
	if (e)
		view_delta_free(out);
	return e;
}

void view_delta_free(struct view_delta *d)
{
	free(d->expunged);
	free(d->changed);
	*d = (struct view_delta){ 0 };
}
