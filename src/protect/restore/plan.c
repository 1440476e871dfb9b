#include "plan.h"

#include "fail.h"
#include "varint.h"

enum { PLAN_VERSION = 2 };

void plan_write(const struct restore_request *q, int64_t head, struct buffer *out)
{
	varint_put(out, PLAN_VERSION);
	varint_put(out, (uint64_t)q->account);
	varint_put(out, (uint64_t)q->at.stamp);
	varint_put(out, (uint64_t)q->at.change);
	varint_put_span(out, q->folder);
	varint_put_span(out, q->match);
	varint_put_span(out, q->into);
	varint_put(out, (q->exact ? 1 : 0) | (q->with_deliveries ? 2 : 0));
	varint_put(out, (uint64_t)head);
	varint_put_span(out, span_of(q->actor->name));
	varint_put(out, (uint64_t)q->actor->session);
	varint_put_span(out, span_of(q->actor->client));
}

static bool read_text(struct span *in, struct arena *arena, const char **out)
{
	struct span s;
	if (!varint_get_span(in, &s))
		return false;
	*out = arena_copy(arena, s).p;
	return *out;
}

int plan_read(struct span plan, struct arena *arena, struct restore_request *out, struct actor *actor, int64_t *head)
{
	uint64_t version, account, stamp, change, exact, began, session = 0;
	*out = (struct restore_request){ .actor = actor };
	if (!varint_get(&plan, &version) || version != PLAN_VERSION || !varint_get(&plan, &account) || !varint_get(&plan, &stamp) ||
	    !varint_get(&plan, &change) || !varint_get_span(&plan, &out->folder) || !varint_get_span(&plan, &out->match) ||
	    !varint_get_span(&plan, &out->into) || !varint_get(&plan, &exact) || !varint_get(&plan, &began) ||
	    !read_text(&plan, arena, &actor->name) || !varint_get(&plan, &session) ||
	    !read_text(&plan, arena, &actor->client))
		return fail_with(ERR_CORRUPT, "the plan of an unfinished restore is damaged");
	out->account = (int64_t)account;
	out->exact = exact & 1;
	out->with_deliveries = exact & 2;
	*head = (int64_t)began;
	out->at = (struct instant){ (int64_t)stamp, (int64_t)change };
	actor->session = (int64_t)session;
	return OK;
}

void progress_write(const struct progress *p, struct buffer *out)
{
	varint_put(out, (uint64_t)p->collection);
	varint_put(out, p->uid);
}

int progress_read(struct span text, struct progress *out)
{
	uint64_t collection, uid;
	if (!varint_get(&text, &collection) || !varint_get(&text, &uid) || uid > UINT32_MAX)
		return fail_with(ERR_CORRUPT, "the progress of an unfinished restore is damaged");
	*out = (struct progress){ (int64_t)collection, (uint32_t)uid };
	return OK;
}
