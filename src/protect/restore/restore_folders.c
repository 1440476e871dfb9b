/* Folders: which come back as themselves, which get their name back, which join one that took their name. */
#include <stdarg.h>
#include <stdio.h>

#include "changeset.h"
#include "fail.h"
#include "mailbox_name.h"
#include "restore_private.h"
#include "service.h"
#include "store.h"

enum { PER_TRANSACTION = 100, ROUNDS = 50 };

bool restore_in_scope(const struct run *r, struct span path)
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

/* A living collection: its parent, name and attributes; the name in the arena. ERR_NOT_FOUND: it ended. */
static int where_is(struct meta_txn *t, int64_t account, int64_t id, struct collection *out, struct arena *a)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", account, id);
	if (e)
		return e;
	collection_from_row(&r, out);
	out->name = arena_copy(a, out->name);
	out->keywords = (struct span){ 0 };
	meta_done(&r);
	return OK;
}

/* Would `id` below `parent` be a ring? */
static int makes_ring(struct meta_txn *t, int64_t account, int64_t id, int64_t parent, bool *yes, struct arena *a)
{
	struct collection k;
	*yes = false;
	while (parent && !*yes) {
		*yes = parent == id;
		int e = where_is(t, account, parent, &k, a);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		parent = k.parent;
	}
	return OK;
}

/* What became of one folder, told after the commit. */
enum fate { STAYS, RENAMED, REVIVED, JOINS, WAITS };

struct folder_step {
	struct run *r;
	size_t from, n;
	bool last; /* all is placed now, also what must make do with another place */
	enum fate fate[PER_TRANSACTION];
	int64_t id[PER_TRANSACTION];
	int64_t messages[PER_TRANSACTION]; /* that came back with the folder */
	bool moved;
	struct touched touched;
};

static int rename_back(struct change *c, const struct folder *f, const struct collection *now, int64_t parent,
                       enum fate *fate)
{
	struct span name = f->name;
	int64_t taken;
	bool ring;
	/* a folder that has become a name alone since is a folder again */
	int64_t attributes = f->attributes & FOLDER_NOSELECT ? now->attributes : now->attributes & ~(int64_t)FOLDER_NOSELECT;
	if (parent == now->parent && span_eq(name, now->name)) {
		if (attributes == now->attributes)
			return OK;
		*fate = RENAMED;
		return change_collection_define(c, f->id, parent, name, attributes, f->path, f->path);
	}
	int e = restore_find_path(c->t, c->account, f->path, &taken);
	if (e || taken == f->id) /* it has its name, below another parent */
		return e;
	e = child_of(c->t, c->account, parent, name, &taken);
	if (!e && !taken)
		e = makes_ring(c->t, c->account, f->id, parent, &ring, &c->arena);
	if (e || taken || ring)
		return e;
	*fate = RENAMED;
	return change_collection_define(c, f->id, parent, name, attributes, now->name, f->path);
}

static int revive(struct change *c, const struct folder *f, int64_t parent, enum fate *fate, int64_t *messages)
{
	struct collection *k;
	int e = change_collection_revive(c, f->id, parent, f->name, f->path);
	if (!e)
		e = change_collection(c, f->id, &k);
	if (e)
		return e;
	*fate = REVIVED;
	*messages = k->messages;
	return OK;
}

/* Back to the place of then, where that is free and below the parent of then. The others may leave a place that is
   wanted: so this is tried again until nothing moves. */
static int settle_one(struct change *c, const struct folder *f, enum fate *fate, int64_t *messages)
{
	struct collection now, up;
	int64_t taken;
	int e = f->parent ? where_is(c->t, c->account, f->parent, &up, &c->arena) : OK;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = where_is(c->t, c->account, f->id, &now, &c->arena);
	if (!e)
		return rename_back(c, f, &now, f->parent, fate);
	if (e != ERR_NOT_FOUND)
		return e;
	e = restore_find_path(c->t, c->account, f->path, &taken);
	if (!e && !taken)
		e = child_of(c->t, c->account, f->parent, f->name, &taken);
	return e || taken ? e : revive(c, f, f->parent, fate, messages);
}

static bool has_moved(enum fate fate)
{
	return fate == RENAMED || fate == REVIVED;
}

/* Each folder moves once, so this ends. */
static int settle(struct folder_step *k, struct change *c)
{
	bool again = !k->r->q->match.n;
	int e = OK;
	while (!e && again) {
		again = false;
		for (size_t i = 0; !e && i < k->n; i++) {
			if (has_moved(k->fate[i]))
				continue;
			e = settle_one(c, k->r->targets[k->from + i].then, &k->fate[i], &k->messages[i]);
			again = again || has_moved(k->fate[i]);
		}
		k->moved = k->moved || again;
	}
	return e;
}

/* Where a folder's parent is now: the same collection if it lives, else whatever stands at its path, else made. */
static int parent_now(struct change *c, const struct folder *then, int64_t *parent)
{
	struct collection up;
	*parent = then->parent;
	int e = then->parent ? where_is(c->t, c->account, then->parent, &up, &c->arena) : OK;
	return e == ERR_NOT_FOUND ? restore_ensure_path(c, mailbox_name_parent(then->path), parent) : e;
}

struct child {
	int64_t id, attributes;
	struct span name;
};

/* All folders right below one, in the change's arena. */
static int children_of(struct change *c, int64_t parent, struct child **out, size_t *n)
{
	struct meta_rows r;
	struct buffer rows = { 0 };
	int e = meta_query(c->t, &r, META_COLLECTION_CHILDREN, "iii", c->account, parent, (int64_t)COLLECTION_MAIL);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct child k = { meta_int(&r, 0), meta_int(&r, 1), arena_copy(&c->arena, meta_span(&r, 2)) };
		buffer_put(&rows, &k, sizeof k);
	}
	meta_done(&r);
	struct span all = arena_copy(&c->arena, buffer_span(&rows));
	if (!e && (!all.p || !buffer_ok(&rows)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	buffer_free(&rows);
	*out = (struct child *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	return e;
}

/* The folder was deleted while there were others below it, and a name alone was left behind: it gives way. */
static int take_place(struct change *c, const struct folder *f, const struct collection *name, enum fate *fate,
                      int64_t *messages)
{
	struct child *below;
	size_t n = 0;
	int e = children_of(c, name->id, &below, &n);
	if (!e)
		e = change_collection_end(c, name->id, f->path);
	if (!e)
		e = revive(c, f, name->parent, fate, messages);
	for (size_t i = 0; !e && i < n; i++)
		e = change_collection_define(c, below[i].id, f->id, below[i].name, below[i].attributes, below[i].name,
		                             below[i].name);
	return e;
}

/* Somebody has the name. */
static int place_taken(struct run *r, struct change *c, const struct folder *f, enum fate *fate, int64_t *id,
                       int64_t *messages)
{
	struct collection k;
	int e = where_is(c->t, c->account, *id, &k, &c->arena);
	if (e || f->attributes & FOLDER_NOSELECT)
		return e;
	if (k.attributes & FOLDER_NOSELECT && !r->q->match.n && !tree_by_id(&r->then, k.id)) {
		*id = f->id;
		return take_place(c, f, &k, fate, messages);
	}
	*fate = JOINS;
	return OK;
}

static int place_ended(struct run *r, struct change *c, const struct folder *f, enum fate *fate, int64_t *id,
                       int64_t *messages)
{
	int64_t parent = 0;
	int e = restore_find_path(c->t, c->account, f->path, id);
	if (!e && !*id && r->q->match.n) {
		*fate = WAITS; /* only some messages return: the folder is made when the first of them comes */
		return OK;
	}
	if (!e && !*id)
		e = parent_now(c, f, &parent);
	if (!e && !*id)
		e = child_of(c->t, c->account, parent, f->name, id);
	if (e)
		return e;
	if (*id)
		return place_taken(r, c, f, fate, id, messages);
	*id = f->id;
	return revive(c, f, parent, fate, messages);
}

static int place_living(struct run *r, struct change *c, const struct folder *f, const struct collection *now,
                        enum fate *fate)
{
	int64_t parent;
	if (has_moved(*fate) || r->q->match.n)
		return OK;
	int e = parent_now(c, f, &parent);
	return e ? e : rename_back(c, f, now, parent, fate);
}

/* The living, or those that ended, up to the first that moves. */
static int place_some(struct folder_step *k, struct change *c, bool living, bool *moved)
{
	int e = OK;
	for (size_t i = 0; !e && !*moved && i < k->n; i++) {
		const struct folder *f = k->r->targets[k->from + i].then;
		enum fate *fate = &k->fate[i];
		struct collection now;
		bool before = has_moved(*fate);
		e = where_is(c->t, c->account, f->id, &now, &c->arena);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (living == (e == ERR_NOT_FOUND)) {
			e = OK;
			continue;
		}
		k->id[i] = f->id;
		*fate = before ? *fate : STAYS;
		e = living ? place_living(k->r, c, f, &now, fate)
		           : place_ended(k->r, c, f, fate, &k->id[i], &k->messages[i]);
		*moved = has_moved(*fate) != before;
	}
	return e;
}

/* What moves may make room for others, so after each that had to make do with another place all are asked again: whoever
   joins a folder must find it where it stays. */
static int move_all(struct folder_step *k, struct change *c)
{
	bool moved;
	int e;
	do {
		moved = false;
		e = settle(k, c);
		if (!e && k->last)
			e = place_some(k, c, true, &moved);
		if (!e && k->last && !moved)
			e = place_some(k, c, false, &moved);
		k->moved = k->moved || moved;
	} while (!e && moved);
	return e;
}

static int run_step(struct meta_txn *t, void *arg)
{
	struct folder_step *k = arg;
	struct run *r = k->r;
	struct change c;
	k->moved = false;
	for (size_t i = 0; i < k->n; i++) {
		k->fate[i] = STAYS;
		k->messages[i] = 0;
	}
	int e = change_begin(&c, r->s, t, r->q->account, CHANGE_RESTORE, r->q->actor, r->changeset);
	if (!e)
		e = move_all(k, &c);
	e = change_end(&c, e, &k->touched);
	return e == OK &&
	        r->q->dry_run ? ERR_STOPPED : e; /* a dry run decides as the real one does, then takes it back */
}

void restore_say(const struct run *r, struct span path, const char *fmt, ...)
{
	char line[1200], what[400];
	va_list args;
	if (!r->q->say)
		return;
	va_start(args, fmt);
	vsnprintf(what, sizeof what, fmt, args);
	va_end(args);
	snprintf(line, sizeof line, "%.*s: %s", SPAN_ARG(path), what);
	r->q->say(r->q->ctx, line);
}

static void tell(struct run *r, const struct folder_step *k)
{
	for (size_t i = 0; i < k->n; i++) {
		struct target *t = &r->targets[k->from + i];
		t->id = k->last ? k->id[i] : 0;
		t->joins = k->fate[i] == JOINS;
		r->report.folders += has_moved(k->fate[i]);
		r->report.messages += (uint64_t)k->messages[i];
		if (k->fate[i] == REVIVED)
			restore_say(r, t->then->path, "comes back with %lld messages", (long long)k->messages[i]);
		else if (k->fate[i] == RENAMED)
			restore_say(r, t->then->path, "gets its name back");
	}
}

static int step(struct run *r, size_t from, bool last, bool *moved)
{
	struct folder_step k = { .r = r, .from = from,
	                        .n = r->n - from < PER_TRANSACTION ? r->n - from : PER_TRANSACTION, .last = last };
	struct store *store = service_store(r->s);
	int e = r->q->dry_run ? store_commit(store, NULL, 0, run_step, &k)
	                      : changeset_step(store, r->q->account, r->changeset, run_step, &k);
	if (e == ERR_STOPPED && r->q->dry_run)
		e = OK;
	else if (!e)
		change_publish(r->s, &k.touched);
	if (!e)
		tell(r, &k);
	*moved = *moved || k.moved;
	return e;
}

static int pass(struct run *r, bool last, bool *moved)
{
	int e = OK;
	*moved = false;
	for (size_t i = 0; !e && i < r->n && !restore_cancelled(r); i += PER_TRANSACTION)
		e = step(r, i, last, moved);
	return e;
}

struct subscribe_step {
	struct run *r;
	size_t n;
	struct touched touched;
};

/* Some of the names that were subscribed then and are not now, in scope. */
static int lost_names(struct change *c, const struct run *r, struct span names[PER_TRANSACTION], size_t *n)
{
	struct meta_rows rows;
	int e = meta_query(c->t, &rows, META_PAST_NAMES_AT, "iiii", c->account, (int64_t)SUBSCRIPTIONS, r->q->at.change,
	                   r->q->at.change);
	if (e)
		return e;
	*n = 0;
	while (*n < PER_TRANSACTION && (e = meta_next(&rows)) > 0)
		if (restore_in_scope(r, meta_span(&rows, 0)))
			names[(*n)++] = arena_copy(&c->arena, meta_span(&rows, 0));
	meta_done(&rows);
	return e < 0 ? e : OK;
}

static int subscribe_some(struct meta_txn *t, void *arg)
{
	struct subscribe_step *k = arg;
	struct run *r = k->r;
	struct change c;
	struct span names[PER_TRANSACTION];
	uint32_t uid;
	int e = change_begin(&c, r->s, t, r->q->account, CHANGE_RESTORE, r->q->actor, r->changeset);
	if (!e)
		e = lost_names(&c, r, names, &k->n);
	for (size_t i = 0; !e && i < k->n; i++)
		e = change_item_add(&c, SUBSCRIPTIONS, 0, names[i], 0, (struct span){ 0 }, &uid);
	return change_end(&c, e, &k->touched);
}

int restore_subscribe(struct run *r)
{
	struct subscribe_step k = { .r = r };
	int e;
	do {
		e = changeset_step(service_store(r->s), r->q->account, r->changeset, subscribe_some, &k);
		if (e)
			return e;
		change_publish(r->s, &k.touched);
		r->report.subscriptions += k.n;
	} while (k.n == PER_TRANSACTION && !restore_cancelled(r));
	return OK;
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

int restore_choose(struct run *r)
{
	r->targets = arena_alloc(&r->arena, (r->then.n + 1) * sizeof *r->targets);
	if (!r->targets)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < r->then.n; i++) {
		const struct folder *f = &r->then.list[i];
		if (!restore_in_scope(r, f->path))
			continue;
		r->targets[r->n] = (struct target){ f, 0, r->q->into.n ? path_into(r, f->path) : f->path };
		if (!r->targets[r->n++].path.p)
			return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	return r->n ? OK : fail_with(ERR_NOT_FOUND, "there was no folder %.*s then", SPAN_ARG(r->q->folder));
}

int restore_folders(struct run *r)
{
	int e = restore_choose(r);
	if (e || r->q->into.n)
		return e;
	/* One transaction is enough for few folders; when they are many, places may become free after it was their turn. */
	bool many = r->n > PER_TRANSACTION && !r->q->dry_run, moved = many;
	for (int round = 0; !e && moved && round < ROUNDS; round++)
		e = pass(r, false, &moved);
	moved = true;
	for (int round = 0; !e && moved && round < (many ? ROUNDS : 1); round++)
		e = pass(r, true, &moved);
	for (size_t i = 0; !e && i < r->n; i++)
		if (r->targets[i].joins)
			restore_say(r, r->targets[i].then->path, "its name is taken: messages join the folder of that name");
	return e || r->q->match.n || r->q->dry_run ? e : restore_subscribe(r);
}
