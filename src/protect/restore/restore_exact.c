/* Exact: what came since then goes. */
#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "moves.h"
#include "restore_private.h"
#include "store.h"

enum { CHUNK = 300, PAGE = 5000, NAMES = 100, HOPS_MAX = 1000 };

/* An entry that came since. */
struct newcomer {
	struct version v;
	bool stays;               /* delivered since, or moved in from elsewhere */
	const struct version *is; /* a message of then that left and came back: it gets its flags of then */
};

struct job {
	struct run *r;
	int64_t collection;
	struct moves moves;
	struct version *ended; /* of then, by email */
	size_t n_ended;
	struct arena arena, keywords;
	int64_t floor;         /* what came before it may have come in any way: its changes are purged */
	uint32_t after;
	struct buffer page;    /* struct newcomer each */
	const struct newcomer *chunk[CHUNK];
	size_t n;
	uint64_t kept, removed, flagged;
	struct touched touched;
};

/* --- Which entries stay --- */

/* Follows moves back to a folder that is out of scope: there it was at that instant, and nobody brings it back there. Where
   nobody can tell any more, it may have come from there. */
static int came_from_outside(struct job *j, struct meta_txn *t, const struct version *v, bool *yes)
{
	struct run *r = j->r;
	struct spot at = { j->collection, v->uid };
	int64_t created = v->created;
	struct meta_rows row;
	*yes = false;
	for (int hop = 0; r->q->folder.n && hop < HOPS_MAX && created > r->q->at.change; hop++) {
		int64_t change = created;
		int e = moves_back(&j->moves, t, change, at, &at);
		if (!e)
			e = meta_one(t, &row, META_PAST_GET, "iiii", r->q->account, at.collection, change, (int64_t)at.uid);
		if (e == ERR_NOT_FOUND)
			*yes = change < j->floor;
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		created = meta_int(&row, 1);
		meta_done(&row);
		const struct folder *f = tree_by_id(&r->then, at.collection);
		*yes = created <= r->q->at.change && f && !restore_in_scope(r, f->path);
	}
	return OK;
}

static int read_newcomers(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows row;
	int64_t at = j->r->q->at.change;
	struct head head;
	arena_reset(&j->arena);
	buffer_reset(&j->page);
	int e = change_head(t, j->r->q->account, &head);
	j->floor = head.floor;
	if (!e)
		e = meta_query(t, &row, META_LIVE_SINCE, "iiiii", j->r->q->account, j->collection, (int64_t)j->after, at, (int64_t)PAGE);
	if (e)
		return e;
	while ((e = meta_next(&row)) > 0) {
		struct newcomer k = { 0 };
		version_from_row(&row, &k.v);
		k.v.keywords = k.v.keywords.n ? arena_copy(&j->arena, k.v.keywords) : (struct span){ 0 };
		int64_t came = meta_int(&row, 9), kind = meta_int(&row, 10); /* 0: purged */
		bool delivered = came > at && (kind == CHANGE_DELIVER || (kind == 0 && came < j->floor));
		k.stays = k.v.created > j->r->head || (delivered && !j->r->q->with_deliveries);
		buffer_put(&j->page, &k, sizeof k);
	}
	meta_done(&row);
	if (!e && !buffer_ok(&j->page))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	struct newcomer *k = (struct newcomer *)(void *)j->page.p;
	for (size_t i = 0; !e && !j->r->q->with_deliveries && i < j->page.n / sizeof *k; i++)
		if (!k[i].stays)
			e = came_from_outside(j, t, &k[i].v, &k[i].stays);
	return e;
}

static int find_first(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	uint32_t uid;
	int e = restore_first_since(t, j->r, j->collection, &uid);
	if (!e)
		j->after = uid - 1;
	return e;
}

/* Calls fn with each page of what came into a collection since. */
static int each_page(struct job *j, int (*fn)(struct job *j, struct newcomer *k, size_t n))
{
	struct meta *m = service_store(j->r->s)->meta;
	size_t n;
	int e = meta_read(m, find_first, j);
	do {
		if (!e)
			e = meta_read(m, read_newcomers, j);
		struct newcomer *k = (struct newcomer *)(void *)j->page.p;
		n = e ? 0 : j->page.n / sizeof *k;
		if (n) {
			j->after = k[n - 1].v.uid;
			e = fn(j, k, n);
		}
	} while (!e && n == PAGE && !restore_cancelled(j->r));
	return e;
}

static void close_job(struct job *j)
{
	moves_free(&j->moves);
	free(j->ended);
	arena_free(&j->arena);
	arena_free(&j->keywords);
	buffer_free(&j->page);
}

/* --- Folders --- */

static int count_kept(struct job *j, struct newcomer *k, size_t n)
{
	for (size_t i = 0; i < n; i++)
		j->kept += k[i].stays;
	return OK;
}

/* A folder of then goes to its place of then, one that came since ends unless there is mail in it that stays. */
static int wish_for(struct run *r, const struct folder *now, const struct folder *then, struct wish *w, bool *any)
{
	struct job j = { .r = r, .collection = now ? now->id : 0, .moves = { .account = r->q->account } };
	*any = then && (restore_in_scope(r, then->path) || (now && restore_in_scope(r, now->path)));
	if (then) {
		*w = (struct wish){ .id = then->id, .parent = then->parent, .name = then->name, .path = then->path,
			            .attributes = then->attributes };
		return OK;
	}
	if (!restore_in_scope(r, now->path))
		return OK;
	int e = each_page(&j, count_kept);
	close_job(&j);
	*w = (struct wish){ .id = now->id, .end = true, .uidnext = now->uidnext, .path = now->path };
	*any = j.kept == 0;
	if (!e && j.kept)
		restore_say(r, now->path, "stays: %llu messages came into it since and are not removed", (unsigned long long)j.kept);
	return e;
}

static int make_wishes(struct run *r, const struct tree *now, struct wish *w, size_t *n)
{
	bool any;
	int e = OK;
	for (size_t i = 0; !e && i < r->then.n; i++) {
		const struct folder *f = &r->then.list[i];
		e = wish_for(r, tree_by_id(now, f->id), f, &w[*n], &any);
		*n += !e && any;
	}
	for (size_t i = 0; !e && i < now->n; i++) {
		const struct folder *f = &now->list[i];
		if (tree_by_id(&r->then, f->id))
			continue;
		e = wish_for(r, f, NULL, &w[*n], &any);
		*n += !e && any;
	}
	return e;
}

static struct target *target_of(const struct run *r, int64_t id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->targets[i].then->id == id)
			return &r->targets[i];
	return NULL;
}

static void take_fate(struct run *r, const struct tree *now, const struct wish *w)
{
	struct target *t = target_of(r, w->id);
	bool lives = tree_by_id(now, w->id);
	if (t)
		t->id = w->fate == WISH_STUCK && !lives ? 0 : w->fate == WISH_TAKEN && !lives ? w->holder : w->id;
	switch (w->fate) {
	case WISH_STANDS: return;
	case WISH_STUCK:
		restore_say(r, w->path, w->end ? "stays: there are folders below it, or mail has just come" : "does not get its place back");
		return;
	case WISH_TAKEN:
		if (t)
			t->joins = !lives;
		restore_say(r, w->path, lives ? "does not get its name back, it is taken" : "its name is taken: messages join the folder of that name");
		return;
	case WISH_GRANTED: break;
	}
	r->report.folders += !w->end;
	r->report.folders_removed += w->end;
	if (w->end)
		r->gone[r->n_gone++] = w->id;
	r->report.messages += w->revived ? (uint64_t)w->messages : 0;
	if (w->revived)
		restore_say(r, w->path, "comes back with %lld messages", (long long)w->messages);
	else
		restore_say(r, w->path, w->end ? "goes" : "gets its place back");
}

int restore_exact_folders(struct run *r)
{
	struct tree now = { 0 };
	struct wish *w = NULL;
	size_t n = 0;
	int e = tree_read(r->s, r->q->account, 0, &now);
	if (!e)
		e = restore_choose(r);
	if (!e && !(w = arena_alloc(&r->arena, (r->then.n + now.n + 1) * sizeof *w)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = make_wishes(r, &now, w, &n);
	if (!e && !(r->gone = arena_alloc(&r->arena, (n + 1) * sizeof *r->gone)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	r->replant = (struct replant){ .s = r->s, .account = r->q->account, .kind = CHANGE_RESTORE, .actor = r->q->actor,
		             .changeset = r->changeset, .wishes = w, .n = n, .dry_run = r->q->dry_run };
	if (!e)
		e = replant(&r->replant);
	for (size_t i = 0; !e && i < n; i++)
		take_fate(r, &now, &w[i]);
	tree_free(&now);
	return e;
}

/* --- Messages --- */

static int by_email(const void *a, const void *b)
{
	const struct version *x = a, *y = b;
	if (x->email != y->email)
		return x->email < y->email ? -1 : 1;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

/* A message of then that left the folder and is there again: taken once. */
static const struct version *stand_in(struct job *j, int64_t email)
{
	size_t low = 0, high = j->n_ended;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (j->ended[mid].email < email)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < j->n_ended && j->ended[low].email == email; low++)
		if (j->ended[low].uid) {
			j->ended[low].uid = 0;
			return &j->ended[low];
		}
	return NULL;
}

static int run_chunk(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct run *r = j->r;
	struct change c;
	struct collection *in;
	j->removed = j->flagged = 0;
	int e = change_begin(&c, r->s, t, r->q->account, CHANGE_RESTORE, r->q->actor, r->changeset);
	if (!e)
		e = change_collection(&c, j->collection, &in);
	for (size_t i = 0; !e && i < j->n; i++) {
		const struct newcomer *k = j->chunk[i];
		struct version *now;
		size_t n;
		e = folder_versions(&c, in->id, k->v.uid, k->v.uid, 1, &now, &n);
		if (e || n == 0)
			continue;
		e = k->is ? change_entry_flags(&c, in, now, k->is->flags, k->is->keywords) : change_entry_end(&c, in, now);
		j->flagged += k->is != NULL;
		j->removed += k->is == NULL;
	}
	return change_end(&c, e == ERR_NOT_FOUND ? OK : e, &j->touched);
}

static int commit_chunk(struct job *j)
{
	struct run *r = j->r;
	int e = OK;
	if (!j->n)
		return OK;
	if (r->q->dry_run) {
		j->removed = j->flagged = 0;
		for (size_t i = 0; i < j->n; i++)
			*(j->chunk[i]->is ? &j->flagged : &j->removed) += 1;
	} else {
		e = changeset_step(service_store(r->s), r->q->account, r->changeset, run_chunk, j);
		if (!e)
			change_publish(r->s, &j->touched);
	}
	if (!e) {
		r->report.removed += j->removed;
		r->report.flags += j->flagged;
	}
	j->n = 0;
	return e;
}

static int remove_page(struct job *j, struct newcomer *k, size_t n)
{
	int e = OK;
	for (size_t i = 0; !e && i < n && !restore_cancelled(j->r); i++) {
		if (k[i].v.created > j->r->head) /* this restore's own, or just come */
			continue;
		k[i].is = stand_in(j, k[i].v.email);
		j->r->report.kept += k[i].stays;
		if (k[i].is ? k[i].is->flags == k[i].v.flags && span_eq(k[i].is->keywords, k[i].v.keywords) : k[i].stays)
			continue;
		j->chunk[j->n++] = &k[i];
		if (j->n == CHUNK)
			e = commit_chunk(j);
	}
	return e ? e : commit_chunk(j);
}

/* then: the folder's target, or NULL for one that came since and stays. */
static int remove_newcomers(struct run *r, int64_t collection, struct target *then)
{
	struct job j = { .r = r, .collection = collection, .moves = { .account = r->q->account } };
	uint64_t removed = r->report.removed, kept = r->report.kept;
	int e = then ? restore_ended(r, then, &j.keywords, &j.ended, &j.n_ended) : OK;
	if (!e && j.n_ended)
		qsort(j.ended, j.n_ended, sizeof *j.ended, by_email);
	if (!e)
		e = each_page(&j, remove_page);
	removed = r->report.removed - removed;
	kept = r->report.kept - kept;
	if (!e && then && (removed || kept))
		restore_say(r, then->path, "%llu messages that came since go, %llu stay", (unsigned long long)removed, (unsigned long long)kept);
	close_job(&j);
	return e;
}

/* Is it seen to already? */
static bool is_target_or_gone(const struct run *r, int64_t id)
{
	for (size_t i = 0; i < r->n_gone; i++)
		if (r->gone[i] == id)
			return true;
	for (size_t i = 0; i < r->n; i++)
		if (r->targets[i].id == id)
			return true;
	return false;
}

static int remove_all(struct run *r)
{
	struct tree now;
	int e = tree_read(r->s, r->q->account, 0, &now);
	if (e)
		return e;
	for (size_t i = 0; !e && i < r->n && !restore_cancelled(r); i++)
		if (r->targets[i].id)
			e = remove_newcomers(r, r->targets[i].id, &r->targets[i]);
	for (size_t i = 0; !e && i < now.n && !restore_cancelled(r); i++) {
		const struct folder *f = &now.list[i];
		if (!tree_by_id(&r->then, f->id) && !is_target_or_gone(r, f->id) && restore_in_scope(r, f->path))
			e = remove_newcomers(r, f->id, NULL);
	}
	tree_free(&now);
	return e;
}

/* --- Subscriptions --- */

struct unsubscribe {
	struct run *r;
	uint64_t n;
	struct touched touched;
};

static int new_names(struct change *c, const struct run *r, uint32_t uids[NAMES], struct span names[NAMES], size_t *n)
{
	struct meta_rows row;
	int64_t at = r->q->at.change;
	int e = meta_query(c->t, &row, META_NAMES_SINCE, "iiiiii", c->account, (int64_t)SUBSCRIPTIONS, at, r->head, at, at);
	if (e)
		return e;
	*n = 0;
	while (*n < NAMES && (e = meta_next(&row)) > 0) {
		if (!restore_in_scope(r, meta_span(&row, 1)))
			continue;
		uids[*n] = (uint32_t)meta_int(&row, 0);
		names[(*n)++] = arena_copy(&c->arena, meta_span(&row, 1));
	}
	meta_done(&row);
	return e < 0 ? e : OK;
}

static int unsubscribe_some(struct meta_txn *t, void *arg)
{
	struct unsubscribe *k = arg;
	struct run *r = k->r;
	struct change c;
	struct span names[NAMES];
	uint32_t uids[NAMES];
	size_t n = 0;
	int e = change_begin(&c, r->s, t, r->q->account, CHANGE_RESTORE, r->q->actor, r->changeset);
	if (!e)
		e = new_names(&c, r, uids, names, &n);
	for (size_t i = 0; !e && i < n; i++)
		e = change_item_end(&c, SUBSCRIPTIONS, uids[i], names[i]);
	k->n = n;
	return change_end(&c, e, &k->touched);
}

static int unsubscribe(struct run *r)
{
	struct unsubscribe k = { .r = r };
	int e;
	do {
		e = changeset_step(service_store(r->s), r->q->account, r->changeset, unsubscribe_some, &k);
		if (e)
			return e;
		change_publish(r->s, &k.touched);
		r->report.subscriptions += k.n;
	} while (k.n == NAMES && !restore_cancelled(r));
	return OK;
}

int restore_exact_rest(struct run *r)
{
	int e = remove_all(r);
	if (!e && !restore_cancelled(r))
		e = replant_held(&r->replant);
	if (e || r->q->dry_run || restore_cancelled(r))
		return e;
	e = unsubscribe(r);
	return e ? e : restore_subscribe(r);
}
