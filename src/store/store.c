#include "store.h"

#include <stdlib.h>

#include "fail.h"

#include "flusher.h"
#include "nodes.h"
#include "place.h"
#include "staged.h"

/* What a transaction wants to be durable before it commits. */
struct companion {
	struct blob_stage *const *stages;
	size_t n;
};

/* One write and sync for the stages of the whole group; what became of each is asked for later. */
static void begin_flush(void *ctx, void **companions, size_t n)
{
	struct store *s = ctx;
	size_t total = 0, at = 0;
	for (size_t i = 0; i < n; i++)
		total += ((struct companion *)companions[i])->n;
	struct blob_stage **all = malloc(total * sizeof(struct blob_stage *));
	if (!all)
		return; /* nothing is written then, and each stage says so */
	for (size_t i = 0; i < n; i++) {
		const struct companion *c = companions[i];
		memcpy(all + at, c->stages, c->n * sizeof *all);
		at += c->n;
	}
	flusher_begin(s->flusher, all, total);
}

static int end_flush(void *ctx)
{
	struct store *s = ctx;
	return s->flusher ? flusher_end(s->flusher) : OK;
}

static int first_failure(void *companion)
{
	const struct companion *c = companion;
	struct blob_location where;
	int r = OK;
	for (size_t i = 0; i < c->n && !r; i++)
		r = blob_stage_result(c->stages[i], &where);
	return r;
}

static int flush_one(void *ctx, void *companion)
{
	struct store *s = ctx;
	const struct companion *c = companion;
	flusher_flush(s->flusher, c->stages, c->n);
	return first_failure(companion);
}

static int open_both(const struct store_options *o, struct store *s)
{
	struct meta_options mo = { o->dir, begin_flush, first_failure, end_flush, flush_one, s, o->metrics };
	struct blob_options bo = { .dir = o->dir, .node_name = o->node_name, .mint = &s->mint,
		.metrics = o->metrics, .cache_bytes = o->blob_cache, .rows = staged_rows(s) };
	char instance[64];
	struct place place = { o->blob_url, o->node_name, instance };
	int r = meta_open(o->meta_url, &mo, &s->meta);
	if (!r)
		r = nodes_instance(o->dir, instance);
	if (!r)
		r = place_check(&place, s->meta, &bo);
	if (!r)
		r = nodes_join(s->meta, o->node_name, instance, &s->nodes);
	if (r)
		return r;
	meta_node(s->meta, nodes_self(s->nodes));
	mint_init(&s->mint, nodes_self(s->nodes), nodes_epoch(s->nodes));
	r = blob_open(o->blob_url, &bo, &s->blob);
	return r ? r : flusher_start(s->blob, &s->flusher);
}

int store_open(const struct store_options *o, struct store **out)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	pthread_mutex_init(&s->left_lock, NULL);
	int r = open_both(o, s);
	if (r)
		store_close(&s);
	else
		*out = s;
	return r;
}

void store_close(struct store **ps)
{
	struct store *s = *ps;
	*ps = NULL;
	if (!s)
		return;
	nodes_leave(&s->nodes);
	meta_close(&s->meta); /* first: its transactions flush blobs */
	flusher_stop(&s->flusher);
	blob_close(&s->blob);
	buffer_free(&s->left);
	pthread_mutex_destroy(&s->left_lock);
	free(s);
}

int store_commit(struct store *s, struct blob_stage *const *stages, size_t n, meta_fn *fn, void *arg)
{
	struct companion c = { stages, n };
	if (n && blob_is_whole(s->blob)) { /* there is nothing to share with others, and each may take its time */
		blob_write(s->blob, stages, n);
		blob_sync(s->blob, stages, n); /* each stage says how it went, within the transaction */
		blob_settle(s->blob, stages, n);
		n = 0;
	}
	return meta_run(s->meta, fn, arg, n ? &c : NULL);
}
