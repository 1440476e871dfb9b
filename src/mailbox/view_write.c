/* STORE, COPY, MOVE, EXPUNGE. */
#include "view_write.h"

#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "past.h"
#include "service_private.h"
#include "settings.h"
#include "tree_private.h"
#include "varint.h"

/* One of its transactions. */
struct step {
	struct bulk *b;
	const uint32_t *uids;
	size_t n;
	bool first, last; /* of several: writes the plan, takes it back */
	struct touched touched;
	struct arena arena;
	const struct entry *entries; /* copy: what the view shows of these UIDs */
	size_t n_entries;
	int64_t target, uidvalidity;
	size_t room;                    /* entries that one of them takes at most */
	uint32_t *modified, *from, *to; /* for so many */
	size_t n_modified, n_copied;
	bool knows_then, others_changed;
	struct version *then; /* with a condition: versions as of then, of entries that were changed since */
	size_t n_then;
};

enum { THEN_MAX = 5000 /* versions that are looked through for those */ };

/* The living versions of some UIDs, ascending; fewer than asked for when some are gone. */
struct selection {
	struct version *v;
	size_t n;
	bool alone; /* nothing else that meets the condition lives between the first and the last */
};

static bool meets(const struct version *v, struct flags_condition not)
{
	return (v->flags & not.mask) != not.is;
}

/* Close enough together that all between them are read along? */
static bool is_range(const uint32_t *uids, size_t n)
{
	return n && uids[n - 1] - uids[0] < n * 4;
}

static void expect_living(struct meta_txn *t, int64_t account, int64_t collection, const uint32_t *uids, size_t n)
{
	if (is_range(uids, n))
		folder_expect_versions(t, account, collection, uids[0], uids[n - 1], n * 4 + 1);
	for (size_t i = 0; i < n && !is_range(uids, n); i++)
		folder_expect_versions(t, account, collection, uids[i], uids[i], 1);
}

static int living_range(struct change *c, int64_t collection, const uint32_t *uids, size_t n, struct flags_condition not,
                        struct selection *out)
{
	struct version *v = NULL;
	size_t got = 0, kept = 0;
	int e = folder_versions(c, collection, uids[0], uids[n - 1], n * 4 + 1, &v, &got);
	out->alone = true;
	for (size_t i = 0, j = 0; !e && i < got; i++) {
		while (j < n && uids[j] < v[i].uid)
			j++;
		if (j < n && uids[j] == v[i].uid)
			v[kept++] = v[i];
		else if (meets(&v[i], not))
			out->alone = false;
	}
	out->v = v;
	out->n = kept;
	return e;
}

static int living(struct change *c, int64_t collection, const uint32_t *uids, size_t n, struct flags_condition not,
                  struct selection *out)
{
	struct version *v = NULL;
	size_t got = 0;
	*out = (struct selection){ 0 };
	if (is_range(uids, n)) /* then pick */
		return living_range(c, collection, uids, n, not, out);
	out->v = arena_alloc(&c->arena, (n + 1) * sizeof *out->v);
	if (!out->v)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < n; i++) {
		int e = folder_versions(c, collection, uids[i], uids[i], 1, &v, &got);
		if (e)
			return e;
		if (got)
			out->v[out->n++] = v[0];
	}
	return OK;
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

static int read_then(struct change *c, const struct collection *in, struct step *k)
{
	struct meta_rows r;
	int64_t since = k->b->store.unchanged_since;
	int e = meta_query(c->t, &r, META_PAST_THEN, "iiiiiii", c->account, in->id, since, (int64_t)THEN_MAX, since,
	                   (int64_t)k->uids[0], (int64_t)k->uids[k->n - 1]);
	if (!e)
		e = folder_take_versions(c, &r, &k->then, &k->n_then);
	k->knows_then = !e;
	return e;
}

static bool same_keywords(struct span asked, struct span then, struct span now)
{
	struct span name;
	while (keywords_next(&asked, &name))
		if (keywords_contains(then, name) != keywords_contains(now, name))
			return false;
	return true;
}

/* Somebody changed the entry since, but not what is asked for now (RFC 7162, 3.1.12)? */
static int only_others_changed(struct change *c, const struct collection *in, const struct version *v, struct step *k,
                               bool *out)
{
	const struct store_request *q = &k->b->store;
	*out = false;
	if (!q->others_may_change || q->op == STORE_REPLACE || v->created > q->unchanged_since)
		return OK;
	int e = k->knows_then ? OK : read_then(c, in, k);
	for (size_t i = 0; !e && i < k->n_then; i++)
		if (k->then[i].uid == v->uid)
			*out = ((k->then[i].flags ^ v->flags) & q->flags) == 0 &&
			       same_keywords(q->keywords, k->then[i].keywords, v->keywords);
	k->others_changed = k->others_changed || *out;
	return e;
}

/* The flags of the entry itself that may be changed: \Seen is the owner's. */
static uint64_t flags_open(const struct view *v)
{
	return imap_rights_flags(v->info.rights) & ~(uint64_t)(v->info.viewer ? FLAG_SEEN : 0);
}

static int seen_change(struct meta_txn *t, const struct view *v, uint32_t uid, int64_t *change)
{
	struct meta_rows r;
	int e = v->info.viewer ? meta_one(t, &r, META_SEEN_RANGE, "iiiii", v->account, v->info.folder.id, v->info.viewer,
	                                  (int64_t)uid, (int64_t)uid) : ERR_NOT_FOUND;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*change = *change > meta_int(&r, 2) ? *change : meta_int(&r, 2);
	meta_done(&r);
	return OK;
}

static int store_seen(struct change *c, struct collection *in, uint32_t uid, const struct step *k)
{
	const struct view_info *info = &k->b->v->info;
	const struct store_request *q = &k->b->store;
	bool named = q->flags & FLAG_SEEN;
	if (!info->viewer || !(info->rights & RIGHT_SEEN) || (!named && q->op != STORE_REPLACE))
		return OK;
	return change_entry_seen(c, in, info->viewer, uid, named && q->op != STORE_REMOVE);
}

static int store_one(struct change *c, struct collection *in, struct version *v, struct step *k)
{
	const struct store_request *q = &k->b->store;
	uint64_t open = flags_open(k->b->v);
	struct span keywords;
	int rc = q->has_unchanged_since ? seen_change(c->t, k->b->v, v->uid, &v->change) : OK;
	if (rc)
		return rc;
	if (q->has_unchanged_since && v->change > q->unchanged_since) {
		bool others;
		int e = only_others_changed(c, in, v, k, &others);
		if (e || !others) {
			k->modified[k->n_modified++] = v->uid;
			return e;
		}
	}
	uint64_t flags = q->op == STORE_REPLACE ? q->flags : q->op == STORE_ADD ? v->flags | q->flags : v->flags & ~q->flags;
	flags = (flags & open) | (v->flags & ~open);
	int e = new_keywords(c, q, v, &keywords);
	if (!(k->b->v->info.rights & RIGHT_WRITE))
		keywords = v->keywords;
	if (!e && (flags != v->flags || !span_eq(keywords, v->keywords)))
		e = change_entry_flags(c, in, v, flags, keywords);
	return e ? e : store_seen(c, in, v->uid, k);
}

static int copy_one(struct change *c, struct step *k, struct collection *to, struct version *v)
{
	uint32_t from = v->uid;
	if (k->b->v->info.past)
		v->flags &= ~(uint64_t)FLAG_DELETED;
	int e = change_entry_add(c, to, v, k->b->v->info.folder.id);
	if (e)
		return e;
	k->from[k->n_copied] = from;
	k->to[k->n_copied++] = v->uid;
	return OK;
}

static int copy_entries(struct change *c, struct step *k, struct collection *to)
{
	for (size_t i = 0; i < k->n_entries; i++) {
		const struct entry *s = &k->entries[i];
		struct version v = { .uid = s->uid, .flags = s->flags, .keywords = s->keywords, .date = s->date, .email = s->email,
			             .size = s->size };
		int e = change_room(c, k->b->quota, v.size);
		if (!e)
			e = copy_one(c, k, to, &v);
		if (e)
			return e;
	}
	return OK;
}

static const struct flags_condition everything = { 0, 1 };

/* Which entries the operation means, so far as flags say it. */
static struct flags_condition condition_of(const struct bulk *b)
{
	const struct store_request *q = &b->store;
	if (b->kind == CHANGE_EXPUNGE)
		return (struct flags_condition){ FLAG_DELETED, 0 };
	if (b->kind == CHANGE_FLAGS && q->op == STORE_ADD)
		return (struct flags_condition){ q->flags, q->flags };
	if (b->kind == CHANGE_FLAGS && q->op == STORE_REMOVE)
		return (struct flags_condition){ q->flags, 0 };
	return everything;
}

/* Flags alone, changed by one rule for all? */
static bool goes_by_range(const struct bulk *b)
{
	const struct store_request *q = &b->store;
	return b->kind != CHANGE_FLAGS || (b->v->info.rights == RIGHTS_ALL && !b->v->info.viewer && q->op != STORE_REPLACE && !q->keywords.n);
}

/* Two statements change any number of flags, so fewer and longer transactions cost less. A write-set that travels to other nodes of a
   database is better small. */
static size_t chunk_of(const struct bulk *b)
{
	return b->kind == CHANGE_FLAGS && goes_by_range(b) && !meta_shared(b->v->s->store->meta) ? BULK_RANGE : BULK_CHUNK;
}

/* Does the condition hold for all of them? */
static bool all_unchanged(const struct store_request *q, const struct selection *s)
{
	for (size_t i = 0; q->has_unchanged_since && i < s->n; i++)
		if (s->v[i].change > q->unchanged_since)
			return false;
	return true;
}

static int change_range(struct change *c, struct step *k, struct collection *in, struct selection *s, struct flags_condition not)
{
	const struct store_request *q = &k->b->store;
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (meets(&s->v[i], not))
			s->v[n++] = s->v[i];
	s->n = n;
	if (n == 0)
		return OK;
	if (k->b->kind != CHANGE_FLAGS)
		return change_range_end(c, in, s->v, n, not);
	return change_range_flags(c, in, s->v, n, not, ~q->flags, q->op == STORE_ADD ? q->flags : 0);
}

static int change_each(struct change *c, struct step *k, struct collection *in, struct selection *s, struct flags_condition not)
{
	int e = OK;
	size_t n = 0;
	for (size_t i = 0; !e && i < s->n; i++) {
		if (k->b->kind == CHANGE_FLAGS) {
			e = store_one(c, in, &s->v[i], k);
		} else if (meets(&s->v[i], not)) { /* else somebody took \Deleted back */
			e = change_entry_end(c, in, &s->v[i]);
			s->v[n++] = s->v[i];
		}
	}
	s->n = n;
	return e;
}

/* What STORE, MOVE and EXPUNGE do with the entries that still live. */
static int change_living(struct change *c, struct step *k, struct collection *to)
{
	struct collection *in;
	struct selection s = { 0 };
	struct flags_condition not = condition_of(k->b);
	int e = change_collection(c, k->b->v->info.folder.id, &in);
	if (!e)
		e = living(c, in->id, k->uids, k->n, not, &s);
	if (!e)
		e = s.alone && goes_by_range(k->b) && all_unchanged(&k->b->store, &s) ? change_range(c, k, in, &s, not) : change_each(c, k, in, &s, not);
	for (size_t i = 0; !e && k->b->kind == CHANGE_MOVE && i < s.n; i++)
		e = copy_one(c, k, to, &s.v[i]);
	return e;
}

static int find_target(struct change *c, struct step *k, struct collection **to)
{
	int64_t known = k->b->target;
	int e = known ? change_collection(c, known, to) : folder_selectable(c, k->b->path, to);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "there is no such target folder") : e;
	k->target = (*to)->id;
	k->uidvalidity = (*to)->uidvalidity;
	return OK;
}

static bool has_target(const struct bulk *b)
{
	return b->kind == CHANGE_COPY || b->kind == CHANGE_MOVE;
}

/* What the step will read: its target, and the entries that still live. */
static void expect_step(struct meta_txn *t, const struct step *k)
{
	const struct view *v = k->b->v;
	change_expect(t, v->account);
	if (has_target(k->b) && k->b->target)
		meta_expect(t, META_COLLECTION_GET, "ii", v->account, k->b->target);
	else if (has_target(k->b))
		tree_expect_path(t, v->account, k->b->path);
	if (k->b->kind == CHANGE_COPY)
		return;
	meta_expect(t, META_COLLECTION_GET, "ii", v->account, v->info.folder.id);
	expect_living(t, v->account, v->info.folder.id, k->uids, k->n);
}

static int do_step(struct change *c, struct step *k)
{
	struct collection *to = NULL;
	int e = has_target(k->b) ? find_target(c, k, &to) : OK;
	if (e)
		return e;
	return k->b->kind == CHANGE_COPY ? copy_entries(c, k, to) : change_living(c, k, to);
}

static int write_plan(struct meta_txn *t, struct step *k)
{
	struct bulk b = *k->b;
	struct buffer plan = { 0 }, progress = { 0 };
	b.target = k->target;
	bulk_plan_write(&b, &plan);
	varint_put(&progress, k->uids[k->n - 1]);
	int e = changeset_add(t, b.v->s->store, &(struct changeset){ .account = b.v->account, .id = b.changeset, .kind = b.kind,
	                          .plan = buffer_span(&plan), .progress = buffer_span(&progress) });
	buffer_free(&plan);
	buffer_free(&progress);
	return e;
}

static int write_progress(struct meta_txn *t, struct step *k)
{
	struct buffer progress = { 0 };
	varint_put(&progress, k->uids[k->n - 1]);
	int e = changeset_put(t, k->b->v->account, k->b->changeset, buffer_span(&progress));
	buffer_free(&progress);
	return e;
}

static int keep_plan(struct meta_txn *t, struct step *k)
{
	if (k->first && k->last)
		return OK;
	int e = k->first ? OK : changeset_hold(t, k->b->v->s->store, k->b->v->account, k->b->changeset);
	if (e)
		return e;
	if (k->last)
		return changeset_drop(t, k->b->v->s->store, k->b->v->account, k->b->changeset);
	return k->first ? write_plan(t, k) : write_progress(t, k);
}

static int run_step(struct meta_txn *t, void *arg)
{
	struct step *k = arg;
	struct change c;
	k->n_modified = k->n_copied = 0;
	k->knows_then = k->others_changed = false;
	expect_step(t, k);
	int e = change_begin(&c, k->b->v->s, t, k->b->v->account, k->b->kind, k->b->actor, k->b->changeset);
	if (!e) /* else the entries that were read may lead to emails that are no more */
		e = view_stands(k->b->v);
	if (!e)
		e = view_holds(t, k->b->v);
	if (!e)
		e = do_step(&c, k);
	e = change_end(&c, e, &k->touched);
	return e ? e : keep_plan(t, k);
}

/* The entries as the view shows them, also those that are gone but untold. */
static int read_entries(struct step *k)
{
	struct imap_set uids = { .ranges = arena_alloc(&k->arena, (k->n + 1) * sizeof *uids.ranges) };
	struct entry *entries;
	if (!uids.ranges)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (; uids.n < k->n; uids.n++)
		uids.ranges[uids.n] = (struct imap_range){ k->uids[uids.n], k->uids[uids.n] };
	int e = view_read_set(k->b->v, &uids, 0, k->n, VIEW_ENTRIES, &k->arena, &entries, &k->n_entries);
	k->entries = e ? NULL : entries;
	return e;
}

static int append_uids(uint32_t **list, size_t n, const uint32_t *more, size_t n_more)
{
	uint32_t *p = realloc(*list, (n + n_more + 1) * sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	memcpy(p + n, more, n_more * sizeof *p);
	*list = p;
	return OK;
}

static int note_result(struct step *k)
{
	struct store_result *s = k->b->stored;
	struct copy_result *c = k->b->copied;
	int e = OK;
	if (s && k->touched.change) {
		s->first = s->first ? s->first : k->touched.change;
		s->last = k->touched.change;
		s->changes++;
	}
	if (s) {
		s->others_changed = s->others_changed || k->others_changed;
		e = append_uids(&s->modified, s->n_modified, k->modified, k->n_modified);
		s->n_modified += e ? 0 : k->n_modified;
	}
	if (c && !e) {
		e = append_uids(&c->from, c->n, k->from, k->n_copied);
		if (!e)
			e = append_uids(&c->to, c->n, k->to, k->n_copied);
		c->n += e ? 0 : k->n_copied;
		c->uidvalidity = k->uidvalidity;
	}
	return e;
}

static int do_chunk(struct bulk *b, struct step *k)
{
	arena_reset(&k->arena);
	k->b = b;
	k->uids = b->uids + b->done;
	k->n = b->n - b->done < k->room ? b->n - b->done : k->room;
	k->first = b->done == 0;
	k->last = b->done + k->n == b->n;
	int e = b->kind == CHANGE_COPY ? read_entries(k) : OK;
	if (!e)
		e = service_commit(b->v->s, NULL, 0, run_step, k, &k->touched, 1);
	if (e)
		return e;
	b->target = k->target;
	b->done += k->n;
	return note_result(k);
}

struct taking_back {
	struct bulk *b;
	struct touched touched;
};

/* A COPY that cannot be finished leaves nothing (RFC 3501, 6.4.7): what it had copied ends again. */
static int take_back(struct meta_txn *t, void *arg)
{
	struct taking_back *q = arg;
	struct bulk *b = q->b;
	struct change c;
	struct collection *to;
	struct selection s = { 0 };
	int e = change_begin(&c, b->v->s, t, b->v->account, CHANGE_EXPUNGE, b->actor, b->changeset);
	if (!e && b->kind == CHANGE_COPY && b->copied && b->copied->n) {
		e = change_collection(&c, b->target, &to);
		if (!e)
			e = living(&c, to->id, b->copied->to, b->copied->n, everything, &s);
		for (size_t i = 0; !e && i < s.n; i++)
			e = change_entry_end(&c, to, &s.v[i]);
		e = e == ERR_NOT_FOUND ? OK : e; /* the whole target is gone */
	}
	e = change_end(&c, e, &q->touched);
	if (!e)
		e = changeset_hold(t, b->v->s->store, b->v->account, b->changeset);
	return e ? e : changeset_drop(t, b->v->s->store, b->v->account, b->changeset);
}

static void give_up(struct bulk *b)
{
	char why[512];
	struct taking_back q = { .b = b };
	if (b->done == 0 || b->done == b->n)
		return;
	snprintf(why, sizeof why, "%s", fail_detail());
	if (service_commit(b->v->s, NULL, 0, take_back, &q, &q.touched, 1))
		changeset_leave(b->v->s->store, b->v->account, b->changeset);
	fail_set_detail(why); /* of what went wrong first */
}

/* Purge on another node leaves an account alone that has a plan (changeset.h). This one holds what is copied out of the past, and
   says nothing: after a crash it is dropped. */
struct past_hold {
	const struct bulk *b;
	int64_t id;
};

static int add_hold(struct meta_txn *t, void *arg)
{
	const struct past_hold *h = arg;
	struct bulk nothing = *h->b;
	struct buffer plan = { 0 };
	nothing.n = 0;
	bulk_plan_write(&nothing, &plan);
	int e = changeset_add(t, h->b->v->s->store, &(struct changeset){ .account = h->b->v->account, .id = h->id, .kind = CHANGE_COPY,
	                                            .plan = buffer_span(&plan), .progress = SPAN("\0") });
	buffer_free(&plan);
	return e;
}

static int run_chunks(struct bulk *b)
{
	size_t chunk = chunk_of(b), room = b->n < chunk ? b->n : chunk;
	uint32_t *uids = malloc((3 * room + 1) * sizeof *uids);
	struct step k = { .room = room, .modified = uids, .from = uids + room, .to = uids + 2 * room };
	if (!uids)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (!b->changeset && b->n > room)
		b->changeset = service_mint(b->v->s);
	int e;
	do
		e = do_chunk(b, &k);
	while (!e && b->done < b->n);
	if (e)
		give_up(b);
	arena_free(&k.arena);
	free(uids);
	return e;
}

int bulk_run(struct bulk *b)
{
	struct service *s = b->v->s;
	if (!b->v->info.past || !meta_shared(s->store->meta))
		return run_chunks(b);
	struct past_hold h = { b, service_mint(s) };
	int e = meta_run(s->store->meta, add_hold, &h, NULL);
	if (e)
		return e;
	e = past_check_now(s, b->v->account, b->v->info.at.change);
	if (!e)
		e = run_chunks(b);
	return changeset_end(s->store, b->v->account, h.id, e == ERR_INVALID ? ERR_NOT_FOUND : e);
}

/* The numbers of the view that a set names. free(). */
static int select_uids(const struct view *v, const struct imap_set *set, uint32_t **out, size_t *n)
{
	uint32_t *uids = malloc((v->map->n + 1) * sizeof *uids);
	size_t k = 0;
	if (!uids)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < set->n; i++)
		for (uint32_t at = uidmap_lower(v->map, set->ranges[i].first); at < v->map->n && v->map->uid[at] <= set->ranges[i].last; at++)
			uids[k++] = v->map->uid[at];
	*out = uids;
	*n = k;
	return OK;
}

int view_check_writable(const struct view *v)
{
	if (v->info.past)
		return fail_with(ERR_CANNOT, "the past is read-only: copy it out instead");
	return v->info.read_only ? fail_with(ERR_CANNOT, "the mailbox was opened read-only") : OK;
}

static int check_rights(const struct view *v, unsigned needed)
{
	return (v->info.rights & needed) == needed ? OK : fail_with(ERR_DENIED, "the owner does not allow it");
}

/* Those of \Seen, \Deleted and all others that are asked for; with none, whatever goes. */
static int check_flags(const struct view *v, const struct store_request *r)
{
	unsigned named = (r->flags & FLAG_SEEN ? RIGHT_SEEN : 0) | (r->flags & FLAG_DELETED ? RIGHT_DELETE : 0) |
	                 (r->flags & ~(uint64_t)(FLAG_SEEN | FLAG_DELETED) || r->keywords.n ? RIGHT_WRITE : 0);
	if (!named || r->op == STORE_REPLACE)
		named = RIGHTS_FLAGS;
	return v->info.rights & named ? OK : check_rights(v, named);
}

int view_store(struct view *v, const struct store_request *r, const struct actor *a, struct store_result *out)
{
	struct bulk b = { .v = v, .kind = CHANGE_FLAGS, .actor = a, .store = *r, .stored = out };
	uint32_t *uids = NULL;
	*out = (struct store_result){ 0 };
	int e = view_check_writable(v);
	if (!e)
		e = check_flags(v, r);
	if (!e)
		e = select_uids(v, r->uids, &uids, &b.n);
	b.uids = uids;
	if (!e && b.n)
		e = bulk_run(&b);
	free(uids);
	return e;
}

int view_copy(struct view *v, const struct imap_set *set, struct span path, bool move, const struct actor *a,
              struct copy_result *out)
{
	struct bulk b = { .v = v, .kind = move ? CHANGE_MOVE : CHANGE_COPY, .actor = a, .path = path, .copied = out };
	uint32_t *uids = NULL;
	*out = (struct copy_result){ 0 };
	struct settings settings = { 0 };
	int e = move ? view_check_writable(v) : service_settings(v->s, v->account, &settings);
	b.quota = settings.quota;
	if (!e)
		e = select_uids(v, set, &uids, &b.n);
	b.uids = uids;
	if (!e)
		e = bulk_run(&b); /* also without messages: is there such a target? */
	free(uids);
	if (e) {
		free(out->from);
		free(out->to);
		*out = (struct copy_result){ 0 };
	}
	return e;
}

struct deleted {
	struct view *v;
	const struct imap_set *among;
	struct buffer uids; /* uint32_t each */
};

static int read_deleted(struct meta_txn *t, void *arg)
{
	struct deleted *d = arg;
	struct meta_rows r;
	buffer_reset(&d->uids);
	int e = meta_query(t, &r, META_LIVE_DELETED, "ii", d->v->account, d->v->info.folder.id);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		if (!d->among || imap_set_contains(d->among, uid))
			buffer_put(&d->uids, &uid, sizeof uid);
	}
	meta_done(&r);
	return e;
}

int view_expunge(struct view *v, const struct imap_set *uids, const struct actor *a)
{
	struct deleted d = { .v = v, .among = uids };
	int e = view_check_writable(v);
	if (!e)
		e = check_rights(v, RIGHT_EXPUNGE);
	if (!e)
		e = meta_read(v->s->store->meta, read_deleted, &d);
	if (!e && !buffer_ok(&d.uids))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	struct bulk b = { .v = v, .kind = CHANGE_EXPUNGE, .actor = a, .uids = (const uint32_t *)(void *)d.uids.p,
		          .n = d.uids.n / sizeof(uint32_t) };
	if (!e && b.n)
		e = bulk_run(&b);
	buffer_free(&d.uids);
	return e;
}
