/* The plan of a large operation, and what a crash left of it. */
#include <stdlib.h>

#include "changeset.h"
#include "fail.h"
#include "service_private.h"
#include "varint.h"
#include "view_write.h"

enum { PLAN_VERSION = 2, PLAN_UIDS_MAX = 100000000 };

static void put_uids(const struct bulk *b, struct buffer *out)
{
	uint32_t last = 0;
	varint_put(out, b->n);
	for (size_t i = 0; i < b->n;) {
		size_t run = 1;
		while (i + run < b->n && b->uids[i + run] == b->uids[i] + run)
			run++;
		varint_put(out, b->uids[i] - last);
		varint_put(out, run);
		last = b->uids[i + run - 1];
		i += run;
	}
}

void bulk_plan_write(const struct bulk *b, struct buffer *out)
{
	varint_put(out, PLAN_VERSION);
	varint_put(out, b->kind);
	varint_put(out, (uint64_t)b->v->info.folder.id);
	varint_put(out, (uint64_t)b->v->expunged);
	varint_put(out, b->v->info.past ? (uint64_t)b->v->info.at.change : 0);
	varint_put(out, b->store.op);
	varint_put(out, b->store.flags);
	varint_put_span(out, b->store.keywords);
	varint_put(out, b->store.has_unchanged_since);
	varint_put(out, (uint64_t)b->store.unchanged_since);
	varint_put(out, b->store.others_may_change);
	varint_put(out, (uint64_t)b->target);
	varint_put(out, (uint64_t)b->v->info.viewer);
	varint_put(out, b->v->info.rights);
	varint_put_span(out, span_of(b->actor->name));
	varint_put(out, (uint64_t)b->actor->session);
	varint_put_span(out, span_of(b->actor->client));
	put_uids(b, out);
}

/* A plan read again. collection, expunged, at, viewer, rights: what the view was on, and whose. */
struct bulk_plan {
	int64_t collection, expunged, at, viewer;
	unsigned rights;
	struct bulk bulk; /* but for the view */
	struct actor actor;
	uint32_t *uids; /* free() */
};

static bool get_uids(struct span *in, struct bulk_plan *p)
{
	uint64_t n, gap, run, last = 0;
	if (!varint_get(in, &n) || n > PLAN_UIDS_MAX || !(p->uids = malloc((n + 1) * sizeof *p->uids)))
		return false;
	for (size_t i = 0; i < n;) {
		if (!varint_get(in, &gap) || !varint_get(in, &run) || gap == 0 || run == 0 || run > n - i || last + gap + run > UINT32_MAX)
			return false;
		for (uint64_t k = 0; k < run; k++)
			p->uids[i++] = (uint32_t)(last + gap + k);
		last += gap + run - 1;
	}
	p->bulk.n = n;
	return true;
}

static bool get_text(struct span *in, struct arena *a, const char **out)
{
	struct span s;
	return varint_get_span(in, &s) && (*out = arena_copy(a, s).p);
}

static bool is_bulk(uint64_t kind)
{
	return kind == CHANGE_FLAGS || kind == CHANGE_COPY || kind == CHANGE_MOVE || kind == CHANGE_EXPUNGE;
}

static int read_plan(const struct changeset *c, struct arena *arena, struct bulk_plan *out)
{
	struct span in = c->plan;
	uint64_t version, kind, collection, expunged, at, op, flags, conditional, since, others, target, viewer, rights, session;
	struct span keywords;
	*out = (struct bulk_plan){ 0 };
	if (!varint_get(&in, &version) || version != PLAN_VERSION || !varint_get(&in, &kind) ||
	    kind != (uint64_t)c->kind || !is_bulk(kind) || !varint_get(&in, &collection) ||
	    !varint_get(&in, &expunged) || !varint_get(&in, &at) || !varint_get(&in, &op) || op > STORE_REMOVE ||
	    !varint_get(&in, &flags) || !varint_get_span(&in, &keywords) || !varint_get(&in, &conditional) ||
	    !varint_get(&in, &since) || !varint_get(&in, &others) || !varint_get(&in, &target) ||
	    !varint_get(&in, &viewer) || !varint_get(&in, &rights) || !get_text(&in, arena, &out->actor.name) ||
	    !varint_get(&in, &session) || !get_text(&in, arena, &out->actor.client) || !get_uids(&in, out)) {
		free(out->uids);
		return fail_with(ERR_CORRUPT, "the plan of an unfinished operation is damaged");
	}
	out->actor.session = (int64_t)session;
	out->collection = (int64_t)collection;
	out->expunged = (int64_t)expunged;
	out->at = (int64_t)at;
	out->viewer = (int64_t)viewer;
	out->rights = (unsigned)rights;
	out->bulk.kind = (enum change_kind)kind;
	out->bulk.uids = out->uids;
	out->bulk.target = (int64_t)target;
	out->bulk.store = (struct store_request){ .op = (enum store_op)op, .flags = flags, .keywords = keywords,
		                                  .has_unchanged_since = conditional, .unchanged_since = (int64_t)since,
		                                  .others_may_change = others };
	return OK;
}

/* The view the operation ran on, as far as it needs one. */
static int rebuild_view(struct service *s, int64_t account, const struct bulk_plan *p, struct view **out)
{
	struct view *v = calloc(1, sizeof *v);
	if (!v)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	v->s = s;
	v->account = account;
	v->info.account = account;
	v->info.viewer = p->viewer;
	v->info.rights = p->rights;
	v->info.folder.id = p->collection;
	v->change = v->expunged = p->expunged;
	int e = OK;
	if (p->at) {
		v->info.past = v->info.read_only = true;
		v->info.at.change = p->at;
		e = view_past_map(v);
	} else if ((v->map = uidmap_new((uint32_t)p->bulk.n))) {
		memcpy(v->map->uid, p->uids, p->bulk.n * sizeof *p->uids);
		v->map->n = (uint32_t)p->bulk.n;
	} else {
		e = ERR_UNAVAILABLE;
	}
	if (e)
		view_close(&v);
	else
		*out = v;
	return e;
}

/* Where the progress says it was; the plan itself was written with the first chunk, so there is one. */
static int find_progress(struct span text, struct bulk *b)
{
	uint64_t uid;
	if (!varint_get(&text, &uid))
		return fail_with(ERR_CORRUPT, "the progress of an unfinished operation is damaged");
	while (b->done < b->n && b->uids[b->done] <= uid)
		b->done++;
	return OK;
}

int bulk_resume(struct service *s, const struct changeset *c)
{
	struct bulk_plan p;
	struct arena arena = { 0 };
	int e = read_plan(c, &arena, &p);
	if (!e) {
		p.bulk.actor = &p.actor;
		p.bulk.changeset = c->id;
		e = find_progress(c->progress, &p.bulk);
		if (!e)
			e = rebuild_view(s, c->account, &p, &p.bulk.v);
		if (!e)
			e = bulk_run(&p.bulk);
		view_close(&p.bulk.v);
		free(p.uids);
	}
	arena_free(&arena);
	return e;
}
