/* Folders: each one's definitions, told in order, say what the undone changes made of it and whether others have changed it
   again since. */
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "mailbox_name.h"
#include "store.h"
#include "undo_private.h"

enum { SCAN = 5000 };

/* One definition of a folder, from begin to end. */
struct definition {
	int64_t id, begin, end, created, parent, attributes, change, uidnext;
	struct span name;
};

/* What came of one folder. */
struct story {
	const struct definition *now;  /* NULL: it ended */
	const struct definition *last; /* also when it ended */
	bool exists_undone, existed;   /* its existence is to be undone: did it exist before? */
	int64_t since;                 /* then: the change that made it, or brought it back */
	const struct definition *back; /* the place it is to get back; NULL: none */
	bool skipped;
	struct span path;              /* now or last */
};

struct folders {
	struct undo *u;
	struct buffer rows;            /* struct definition each, by id and begin */
	struct story *stories;
	size_t n;
	struct wish *wishes;
	struct story **of;             /* each wish */
	size_t n_wishes;
};

static int read_definitions(struct meta_txn *t, void *arg)
{
	struct folders *k = arg;
	struct meta_rows r;
	buffer_reset(&k->rows);
	int64_t account = k->u->q->account;
	int e = meta_query(t, &r, META_COLLECTION_DEFINITIONS, "iiii", account, (int64_t)COLLECTION_MAIL, account,
	                   (int64_t)COLLECTION_MAIL);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct definition d = { meta_int(&r, 0), meta_int(&r, 1), meta_int(&r, 2), meta_int(&r, 3), meta_int(&r, 4),
			                meta_int(&r, 6), meta_int(&r, 7), meta_int(&r, 8), arena_copy(&k->u->arena, meta_span(&r, 5)) };
		buffer_put(&k->rows, &d, sizeof d);
	}
	meta_done(&r);
	return !e && !buffer_ok(&k->rows) ? fail_with(ERR_UNAVAILABLE, "no memory") : e;
}

static int by_id_and_begin(const void *a, const void *b)
{
	const struct definition *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->begin > y->begin) - (x->begin < y->begin);
}

static bool same_place(const struct definition *a, const struct definition *b)
{
	return a->parent == b->parent && span_eq(a->name, b->name) && a->attributes == b->attributes;
}

/* Somebody else has decided since: what was to be undone stays. */
static void give_up(struct story *k)
{
	k->skipped = k->skipped || k->exists_undone || k->back;
	k->exists_undone = false;
	k->back = NULL;
}

/* It was made or came back (after) or ended (before), at that change. */
static void change_existence(struct undo *u, struct story *k, const struct definition *before, int64_t change)
{
	switch (changes_source(&u->changes, change)) {
	case CHANGES_OURS: return;
	case CHANGES_OTHERS: give_up(k); return;
	case CHANGES_UNDONE: break;
	}
	if (!k->exists_undone) {
		k->exists_undone = true;
		k->existed = before;
		k->since = change;
	}
	if (before && !k->back)
		k->back = before;
}

static void change_place(struct undo *u, struct story *k, const struct definition *before, const struct definition *after)
{
	if (same_place(before, after))
		return;
	switch (changes_source(&u->changes, after->begin)) {
	case CHANGES_OURS: return;
	case CHANGES_UNDONE: k->back = k->back ? k->back : before; return;
	case CHANGES_OTHERS:
		k->skipped = k->skipped || k->back;
		k->back = NULL;
	}
}

static void tell(struct undo *u, const struct definition *d, size_t n, struct story *k)
{
	*k = (struct story){ .last = &d[n - 1], .now = d[n - 1].end == INT64_MAX ? &d[n - 1] : NULL };
	/* A first definition that is later than the folder: it came back, and what it was before is purged. */
	change_existence(u, k, NULL, d->begin > d->created ? d->begin : d->created);
	for (size_t i = 0; i < n; i++) {
		if (i + 1 < n && d[i + 1].begin == d[i].end) {
			change_place(u, k, &d[i], &d[i + 1]);
			continue;
		}
		if (d[i].end != INT64_MAX)
			change_existence(u, k, &d[i], d[i].end);
		if (i + 1 < n)
			change_existence(u, k, NULL, d[i + 1].begin);
	}
}

static int tell_all(struct folders *k)
{
	struct definition *d = (struct definition *)(void *)k->rows.p;
	size_t n = k->rows.n / sizeof *d;
	k->stories = arena_alloc(&k->u->arena, (n + 1) * sizeof *k->stories);
	if (!k->stories)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (n)
		qsort(d, n, sizeof *d, by_id_and_begin);
	for (size_t i = 0, run; i < n; i += run) {
		for (run = 1; i + run < n && d[i + run].id == d[i].id; run++)
			;
		tell(k->u, &d[i], run, &k->stories[k->n++]);
	}
	return OK;
}

static int by_story(const void *a, const void *b)
{
	int64_t id = *(const int64_t *)a, other = ((const struct story *)b)->last->id;
	return (id > other) - (id < other);
}

static struct story *story_of(const struct folders *k, int64_t id)
{
	return k->n ? bsearch(&id, k->stories, k->n, sizeof *k->stories, by_story) : NULL;
}

/* wanted: as it is to be, else as it is or was last. */
static struct span path_of(const struct folders *k, const struct story *f, bool wanted)
{
	struct buffer path = { .limit = 60 * MAILBOX_NAME_MAX };
	struct span names[MAILBOX_DEPTH_MAX + 1];
	size_t n = 0;
	while (f && n <= MAILBOX_DEPTH_MAX) {
		const struct definition *d = wanted && f->back ? f->back : f->now ? f->now : f->last;
		names[n++] = d->name;
		f = d->parent ? story_of(k, d->parent) : NULL;
	}
	while (n--) {
		buffer_put_span(&path, names[n]);
		if (n)
			buffer_putc(&path, '/');
	}
	struct span out = arena_copy(&k->u->arena, buffer_span(&path));
	buffer_free(&path);
	return out.p ? out : SPAN("");
}

struct scan {
	struct undo *u;
	const struct story *f;
	uint32_t after;
	size_t got;
	bool others;
};

static int scan_page(struct meta_txn *t, void *arg)
{
	struct scan *k = arg;
	struct meta_rows r;
	uint32_t after = k->after;
	k->got = 0;
	int e = meta_query(t, &r, META_LIVE_EMAILS, "iiii", k->u->q->account, k->f->last->id, (int64_t)k->after, (int64_t)SCAN);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t created = meta_int(&r, 2);
		after = (uint32_t)meta_int(&r, 0);
		k->got++;
		if (created >= k->f->since && changes_source(&k->u->changes, created) == CHANGES_OTHERS)
			k->others = true;
	}
	meta_done(&r);
	k->after = after;
	return e;
}

/* A folder goes only when nothing is in it but what the undone changes put there, and what came back with it. */
static int holds_others(struct undo *u, const struct story *f, bool *yes)
{
	struct scan k = { .u = u, .f = f };
	int e;
	do
		e = meta_read(service_store(u->s)->meta, scan_page, &k);
	while (!e && k.got == SCAN && !k.others);
	*yes = k.others;
	return e;
}

static int wish_for(struct folders *k, struct story *f)
{
	struct wish w = { .id = f->last->id };
	bool others = false;
	if (f->exists_undone && !f->existed && f->now) {
		int e = holds_others(k->u, f, &others);
		if (e)
			return e;
		w.end = true;
		w.uidnext = f->now->uidnext;
		w.path = f->path;
	} else if (f->back && (f->now || (f->exists_undone && f->existed))) {
		w.parent = f->back->parent;
		w.name = f->back->name;
		w.attributes = f->back->attributes;
		w.path = path_of(k, f, true);
	} else {
		return OK;
	}
	if (!undo_in_scope(k->u, f->path) && !undo_in_scope(k->u, w.path))
		return OK;
	if (others || (w.end && w.id == INBOX)) {
		undo_say(k->u, "%.*s: stays, there is more in it", SPAN_ARG(f->path));
		k->u->report.skipped++;
		return OK;
	}
	k->of[k->n_wishes] = f;
	k->wishes[k->n_wishes++] = w;
	return OK;
}

static int wish_all(struct folders *k)
{
	k->wishes = arena_alloc(&k->u->arena, (k->n + 1) * sizeof *k->wishes);
	k->of = arena_alloc(&k->u->arena, (k->n + 1) * sizeof *k->of);
	int e = k->wishes && k->of ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; !e && i < k->n; i++)
		k->stories[i].path = path_of(k, &k->stories[i], false);
	for (size_t i = 0; !e && i < k->n; i++) {
		struct story *f = &k->stories[i];
		if (f->skipped && undo_in_scope(k->u, f->path)) {
			undo_say(k->u, "%.*s: was renamed, deleted or made again since", SPAN_ARG(f->path));
			k->u->report.skipped++;
		}
		e = wish_for(k, f);
	}
	return e;
}

static void tell_wish(struct folders *k, const struct wish *w, const struct story *f)
{
	struct undo *u = k->u;
	switch (w->fate) {
	case WISH_STANDS: return;
	case WISH_TAKEN:
		u->report.skipped += f->now != NULL;
		undo_say(u, "%.*s: %s", SPAN_ARG(w->path), f->now ? "does not come back for its folder, somebody has the name"
		                                                  : "its name is taken: messages join the folder of that name");
		return;
	case WISH_STUCK:
		u->report.skipped++;
		undo_say(u, "%.*s: stays where it is", SPAN_ARG(f->path));
		return;
	case WISH_GRANTED: break;
	}
	u->report.folders++;
	if (w->revived)
		u->report.messages += (uint64_t)w->messages;
	if (w->end)
		undo_say(u, "%.*s: goes", SPAN_ARG(f->path));
	else if (w->revived)
		undo_say(u, "%.*s: comes back with %lld messages", SPAN_ARG(w->path), (long long)w->messages);
	else
		undo_say(u, "%.*s: is called %.*s again", SPAN_ARG(f->path), SPAN_ARG(w->path));
}

static const struct wish *find_wish(const struct folders *k, const struct story *f)
{
	for (size_t i = 0; i < k->n_wishes; i++) /* both ascend: found by halving */
		if (k->of[i] == f)
			return &k->wishes[i];
	return NULL;
}

/* The folders whose messages are looked at: those that live now, and those whose messages join another. */
static int list_folders(struct folders *k)
{
	struct undo *u = k->u;
	u->folders = arena_alloc(&u->arena, (k->n + 1) * sizeof *u->folders);
	if (!u->folders)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < k->n; i++) {
		const struct story *f = &k->stories[i];
		const struct wish *w = f->exists_undone || f->back ? find_wish(k, f) : NULL;
		bool granted = w && w->fate == WISH_GRANTED;
		bool lives = granted ? !w->end : f->now != NULL;
		bool joins = w && !w->end && !f->now && w->fate == WISH_TAKEN;
		bool ends = granted && w->end;
		if (!ends && !joins && (!lives || f->last->change < u->changes.first))
			continue;
		struct span path = granted ? w->path : f->path;
		u->folders[u->n++] = (struct undo_folder){ f->last->id, joins ? w->holder : f->last->id, path,
			                                   undo_in_scope(u, path) || undo_in_scope(u, f->path), ends,
			                                   f->last->uidnext };
	}
	return OK;
}

static void took_change(void *ctx, int64_t change)
{
	struct undo *u = ctx;
	changes_add_ours(&u->changes, change);
}

int undo_folders(struct undo *u)
{
	struct folders k = { .u = u };
	int e = meta_read(service_store(u->s)->meta, read_definitions, &k);
	if (!e)
		e = tell_all(&k);
	if (!e)
		e = wish_all(&k);
	u->replant = (struct replant){ .s = u->s, .account = u->q->account, .kind = CHANGE_UNDO, .actor = u->q->actor,
		             .changeset = u->changeset, .wishes = k.wishes, .n = k.n_wishes, .dry_run = u->q->dry_run,
		             .changed = took_change, .ctx = u };
	if (!e && k.n_wishes)
		e = replant(&u->replant);
	for (size_t i = 0; !e && i < k.n_wishes; i++)
		tell_wish(&k, &k.wishes[i], k.of[i]);
	if (!e)
		e = list_folders(&k);
	buffer_free(&k.rows);
	return e;
}
