/* COPY and MOVE where more than one user has a part in it: to or from a folder of somebody else. The body stays where it is, the
   target's account gets an email of its own that holds on to it. */
#include <stdio.h>
#include <stdlib.h>

#include "acl_private.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "service_private.h"
#include "settings.h"
#include "tree_private.h"
#include "view_write.h"

struct across {
	struct view *v;
	int64_t account, viewer; /* of the target */
	struct span path;
	const struct actor *actor;
	int64_t quota, changeset;
	struct copy_result *out;
	/* of a transaction */
	const struct entry *entries;
	size_t n, copied;
	uint32_t to[BULK_CHUNK];
	int64_t target, uidvalidity;
	unsigned rights; /* at the target */
	struct touched touched;
};

static int link_body(struct change *c, int64_t body)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_BLOB_LOCK, "i", body);
	if (e && e != ERR_NOT_FOUND)
		return e;
	int64_t state = e ? 1 : meta_int(&r, 0);
	if (!e)
		meta_done(&r);
	return state == 0 ? meta_do(c->t, META_BLOB_LINK, "ii", clock_now(), body) : fail_with(ERR_CONFLICT, "the message went away");
}

/* Another email of the same bytes, for the target's account. */
static int copy_email(struct change *c, int64_t from, int64_t *email)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_EMAIL_COPY, "i", from);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(ERR_CONFLICT, "the message went away") : e;
	int64_t body = meta_int(&r, 0), size = meta_int(&r, 1), sent = meta_int(&r, 2);
	struct span summary = arena_copy(&c->arena, meta_span(&r, 3));
	meta_done(&r);
	if (!summary.p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	e = link_body(c, body);
	return e ? e : change_email_add(c, body, (uint64_t)size, sent, summary, email);
}

/* The flags that who copies may set there, \Seen aside where it is his own. */
static void cut_flags(const struct across *q, struct version *v)
{
	v->flags &= imap_rights_flags(q->rights) & ~(uint64_t)((q->v->info.past ? FLAG_DELETED : 0) | (q->viewer ? FLAG_SEEN : 0));
	if (!(q->rights & RIGHT_WRITE))
		v->keywords = (struct span){ 0 };
}

static int copy_entry(struct change *c, struct across *q, struct collection *to, const struct entry *s)
{
	struct version v = { .flags = s->flags, .keywords = s->keywords, .date = s->date, .email = s->email, .size = s->size };
	bool same = q->account == q->v->account;
	cut_flags(q, &v);
	int e = change_room(c, q->quota, v.size);
	if (!e && !same)
		e = copy_email(c, s->email, &v.email);
	if (!e)
		e = change_entry_add(c, to, &v, same ? q->v->info.folder.id : 0);
	if (!e && q->viewer && s->flags & FLAG_SEEN && q->rights & RIGHT_SEEN)
		e = change_entry_seen(c, to, q->viewer, v.uid, true);
	if (!e)
		q->to[q->copied++] = v.uid;
	return e;
}

static int find_target(struct change *c, struct across *q, struct collection **to)
{
	int e = q->target ? change_collection(c, q->target, to) : folder_selectable(c, q->path, to);
	if (!e && q->viewer)
		e = acl_rights_to(c->t, c->account, (*to)->id, q->viewer, &q->rights);
	if (e)
		return e;
	q->target = (*to)->id;
	q->uidvalidity = (*to)->uidvalidity;
	return q->rights & RIGHT_INSERT ? OK : fail_with(ERR_DENIED, "the owner does not allow it");
}

static int copy_in(struct meta_txn *t, void *arg)
{
	struct across *q = arg;
	struct change c;
	struct collection *to;
	q->copied = 0;
	q->rights = RIGHTS_ALL;
	change_expect(t, q->account);
	int e = change_begin(&c, q->v->s, t, q->account, CHANGE_COPY, q->actor, q->changeset);
	if (!e)
		e = find_target(&c, q, &to);
	for (size_t i = 0; !e && i < q->n; i++)
		e = copy_entry(&c, q, to, &q->entries[i]);
	return change_end(&c, e, &q->touched);
}

static int note_copied(struct across *q)
{
	struct copy_result *r = q->out;
	uint32_t *from = realloc(r->from, (r->n + q->copied + 1) * sizeof *from);
	uint32_t *to = from ? realloc(r->to, (r->n + q->copied + 1) * sizeof *to) : NULL;
	r->from = from ? from : r->from;
	r->to = to ? to : r->to;
	if (!to)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < q->copied; i++) {
		r->from[r->n] = q->entries[i].uid;
		r->to[r->n++] = q->to[i];
	}
	r->uidvalidity = q->uidvalidity;
	return OK;
}

static int copy_chunks(struct across *q, const struct imap_set *uids)
{
	struct arena arena = { 0 };
	uint64_t next = 0;
	int e;
	do {
		struct entry *entries = NULL;
		arena_reset(&arena);
		e = view_read_set(q->v, uids, next, BULK_CHUNK, VIEW_ENTRIES, &arena, &entries, &q->n);
		q->entries = entries;
		if (!e) /* also without messages: is there such a target? */
			e = service_commit(q->v->s, NULL, 0, copy_in, q, &q->touched, 1);
		if (!e)
			e = note_copied(q);
		next = q->n ? (uint64_t)q->entries[q->n - 1].uid + 1 : 0;
	} while (!e && q->n == BULK_CHUNK);
	arena_free(&arena);
	return e;
}

static int end_in(struct meta_txn *t, void *arg)
{
	struct across *q = arg;
	struct change c;
	struct collection *to;
	struct version *v;
	size_t n;
	int e = change_begin(&c, q->v->s, t, q->account, CHANGE_EXPUNGE, q->actor, q->changeset);
	if (!e)
		e = change_collection(&c, q->target, &to);
	for (size_t i = 0; !e && i < q->copied; i++) {
		e = folder_versions(&c, to->id, q->to[i], q->to[i], 1, &v, &n);
		if (!e && n)
			e = change_entry_end(&c, to, v);
	}
	return change_end(&c, e, &q->touched);
}

/* A COPY that cannot be finished leaves nothing (RFC 3501, 6.4.7), as far as the store still answers. */
static void take_back(struct across *q)
{
	const struct copy_result *r = q->out;
	int e = OK;
	for (size_t done = 0; !e && done < r->n; done += q->copied) {
		q->copied = r->n - done < BULK_CHUNK ? r->n - done : BULK_CHUNK;
		memcpy(q->to, r->to + done, q->copied * sizeof *q->to);
		e = service_commit(q->v->s, NULL, 0, end_in, q, &q->touched, 1);
	}
}

static int copy_across(struct across *q, const struct imap_set *uids)
{
	struct settings settings;
	char why[512];
	int e = service_settings(q->v->s, q->account, &settings);
	if (e)
		return e;
	q->quota = settings.quota;
	q->changeset = service_mint(q->v->s);
	e = copy_chunks(q, uids);
	if (e && q->out->n) {
		snprintf(why, sizeof why, "%s", fail_detail());
		take_back(q);
		fail_set_detail(why);
	}
	return e;
}

/* What a move takes away (RFC 6851, 3.3): the rights of \Deleted and EXPUNGE. */
static int check_move(const struct view *v)
{
	const struct view_info *info = &v->info;
	if (info->past || info->read_only)
		return fail_with(ERR_CANNOT, "the mailbox was opened read-only");
	unsigned needed = RIGHT_DELETE | RIGHT_EXPUNGE;
	return (info->rights & needed) == needed ? OK : fail_with(ERR_DENIED, "the owner does not allow it");
}

static int take_away(struct view *v, const struct copy_result *r, const struct actor *a)
{
	struct imap_set set = { .ranges = malloc((r->n + 1) * sizeof *set.ranges) };
	struct store_request q = { .uids = &set, .op = STORE_ADD, .flags = FLAG_DELETED };
	struct store_result stored;
	if (!set.ranges)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (; set.n < r->n; set.n++)
		set.ranges[set.n] = (struct imap_range){ r->from[set.n], r->from[set.n] };
	int e = view_store(v, &q, a, &stored);
	free(stored.modified);
	if (!e)
		e = view_expunge(v, &set, a);
	free(set.ranges);
	return e;
}

int view_copy_to(struct view *v, const struct imap_set *uids, int64_t account, int64_t viewer, struct span path, bool move,
                 const struct actor *a, struct copy_result *out)
{
	*out = (struct copy_result){ 0 };
	if (account == v->account && !viewer && !v->info.viewer)
		return view_copy(v, uids, path, move, a, out);
	struct across *q = calloc(1, sizeof *q);
	int e = move ? check_move(v) : OK;
	if (!q)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*q = (struct across){ .v = v, .account = account, .viewer = viewer, .path = path, .actor = a, .out = out };
	if (!e)
		e = copy_across(q, uids);
	if (!e && move && out->n)
		e = take_away(v, out, a);
	free(q);
	if (e) {
		free(out->from);
		free(out->to);
		*out = (struct copy_result){ 0 };
	}
	return e;
}
