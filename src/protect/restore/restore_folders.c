/* Folders: which come back as themselves, which get their name back, which join one that took their name. */
#include <stdio.h>

#include "fail.h"
#include "mailbox_name.h"
#include "restore_private.h"
#include "service.h"
#include "store.h"

enum { PER_TRANSACTION = 200 };

static bool in_scope(const struct run *r, struct span path)
{
	struct span f = r->q->folder;
	return f.n == 0 || span_eq(path, f) || mailbox_name_below(path, f) ||
	       (mailbox_name_is_inbox(f) && mailbox_name_is_inbox(path));
}

static int child_of(struct meta_txn *t, int64_t account, int64_t parent, struct span name, int64_t *id)
{
	struct meta_rows r;
	*id = 0;
	int e = meta_one(t, &r, META_COLLECTION_CHILD, "iisi", account, parent, name, (int64_t)COLLECTION_MAIL);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*id = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

int restore_find_path(struct meta_txn *t, int64_t account, struct span path, int64_t *id)
{
	struct span component;
	int64_t at = 0;
	int e = OK;
	*id = 0;
	while (!e && mailbox_name_next(&path, &component)) {
		e = child_of(t, account, at, component, &at);
		if (e || !at)
			return e;
	}
	*id = at;
	return e;
}

int restore_ensure_path(struct change *c, struct span path, int64_t *id)
{
	struct span rest = path, component;
	int64_t parent = 0, at;
	while (mailbox_name_next(&rest, &component)) {
		int e = child_of(c->t, c->account, parent, component, &at);
		if (!e && !at)
			e = change_collection_add(c, COLLECTION_MAIL, parent, component, 0,
			                          span_sub(path, 0, (size_t)(component.p - path.p) + component.n), &at);
		if (e)
			return e;
		parent = at;
	}
	*id = parent;
	return OK;
}

/* A living collection's parent and name. ERR_NOT_FOUND: it ended. */
static int where_is(struct meta_txn *t, int64_t account, int64_t id, int64_t *parent, struct span *name, struct arena *a)
{
	struct meta_rows r;
	struct collection k;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", account, id);
	if (e)
		return e;
	collection_from_row(&r, &k);
	*parent = k.parent;
	*name = arena_copy(a, k.name);
	meta_done(&r);
	return OK;
}

/* Would `id` below `parent` be a ring? */
static int makes_ring(struct meta_txn *t, int64_t account, int64_t id, int64_t parent, bool *yes, struct arena *a)
{
	struct span name;
	*yes = false;
	for (int depth = 0; parent && depth <= MAILBOX_DEPTH_MAX; depth++) {
		if (parent == id) {
			*yes = true;
			return OK;
		}
		int e = where_is(t, account, parent, &parent, &name, a);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
	}
	return OK;
}

/* Where a folder's parent is now: the same collection if it lives, else whatever stands at its path, else made. */
static int parent_now(struct run *r, struct change *c, const struct folder *then, int64_t *parent)
{
	int64_t grand;
	struct span name;
	*parent = 0;
	if (!then->parent)
		return OK;
	int e = where_is(c->t, c->account, then->parent, &grand, &name, &c->arena);
	if (!e) {
		*parent = then->parent;
		return OK;
	}
	return e == ERR_NOT_FOUND ? restore_ensure_path(c, mailbox_name_parent(then->path), parent) : e;
}

/* What became of one folder, told after the commit. */
enum fate { STAYS, RENAMED, REVIVED, JOINS, WAITS };

struct folder_step {
	struct run *r;
	size_t from, n;
	enum fate fate[PER_TRANSACTION];
	int64_t id[PER_TRANSACTION];
	int64_t messages[PER_TRANSACTION]; /* that came back with the folder */
	struct touched touched;
};

static int place_living(struct run *r, struct change *c, const struct folder *f, int64_t parent, struct span name, enum fate *fate)
{
	int64_t want, taken;
	bool ring;
	*fate = STAYS;
	if (f->id == INBOX || r->q->match.n)
		return OK;
	int e = parent_now(r, c, f, &want);
	if (e || (want == parent && span_eq(name, f->name)))
		return e;
	e = child_of(c->t, c->account, want, f->name, &taken);
	if (!e)
		e = makes_ring(c->t, c->account, f->id, want, &ring, &c->arena);
	if (e || taken || ring)
		return e;
	*fate = RENAMED;
	return change_collection_define(c, f->id, want, f->name, f->attributes, name, f->path);
}

static int place_ended(struct run *r, struct change *c, const struct folder *f, enum fate *fate, int64_t *id, int64_t *messages)
{
	struct collection *k;
	int64_t parent;
	int e = restore_find_path(c->t, c->account, f->path, id);
	if (e || *id) {
		*fate = JOINS;
		return e;
	}
	*fate = WAITS;
	if (r->q->match.n) /* only some messages return: the folder is made when the first of them comes */
		return OK;
	e = parent_now(r, c, f, &parent);
	if (e)
		return e;
	*fate = REVIVED;
	*id = f->id;
	e = change_collection_revive(c, f->id, parent, f->name, f->path);
	if (!e)
		e = change_collection(c, f->id, &k);
	if (!e)
		*messages = k->messages;
	return e;
}

static int place(struct run *r, struct change *c, const struct folder *f, enum fate *fate, int64_t *id, int64_t *messages)
{
	int64_t parent;
	struct span name;
	int e = where_is(c->t, c->account, f->id, &parent, &name, &c->arena);
	*id = f->id;
	*messages = 0;
	if (!e)
		return place_living(r, c, f, parent, name, fate);
	return e == ERR_NOT_FOUND ? place_ended(r, c, f, fate, id, messages) : e;
}

/* Names that were subscribed then and are not now, in scope. */
static int subscribe_again(struct run *r, struct change *c)
{
	struct meta_rows rows;
	struct span names[PER_TRANSACTION];
	size_t n = 0;
	uint32_t uid;
	int e = meta_query(c->t, &rows, META_PAST_NAMES_AT, "iiii", c->account, (int64_t)SUBSCRIPTIONS, r->q->at.change, r->q->at.change);
	if (e)
		return e;
	while (n < PER_TRANSACTION && (e = meta_next(&rows)) > 0)
		if (in_scope(r, meta_span(&rows, 0)))
			names[n++] = arena_copy(&c->arena, meta_span(&rows, 0));
	meta_done(&rows);
	for (size_t i = 0; e >= 0 && i < n; i++) {
		struct meta_rows found;
		e = meta_one(c->t, &found, META_NAME_GET, "iis", c->account, (int64_t)SUBSCRIPTIONS, names[i]);
		if (!e)
			meta_done(&found);
		else if (e == ERR_NOT_FOUND)
			e = change_item_add(c, SUBSCRIPTIONS, 0, names[i], 0, (struct span){ 0 }, &uid);
	}
	return e < 0 ? e : OK;
}

static int run_step(struct meta_txn *t, void *arg)
{
	struct folder_step *k = arg;
	struct run *r = k->r;
	struct change c;
	int e = change_begin(&c, r->s, t, r->q->account, CHANGE_RESTORE, r->q->actor, r->changeset);
	for (size_t i = 0; !e && i < k->n; i++)
		e = place(r, &c, r->targets[k->from + i].then, &k->fate[i], &k->id[i], &k->messages[i]);
	if (!e && k->from == 0)
		e = subscribe_again(r, &c);
	e = change_end(&c, e, &k->touched);
	return e == OK && r->q->dry_run ? ERR_STOPPED : e; /* a dry run decides as the real one does, then takes it back */
}

static void tell_one(const struct run *r, struct span path, enum fate fate, int64_t messages)
{
	char line[1200];
	if (!r->q->say || fate == STAYS || fate == WAITS)
		return;
	if (fate == REVIVED)
		snprintf(line, sizeof line, "%.*s: comes back with %lld messages", SPAN_ARG(path), (long long)messages);
	else
		snprintf(line, sizeof line, "%.*s: %s", SPAN_ARG(path),
		         fate == RENAMED ? "gets its name back" : "its name is taken: messages join the folder of that name");
	r->q->say(r->q->ctx, line);
}

static void tell(struct run *r, const struct folder_step *k)
{
	for (size_t i = 0; i < k->n; i++) {
		struct target *t = &r->targets[k->from + i];
		t->id = k->id[i];
		r->report.folders += k->fate[i] == RENAMED || k->fate[i] == REVIVED;
		r->report.messages += (uint64_t)k->messages[i];
		tell_one(r, t->then->path, k->fate[i], k->messages[i]);
	}
}

static int step(struct run *r, size_t from)
{
	struct folder_step k = { .r = r, .from = from, .n = r->n - from < PER_TRANSACTION ? r->n - from : PER_TRANSACTION };
	int e = store_commit(service_store(r->s), NULL, 0, run_step, &k);
	if (e == ERR_STOPPED && r->q->dry_run)
		e = OK;
	else if (!e)
		change_publish(r->s, &k.touched);
	if (!e)
		tell(r, &k);
	return e;
}

/* --into F: what lay in a/b goes to F/a/b; what lay in --folder itself goes to F. */
static struct span path_into(struct run *r, struct span path)
{
	struct span below = path, into = r->q->into;
	if (r->q->folder.n)
		below = path.n > r->q->folder.n ? span_sub(path, r->q->folder.n + 1, path.n) : (struct span){ 0 };
	if (!below.n)
		return into;
	char *p = arena_alloc(&r->arena, into.n + below.n + 2);
	if (!p)
		return (struct span){ 0 };
	memcpy(p, into.p, into.n);
	p[into.n] = '/';
	memcpy(p + into.n + 1, below.p, below.n);
	return (struct span){ p, into.n + 1 + below.n };
}

static int choose(struct run *r)
{
	r->targets = arena_alloc(&r->arena, (r->then.n + 1) * sizeof *r->targets);
	if (!r->targets)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < r->then.n; i++) {
		const struct folder *f = &r->then.list[i];
		if (!in_scope(r, f->path))
			continue;
		r->targets[r->n] = (struct target){ f, 0, r->q->into.n ? path_into(r, f->path) : f->path };
		if (!r->targets[r->n++].path.p)
			return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	return r->n ? OK : fail_with(ERR_INVALID, "there was no folder %.*s then", SPAN_ARG(r->q->folder));
}

int restore_folders(struct run *r)
{
	int e = choose(r);
	if (r->q->into.n)
		return e;
	for (size_t i = 0; !e && i < r->n && !restore_cancelled(r); i += PER_TRANSACTION)
		e = step(r, i);
	return e;
}
