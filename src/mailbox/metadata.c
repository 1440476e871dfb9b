#include "metadata.h"

#include <stdio.h>

#include "fail.h"
#include "folder.h"
#include "metadata_private.h"
#include "service_private.h"
#include "tree_private.h"

enum { ROOT_ROOM = 48, ITEM_ROOM = ROOT_ROOM + METADATA_NAME_MAX };
static const struct span collection_name = { "metadata", 8 };

/* ---- Names of items */

/* What the names of all items of a folder begin with, before the entry: "12", "12@7". */
static struct span item_root(char out[ROOT_ROOM], int64_t folder, int64_t owner, int64_t account)
{
	int n = owner == account ? snprintf(out, ROOT_ROOM, "%lld", (long long)folder)
	                         : snprintf(out, ROOT_ROOM, "%lld@%lld", (long long)folder, (long long)owner);
	return span_from(out, (size_t)n);
}

static struct span join(char out[ITEM_ROOM], struct span root, struct span rest)
{
	int n = snprintf(out, ITEM_ROOM, "%.*s%.*s", SPAN_ARG(root), SPAN_ARG(rest));
	return span_from(out, (size_t)n < ITEM_ROOM ? (size_t)n : ITEM_ROOM - 1);
}

static bool is_private(struct span entry)
{
	return entry.n > 1 && entry.p[1] == 'p';
}

bool metadata_item(struct span name, int64_t *owner, int64_t *folder, struct span *entry)
{
	ssize_t slash = span_find(name, '/');
	if (slash < 0)
		return false;
	struct span root = span_sub(name, 0, (size_t)slash), of = { 0 };
	ssize_t at = span_find(root, '@');
	uint64_t id, who = 0;
	if (at >= 0) {
		of = span_sub(root, (size_t)at + 1, root.n);
		root.n = (size_t)at;
	}
	if (!span_u64(root, INT64_MAX, &id) || (at >= 0 && !span_u64(of, INT64_MAX, &who)))
		return false;
	*owner = (int64_t)who;
	*folder = (int64_t)id;
	*entry = span_sub(name, (size_t)slash, name.n);
	return true;
}

/* ---- Reading */

/* An entry as an account has it. */
struct stored {
	struct span name, value;
	uint32_t uid;
};

/* Entries that an account has of a folder: those below "/shared/" or "/private/". '0' follows '/'. */
static int query(struct meta_txn *t, struct meta_rows *r, int64_t account, const struct metadata_place *p, const char *scope)
{
	char text[ROOT_ROOM], from[ITEM_ROOM], to[ITEM_ROOM];
	struct span root = item_root(text, p->folder, p->owner, account);
	size_t n = strlen(scope);
	struct span first = join(from, root, span_of(scope)), behind = join(to, root, span_of(scope));
	to[root.n + n - 1] = '/' + 1;
	return meta_query(t, r, META_METADATA_LIST, "iss", account, first, behind);
}

static int take_row(const struct meta_rows *r, struct arena *arena, struct buffer *out)
{
	int64_t owner, folder;
	struct stored k = { .uid = (uint32_t)meta_int(r, 0) };
	if (!metadata_item(meta_span(r, 1), &owner, &folder, &k.name))
		return fail_with(ERR_CORRUPT, "the name of an annotation is damaged");
	k.name = arena_copy(arena, k.name);
	k.value = arena_copy(arena, meta_span(r, 2));
	buffer_put(out, &k, sizeof k);
	return k.name.p && k.value.p && buffer_ok(out) ? OK : fail_with(ERR_LIMIT, "over a limit");
}

/* Appends struct stored each. */
static int load(struct meta_txn *t, int64_t account, const struct metadata_place *p, const char *scope, struct arena *arena,
                struct buffer *out)
{
	struct meta_rows r;
	int e = query(t, &r, account, p, scope), more = 0;
	if (e)
		return e;
	while (!e && (more = meta_next(&r)) > 0)
		e = take_row(&r, arena, out);
	meta_done(&r);
	return more < 0 ? more : e;
}

struct reading {
	const struct metadata_place *p;
	struct arena *arena;
	struct buffer rows;
};

static int read_entries(struct meta_txn *t, void *arg)
{
	struct reading *q = arg;
	buffer_reset(&q->rows);
	int e = load(t, q->p->owner, q->p, "/shared/", q->arena, &q->rows);
	return e ? e : load(t, q->p->viewer, q->p, "/private/", q->arena, &q->rows);
}

int metadata_read(struct service *s, const struct metadata_place *p, struct arena *arena, struct imap_metadata_value **out, size_t *n)
{
	struct reading q = { .p = p, .arena = arena };
	int e = meta_read(s->store->meta, read_entries, &q);
	const struct stored *all = (const struct stored *)(const void *)q.rows.p;
	size_t count = q.rows.n / sizeof *all;
	struct imap_metadata_value *list = e ? NULL : arena_alloc(arena, (count + 1) * sizeof *list);
	for (size_t i = 0; list && i < count; i++)
		list[i] = (struct imap_metadata_value){ all[i].name, all[i].value };
	buffer_free(&q.rows);
	if (e)
		return e;
	if (!list)
		return fail_with(ERR_LIMIT, "over a limit");
	*out = list;
	*n = count;
	return OK;
}

struct search {
	int64_t owner, folder, attributes;
	struct span path;
};

static int find_folder(struct meta_txn *t, void *arg)
{
	struct search *q = arg;
	struct tree tree;
	tree_expect_path(t, q->owner, q->path);
	int e = tree_load_path(t, q->owner, q->path, &tree);
	if (e)
		return e;
	const struct folder *f = tree_find(&tree, q->path);
	q->folder = f ? f->id : 0;
	q->attributes = f ? f->attributes : 0;
	e = f ? OK : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return e;
}

int metadata_folder(struct service *s, int64_t owner, struct span path, int64_t *folder, int64_t *attributes)
{
	struct search q = { .owner = owner, .path = path };
	int e = meta_read(s->store->meta, find_folder, &q);
	if (e)
		return e;
	*folder = q.folder;
	*attributes = q.attributes;
	return OK;
}

/* ---- Changing */

/* The collection of all annotations of the account; 0 where there is none yet. */
static int find_collection(struct change *c, int64_t *id)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_COLLECTION_NAMED, "iisi", c->account, (int64_t)0, collection_name, (int64_t)COLLECTION_METADATA);
	*id = e ? 0 : meta_int(&r, 0);
	if (!e)
		meta_done(&r);
	return e == ERR_NOT_FOUND ? OK : e;
}

static int need_collection(struct change *c, int64_t *id)
{
	int e = find_collection(c, id);
	return e || *id ? e : change_collection_add(c, COLLECTION_METADATA, 0, collection_name, 0, collection_name, id);
}

static int check_account(struct change *c, int64_t collection)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_METADATA_SUM, "ii", c->account, collection);
	if (e)
		return e;
	bool full = meta_int(&r, 0) > METADATA_ACCOUNT_MAX || meta_int(&r, 1) > METADATA_ACCOUNT_BYTES_MAX;
	meta_done(&r);
	return full ? fail_with(ERR_LIMIT, "the account has too many annotations") : OK;
}

static struct stored *find(const struct buffer *rows, struct span name)
{
	struct stored *all = (struct stored *)(void *)rows->p;
	for (size_t i = 0; i < rows->n / sizeof *all; i++)
		if (span_eq(all[i].name, name))
			return &all[i];
	return NULL;
}

/* One value. rows: what the account has of the folder, with what this change did to it; uid 0: ended. */
static int put(struct change *c, int64_t collection, struct span root, struct buffer *rows, const struct imap_metadata_value *v)
{
	char text[ITEM_ROOM];
	struct span name = join(text, root, v->name);
	struct stored *there = find(rows, v->name);
	struct stored now = { .name = v->name, .value = v->value };
	int e = OK;
	if (there && there->uid && v->value.p && span_eq(there->value, v->value))
		return OK;
	if (there && there->uid) {
		now.uid = v->value.p ? there->uid : 0;
		e = now.uid ? change_item_set(c, collection, now.uid, name, 0, v->value) : change_item_end(c, collection, there->uid, name);
	} else if (v->value.p) {
		e = change_item_add(c, collection, 0, name, 0, v->value, &now.uid);
	}
	if (there)
		*there = now;
	else if (now.uid)
		buffer_put(rows, &now, sizeof now);
	return e || buffer_ok(rows) ? e : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int check_folder(const struct buffer *rows)
{
	const struct stored *all = (const struct stored *)(const void *)rows->p;
	size_t n = 0, bytes = 0;
	for (size_t i = 0; i < rows->n / sizeof *all; i++) {
		n += all[i].uid != 0;
		bytes += all[i].uid ? all[i].value.n : 0;
	}
	bool fits = n <= METADATA_ENTRIES_MAX && bytes <= METADATA_FOLDER_BYTES_MAX;
	return fits ? OK : fail_with(ERR_LIMIT, "the mailbox has too many annotations");
}

struct request {
	struct service *s;
	const struct metadata_place *p;
	const struct imap_metadata_value *values;
	size_t n;
	const int64_t *special;
	const struct actor *actor;
	struct touched touched[2];
};

/* Does anything of that scope end up with a value, and is there anything of it at all? */
static bool concerns(const struct request *q, bool private, bool *sets)
{
	bool any = false;
	*sets = false;
	for (size_t i = 0; i < q->n; i++) {
		any = any || is_private(q->values[i].name) == private;
		*sets = *sets || (is_private(q->values[i].name) == private && q->values[i].value.p);
	}
	return any;
}

/* Of an entry that is named several times the last value counts: within one change an item changes once. */
static bool is_last(const struct request *q, size_t at)
{
	for (size_t i = at + 1; i < q->n; i++)
		if (span_eq(q->values[i].name, q->values[at].name))
			return false;
	return true;
}

static int change_rows(struct change *c, const struct request *q, bool private, int64_t collection, struct buffer *rows)
{
	char text[ROOT_ROOM];
	struct span root = item_root(text, q->p->folder, q->p->owner, c->account);
	int e = load(c->t, c->account, q->p, private ? "/private/" : "/shared/", &c->arena, rows);
	for (size_t i = 0; !e && i < q->n; i++)
		if (is_private(q->values[i].name) == private && is_last(q, i))
			e = put(c, collection, root, rows, &q->values[i]);
	return e ? e : check_folder(rows);
}

/* Those of one scope. A collection is made for values only. */
static int change_scope(struct change *c, const struct request *q, bool private)
{
	struct buffer rows = { 0 };
	int64_t collection = 0;
	bool sets;
	if (!concerns(q, private, &sets))
		return OK;
	int e = sets ? need_collection(c, &collection) : find_collection(c, &collection);
	if (e || !collection)
		return e;
	e = change_rows(c, q, private, collection, &rows);
	buffer_free(&rows);
	return e || !sets ? e : check_account(c, collection);
}

static int check_there(struct change *c, int64_t folder)
{
	struct collection *k;
	int e = folder ? change_collection(c, folder, &k) : OK;
	return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "no such folder") : e;
}

static int set_special(struct change *c, const struct folder *f, const struct tree *tree, int64_t special)
{
	if (f->id == INBOX)
		return fail_with(ERR_DENIED, "INBOX has no special use");
	for (size_t i = 0; i < tree->n; i++)
		if (tree->list[i].id != f->id && tree->list[i].attributes & special)
			return fail_with(ERR_DENIED, "another folder has that special use");
	int64_t attributes = (f->attributes & ~(int64_t)FOLDER_SPECIAL) | special;
	if (attributes == f->attributes)
		return OK;
	return change_collection_define(c, f->id, f->parent, f->name, attributes, f->path, f->path);
}

static int change_special(struct change *c, const struct request *q)
{
	struct tree tree;
	if (!q->special)
		return OK;
	int e = tree_load(c->t, c->account, 0, &tree);
	if (e)
		return e;
	const struct folder *f = tree_by_id(&tree, q->p->folder);
	e = f ? set_special(c, f, &tree, *q->special) : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return e;
}

/* What the folder's owner has of it; his private ones too where it is he who changes them. */
static int change_owners(struct meta_txn *t, struct request *q)
{
	struct change c;
	change_expect(t, q->p->owner);
	int e = change_begin(&c, q->s, t, q->p->owner, CHANGE_METADATA, q->actor, 0);
	if (!e)
		e = check_there(&c, q->p->folder);
	if (!e)
		e = change_special(&c, q);
	if (!e)
		e = change_scope(&c, q, false);
	if (!e && q->p->viewer == q->p->owner)
		e = change_scope(&c, q, true);
	return change_end(&c, e, &q->touched[0]);
}

static int change_viewers(struct meta_txn *t, struct request *q)
{
	struct change c;
	change_expect(t, q->p->viewer);
	int e = change_begin(&c, q->s, t, q->p->viewer, CHANGE_METADATA, q->actor, 0);
	if (!e)
		e = change_scope(&c, q, true);
	return change_end(&c, e, &q->touched[1]);
}

static int run_change(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	bool sets;
	q->touched[1] = (struct touched){ 0 };
	int e = change_owners(t, q);
	return e || q->p->viewer == q->p->owner || !concerns(q, true, &sets) ? e : change_viewers(t, q);
}

int metadata_change(struct service *s, const struct metadata_place *p, const struct imap_metadata_value *values, size_t n,
                    const int64_t *special, const struct actor *a)
{
	struct request q = { .s = s, .p = p, .values = values, .n = n, .special = special, .actor = a };
	return service_commit(s, NULL, 0, run_change, &q, q.touched, 2);
}

int metadata_copy(struct change *c, int64_t from, int64_t to)
{
	struct metadata_place p = { c->account, c->account, from };
	struct buffer rows = { 0 };
	char text[ROOT_ROOM], name[ITEM_ROOM];
	struct span root = item_root(text, to, c->account, c->account);
	int64_t collection;
	uint32_t uid;
	int e = load(c->t, c->account, &p, "/shared/", &c->arena, &rows);
	if (!e)
		e = load(c->t, c->account, &p, "/private/", &c->arena, &rows);
	const struct stored *all = (const struct stored *)(const void *)rows.p;
	if (!e && rows.n)
		e = need_collection(c, &collection);
	for (size_t i = 0; !e && i < rows.n / sizeof *all; i++)
		e = change_item_add(c, collection, 0, join(name, root, all[i].name), 0, all[i].value, &uid);
	buffer_free(&rows);
	return e;
}
