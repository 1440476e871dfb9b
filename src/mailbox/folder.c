/* Changing folders. Each function is one change: a transaction that reads the tree, looks whether it may, and does it. */
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>

#include "acl_private.h"
#include "change.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "mailbox_name.h"
#include "metadata_private.h"
#include "service_private.h"
#include "tree_private.h"

enum { FOLDERS_MAX = 50000, MOVE_CHUNK = 500 };

/* What every folder operation carries into its transaction. */
struct request {
	struct service *s;
	int64_t account;
	struct span path, to;
	const struct actor *actor;
	bool on;
	int64_t special;
	/* renaming INBOX, a chunk of messages at a time: UIDs from..last (0: not begun) go to target */
	uint32_t from, last;
	int64_t target, changeset;
	/* out of a run */
	uint32_t reached;
	int64_t made;
	struct touched touched;
};

static int check_room(struct change *c)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_COLLECTION_TOTAL, "i", c->account);
	if (e)
		return e;
	bool full = meta_int(&r, 0) > FOLDERS_MAX;
	meta_done(&r);
	return full ? fail_with(ERR_LIMIT, "the account has %d folders, the most there can be", FOLDERS_MAX) : OK;
}

int folder_selectable(struct change *c, struct span path, struct collection **out)
{
	struct span component;
	struct meta_rows r;
	struct collection *k = NULL;
	while (mailbox_name_next(&path, &component)) {
		int e = tree_step(c->t, c->account, k ? k->id : 0, component, &r);
		if (e)
			return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "no such folder") : e;
		e = change_collection_row(c, &r, &k);
		meta_done(&r);
		if (e)
			return e;
	}
	if (!k || k->attributes & FOLDER_NOSELECT)
		return fail_with(ERR_NOT_FOUND, "no such folder");
	*out = k;
	return OK;
}

/* The folder of that path, created with its parents where it is not there. The tree is as of before this change. */
static int ensure(struct change *c, const struct tree *tree, struct span path, int64_t *id)
{
	const struct folder *f = tree_find(tree, path);
	if (f) {
		*id = f->id;
		return OK;
	}
	int full = check_room(c);
	if (full)
		return full;
	/* walk down from the root: what this change itself has added is not in the tree */
	struct span rest = path, component;
	int64_t parent = 0;
	bool fresh = false;
	while (mailbox_name_next(&rest, &component)) {
		struct span upto = span_sub(path, 0, (size_t)(component.p - path.p) + component.n);
		const struct folder *there = fresh ? NULL : tree_find(tree, upto);
		if (there) {
			parent = there->id;
		} else {
			int64_t above = parent;
			int e = change_collection_add(c, COLLECTION_MAIL, above, component, 0, upto, &parent);
			if (!e && above)
				e = acl_inherit(c, above, parent);
			if (e)
				return e;
			fresh = true;
		}
	}
	*id = parent;
	return OK;
}

int folder_ensure_selectable(struct change *c, const struct tree *tree, struct span path, int64_t *id)
{
	const struct folder *f = tree_find(tree, path);
	int e = ensure(c, tree, path, id);
	if (e || !f || !(f->attributes & FOLDER_NOSELECT))
		return e;
	return change_collection_define(c, f->id, f->parent, f->name, f->attributes & ~FOLDER_NOSELECT, f->path, f->path);
}

/* Every name a user may give goes through here. */
static int check_name(struct span path)
{
	if (path.n && path.p[0] == '#')
		return fail_with(ERR_CANNOT, "names that begin with # are reserved");
	return mailbox_name_check(path);
}

/* Runs one operation as one change on the account's tree. */
typedef int operation(struct change *c, const struct tree *tree, struct request *q);

struct job {
	struct request q;
	enum change_kind kind;
	operation *run;
	bool whole; /* it looks at more folders than those on the way to path */
};

static int run_operation(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct change c;
	struct tree tree = { 0 };
	change_expect(t, j->q.account);
	if (j->whole)
		tree_expect_rows(t, j->q.account, 0);
	else
		tree_expect_path(t, j->q.account, j->q.path);
	int e = change_begin(&c, j->q.s, t, j->q.account, j->kind, j->q.actor, j->q.changeset);
	if (!e)
		e = j->whole ? tree_load(t, j->q.account, 0, &tree) : tree_load_path(t, j->q.account, j->q.path, &tree);
	if (!e)
		e = j->run(&c, &tree, &j->q);
	e = change_end(&c, e, &j->q.touched);
	tree_free(&tree);
	return e;
}

/* Names in the form they are kept in: "inbox/x" is "INBOX/x". */
static int run(struct job *j)
{
	struct arena a = { 0 };
	int e = mailbox_name_normal(&a, j->q.path, &j->q.path);
	if (!e)
		e = mailbox_name_normal(&a, j->q.to, &j->q.to);
	if (!e)
		e = service_commit(j->q.s, NULL, 0, run_operation, j, &j->q.touched, 1);
	arena_free(&a);
	return e;
}

/* To make something of that name, below the nearest folder above it that is there. */
static int allow_below(struct change *c, const struct tree *tree, struct span path)
{
	const struct folder *above = NULL;
	if (!c->actor->viewer)
		return OK;
	for (struct span up = mailbox_name_parent(path); up.n && !above; up = mailbox_name_parent(up))
		above = tree_find(tree, up);
	return above ? acl_allow(c, above->id, RIGHT_CREATE) : fail_with(ERR_NOT_FOUND, "no such folder");
}

static bool has_special(const struct tree *tree, int64_t special)
{
	for (size_t i = 0; i < tree->n; i++)
		if (tree->list[i].attributes & special)
			return true;
	return false;
}

static int give_special(struct change *c, struct request *q)
{
	struct collection *k;
	int e = change_collection(c, q->made, &k);
	return e ? e : change_collection_define(c, k->id, k->parent, k->name, q->special, q->path, q->path);
}

static int do_create(struct change *c, const struct tree *tree, struct request *q)
{
	struct folder *f = tree_find(tree, q->path);
	if (f && !(f->attributes & FOLDER_NOSELECT)) /* a name left behind by a deletion becomes a folder again */
		return fail_with(ERR_EXISTS, "there is such a folder already");
	if (has_special(tree, q->special))
		return fail_with(ERR_DENIED, "another folder has that special use");
	int e = allow_below(c, tree, q->path);
	if (!e)
		e = folder_ensure_selectable(c, tree, q->path, &q->made);
	return e || !q->special ? e : give_special(c, q);
}

int folder_create_for(struct service *s, int64_t account, struct span path, int64_t special, const struct actor *a, int64_t *id)
{
	struct job j = { { .s = s, .account = account, .path = path, .actor = a, .special = special }, CHANGE_CREATE, do_create, special != 0 };
	if (path.n && path.p[path.n - 1] == '/') /* "foo/" says that foo will have children (RFC 3501, 6.3.3) */
		j.q.path.n--;
	int e = check_name(j.q.path);
	if (!e)
		e = run(&j);
	if (!e)
		*id = j.q.made;
	return e;
}

int folder_create(struct service *s, int64_t account, struct span path, const struct actor *a)
{
	int64_t id;
	return folder_create_for(s, account, path, 0, a, &id);
}

void folder_objectid(int64_t account, int64_t id, char out[FOLDER_OBJECTID])
{
	snprintf(out, FOLDER_OBJECTID, "m%llx-%llx", (unsigned long long)account, (unsigned long long)id);
}

/* The children of a folder that ends get a new parent: a name alone, in its place. */
static int leave_name(struct change *c, const struct tree *tree, const struct folder *f)
{
	int64_t id;
	int e = change_collection_add(c, COLLECTION_MAIL, f->parent, f->name, FOLDER_NOSELECT, f->path, &id);
	for (size_t i = 0; !e && i < tree->n; i++) {
		const struct folder *k = &tree->list[i];
		if (k->parent == f->id)
			e = change_collection_define(c, k->id, id, k->name, k->attributes, k->path, k->path);
	}
	return e;
}

static int do_delete(struct change *c, const struct tree *tree, struct request *q)
{
	struct folder *f = tree_find(tree, q->path);
	if (!f)
		return fail_with(ERR_NOT_FOUND, "no such folder");
	int e = acl_allow(c, f->id, RIGHT_DELETE_MAILBOX);
	if (e)
		return e;
	if (f->id == INBOX)
		return fail_with(ERR_CANNOT, "INBOX cannot be deleted");
	if ((f->attributes & FOLDER_NOSELECT) && f->has_children)
		return fail_with(ERR_CANNOT, "there are folders below it: delete them first");
	e = change_collection_end(c, f->id, f->path);
	return e || !f->has_children ? e : leave_name(c, tree, f);
}

int folder_delete(struct service *s, int64_t account, struct span path, const struct actor *a)
{
	struct job j = { { .s = s, .account = account, .path = path, .actor = a }, CHANGE_DELETE, do_delete, true };
	return run(&j);
}

/* The next chunk of INBOX's messages. Ends and additions each in a row: so they are ranges in the journal. */
static int move_chunk(struct change *c, struct request *q, int64_t to)
{
	struct collection *in, *out;
	struct version *v = NULL;
	size_t n = 0;
	int e = change_collection(c, INBOX, &in);
	if (!e)
		e = change_collection(c, to, &out);
	if (!e)
		e = folder_versions(c, INBOX, q->from, q->last, MOVE_CHUNK, &v, &n);
	for (size_t i = 0; !e && i < n; i++)
		e = change_entry_end(c, in, &v[i]);
	q->reached = n == MOVE_CHUNK ? v[n - 1].uid : 0;
	for (size_t i = 0; !e && i < n; i++)
		e = change_entry_add(c, out, &v[i], INBOX);
	return e;
}

static int do_move(struct change *c, const struct tree *tree, struct request *q)
{
	return move_chunk(c, q, q->target);
}

/* RFC 3501, 6.3.5: the messages of INBOX move to the new folder, INBOX stays. */
static int rename_inbox(struct change *c, const struct tree *tree, const struct folder *inbox, struct request *q)
{
	q->from = 1;
	q->last = inbox->uidnext > UINT32_MAX ? UINT32_MAX : (uint32_t)inbox->uidnext;
	int e = ensure(c, tree, q->to, &q->made);
	if (!e)
		e = metadata_copy(c, INBOX, q->made);
	return e ? e : move_chunk(c, q, q->made);
}

/* Names may become too long or too deep for what lies below. */
static int check_below(const struct tree *tree, const struct folder *f, struct span to)
{
	char name[2 * MAILBOX_NAME_MAX];
	int e = OK;
	for (size_t i = 0; !e && i < tree->n; i++) {
		struct span path = tree->list[i].path;
		if (!mailbox_name_below(path, f->path))
			continue;
		int n = snprintf(name, sizeof name, "%.*s%.*s", SPAN_ARG(to), SPAN_ARG(span_sub(path, f->path.n, path.n)));
		e = mailbox_name_check(span_from(name, (size_t)n < sizeof name ? (size_t)n : sizeof name - 1));
	}
	return e;
}

static int do_rename(struct change *c, const struct tree *tree, struct request *q)
{
	struct folder *f = tree_find(tree, q->path);
	int64_t parent = 0;
	if (!f)
		return fail_with(ERR_NOT_FOUND, "no such folder");
	int e = acl_allow(c, f->id, RIGHT_DELETE_MAILBOX);
	if (!e)
		e = allow_below(c, tree, q->to);
	if (e)
		return e;
	if (tree_find(tree, q->to))
		return fail_with(ERR_EXISTS, "there is such a folder already");
	if (f->id == INBOX)
		return rename_inbox(c, tree, f, q);
	if (mailbox_name_below(q->to, f->path))
		return fail_with(ERR_INVALID, "a folder cannot move below itself");
	struct span up = mailbox_name_parent(q->to);
	e = check_below(tree, f, q->to);
	if (!e && up.n)
		e = ensure(c, tree, up, &parent);
	if (e)
		return e;
	return change_collection_define(c, f->id, parent, mailbox_name_leaf(q->to), f->attributes, f->path, q->to);
}

int folder_rename(struct service *s, int64_t account, struct span from, struct span to, const struct actor *a)
{
	struct job j = { { .s = s, .account = account, .path = from, .to = to, .actor = a }, CHANGE_RENAME, do_rename, true };
	int e = check_name(to);
	if (!e)
		e = run(&j);
	j.run = do_move;
	j.q.target = j.q.made;
	j.q.changeset = j.q.touched.change;
	while (!e && j.q.reached) { /* the rest of a large INBOX, each chunk a change of its own */
		j.q.from = j.q.reached + 1;
		e = run(&j);
	}
	return e;
}

static int subscribe(struct change *c, struct span path)
{
	struct collection *k;
	uint32_t uid;
	int e = change_collection(c, SUBSCRIPTIONS, &k);
	if (!e && k->messages >= FOLDERS_MAX)
		e = fail_with(ERR_LIMIT, "the account has %d subscriptions, the most there can be", FOLDERS_MAX);
	return e ? e : change_item_add(c, SUBSCRIPTIONS, 0, path, 0, (struct span){ 0 }, &uid);
}

static int do_subscribe(struct change *c, const struct tree *tree, struct request *q)
{
	struct meta_rows r;
	uint32_t uid;
	int e = meta_one(c->t, &r, META_NAME_GET, "iis", q->account, (int64_t)SUBSCRIPTIONS, q->path);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (e && !q->on)
		return OK;
	if (e)
		return subscribe(c, q->path);
	uid = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return q->on ? OK : change_item_end(c, SUBSCRIPTIONS, uid, q->path);
}

int folder_subscribe(struct service *s, int64_t account, struct span path, bool on, const struct actor *a)
{
	struct job j = { { .s = s, .account = account, .path = path, .actor = a, .on = on }, CHANGE_SUBSCRIBE, do_subscribe };
	if (path.n == 0 || path.n > MAILBOX_NAME_MAX)
		return fail_with(ERR_INVALID, "not a folder's name");
	return run(&j);
}

struct subscriptions {
	int64_t account;
	struct arena *arena;
	struct buffer names; /* struct span each */
};

static int read_subscriptions(struct meta_txn *t, void *arg)
{
	struct subscriptions *q = arg;
	struct meta_rows r;
	buffer_reset(&q->names);
	int e = meta_query(t, &r, META_NAME_LIST, "iisi", q->account, (int64_t)SUBSCRIPTIONS, SPAN(""), (int64_t)FOLDERS_MAX);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct span name = arena_copy(q->arena, meta_span(&r, 0));
		buffer_put(&q->names, &name, sizeof name);
	}
	meta_done(&r);
	return e;
}

int folder_subscriptions(struct service *s, int64_t account, struct arena *arena, struct span **names, size_t *n)
{
	struct subscriptions q = { .account = account, .arena = arena };
	int e = meta_read(s->store->meta, read_subscriptions, &q);
	struct span all = e ? (struct span){ 0 } : arena_copy(arena, buffer_span(&q.names));
	buffer_free(&q.names);
	if (e)
		return e;
	if (!all.p)
		return fail_with(ERR_LIMIT, "too many subscriptions");
	*names = (struct span *)(uintptr_t)all.p;
	*n = all.n / sizeof **names;
	return OK;
}

int folder_take_versions(struct change *c, struct meta_rows *r, struct version **out, size_t *n)
{
	struct buffer rows = { 0 };
	int e;
	while ((e = meta_next(r)) > 0) {
		struct version v;
		version_from_row(r, &v);
		v.keywords = v.keywords.n ? arena_copy(&c->arena, v.keywords) : (struct span){ 0 };
		buffer_put(&rows, &v, sizeof v);
	}
	meta_done(r);
	struct span all = arena_copy(&c->arena, buffer_span(&rows));
	if (!e && (!all.p || !buffer_ok(&rows)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	buffer_free(&rows);
	if (e)
		return e;
	*out = (struct version *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	return OK;
}

void folder_expect_versions(struct meta_txn *t, int64_t account, int64_t collection, uint32_t from, uint32_t to, size_t max)
{
	meta_expect(t, META_LIVE_RANGE, "iiiii", account, collection, (int64_t)from, (int64_t)to, (int64_t)max);
}

int folder_versions(struct change *c, int64_t collection, uint32_t from, uint32_t to, size_t max, struct version **out, size_t *n)
{
	struct meta_rows r;
	int e = meta_query(c->t, &r, META_LIVE_RANGE, "iiiii", c->account, collection, (int64_t)from, (int64_t)to, (int64_t)max);
	return e ? e : folder_take_versions(c, &r, out, n);
}
