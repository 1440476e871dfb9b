#include "undo_plan.h"

#include "changeset.h"
#include "fail.h"
#include "varint.h"

enum { PLAN_VERSION = 1 };

static void plan_write(const struct undo *u, struct buffer *out)
{
	const struct undo_request *q = u->q;
	varint_put(out, PLAN_VERSION);
	varint_put(out, (uint64_t)q->account);
	varint_put(out, (uint64_t)q->first);
	varint_put(out, (uint64_t)q->last);
	varint_put(out, (uint64_t)u->changes.head);
	varint_put_span(out, q->client);
	varint_put_span(out, q->folder);
	varint_put_span(out, span_of(q->actor->name));
	varint_put(out, (uint64_t)q->actor->session);
	varint_put_span(out, span_of(q->actor->client));
}

static void progress_write(const struct undo_progress *p, struct buffer *out)
{
	varint_put(out, (uint64_t)p->collection);
	varint_put(out, p->from);
	varint_put(out, p->pass);
	varint_put(out, p->uid);
}

int undo_plan_save(struct meta_txn *t, const struct undo *u)
{
	struct buffer plan = { 0 }, progress = { 0 };
	plan_write(u, &plan);
	progress_write(&u->progress, &progress);
	int e = changeset_add(t, service_store(u->s), &(struct changeset){ .account = u->q->account, .id = u->changeset,
	                          .kind = CHANGE_UNDO, .plan = buffer_span(&plan), .progress = buffer_span(&progress) });
	buffer_free(&plan);
	buffer_free(&progress);
	return e;
}

int undo_progress_save(struct meta_txn *t, const struct undo *u, const struct undo_progress *p)
{
	struct buffer b = { 0 };
	progress_write(p, &b);
	int e = changeset_put(t, u->q->account, u->changeset, buffer_span(&b));
	buffer_free(&b);
	return e;
}

static bool read_text(struct span *in, struct arena *arena, const char **out)
{
	struct span s;
	return varint_get_span(in, &s) && (*out = arena_copy(arena, s).p);
}

int undo_plan_read(struct span plan, struct arena *arena, struct undo_request *out, struct actor *actor, int64_t *head)
{
	uint64_t version, account, first, last, at, session;
	*out = (struct undo_request){ .actor = actor };
	if (!varint_get(&plan, &version) || version != PLAN_VERSION || !varint_get(&plan, &account) || !varint_get(&plan, &first) ||
	    !varint_get(&plan, &last) || !varint_get(&plan, &at) || !varint_get_span(&plan, &out->client) ||
	    !varint_get_span(&plan, &out->folder) || !read_text(&plan, arena, &actor->name) || !varint_get(&plan, &session) ||
	    !read_text(&plan, arena, &actor->client))
		return fail_with(ERR_CORRUPT, "the plan of an unfinished undo is damaged");
	out->account = (int64_t)account;
	out->first = (int64_t)first;
	out->last = (int64_t)last;
	actor->session = (int64_t)session;
	*head = (int64_t)at;
	return OK;
}

int undo_progress_read(struct span text, struct undo_progress *out)
{
	uint64_t collection, from, pass, uid;
	if (!varint_get(&text, &collection) || !varint_get(&text, &from) || !varint_get(&text, &pass) || !varint_get(&text, &uid) ||
	    from > UINT32_MAX || pass > UINT32_MAX || uid > UINT32_MAX)
		return fail_with(ERR_CORRUPT, "the progress of an unfinished undo is damaged");
	*out = (struct undo_progress){ (int64_t)collection, (uint32_t)from, (uint32_t)pass, (uint32_t)uid };
	return OK;
}
