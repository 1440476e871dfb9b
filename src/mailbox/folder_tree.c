/* Reading an account's folders: rows in, an ordered tree out. */
#include <stdlib.h>

#include "change.h"
#include "fail.h"
#include "mailbox_name.h"
#include "recent.h"
#include "service_private.h"
#include "tree_private.h"

struct tree_load {
	int64_t account, at;
	struct tree *out;
	struct buffer rows; /* struct folder each */
};

static void take_row(struct tree_load *l, const struct meta_rows *r)
{
	struct collection k;
	collection_from_row(r, &k);
	if (k.kind != COLLECTION_MAIL)
		return;
	struct arena *a = &l->out->arena;
	struct folder f = {
		.id = k.id, .parent = k.parent, .name = arena_copy(a, k.name), .attributes = k.attributes,
		.uidvalidity = k.uidvalidity, .uidnext = k.uidnext, .change = k.change, .messages = k.messages,
		.unseen = k.unseen, .bytes = k.bytes, .recent = k.recent, .begin = k.begin, .created = k.created,
		.keywords = arena_copy(a, k.keywords),
	};
	if (l->at)
		f.messages = f.unseen = f.bytes = 0;
	buffer_put(&l->rows, &f, sizeof f);
}

void tree_expect_rows(struct meta_txn *t, int64_t account, int64_t at)
{
	if (at)
		meta_expect(t, META_COLLECTIONS_AT, "iiiii", account, at, account, at, at);
	else
		meta_expect(t, META_COLLECTION_ALL, "i", account);
}

/* The collection rows behind it, all kinds (COLLECTION_COLUMNS). */
static int query_rows(struct meta_txn *t, int64_t account, int64_t at, struct meta_rows *r)
{
	if (at)
		return meta_query(t, r, META_COLLECTIONS_AT, "iiiii", account, at, account, at, at);
	return meta_query(t, r, META_COLLECTION_ALL, "i", account);
}

static int read_rows(struct meta_txn *t, void *arg)
{
	struct tree_load *l = arg;
	struct meta_rows r;
	arena_reset(&l->out->arena);
	buffer_reset(&l->rows);
	int e = query_rows(t, l->account, l->at, &r);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		take_row(l, &r);
	meta_done(&r);
	return e;
}

static int by_parent_and_name(const void *a, const void *b)
{
	const struct folder *x = a, *y = b;
	if (x->parent != y->parent)
		return (x->parent > y->parent) - (x->parent < y->parent);
	if ((x->id == INBOX) != (y->id == INBOX))
		return x->id == INBOX ? -1 : 1;
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int d = n ? memcmp(x->name.p, y->name.p, n) : 0;
	return d ? d : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

static size_t first_child(const struct folder *sorted, size_t n, int64_t parent)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (sorted[mid].parent < parent)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct span join(struct arena *a, struct span parent, struct span name)
{
	if (!parent.n)
		return name;
	char *p = arena_alloc(a, parent.n + name.n + 2);
	if (!p)
		return (struct span){ 0 };
	memcpy(p, parent.p, parent.n);
	p[parent.n] = '/';
	memcpy(p + parent.n + 1, name.p, name.n);
	return (struct span){ p, parent.n + 1 + name.n };
}

/* A folder whose children are being listed: the next of them in the sorted array, and its place in the tree. */
struct level {
	size_t next, folder;
	int64_t parent;
};

/* Depth first, without recursion. However deep folders came to lie, none is left out. */
static void order(struct tree *t, const struct folder *sorted, size_t n, struct level *stack)
{
	size_t depth = 0;
	stack[0] = (struct level){ first_child(sorted, n, 0), SIZE_MAX, 0 };
	for (;;) {
		struct level *l = &stack[depth];
		if (l->next >= n || sorted[l->next].parent != l->parent) {
			if (depth-- == 0)
				return;
			continue;
		}
		struct folder *f = &t->list[t->n], *up = l->folder == SIZE_MAX ? NULL : &t->list[l->folder];
		*f = sorted[l->next++];
		f->path = join(&t->arena, up ? up->path : (struct span){ 0 }, f->name);
		if (up)
			up->has_children = true;
		stack[++depth] = (struct level){ first_child(sorted, n, f->id), t->n++, f->id };
	}
}

static int order_rows(struct tree *t, struct buffer *rows)
{
	size_t n = rows->n / sizeof(struct folder);
	if (!buffer_ok(rows))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (!n)
		return OK;
	struct level *stack = malloc((n + 1) * sizeof *stack);
	t->list = arena_alloc(&t->arena, n * sizeof *t->list);
	if (stack && t->list) {
		qsort(rows->p, n, sizeof(struct folder), by_parent_and_name);
		order(t, (const struct folder *)(void *)rows->p, n, stack);
	}
	bool done = stack && t->list;
	free(stack);
	return done ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* e: what reading the rows came to. */
static int finish(struct tree_load *l, int e)
{
	if (!e)
		e = order_rows(l->out, &l->rows);
	buffer_free(&l->rows);
	if (e)
		tree_free(l->out);
	return e;
}

int tree_load(struct meta_txn *t, int64_t account, int64_t at, struct tree *out)
{
	*out = (struct tree){ 0 };
	struct tree_load l = { .account = account, .at = at, .out = out };
	return finish(&l, read_rows(t, &l));
}

int tree_step(struct meta_txn *t, int64_t account, int64_t parent, struct span component, struct meta_rows *r)
{
	if (!parent && mailbox_name_is_inbox(component))
		return meta_one(t, r, META_COLLECTION_GET, "ii", account, (int64_t)INBOX);
	return meta_one(t, r, META_COLLECTION_NAMED, "iisi", account, parent, component, (int64_t)COLLECTION_MAIL);
}

/* INBOX has its number by itself, so the step below it can be named too. */
void tree_expect_path(struct meta_txn *t, int64_t account, struct span path)
{
	struct span component;
	int64_t parent = 0;
	if (!mailbox_name_next(&path, &component))
		return;
	if (mailbox_name_is_inbox(component)) {
		meta_expect(t, META_COLLECTION_GET, "ii", account, (int64_t)INBOX);
		parent = INBOX;
	}
	if (!parent || mailbox_name_next(&path, &component))
		meta_expect(t, META_COLLECTION_NAMED, "iisi", account, parent, component, (int64_t)COLLECTION_MAIL);
}

/* The rows from the top down to path, until one is not there. */
static int read_path(struct meta_txn *t, struct tree_load *l, struct span path)
{
	struct span component;
	struct meta_rows r;
	int64_t parent = 0;
	while (mailbox_name_next(&path, &component)) {
		int e = tree_step(t, l->account, parent, component, &r);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		take_row(l, &r);
		parent = meta_int(&r, 0);
		meta_done(&r);
	}
	return OK;
}

int tree_load_path(struct meta_txn *t, int64_t account, struct span path, struct tree *out)
{
	*out = (struct tree){ 0 };
	struct tree_load l = { .account = account, .out = out };
	return finish(&l, read_path(t, &l, path));
}

static bool is_taken(const struct tree_load *l, int64_t id)
{
	const struct folder *all = (const struct folder *)(const void *)l->rows.p;
	for (size_t i = 0; i < l->rows.n / sizeof *all; i++)
		if (all[i].id == id)
			return true;
	return false;
}

/* The rows from a folder up to the top. */
static int read_up(struct meta_txn *t, struct tree_load *l, int64_t id)
{
	struct meta_rows r;
	while (id && !is_taken(l, id)) {
		int e = meta_one(t, &r, META_COLLECTION_GET, "ii", l->account, id);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		take_row(l, &r);
		id = is_taken(l, id) ? meta_int(&r, 4) : 0;
		meta_done(&r);
	}
	return OK;
}

static int load_folders(struct meta_txn *t, int64_t account, const int64_t *ids, size_t n, struct tree *out)
{
	*out = (struct tree){ 0 };
	struct tree_load l = { .account = account, .out = out };
	int e = OK;
	for (size_t i = 0; !e && i < n; i++)
		e = read_up(t, &l, ids[i]);
	return finish(&l, e);
}

struct tree_request {
	int64_t account, at;
	struct tree *out;
	struct span path;
	const int64_t *ids;
	size_t n;
};

static int read_change(struct meta_txn *t, int64_t account, int64_t *change)
{
	struct head h;
	int e = change_head(t, account, &h);
	if (!e)
		*change = h.change;
	return e;
}

static int load_in_read(struct meta_txn *t, void *arg)
{
	struct tree_request *q = arg;
	int64_t change;
	meta_expect(t, META_HEAD_GET, "i", q->account);
	tree_expect_rows(t, q->account, q->at);
	int e = read_change(t, q->account, &change);
	if (!e)
		e = tree_load(t, q->account, q->at, q->out);
	if (!e)
		q->out->change = change;
	return e;
}

static int load_path_in_read(struct meta_txn *t, void *arg)
{
	struct tree_request *q = arg;
	int64_t change;
	meta_expect(t, META_HEAD_GET, "i", q->account);
	tree_expect_path(t, q->account, q->path);
	int e = read_change(t, q->account, &change);
	if (!e)
		e = tree_load_path(t, q->account, q->path, q->out);
	if (!e)
		q->out->change = change;
	return e;
}

int tree_read_path(struct service *s, int64_t account, struct span path, struct tree *out)
{
	struct tree_request q = { .account = account, .out = out, .path = path };
	return meta_read(s->store->meta, load_path_in_read, &q);
}

static int load_folders_in_read(struct meta_txn *t, void *arg)
{
	struct tree_request *q = arg;
	int64_t change;
	meta_expect(t, META_HEAD_GET, "i", q->account);
	for (size_t i = 0; i < q->n; i++)
		meta_expect(t, META_COLLECTION_GET, "ii", q->account, q->ids[i]);
	int e = read_change(t, q->account, &change);
	if (!e)
		e = load_folders(t, q->account, q->ids, q->n, q->out);
	if (!e)
		q->out->change = change;
	return e;
}

int tree_read_folders(struct service *s, int64_t account, const int64_t *ids, size_t n, struct tree *out)
{
	struct tree_request q = { .account = account, .out = out, .ids = ids, .n = n };
	return meta_read(s->store->meta, load_folders_in_read, &q);
}

int tree_read(struct service *s, int64_t account, int64_t at, struct tree *out)
{
	struct tree_request q = { .account = account, .at = at, .out = out };
	return meta_read(s->store->meta, load_in_read, &q);
}

void tree_free(struct tree *t)
{
	arena_free(&t->arena);
	*t = (struct tree){ 0 };
}

struct folder *tree_find(const struct tree *t, struct span path)
{
	/* INBOX is matched without case, as a whole and as first component */
	size_t folded = path.n >= 5 && span_istarts(path, SPAN("INBOX")) && (path.n == 5 || path.p[5] == '/') ? 5 : 0;
	for (size_t i = 0; i < t->n; i++) {
		struct span p = t->list[i].path;
		if (p.n != path.n)
			continue;
		if (span_ieq(span_sub(p, 0, folded), span_sub(path, 0, folded)) &&
		    span_eq(span_sub(p, folded, p.n), span_sub(path, folded, p.n)))
			return &t->list[i];
	}
	return NULL;
}

struct folder *tree_by_id(const struct tree *t, int64_t id)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].id == id)
			return &t->list[i];
	return NULL;
}

struct count_request {
	int64_t account, at;
	struct folder *f;
};

static int count_at(struct meta_txn *t, void *arg)
{
	struct count_request *q = arg;
	struct meta_rows r;
	q->f->messages = q->f->unseen = q->f->bytes = 0;
	for (int past = 0; past < 2; past++) {
		int e = past ? meta_one(t, &r, META_PAST_SUM_AT, "iiii", q->account, q->f->id, q->at, q->at)
		             : meta_one(t, &r, META_LIVE_SUM_AT, "iii", q->account, q->f->id, q->at);
		if (e)
			return e;
		q->f->messages += meta_int(&r, 0);
		q->f->unseen += meta_int(&r, 1);
		q->f->bytes += meta_int(&r, 2);
		meta_done(&r);
	}
	return OK;
}

int folder_count(struct service *s, int64_t account, int64_t at, struct folder *f)
{
	struct count_request q = { account, at, f };
	return meta_read(s->store->meta, count_at, &q);
}

struct unseen_request {
	int64_t account, viewer;
	struct folder *f;
};

static int count_unseen(struct meta_txn *t, void *arg)
{
	struct unseen_request *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_SEEN_COUNT, "iii", q->account, q->f->id, q->viewer);
	if (e)
		return e;
	q->f->unseen = q->f->messages > meta_int(&r, 0) ? q->f->messages - meta_int(&r, 0) : 0;
	meta_done(&r);
	return OK;
}

int folder_count_unseen(struct service *s, int64_t account, int64_t viewer, struct folder *f)
{
	struct unseen_request q = { account, viewer, f };
	return meta_read(s->store->meta, count_unseen, &q);
}

struct recent_request {
	int64_t account, id;
	uint32_t from, messages;
};

static int count_recent(struct meta_txn *t, void *arg)
{
	struct recent_request *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_COUNT_FROM, "iii", q->account, q->id, (int64_t)q->from);
	if (e)
		return e;
	q->messages = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

int folder_count_recent(struct service *s, int64_t account, const struct folder *f, uint32_t *messages)
{
	struct recent_request q = { .account = account, .id = f->id };
	q.from = recent_mark(s->recent, account, f->id, f->recent, f->uidnext, false);
	int e = q.from < f->uidnext ? meta_read(s->store->meta, count_recent, &q) : OK;
	if (!e)
		*messages = q.messages;
	return e;
}

struct deleted_request {
	int64_t account, id, messages, bytes;
};

static int count_deleted(struct meta_txn *t, void *arg)
{
	struct deleted_request *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_SUM_DELETED, "ii", q->account, q->id);
	if (e)
		return e;
	q->messages = meta_int(&r, 0);
	q->bytes = meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

int folder_count_deleted(struct service *s, int64_t account, int64_t id, int64_t *messages, int64_t *bytes)
{
	struct deleted_request q = { account, id, 0, 0 };
	int e = meta_read(s->store->meta, count_deleted, &q);
	if (!e) {
		*messages = q.messages;
		*bytes = q.bytes;
	}
	return e;
}
