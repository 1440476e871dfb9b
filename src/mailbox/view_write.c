/* STORE, COPY, MOVE, EXPUNGE: large ones are cut into transactions of CHUNK entries, all in one changeset. */
#include <stdlib.h>

#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "service_private.h"
#include "tree_private.h"
#include "view_private.h"

enum { CHUNK = 500 };

/* The numbers of the view that a set names. free(). */
static int select_uids(const struct view *v, const struct imap_set *set, uint32_t **out, size_t *n)
{
	uint32_t *uids = NULL;
	size_t k = 0, cap = 0;
	for (size_t i = 0; i < set->n; i++) {
		uint32_t from = uidmap_lower(v->map, set->ranges[i].first), last = set->ranges[i].last;
		for (; from < v->map->n && v->map->uid[from] <= last; from++) {
			if (k == cap) {
				cap = cap ? cap * 2 : 256;
				uint32_t *more = realloc(uids, cap * sizeof *more);
				if (!more) {
					free(uids);
					return fail_with(ERR_UNAVAILABLE, "no memory");
				}
				uids = more;
			}
			uids[k++] = v->map->uid[from];
		}
	}
	*out = uids;
	*n = k;
	return OK;
}

/* The living versions of these UIDs (ascending); fewer when some are gone. */
static int living(struct change *c, int64_t collection, const uint32_t *uids, size_t n, struct version **out, size_t *found)
{
	struct version *v = NULL;
	size_t got = 0, kept = 0;
	uint32_t first = uids[0], last = uids[n - 1];
	*found = 0;
	if (last - first < n * 4) {
		int e = folder_versions(c, collection, first, last, n * 4 + 1, &v, &got);
		if (e)
			return e;
		for (size_t i = 0, j = 0; i < got; i++) {
			while (j < n && uids[j] < v[i].uid)
				j++;
			if (j < n && uids[j] == v[i].uid)
				v[kept++] = v[i];
		}
		*out = v;
		*found = kept;
		return OK;
	}
	struct version *all = arena_alloc(&c->arena, n * sizeof *all);
	if (!all)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < n; i++) {
		int e = folder_versions(c, collection, uids[i], uids[i], 1, &v, &got);
		if (e)
			return e;
		if (got)
			all[kept++] = v[0];
	}
	*out = all;
	*found = kept;
	return OK;
}

/* One operation on a run of entries, and one of its transactions. */
struct work {
	struct view *v;
	const struct actor *actor;
	const uint32_t *uids; /* this chunk */
	size_t n;
	int64_t changeset;
	struct touched touched;
	/* store */
	const struct store_request *store;
	uint32_t modified[CHUNK];
	size_t n_modified;
	/* copy, move */
	struct span path;
	int64_t target, uidvalidity;
	const struct entry *entries;
	size_t n_entries;
	bool move;
	uint32_t from[CHUNK], to[CHUNK];
	size_t n_copied;
};

static int commit(struct work *w, meta_fn *fn)
{
	int e = service_commit(w->v->s, NULL, 0, fn, w, &w->touched, 1);
	if (!e && !w->changeset)
		w->changeset = w->touched.change;
	return e;
}

static int new_keywords(struct change *c, const struct store_request *q, const struct version *v, struct span *out)
{
	struct buffer b = { 0 };
	int e = OK;
	*out = q->op == STORE_REPLACE ? q->keywords : v->keywords;
	if (q->op == STORE_REPLACE || q->keywords.n == 0)
		return OK;
	if (q->op == STORE_ADD)
		e = keywords_union(&b, v->keywords, q->keywords);
	else
		keywords_minus(&b, v->keywords, q->keywords);
	*out = arena_copy(&c->arena, buffer_span(&b));
	buffer_free(&b);
	return e;
}

static int store_one(struct change *c, struct collection *in, struct version *v, struct work *w)
{
	const struct store_request *q = w->store;
	struct span keywords;
	if (q->has_unchanged_since && v->change > q->unchanged_since) {
		w->modified[w->n_modified++] = v->uid;
		return OK;
	}
	uint64_t flags = q->op == STORE_REPLACE ? q->flags : q->op == STORE_ADD ? v->flags | q->flags : v->flags & ~q->flags;
	int e = new_keywords(c, q, v, &keywords);
	if (e || (flags == v->flags && span_eq(keywords, v->keywords)))
		return e;
	return change_entry_flags(c, in, v, flags, keywords);
}

static int run_store(struct meta_txn *t, void *arg)
{
	struct work *w = arg;
	struct change c;
	struct collection *in;
	struct version *v;
	size_t n = 0;
	w->n_modified = 0;
	int e = change_begin(&c, w->v->s, t, w->v->account, CHANGE_FLAGS, w->actor, w->changeset);
	if (!e)
		e = change_collection(&c, w->v->info.folder.id, &in);
	if (!e)
		e = living(&c, in->id, w->uids, w->n, &v, &n);
	for (size_t i = 0; !e && i < n; i++)
		e = store_one(&c, in, &v[i], w);
	return change_end(&c, e, &w->touched);
}

static int add_modified(struct store_result *out, const struct work *w)
{
	if (!w->n_modified)
		return OK;
	uint32_t *more = realloc(out->modified, (out->n_modified + w->n_modified) * sizeof *more);
	if (!more)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	memcpy(more + out->n_modified, w->modified, w->n_modified * sizeof *more);
	out->modified = more;
	out->n_modified += w->n_modified;
	return OK;
}

static int check_writable(const struct view *v)
{
	if (v->info.past)
		return fail_with(ERR_CANNOT, "the past is read-only: copy it out instead");
	return v->info.read_only ? fail_with(ERR_CANNOT, "the mailbox was opened read-only") : OK;
}

static struct work *new_work(struct view *v, const struct actor *a)
{
	struct work *w = calloc(1, sizeof *w);
	if (w)
		w->v = v, w->actor = a;
	else
		fail_with(ERR_UNAVAILABLE, "no memory");
	return w;
}

int view_store(struct view *v, const struct store_request *r, const struct actor *a, struct store_result *out)
{
	uint32_t *uids = NULL;
	size_t n = 0;
	*out = (struct store_result){ 0 };
	int e = check_writable(v);
	if (!e)
		e = select_uids(v, r->uids, &uids, &n);
	struct work *w = e ? NULL : new_work(v, a);
	if (!e && !w)
		e = ERR_UNAVAILABLE;
	for (size_t i = 0; !e && i < n; i += CHUNK) {
		w->store = r;
		w->uids = uids + i;
		w->n = n - i < CHUNK ? n - i : CHUNK;
		e = commit(w, run_store);
		if (!e)
			e = add_modified(out, w);
		if (!e && w->touched.change) {
			out->first = out->first ? out->first : w->touched.change;
			out->last = w->touched.change;
		}
	}
	free(w);
	free(uids);
	return e;
}

/* The first chunk finds the target by its name; the others stay with what it found. */
static int find_target(struct change *c, struct work *w, struct collection **to)
{
	struct tree tree;
	if (!w->target) {
		int e = tree_load(c->t, c->account, 0, &tree);
		if (e)
			return e;
		const struct folder *f = tree_find(&tree, w->path);
		if (f && !(f->attributes & FOLDER_NOSELECT))
			w->target = f->id;
		tree_free(&tree);
	}
	int e = w->target ? change_collection(c, w->target, to) : ERR_NOT_FOUND;
	if (!e)
		w->uidvalidity = (*to)->uidvalidity;
	return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "there is no such target folder") : e;
}

static int copy_one(struct change *c, struct work *w, struct collection *to, struct version *v)
{
	uint32_t from = v->uid;
	if (w->v->info.past)
		v->flags &= ~(uint64_t)FLAG_DELETED;
	int e = change_entry_add(c, to, v, w->v->info.folder.id);
	if (e)
		return e;
	w->from[w->n_copied] = from;
	w->to[w->n_copied++] = v->uid;
	return OK;
}

static int copy_entries(struct change *c, struct work *w, struct collection *to)
{
	for (size_t i = 0; i < w->n_entries; i++) {
		const struct entry *s = &w->entries[i];
		struct version v = { .uid = s->uid, .flags = s->flags, .keywords = s->keywords, .date = s->date, .email = s->email,
			             .size = s->size };
		int e = copy_one(c, w, to, &v);
		if (e)
			return e;
	}
	return OK;
}

static int move_entries(struct change *c, struct work *w, struct collection *to)
{
	struct collection *in;
	struct version *v;
	size_t n = 0;
	int e = change_collection(c, w->v->info.folder.id, &in);
	if (!e && w->n)
		e = living(c, in->id, w->uids, w->n, &v, &n);
	for (size_t i = 0; !e && i < n; i++) {
		e = change_entry_end(c, in, &v[i]);
		if (!e)
			e = copy_one(c, w, to, &v[i]);
	}
	return e;
}

static int run_copy(struct meta_txn *t, void *arg)
{
	struct work *w = arg;
	struct change c;
	struct collection *to;
	w->n_copied = 0;
	int e = change_begin(&c, w->v->s, t, w->v->account, w->move ? CHANGE_MOVE : CHANGE_COPY, w->actor, w->changeset);
	if (!e)
		e = find_target(&c, w, &to);
	if (!e)
		e = w->move ? move_entries(&c, w, to) : copy_entries(&c, w, to);
	return change_end(&c, e, &w->touched);
}

static int add_copied(struct copy_result *out, const struct work *w)
{
	size_t n = out->n + w->n_copied;
	uint32_t *from = realloc(out->from, (n + 1) * sizeof *from);
	if (from)
		out->from = from;
	uint32_t *to = realloc(out->to, (n + 1) * sizeof *to);
	if (to)
		out->to = to;
	if (!from || !to)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	memcpy(from + out->n, w->from, w->n_copied * sizeof *from);
	memcpy(to + out->n, w->to, w->n_copied * sizeof *to);
	out->n = n;
	out->uidvalidity = w->uidvalidity;
	return OK;
}

/* The entries of a chunk as the view shows them, also those that are gone but untold. */
static int read_chunk(struct work *w, struct arena *arena)
{
	size_t n = 0;
	struct entry *all = arena_alloc(arena, w->n * sizeof *all);
	if (!all)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < w->n;) {
		size_t run = 1, got;
		struct entry *e;
		while (i + run < w->n && view_number(w->v, w->uids[i + run]) == view_number(w->v, w->uids[i]) + run)
			run++;
		int err = view_read(w->v, w->uids[i], w->uids[i + run - 1], run, false, arena, &e, &got);
		if (err)
			return err;
		if (got > run)
			got = run;
		if (got)
			memcpy(all + n, e, got * sizeof *e);
		n += got;
		i += run;
	}
	w->entries = all;
	w->n_entries = n;
	return OK;
}

static int copy_chunk(struct work *w, struct copy_result *out)
{
	struct arena arena = { 0 };
	int e = w->move ? OK : read_chunk(w, &arena);
	if (!e)
		e = commit(w, run_copy);
	if (!e)
		e = add_copied(out, w);
	arena_free(&arena);
	return e;
}

int view_copy(struct view *v, const struct imap_set *set, struct span path, bool move, const struct actor *a,
              struct copy_result *out)
{
	uint32_t *uids = NULL;
	size_t n = 0;
	*out = (struct copy_result){ 0 };
	int e = move ? check_writable(v) : OK;
	if (!e)
		e = select_uids(v, set, &uids, &n);
	struct work *w = e ? NULL : new_work(v, a);
	if (!e && !w)
		e = ERR_UNAVAILABLE;
	for (size_t i = 0; !e && (i < n || i == 0); i += CHUNK) { /* also without messages: is there such a target? */
		w->path = path;
		w->move = move;
		w->uids = uids + i;
		w->n = n - i < CHUNK ? n - i : CHUNK;
		e = w->n ? copy_chunk(w, out) : commit(w, run_copy);
	}
	free(w);
	free(uids);
	if (e) {
		free(out->from);
		free(out->to);
		*out = (struct copy_result){ 0 };
	}
	return e;
}

struct sweep {
	struct view *v;
	const struct imap_set *uids;
	const struct actor *actor;
	int64_t changeset;
	uint32_t after, reached;
	bool more;
	struct touched touched;
};

/* The next CHUNK of UIDs that carry \Deleted. */
static int next_deleted(struct change *c, struct sweep *s, uint32_t uids[CHUNK], size_t *n)
{
	struct meta_rows r;
	size_t seen = 0;
	*n = 0;
	int e = meta_query(c->t, &r, META_LIVE_DELETED, "iiii", c->account, s->v->info.folder.id, (int64_t)s->after, (int64_t)CHUNK);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		s->reached = (uint32_t)meta_int(&r, 0);
		seen++;
		if (!s->uids || imap_set_contains(s->uids, s->reached))
			uids[(*n)++] = s->reached;
	}
	meta_done(&r);
	s->more = seen == CHUNK;
	return e;
}

static int run_expunge(struct meta_txn *t, void *arg)
{
	struct sweep *s = arg;
	struct change c;
	struct collection *in;
	struct version *v;
	uint32_t uids[CHUNK];
	size_t n = 0, found = 0;
	int e = change_begin(&c, s->v->s, t, s->v->account, CHANGE_EXPUNGE, s->actor, s->changeset);
	if (!e)
		e = change_collection(&c, s->v->info.folder.id, &in);
	if (!e)
		e = next_deleted(&c, s, uids, &n);
	if (!e && n)
		e = living(&c, in->id, uids, n, &v, &found);
	for (size_t i = 0; !e && i < found; i++)
		e = change_entry_end(&c, in, &v[i]);
	return change_end(&c, e, &s->touched);
}

int view_expunge(struct view *v, const struct imap_set *uids, const struct actor *a)
{
	struct sweep s = { .v = v, .uids = uids, .actor = a };
	int e = check_writable(v);
	do {
		if (!e)
			e = service_commit(v->s, NULL, 0, run_expunge, &s, &s.touched, 1);
		if (!s.changeset)
			s.changeset = s.touched.change;
		s.after = s.reached;
	} while (!e && s.more);
	return e;
}
