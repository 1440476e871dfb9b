#include "change.h"

#include "clock.h"
#include "fail.h"
#include "flags.h"
#include "service_private.h"
#include "system.h"
#include "uidmap.h"

struct open_collection {
	struct open_collection *next;
	struct collection c;
	int64_t uidnext; /* before */
	bool counted; /* its counters moved */
};

void collection_from_row(const struct meta_rows *r, struct collection *c)
{
	*c = (struct collection){
		.id = meta_int(r, 0), .begin = meta_int(r, 1), .created = meta_int(r, 2), .kind = meta_int(r, 3),
		.parent = meta_int(r, 4), .name = meta_span(r, 5), .attributes = meta_int(r, 6), .uidvalidity = meta_int(r, 7),
		.uidnext = meta_int(r, 8), .change = meta_int(r, 9), .recent = meta_int(r, 10), .messages = meta_int(r, 11),
		.unseen = meta_int(r, 12), .bytes = meta_int(r, 13), .keywords = meta_span(r, 14),
	};
}

void version_from_row(const struct meta_rows *r, struct version *v)
{
	*v = (struct version){
		.uid = (uint32_t)meta_int(r, 0), .created = meta_int(r, 1), .change = meta_int(r, 2),
		.flags = (uint64_t)meta_int(r, 3), .keywords = meta_span(r, 4), .date = meta_int(r, 5), .saved = meta_int(r, 6),
		.email = meta_int(r, 7), .size = (uint64_t)meta_int(r, 8),
	};
}

static int read_head(struct meta_txn *t, enum meta_sql stmt, int64_t account, struct head *h)
{
	struct meta_rows r;
	int e = meta_one(t, &r, stmt, "i", account);
	if (e)
		return e;
	*h = (struct head){
		.tenant = meta_int(&r, 0), .domain = meta_int(&r, 1), .change = meta_int(&r, 2), .stamp = meta_int(&r, 3),
		.tree = meta_int(&r, 4), .floor = meta_int(&r, 5), .next_collection = meta_int(&r, 6),
		.next_uidvalidity = meta_int(&r, 7), .messages = meta_int(&r, 8), .bytes = meta_int(&r, 9),
	};
	meta_done(&r);
	return OK;
}

int change_head(struct meta_txn *t, int64_t account, struct head *h)
{
	return read_head(t, META_HEAD_GET, account, h);
}

void change_expect(struct meta_txn *t, int64_t account)
{
	meta_expect(t, META_HEAD_LOCK, "i", account);
}

static void number(struct change *c)
{
	c->number = c->head.change + 1;
	c->stamp = service_stamp(c->s, c->head.stamp);
}

/* The system log goes on with what the ballast held. */
static int allowed(struct service *s, int64_t account)
{
	return account == SYSTEM_ACCOUNT ? service_clock(s) : service_room(s);
}

int change_begin(struct change *c, struct service *s, struct meta_txn *t, int64_t account, enum change_kind kind,
                 const struct actor *actor, int64_t changeset)
{
	*c = (struct change){ .s = s, .t = t, .account = account, .kind = kind, .actor = actor, .changeset = changeset };
	int e = allowed(s, account);
	if (!e)
		e = read_head(t, META_HEAD_LOCK, account, &c->head);
	if (!e && c->head.floor == INT64_MAX)
		e = fail_with(ERR_NOT_FOUND, "the account is being purged");
	if (!e)
		number(c);
	return e;
}

int change_begin_account(struct change *c, struct service *s, struct meta_txn *t, int64_t account, enum change_kind kind,
                         const struct actor *actor)
{
	*c = (struct change){ .s = s, .t = t, .account = account, .kind = kind, .actor = actor,
		              .head = { .next_collection = 1, .next_uidvalidity = clock_now() / SECOND_US } };
	const struct head *h = &c->head;
	int e = allowed(s, account);
	if (e)
		return e;
	number(c);
	return meta_do(t, META_HEAD_ADD, "iiiiiiiiiii", h->tenant, h->domain, h->change, h->stamp, h->tree, h->floor,
	               h->next_collection, h->next_uidvalidity, h->messages, h->bytes, account);
}

/* Closes the operation that is being collected. */
static void close_operation(struct change *c)
{
	log_uids_close(&c->uids, &c->body, c->op, c->op_collection, c->op_from);
}

static void note_uid(struct change *c, enum log_op op, int64_t collection, int64_t from, uint32_t uid)
{
	if (c->op != op || c->op_collection != collection || c->op_from != from)
		close_operation(c);
	c->op = op;
	c->op_collection = collection;
	c->op_from = from;
	log_uids_add(&c->uids, uid);
	c->did = true;
}

void change_note(struct change *c, enum log_op op, int64_t collection, struct span a, struct span b)
{
	close_operation(c);
	log_names(&c->body, op, collection, a, b);
	c->did = true;
}

static int write_counters(struct change *c, struct touched *touched)
{
	for (struct open_collection *o = c->open; o; o = o->next) {
		if (!o->counted)
			continue;
		const struct collection *k = &o->c;
		int e = meta_do(c->t, META_COLLECTION_COUNT, "iiiiisii", k->uidnext, c->number, k->messages, k->unseen, k->bytes,
		                k->keywords, c->account, k->id);
		if (e)
			return e;
		if (touched->n < sizeof touched->collections / sizeof *touched->collections)
			touched->collections[touched->n] = k->id;
		touched->n++;
		if (k->kind == COLLECTION_MAIL && k->uidnext / UIDMAP_STEP != o->uidnext / UIDMAP_STEP)
			touched->grown = k->id;
	}
	return OK;
}

static int write_journal(struct change *c)
{
	const struct actor *a = c->actor;
	struct head *h = &c->head;
	close_operation(c);
	if (!buffer_ok(&c->body))
		return fail_with(ERR_UNAVAILABLE, "no memory for the journal");
	int e = meta_do(c->t, META_JOURNAL_ADD, "iiiiisisb", c->account, c->number, c->stamp,
	                c->changeset ? c->changeset : c->number, (int64_t)c->kind, span_of(a->name), a->session,
	                span_of(a->client), buffer_span(&c->body));
	if (!e)
		e = meta_do(c->t, META_HEAD_PUT, "iiiiiiii", c->number, c->stamp, h->tree, h->next_collection, h->next_uidvalidity,
		            h->messages, h->bytes, c->account);
	if (!e && !service_is_dirty(c->s, c->stamp / DIRTY_SLOT_US, c->account))
		e = meta_do(c->t, META_DIRTY_ADD, "ii", c->stamp / DIRTY_SLOT_US, c->account);
	return e;
}

int change_end(struct change *c, int result, struct touched *touched)
{
	struct touched t = { .account = c->account };
	if (!result && c->did) {
		result = write_counters(c, &t);
		if (!result)
			result = write_journal(c);
		t.change = c->number;
		t.slot = c->stamp / DIRTY_SLOT_US;
	}
	if (touched)
		*touched = t;
	buffer_free(&c->body);
	buffer_free(&c->uids.ranges);
	arena_free(&c->arena);
	c->open = NULL;
	return result;
}

static int hold_collection(struct change *c, const struct collection *row, struct collection **out)
{
	struct open_collection *o = arena_alloc(&c->arena, sizeof *o);
	if (!o)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	o->c = *row;
	o->uidnext = row->uidnext;
	o->c.name = arena_copy(&c->arena, row->name);
	o->c.keywords = row->keywords.n ? arena_copy(&c->arena, row->keywords) : (struct span){ 0 };
	o->next = c->open;
	c->open = o;
	*out = &o->c;
	return OK;
}

static struct open_collection *holder(struct collection *k)
{
	return (struct open_collection *)(void *)((char *)k - offsetof(struct open_collection, c));
}

void change_touch(struct collection *k)
{
	holder(k)->counted = true;
}

static bool is_held(const struct change *c, int64_t id, struct collection **out)
{
	for (struct open_collection *o = c->open; o; o = o->next)
		if (o->c.id == id) {
			*out = &o->c;
			return true;
		}
	return false;
}

int change_collection_row(struct change *c, const struct meta_rows *r, struct collection **out)
{
	struct collection row;
	collection_from_row(r, &row);
	return is_held(c, row.id, out) ? OK : hold_collection(c, &row, out);
}

int change_collection(struct change *c, int64_t id, struct collection **out)
{
	struct meta_rows r;
	if (is_held(c, id, out))
		return OK;
	int e = meta_one(c->t, &r, META_COLLECTION_GET, "ii", c->account, id);
	if (e)
		return e;
	e = change_collection_row(c, &r, out);
	meta_done(&r);
	return e;
}

static int insert_collection(struct change *c, const struct collection *k)
{
	return meta_do(c->t, META_COLLECTION_ADD, "iiiiisiiiiiiiisi", k->id, k->begin, k->created, k->kind, k->parent, k->name,
	               k->attributes, k->uidvalidity, k->uidnext, k->change, k->recent, k->messages, k->unseen, k->bytes,
	               k->keywords, c->account);
}

int change_collection_add(struct change *c, enum collection_kind kind, int64_t parent, struct span name, int64_t attributes,
                          struct span path, int64_t *id)
{
	struct collection k = {
		.id = c->head.next_collection++, .begin = c->number, .created = c->number, .kind = kind, .parent = parent,
		.name = name, .attributes = attributes, .uidvalidity = c->head.next_uidvalidity++, .uidnext = 1,
		.change = c->number, .recent = 1,
	};
	struct collection *held;
	int e = insert_collection(c, &k);
	if (!e)
		e = hold_collection(c, &k, &held);
	if (e)
		return e;
	*id = k.id;
	c->head.tree = c->number;
	change_note(c, LOG_FOLDER_CREATE, k.id, path, (struct span){ 0 });
	return OK;
}

int change_collection_revive(struct change *c, int64_t id, int64_t parent, struct span name, struct span path)
{
	struct meta_rows r;
	struct collection k;
	int e = meta_one(c->t, &r, META_COLLECTION_LAST, "iii", c->account, (int64_t)0, id);
	if (e)
		return e;
	collection_from_row(&r, &k);
	k.keywords = k.keywords.n ? arena_copy(&c->arena, k.keywords) : (struct span){ 0 };
	meta_done(&r);
	k.begin = k.change = c->number;
	k.parent = parent;
	k.name = name;
	e = insert_collection(c, &k);
	if (e)
		return e;
	c->head.tree = c->number;
	c->head.messages += k.messages;
	c->head.bytes += k.bytes;
	change_note(c, LOG_FOLDER_REVIVE, id, path, (struct span){ 0 });
	return OK;
}

/* The row as it is now goes to the past, with counters that this change has moved already. */
static int keep_collection(struct change *c, struct collection *k)
{
	if (holder(k)->counted) {
		int e = meta_do(c->t, META_COLLECTION_COUNT, "iiiiisii", k->uidnext, c->number, k->messages, k->unseen, k->bytes,
		                k->keywords, c->account, k->id);
		if (e)
			return e;
	}
	return meta_do(c->t, META_COLLECTION_KEEP, "iii", c->number, c->account, k->id);
}

int change_collection_define(struct change *c, int64_t id, int64_t parent, struct span name, int64_t attributes,
                             struct span from, struct span to)
{
	struct collection *k;
	int e = change_collection(c, id, &k);
	if (!e && k->begin < c->number) /* several definitions in one change: only the first had been seen by anyone */
		e = keep_collection(c, k);
	if (!e)
		e = meta_do(c->t, META_COLLECTION_DEFINE, "iisiii", c->number, parent, name, attributes, c->account, id);
	if (e)
		return e;
	k->begin = c->number;
	k->parent = parent;
	k->name = arena_copy(&c->arena, name);
	k->attributes = attributes;
	holder(k)->counted = true; /* its change number moves */
	c->head.tree = c->number;
	change_note(c, LOG_FOLDER_RENAME, id, from, to);
	return OK;
}

int change_collection_end(struct change *c, int64_t id, struct span path)
{
	struct collection *k;
	int e = change_collection(c, id, &k);
	if (!e && k->begin < c->number) /* else the definition that this change found is kept already */
		e = keep_collection(c, k);
	if (!e)
		e = meta_do(c->t, META_COLLECTION_DROP, "ii", c->account, id);
	if (e)
		return e;
	holder(k)->counted = true; /* for its watchers; the counters find no row */
	c->head.tree = c->number;
	c->head.messages -= k->messages;
	c->head.bytes -= k->bytes;
	change_note(c, LOG_FOLDER_DELETE, id, path, (struct span){ 0 });
	return OK;
}

/* The collection remembers each keyword ever used in it; past KEYWORDS_MAX it stops listing new ones. */
static void remember_keywords(struct change *c, struct collection *k, struct span keywords)
{
	struct span rest = keywords, name;
	bool news = false;
	while (keywords_next(&rest, &name))
		news = news || !keywords_contains(k->keywords, name);
	if (!news)
		return;
	struct buffer all = { 0 };
	if (keywords_union(&all, k->keywords, keywords) == OK && buffer_ok(&all))
		k->keywords = arena_copy(&c->arena, buffer_span(&all));
	buffer_free(&all);
}

static void count(struct change *c, struct collection *k, const struct version *v, int sign)
{
	holder(k)->counted = true;
	k->messages += sign;
	k->unseen += v->flags & FLAG_SEEN ? 0 : sign;
	k->bytes += sign * (int64_t)v->size;
	c->head.messages += sign;
	c->head.bytes += sign * (int64_t)v->size;
}

static int insert_version(struct change *c, const struct collection *k, const struct version *v)
{
	return meta_do(c->t, META_LIVE_ADD, "iiiiiiisiiiisb", c->account, k->id, (int64_t)v->uid, v->created, v->change, k->kind,
	               (int64_t)v->flags, v->keywords.n ? v->keywords : (struct span){ 0 }, v->date, v->saved, v->email,
	               (int64_t)v->size, v->name, v->data);
}

int change_room(const struct change *c, int64_t quota, uint64_t bytes)
{
	if (quota == 0 || (c->head.bytes <= quota && bytes <= (uint64_t)(quota - c->head.bytes)))
		return OK;
	return fail_with(ERR_QUOTA, "%lld bytes are in use and %llu more would be over the quota of %lld", (long long)c->head.bytes,
	                 (unsigned long long)bytes, (long long)quota);
}

int change_entry_add(struct change *c, struct collection *to, struct version *v, int64_t from)
{
	if (to->uidnext > UINT32_MAX)
		return fail_with(ERR_LIMIT, "the mailbox has used up its UIDs");
	v->uid = (uint32_t)to->uidnext++;
	v->created = v->change = c->number;
	v->saved = c->stamp;
	int e = insert_version(c, to, v);
	if (e)
		return e;
	count(c, to, v, 1);
	remember_keywords(c, to, v->keywords);
	note_uid(c, LOG_ADD, to->id, from, v->uid);
	return OK;
}

static int keep_version(struct change *c, const struct collection *k, uint32_t uid, bool gone)
{
	return meta_do(c->t, META_PAST_KEEP, "iiiii", c->number, (int64_t)gone, c->account, k->id, (int64_t)uid);
}

int change_entry_flags(struct change *c, struct collection *in, struct version *v, uint64_t flags, struct span keywords)
{
	int e = keep_version(c, in, v->uid, false);
	if (!e)
		e = meta_do(c->t, META_LIVE_FLAGS, "iisiii", c->number, (int64_t)flags, keywords.n ? keywords : (struct span){ 0 },
		            c->account, in->id, (int64_t)v->uid);
	if (e)
		return e;
	in->unseen += (flags & FLAG_SEEN ? 0 : 1) - (v->flags & FLAG_SEEN ? 0 : 1);
	holder(in)->counted = true;
	remember_keywords(c, in, keywords);
	v->flags = flags;
	v->keywords = keywords;
	v->change = c->number;
	note_uid(c, LOG_FLAGS, in->id, 0, v->uid);
	return OK;
}

int change_entry_seen(struct change *c, struct collection *in, int64_t viewer, uint32_t uid, bool seen)
{
	struct meta_rows r;
	int64_t flags = seen ? FLAG_SEEN : 0;
	int e = meta_one(c->t, &r, META_SEEN_GET, "iiii", c->account, in->id, viewer, (int64_t)uid);
	if (e && e != ERR_NOT_FOUND)
		return e;
	bool is_new = e;
	int64_t before = is_new ? 0 : meta_int(&r, 0);
	if (!is_new)
		meta_done(&r);
	if (before == flags)
		return OK;
	if (is_new) {
		e = meta_do(c->t, META_SEEN_ADD, "iiiiiiii", c->account, in->id, viewer, (int64_t)uid, c->number, c->number, in->kind, flags);
	} else {
		e = meta_do(c->t, META_SEEN_KEEP, "iiiii", c->number, c->account, in->id, viewer, (int64_t)uid);
		if (!e)
			e = meta_do(c->t, META_SEEN_PUT, "iiiiii", c->number, flags, c->account, in->id, viewer, (int64_t)uid);
	}
	if (e)
		return e;
	holder(in)->counted = true;
	note_uid(c, LOG_FLAGS, in->id, 0, uid);
	return OK;
}

int change_entry_end(struct change *c, struct collection *in, const struct version *v)
{
	int e = keep_version(c, in, v->uid, true);
	if (!e)
		e = meta_do(c->t, META_LIVE_DROP, "iii", c->account, in->id, (int64_t)v->uid);
	if (e)
		return e;
	count(c, in, v, -1);
	note_uid(c, LOG_END, in->id, 0, v->uid);
	return OK;
}

/* A range statement that reaches other rows than those it was meant for: nothing of this may be committed. */
static struct meta_must reaches(size_t n)
{
	return (struct meta_must){ (int64_t)n, ERR_CORRUPT, "a range of entries was not what had been read" };
}

static int keep_range(struct change *c, const struct collection *k, const struct version *v, size_t n, struct flags_condition not,
                      bool gone)
{
	return meta_must(c->t, reaches(n), META_PAST_KEEP_RANGE, "iiiiiiii", c->number, (int64_t)gone, c->account, k->id,
	                 (int64_t)v[0].uid, (int64_t)v[n - 1].uid, (int64_t)not.mask, (int64_t)not.is);
}

int change_range_flags(struct change *c, struct collection *in, const struct version *v, size_t n, struct flags_condition not,
                       uint64_t keep, uint64_t add)
{
	int e = keep_range(c, in, v, n, not, false);
	if (!e)
		e = meta_must(c->t, reaches(n), META_LIVE_FLAGS_RANGE, "iiiiiiiii", c->number, (int64_t)keep, (int64_t)add, c->account,
		              in->id, (int64_t)v[0].uid, (int64_t)v[n - 1].uid, (int64_t)not.mask, (int64_t)not.is);
	for (size_t i = 0; !e && i < n; i++) {
		uint64_t flags = (v[i].flags & keep) | add;
		in->unseen += (flags & FLAG_SEEN ? 0 : 1) - (v[i].flags & FLAG_SEEN ? 0 : 1);
		note_uid(c, LOG_FLAGS, in->id, 0, v[i].uid);
	}
	holder(in)->counted = true;
	return e;
}

int change_range_end(struct change *c, struct collection *in, const struct version *v, size_t n, struct flags_condition not)
{
	int e = keep_range(c, in, v, n, not, true);
	if (!e)
		e = meta_must(c->t, reaches(n), META_LIVE_DROP_RANGE, "iiiiii", c->account, in->id, (int64_t)v[0].uid,
		              (int64_t)v[n - 1].uid, (int64_t)not.mask, (int64_t)not.is);
	for (size_t i = 0; !e && i < n; i++) {
		count(c, in, &v[i], -1);
		note_uid(c, LOG_END, in->id, 0, v[i].uid);
	}
	return e;
}

int change_email_add(struct change *c, int64_t blob, uint64_t size, int64_t sent, struct span summary, int64_t *email)
{
	int64_t id = service_mint(c->s);
	int e = meta_do(c->t, META_EMAIL_ADD, "iiiiiib", id, c->account, blob, (int64_t)size, sent, c->number, summary);
	if (!e)
		e = meta_do(c->t, META_BLOB_USE_ADD, "ii", blob, id);
	if (!e)
		*email = id;
	return e;
}

void change_expect_item(struct meta_txn *t, int64_t account, int64_t collection, struct span name)
{
	meta_expect(t, META_COLLECTION_GET, "ii", account, collection);
	if (name.n)
		meta_expect(t, META_NAME_GET, "iis", account, collection, name);
}

/* Looked at rather than tried: nobody else changes the account meanwhile, and a look can be named before. */
static int take_name(struct change *c, const struct collection *k, struct span name, uint32_t uid)
{
	struct meta_rows r;
	bool new = k->created == c->number; /* then nobody has given a name in it yet */
	int e = new ? ERR_NOT_FOUND : meta_one(c->t, &r, META_NAME_GET, "iis", c->account, k->id, name);
	if (e == ERR_NOT_FOUND)
		return meta_do(c->t, META_NAME_ADD, "iisi", c->account, k->id, name, (int64_t)uid);
	if (e)
		return e;
	meta_done(&r);
	return fail_with(ERR_EXISTS, "the name is taken");
}

int change_item_add(struct change *c, int64_t collection, uint32_t uid, struct span name, int64_t date, struct span data,
                    uint32_t *out)
{
	struct collection *k;
	int e = change_collection(c, collection, &k);
	if (e)
		return e;
	if (uid == 0 && k->uidnext > UINT32_MAX)
		return fail_with(ERR_LIMIT, "the collection has used up its ids");
	if (uid == 0)
		uid = (uint32_t)k->uidnext;
	if (uid >= k->uidnext)
		k->uidnext = (int64_t)uid + 1;
	struct version v = { .uid = uid, .created = c->number, .change = c->number, .date = date, .saved = c->stamp,
		             .flags = FLAG_SEEN, .name = name, .data = data };
	e = name.n ? take_name(c, k, name, uid) : OK;
	if (!e)
		e = insert_version(c, k, &v);
	if (e)
		return e;
	k->messages++;
	holder(k)->counted = true;
	change_note(c, LOG_ITEM_ADD, collection, name, (struct span){ 0 });
	*out = uid;
	return OK;
}

int change_item_set(struct change *c, int64_t collection, uint32_t uid, struct span name, int64_t date, struct span data)
{
	struct collection *k;
	int e = change_collection(c, collection, &k);
	if (!e)
		e = keep_version(c, k, uid, false);
	if (!e)
		e = meta_do(c->t, META_LIVE_DATA, "iibiii", c->number, date, data, c->account, collection, (int64_t)uid);
	if (e)
		return e;
	holder(k)->counted = true;
	change_note(c, LOG_ITEM_SET, collection, name, (struct span){ 0 });
	return OK;
}

int change_item_end(struct change *c, int64_t collection, uint32_t uid, struct span name)
{
	struct collection *k;
	int e = change_collection(c, collection, &k);
	if (!e)
		e = keep_version(c, k, uid, true);
	if (!e)
		e = meta_do(c->t, META_LIVE_DROP, "iii", c->account, collection, (int64_t)uid);
	if (!e && name.n)
		e = meta_do(c->t, META_NAME_DROP, "iis", c->account, collection, name);
	if (e)
		return e;
	k->messages--;
	holder(k)->counted = true;
	change_note(c, LOG_ITEM_END, collection, name, (struct span){ 0 });
	return OK;
}
