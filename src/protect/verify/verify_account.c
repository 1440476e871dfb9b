/* Accounts, one after another: the head, and the definitions of collections, as one transaction shows them. */
#include <stdio.h>
#include <stdlib.h>

#include "system.h"
#include "uidmap.h"
#include "verify_private.h"

enum { DEPTH_MAX = 100 }; /* deeper than folders go */

struct next {
	int64_t after, account; /* account -1: no more */
};

static int read_next(struct meta_txn *t, void *arg)
{
	struct next *n = arg;
	struct meta_rows r;
	int64_t a = n->after;
	int e = meta_one(t, &r, META_CHECK_NEXT_ACCOUNT, "iiiiiiii", a, a, a, a, a, a, a, a);
	if (e)
		return e;
	n->account = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

/* --- Reading --- */

static int read_name(struct meta_txn *t, int64_t account, char out[VERIFY_NAME_MAX])
{
	struct meta_rows r;
	snprintf(out, VERIFY_NAME_MAX, account == SYSTEM_ACCOUNT ? "the system log" : "account %lld", (long long)account);
	if (account == SYSTEM_ACCOUNT)
		return OK;
	int e = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, account);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	snprintf(out, VERIFY_NAME_MAX, "%.*s", SPAN_ARG(meta_span(&r, 3)));
	meta_done(&r);
	return OK;
}

struct name_request {
	int64_t account;
	char *out;
};

static int read_one_name(struct meta_txn *t, void *arg)
{
	struct name_request *q = arg;
	return read_name(t, q->account, q->out);
}

const char *verify_account_name(const struct verify *v, int64_t account, char out[VERIFY_NAME_MAX])
{
	struct name_request q = { account, out };
	meta_read(meta_of(v), read_one_name, &q); /* without an address the number stands there */
	return out;
}

/* Rows to an array in the arena; ended: COLLECTION_COLUMNS are followed by end_no. */
static int take_collections(struct account *a, struct meta_rows *r, bool ended, struct kept **out, size_t *n)
{
	struct buffer rows = { 0 };
	int e;
	while ((e = meta_next(r)) > 0) {
		struct kept k = { .ended = ended ? meta_int(r, 15) : 0 };
		collection_from_row(r, &k.c);
		k.c.name = arena_copy(&a->arena, k.c.name);
		k.c.keywords = (struct span){ 0 };
		buffer_put(&rows, &k, sizeof k);
	}
	meta_done(r);
	*n = rows.n / sizeof **out;
	*out = arena_alloc(&a->arena, rows.n + 1);
	if (!*out || !buffer_ok(&rows))
		e = e ? e : fail_with(ERR_UNAVAILABLE, "no memory");
	else if (rows.n)
		memcpy(*out, rows.p, rows.n);
	buffer_free(&rows);
	return e;
}

static int read_account(struct meta_txn *t, void *arg)
{
	struct account *a = arg;
	struct meta_rows r;
	struct kept *living;
	size_t n;
	arena_reset(&a->arena);
	a->n = a->n_past = 0;
	meta_expect(t, META_HEAD_GET, "i", a->id);
	meta_expect(t, META_COLLECTION_ALL, "i", a->id);
	meta_expect(t, META_CHECK_COLLECTIONS_PAST, "i", a->id);
	int e = read_name(t, a->id, a->name);
	if (!e)
		e = change_head(t, a->id, &a->head);
	if (!e)
		e = meta_query(t, &r, META_COLLECTION_ALL, "i", a->id);
	if (!e)
		e = take_collections(a, &r, false, &living, &n);
	if (!e)
		e = meta_query(t, &r, META_CHECK_COLLECTIONS_PAST, "i", a->id);
	if (!e)
		e = take_collections(a, &r, true, &a->past, &a->n_past);
	if (e)
		return e;
	a->list = arena_alloc(&a->arena, (n + a->n_past + 1) * sizeof *a->list);
	if (!a->list)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	memcpy(a->list, living, n * sizeof *living);
	a->n = n;
	return OK;
}

static int by_id(const void *x, const void *y)
{
	const struct kept *a = x, *b = y;
	if (a->c.id != b->c.id)
		return a->c.id < b->c.id ? -1 : 1;
	return (a->ended > b->ended) - (a->ended < b->ended);
}

static struct kept *find_collection(const struct account *a, int64_t id)
{
	size_t low = 0, high = a->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (a->list[mid].c.id == id)
			return &a->list[mid];
		if (a->list[mid].c.id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* Those that ended stand beside the living, by their last definition. */
static void add_ended(struct account *a)
{
	size_t living = a->n;
	if (a->n_past)
		qsort(a->past, a->n_past, sizeof *a->past, by_id);
	for (size_t i = 0; i < a->n_past; i++) {
		bool last = i + 1 == a->n_past || a->past[i + 1].c.id != a->past[i].c.id;
		struct account among = { .list = a->list, .n = living }; /* read in order of id */
		if (last && !find_collection(&among, a->past[i].c.id))
			a->list[a->n++] = a->past[i];
	}
	if (a->n)
		qsort(a->list, a->n, sizeof *a->list, by_id);
}

static int read_head(struct meta_txn *t, void *arg)
{
	struct account *a = arg;
	struct head now;
	int e = change_head(t, a->id, &now);
	if (!e)
		a->head.floor = now.floor;
	return e;
}

bool verify_purged(struct account *a, int64_t end)
{
	return end <= a->head.floor || meta_read(meta_of(a->v), read_head, a) == ERR_NOT_FOUND || end <= a->head.floor;
}

bool verify_purged_since(struct account *a)
{
	return verify_purged(a, a->head.change + 1);
}

const char *verify_path(const struct account *a, const struct kept *k, char out[VERIFY_PATH_MAX])
{
	const struct kept *up[DEPTH_MAX];
	size_t n = 0, at = 0;
	for (const struct kept *p = k; p && n < DEPTH_MAX; p = p->c.parent ? find_collection(a, p->c.parent) : NULL)
		up[n++] = p;
	out[0] = 0;
	while (n-- && at < VERIFY_PATH_MAX - 1) {
		int w = snprintf(out + at, VERIFY_PATH_MAX - at, "%.*s%s", SPAN_ARG(up[n]->c.name), n ? "/" : "");
		at += (size_t)w;
	}
	if (k->ended && at < VERIFY_PATH_MAX - 1)
		snprintf(out + at, VERIFY_PATH_MAX - at, " (deleted at @%lld)", (long long)k->ended);
	return out;
}

/* --- One collection's definition --- */

static bool known_kind(const struct account *a, int64_t kind)
{
	return a->id == SYSTEM_ACCOUNT ? kind == COLLECTION_SYSTEM : kind >= COLLECTION_MAIL && kind <= COLLECTION_METADATA;
}

static void verify_definition(const struct account *a, const struct kept *k)
{
	const struct collection *c = &k->c;
	const struct head *h = &a->head;
	if (c->id <= 0 || c->id >= h->next_collection)
		trouble_at(a, k, 0, "its id %lld may be given out again: " FIX_DATABASE, (long long)c->id);
	if (c->uidvalidity >= h->next_uidvalidity)
		trouble_at(a, k, 0, "its UIDVALIDITY may be given out again: " FIX_DATABASE);
	if (!known_kind(a, c->kind))
		trouble_at(a, k, 0, "is of the unknown kind %lld: " FIX_DATABASE, (long long)c->kind);
	if (c->created <= 0 || c->created > c->begin || c->begin > h->change || c->change > h->change || c->change < c->begin)
		trouble_at(a, k, 0, "its change numbers are out of order (created %lld, defined %lld, changed %lld, account %lld): "
		           FIX_DATABASE, (long long)c->created, (long long)c->begin, (long long)c->change, (long long)h->change);
	if (c->uidnext <= 0 || c->recent > c->uidnext)
		trouble_at(a, k, 0, "UIDs from %lld on are recent, but the next one is %lld: " FIX_DATABASE, (long long)c->recent,
		           (long long)c->uidnext);
	if (h->tree < (k->ended ? k->ended : c->begin))
		trouble_at(a, k, 0, "was defined after the account's last change of folders, so clients may miss it: " FIX_DATABASE);
}

static bool ends_at_root(const struct account *a, const struct kept *k)
{
	int depth = 0;
	while (k && k->c.parent && depth++ < DEPTH_MAX)
		k = find_collection(a, k->c.parent);
	return k && depth < DEPTH_MAX;
}

static void verify_parent(const struct account *a, const struct kept *k)
{
	const struct kept *up = k->c.parent ? find_collection(a, k->c.parent) : NULL;
	if (k->ended)
		return;
	if (k->c.parent && (!up || up->ended))
		trouble_at(a, k, 0, "lies in a folder that is not there, so that nobody can see it: rename it, or " FIX_DATABASE);
	else if (!ends_at_root(a, k))
		trouble_at(a, k, 0, "lies in itself, so that nobody can see it: " FIX_DATABASE);
}

/* Definitions of one collection, in order of time, then the one that lives. */
static void verify_succession(const struct account *a, const struct kept *before, const struct kept *k)
{
	if (before->c.id != k->c.id)
		return;
	if (k->c.begin < before->ended)
		trouble_at(a, k, 0, "two of its definitions, that of @%lld and that until @%lld, hold at the same time: " FIX_DATABASE,
		           (long long)k->c.begin, (long long)before->ended);
	if (k->c.created != before->c.created || k->c.kind != before->c.kind || k->c.uidvalidity != before->c.uidvalidity)
		trouble_at(a, k, 0, "is another folder than it was before @%lld: " FIX_DATABASE, (long long)before->ended);
	if (k->c.uidnext < before->c.uidnext)
		trouble_at(a, k, 0, "its next UID went back from %lld to %lld: " FIX_DATABASE, (long long)before->c.uidnext,
		           (long long)k->c.uidnext);
}

static void verify_past_definitions(const struct account *a)
{
	for (size_t i = 0; i < a->n_past; i++) {
		const struct kept *k = &a->past[i], *now = find_collection(a, k->c.id);
		if (k->c.begin >= k->ended || k->ended > a->head.change)
			trouble_at(a, k, 0, "a past definition holds from @%lld to @%lld, the account is at @%lld: " FIX_DATABASE,
			           (long long)k->c.begin, (long long)k->ended, (long long)a->head.change);
		if (i + 1 < a->n_past && a->past[i + 1].c.id == k->c.id)
			verify_succession(a, k, &a->past[i + 1]);
		else if (now && !now->ended)
			verify_succession(a, k, now);
	}
}

static int by_uidvalidity(const void *x, const void *y)
{
	const struct kept *a = *(const struct kept *const *)x, *b = *(const struct kept *const *)y;
	return (a->c.uidvalidity > b->c.uidvalidity) - (a->c.uidvalidity < b->c.uidvalidity);
}

static int by_name(const void *x, const void *y)
{
	const struct collection *a = &(*(const struct kept *const *)x)->c, *b = &(*(const struct kept *const *)y)->c;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->parent != b->parent)
		return a->parent < b->parent ? -1 : 1;
	size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
	int d = n ? memcmp(a->name.p, b->name.p, n) : 0;
	return d ? d : (a->name.n > b->name.n) - (a->name.n < b->name.n);
}

static int verify_distinct(struct account *a)
{
	const struct kept **order = arena_alloc(&a->arena, (a->n + 1) * sizeof *order);
	size_t n = 0;
	if (!order)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < a->n; i++)
		order[n++] = &a->list[i];
	qsort(order, n, sizeof *order, by_uidvalidity);
	for (size_t i = 1; i < n; i++)
		if (!by_uidvalidity(&order[i - 1], &order[i]))
			trouble_at(a, order[i], 0, "shares its UIDVALIDITY with another folder: " FIX_DATABASE);
	n = 0;
	for (size_t i = 0; i < a->n; i++)
		if (!a->list[i].ended)
			order[n++] = &a->list[i];
	qsort(order, n, sizeof *order, by_name);
	for (size_t i = 1; i < n; i++)
		if (!by_name(&order[i - 1], &order[i]))
			trouble_at(a, order[i], 0, "there are two folders of this name: rename one of them");
	return OK;
}

static void verify_must_haves(const struct account *a)
{
	int64_t last = a->id == SYSTEM_ACCOUNT ? SYSTEM_COLLECTIONS : SUBSCRIPTIONS;
	for (int64_t id = 1; id <= last; id++) {
		const struct kept *k = find_collection(a, id);
		if (!k || k->ended)
			trouble(a->v, "%s: collection %lld, which every account has, is missing: " FIX_DATABASE, a->name, (long long)id);
	}
}

static int verify_definitions(struct account *a)
{
	for (size_t i = 0; i < a->n; i++) {
		verify_definition(a, &a->list[i]);
		verify_parent(a, &a->list[i]);
	}
	verify_past_definitions(a);
	verify_must_haves(a);
	return a->n ? verify_distinct(a) : OK;
}

/* --- What the collections hold --- */

static void compare(struct account *a, const struct kept *k, const char *what, int64_t told, uint64_t counted)
{
	if (told != (int64_t)counted && !(k->ended ? verify_purged(a, k->ended) : verify_purged_since(a)))
		trouble_at(a, k, 0, "%s is said to be %lld and is %llu: clients see a wrong number; " FIX_REPORT, what, (long long)told,
		           (unsigned long long)counted);
}

/* Which collections have rows: most accounts have few, and in the others there is nothing to read. */
struct occupied {
	struct account *a;
	int64_t after, last;
	int64_t strays[VERIFY_PAGE]; /* collections that never were */
	size_t n_strays, n;
};

static int came_since(struct meta_txn *t, int64_t account, int64_t collection, bool *came)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", account, collection);
	if (e == ERR_NOT_FOUND)
		e = meta_one(t, &r, META_COLLECTION_LAST, "iii", account, (int64_t)0, collection);
	*came = !e;
	if (!e)
		meta_done(&r);
	return e == ERR_NOT_FOUND ? OK : e;
}

static int take_occupied(struct meta_txn *t, struct occupied *o, int64_t collection)
{
	struct kept *k = find_collection(o->a, collection);
	bool came = false;
	int e = OK;
	if (k)
		k->occupied = true;
	else
		e = came_since(t, o->a->id, collection, &came);
	if (!e && !k && !came)
		o->strays[o->n_strays++] = collection;
	return e;
}

/* As many as a page holds, behind o->after. */
static int read_occupied(struct meta_txn *t, void *arg)
{
	struct occupied *o = arg;
	struct meta_rows r;
	int64_t account = o->a->id, at = o->after;
	o->n_strays = 0;
	for (o->n = 0; o->n < VERIFY_PAGE; o->n++) {
		int e = meta_one(t, &r, META_CHECK_NEXT_COLLECTION, "iiiiii", account, at, account, at, account, at);
		if (e)
			return e;
		at = meta_int(&r, 0);
		meta_done(&r);
		if (!at)
			break;
		e = take_occupied(t, o, at);
		if (e)
			return e;
		o->last = at;
	}
	return OK;
}

/* Marks the collections that have rows, and tells of rows of those that never were. */
static int verify_occupied(struct account *a)
{
	struct occupied *o = calloc(1, sizeof *o);
	if (!o)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	o->a = a;
	int e;
	do {
		e = verify_failure(a->v, meta_read(meta_of(a->v), read_occupied, o), a->name);
		for (size_t i = 0; !e && i < o->n_strays; i++)
			trouble(a->v, "%s: there are entries of collection %lld, which never was: " FIX_DATABASE, a->name,
			        (long long)o->strays[i]);
		o->after = o->last;
	} while (!e && o->n == VERIFY_PAGE && !verify_step(a->v, 0));
	free(o);
	return e;
}

static int verify_saved_map(struct account *a, const struct kept *k)
{
	bool good = true;
	bool may = k->occupied || k->c.uidnext > 1;
	int e = !may || k->ended || k->c.kind != COLLECTION_MAIL ? OK : uidmap_verify(a->v->service, a->id, k->c.id, &good);
	if (!e && !good)
		trouble_at(a, k, 0, "the list of UIDs that is kept for its next SELECT is not that of its messages: " FIX_DATABASE);
	return e;
}

static int verify_contents(struct account *a)
{
	int64_t messages = 0, bytes = 0;
	for (size_t i = 0; i < a->n; i++) {
		struct kept *k = &a->list[i];
		int e = k->occupied ? verify_entries(a, k) : OK;
		if (!e && k->occupied && !a->v->report.cancelled)
			e = verify_names(a, k);
		if (!e && !a->v->report.cancelled)
			e = verify_saved_map(a, k);
		if (e || a->v->report.cancelled)
			return e;
		compare(a, k, "the number of messages", k->c.messages, k->messages);
		compare(a, k, "the number of unseen messages", k->c.unseen, k->unseen);
		compare(a, k, "the size", k->c.bytes, k->bytes);
		if (k->latest > k->c.change)
			trouble_at(a, k, 0, "its last change is said to be @%lld and was @%lld, so clients may miss it: " FIX_DATABASE,
			           (long long)k->c.change, (long long)k->latest);
		if (!k->ended && k->c.kind == COLLECTION_MAIL) {
			messages += k->c.messages;
			bytes += k->c.bytes;
		}
	}
	if (messages != a->head.messages || bytes != a->head.bytes)
		trouble(a->v, "%s: is said to hold %lld messages of %lld bytes, its folders %lld of %lld: the quota is wrong; " FIX_REPORT,
		        a->name, (long long)a->head.messages, (long long)a->head.bytes, (long long)messages, (long long)bytes);
	return OK;
}

/* Its head is the last that purge takes of an account: are there rows still? */
static int verify_headless(struct verify *v, int64_t id)
{
	struct next n = { .after = id - 1, .account = -1 };
	int e = verify_failure(v, meta_read(meta_of(v), read_next, &n), "accounts");
	if (!e && n.account == id)
		trouble(v, "account %lld: has rows, but no head: " FIX_DATABASE, (long long)id);
	return e;
}

static int verify_account(struct verify *v, int64_t id)
{
	struct account a = { .v = v, .id = id };
	int e = meta_read(meta_of(v), read_account, &a);
	v->report.accounts++;
	if (e == ERR_NOT_FOUND) {
		e = verify_headless(v, id);
	} else if (e) {
		e = verify_failure(v, e, a.name);
	} else if (a.head.floor == INT64_MAX) {
		e = OK; /* it is being purged as a whole */
	} else {
		add_ended(&a);
		e = verify_definitions(&a);
		int (*const parts[])(struct account *) = { verify_journal, verify_occupied, verify_contents };
		for (size_t i = 0; !e && !v->report.cancelled && i < sizeof parts / sizeof *parts; i++)
			e = parts[i](&a);
		if (e == ERR_NOT_FOUND) /* it was purged as a whole meanwhile */
			e = OK;
	}
	arena_free(&a.arena);
	return e;
}

int verify_accounts(struct verify *v)
{
	struct next n = { .after = -1 };
	for (;;) {
		n.account = -1;
		int e = verify_failure(v, meta_read(meta_of(v), read_next, &n), "accounts");
		if (!e && n.account >= 0)
			e = verify_account(v, n.account);
		if (e || n.account < 0 || verify_step(v, 0))
			return e;
		n.after = n.account;
	}
}
