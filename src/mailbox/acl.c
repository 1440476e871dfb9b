#include "acl.h"

#include <stdio.h>
#include <stdlib.h>

#include "acl_private.h"
#include "fail.h"
#include "service_private.h"
#include "tree_private.h"
#include "varint.h"

enum { NAME_ROOM = 24 };
static const struct span rights_name = { "rights", 6 };

/* ---- The item of a folder */

/* The folder's id in decimal. */
static struct span item_name(char out[NAME_ROOM], int64_t folder)
{
	int n = snprintf(out, NAME_ROOM, "%lld", (long long)folder);
	return span_from(out, (size_t)n);
}

/* An entry: varint who, varint rights shifted by one, the low bit set where it is negative. */
static void encode(const struct acl *a, struct buffer *out)
{
	for (size_t i = 0; i < a->n; i++) {
		varint_put(out, (uint64_t)a->list[i].who);
		varint_put(out, (uint64_t)a->list[i].rights << 1 | a->list[i].negative);
	}
}

static int decode(struct span data, struct arena *arena, struct acl *out)
{
	uint64_t who, rights;
	out->n = 0;
	out->list = arena_alloc(arena, (data.n / 2 + 2) * sizeof *out->list); /* and one more */
	if (!out->list)
		return fail_with(ERR_LIMIT, "over a limit");
	while (data.n) {
		if (!varint_get(&data, &who) || !varint_get(&data, &rights) || rights >> 1 > RIGHTS_ALL)
			return fail_with(ERR_CORRUPT, "a list of rights is damaged");
		out->list[out->n++] = (struct acl_entry){ (int64_t)who, rights & 1, (unsigned)(rights >> 1) };
	}
	return OK;
}

/* *item: 0 where there is none. */
static int load(struct meta_txn *t, int64_t owner, int64_t folder, struct arena *arena, struct acl *out, uint32_t *item)
{
	struct meta_rows r;
	char name[NAME_ROOM];
	*out = (struct acl){ 0 };
	*item = 0;
	int e = meta_one(t, &r, META_ACL_GET, "is", owner, item_name(name, folder));
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (e)
		return decode((struct span){ 0 }, arena, out);
	*item = (uint32_t)meta_int(&r, 0);
	e = decode(meta_span(&r, 1), arena, out);
	meta_done(&r);
	return e;
}

unsigned acl_rights(const struct acl *a, int64_t viewer)
{
	unsigned given = 0, taken = 0;
	for (size_t i = 0; i < a->n; i++) {
		const struct acl_entry *k = &a->list[i];
		if (k->who == ACL_ANYONE || k->who == viewer)
			*(k->negative ? &taken : &given) |= k->rights;
	}
	return given & ~taken;
}

int acl_rights_to(struct meta_txn *t, int64_t owner, int64_t folder, int64_t viewer, unsigned *out)
{
	struct arena arena = { 0 };
	struct acl a;
	uint32_t item;
	int e = load(t, owner, folder, &arena, &a, &item);
	if (!e)
		*out = acl_rights(&a, viewer);
	arena_free(&arena);
	return e;
}

/* ---- Reading */

struct search {
	int64_t owner, viewer;
	struct span path;
	struct acl_found found;
	struct arena *arena;
	struct acl list;
	struct buffer rows;
};

static int find_in_read(struct meta_txn *t, void *arg)
{
	struct search *q = arg;
	struct tree tree;
	q->found = (struct acl_found){ 0 };
	tree_expect_path(t, q->owner, q->path);
	int e = tree_load_path(t, q->owner, q->path, &tree);
	if (e)
		return e;
	const struct folder *f = tree_find(&tree, q->path);
	const struct folder *up = f ? tree_by_id(&tree, f->parent) : tree.n ? &tree.list[tree.n - 1] : NULL;
	q->found.exists = f;
	if (f)
		e = acl_rights_to(t, q->owner, f->id, q->viewer, &q->found.rights);
	if (!e && up)
		e = acl_rights_to(t, q->owner, up->id, q->viewer, &q->found.above);
	tree_free(&tree);
	return e;
}

int acl_find(struct service *s, int64_t owner, struct span path, int64_t viewer, struct acl_found *out)
{
	struct search q = { .owner = owner, .viewer = viewer, .path = path };
	int e = meta_read(s->store->meta, find_in_read, &q);
	if (!e)
		*out = q.found;
	return e;
}

static int read_in_read(struct meta_txn *t, void *arg)
{
	struct search *q = arg;
	struct tree tree;
	uint32_t item;
	tree_expect_path(t, q->owner, q->path);
	int e = tree_load_path(t, q->owner, q->path, &tree);
	if (e)
		return e;
	const struct folder *f = tree_find(&tree, q->path);
	e = f ? load(t, q->owner, f->id, q->arena, &q->list, &item) : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return e;
}

int acl_read(struct service *s, int64_t owner, struct span path, struct arena *arena, struct acl *out)
{
	struct search q = { .owner = owner, .path = path, .arena = arena };
	int e = meta_read(s->store->meta, read_in_read, &q);
	if (!e)
		*out = q.list;
	return e;
}

/* What a read has gathered in q->rows. */
static int take_rows(struct search *q, struct meta *m, meta_fn *fn, struct span *out)
{
	int e = meta_read(m, fn, q);
	*out = e ? (struct span){ 0 } : arena_copy(q->arena, buffer_span(&q->rows));
	bool whole = buffer_ok(&q->rows);
	buffer_free(&q->rows);
	return e || (out->p && whole) ? e : fail_with(ERR_LIMIT, "over a limit");
}

static int read_owners(struct meta_txn *t, void *arg)
{
	struct search *q = arg;
	struct meta_rows r;
	buffer_reset(&q->rows);
	int e = meta_query(t, &r, META_SHARING_OWNERS, "iiii", q->viewer, (int64_t)ACL_ANYONE, q->viewer, (int64_t)ACL_OWNERS_MAX);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t owner = meta_int(&r, 0);
		buffer_put(&q->rows, &owner, sizeof owner);
	}
	meta_done(&r);
	return e;
}

int acl_owners(struct service *s, int64_t viewer, struct arena *arena, int64_t **out, size_t *n)
{
	struct search q = { .viewer = viewer, .arena = arena };
	struct span all;
	int e = take_rows(&q, s->store->meta, read_owners, &all);
	if (e)
		return e;
	*out = (int64_t *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	return OK;
}

static int read_folders(struct meta_txn *t, void *arg)
{
	struct search *q = arg;
	struct meta_rows r;
	struct arena memory = { 0 };
	buffer_reset(&q->rows);
	int e = meta_query(t, &r, META_ACL_ALL, "i", q->owner);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct acl a;
		arena_reset(&memory);
		if ((e = decode(meta_span(&r, 1), &memory, &a)))
			break;
		uint64_t folder;
		struct acl_folder f = { .rights = acl_rights(&a, q->viewer) };
		bool named = span_u64(meta_span(&r, 0), INT64_MAX, &folder);
		f.folder = named ? (int64_t)folder : 0;
		if (f.rights && named)
			buffer_put(&q->rows, &f, sizeof f);
	}
	meta_done(&r);
	arena_free(&memory);
	return e;
}

static int by_folder(const void *a, const void *b)
{
	const struct acl_folder *x = a, *y = b;
	return (x->folder > y->folder) - (x->folder < y->folder);
}

int acl_folders(struct service *s, int64_t owner, int64_t viewer, struct arena *arena, struct acl_folder **out, size_t *n)
{
	struct search q = { .owner = owner, .viewer = viewer, .arena = arena };
	struct span all;
	int e = take_rows(&q, s->store->meta, read_folders, &all);
	if (e)
		return e;
	*out = (struct acl_folder *)(uintptr_t)all.p;
	*n = all.n / sizeof **out;
	if (*n)
		qsort(*out, *n, sizeof **out, by_folder);
	return OK;
}

/* ---- Changing */

/* The collection of all lists of the account. */
static int rights_collection(struct change *c, int64_t *id)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_COLLECTION_NAMED, "iisi", c->account, (int64_t)0, rights_name, (int64_t)COLLECTION_RIGHTS);
	if (e == ERR_NOT_FOUND)
		return change_collection_add(c, COLLECTION_RIGHTS, 0, rights_name, 0, rights_name, id);
	if (e)
		return e;
	*id = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int put(struct change *c, int64_t folder, const struct acl *a, uint32_t item)
{
	char text[NAME_ROOM];
	struct span name = item_name(text, folder);
	struct buffer data = { 0 };
	int64_t id;
	if (!item && !a->n)
		return OK;
	encode(a, &data);
	int e = buffer_ok(&data) ? rights_collection(c, &id) : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && !a->n)
		e = change_item_end(c, id, item, name);
	else if (!e && item)
		e = change_item_set(c, id, item, name, 0, buffer_span(&data));
	else if (!e)
		e = change_item_add(c, id, 0, name, 0, buffer_span(&data), &item);
	buffer_free(&data);
	return e;
}

int acl_inherit(struct change *c, int64_t parent, int64_t folder)
{
	struct acl a;
	uint32_t item;
	int e = load(c->t, c->account, parent, &c->arena, &a, &item);
	return e ? e : put(c, folder, &a, 0);
}

static unsigned changed(enum rights_op op, unsigned rights, unsigned by)
{
	return op == RIGHTS_ADD ? rights | by : op == RIGHTS_REMOVE ? rights & ~by : by;
}

/* False: nothing is different. There is room for one more entry. */
static bool set_entry(struct acl *a, enum rights_op op, struct acl_entry what)
{
	size_t i = 0;
	while (i < a->n && (a->list[i].who != what.who || a->list[i].negative != what.negative))
		i++;
	unsigned before = i < a->n ? a->list[i].rights : 0, after = changed(op, before, what.rights);
	if (before == after)
		return false;
	if (i == a->n)
		a->list[a->n++] = what;
	a->list[i].rights = after;
	if (!after)
		a->list[i] = a->list[--a->n];
	return true;
}

struct request {
	struct service *s;
	int64_t owner;
	struct span path;
	enum rights_op op;
	struct acl_entry what;
	const struct actor *actor;
	struct touched touched;
};

/* Who has the folder selected looks what he may do when the folder changes. */
static int wake_folder(struct change *c, int64_t folder)
{
	struct collection *k;
	int e = change_collection(c, folder, &k);
	if (!e)
		change_touch(k);
	return e;
}

int acl_allow(struct change *c, int64_t folder, unsigned needed)
{
	unsigned rights = needed;
	int64_t viewer = c->actor->viewer;
	int e = viewer ? acl_rights_to(c->t, c->account, folder, viewer, &rights) : OK;
	if (e || (rights & needed) == needed)
		return e;
	return rights & RIGHT_LOOKUP ? fail_with(ERR_DENIED, "the owner does not allow it") : fail_with(ERR_NOT_FOUND, "no such folder");
}

static int change_list(struct change *c, int64_t folder, const struct request *q)
{
	struct acl a;
	uint32_t item;
	int e = acl_allow(c, folder, RIGHT_ADMIN);
	if (!e)
		e = load(c->t, c->account, folder, &c->arena, &a, &item);
	if (e || !set_entry(&a, q->op, q->what))
		return e;
	if (a.n > ACL_ENTRIES_MAX)
		return fail_with(ERR_LIMIT, "the mailbox has rights of %d users, the most there can be", ACL_ENTRIES_MAX);
	e = put(c, folder, &a, item);
	if (!e)
		e = wake_folder(c, folder);
	if (!e && !q->what.negative)
		e = meta_do(c->t, META_SHARING_ADD, "ii", q->what.who, c->account);
	return e;
}

static int do_change(struct change *c, const struct request *q)
{
	struct tree tree;
	int e = tree_load_path(c->t, c->account, q->path, &tree);
	if (e)
		return e;
	const struct folder *f = tree_find(&tree, q->path);
	e = f ? change_list(c, f->id, q) : fail_with(ERR_NOT_FOUND, "no such folder");
	tree_free(&tree);
	return e;
}

static int run_change(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	change_expect(t, q->owner);
	tree_expect_path(t, q->owner, q->path);
	int e = change_begin(&c, q->s, t, q->owner, CHANGE_RIGHTS, q->actor, 0);
	if (!e)
		e = do_change(&c, q);
	return change_end(&c, e, &q->touched);
}

int acl_change(struct service *s, int64_t owner, struct span path, enum rights_op op, struct acl_entry what,
               const struct actor *a)
{
	struct request q = { .s = s, .owner = owner, .path = path, .op = op, .what = what, .actor = a };
	return service_commit(s, NULL, 0, run_change, &q, &q.touched, 1);
}
