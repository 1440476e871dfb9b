#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "metric.h"

#include "store_inside.h"

/* The open pack, to which small bodies go:
 *
 *   none --first group of a write--> open --group written--> open (longer by the group) --synced--> open
 *   open --group written that fills it, with the seal, and synced--> none     open --blob_close, with the seal--> none
 *   open --a write or sync failed: what the file holds is in doubt--> none, without a seal; the next start mends it
 *
 * Invariants: a stage is durable only below open.synced of the time, or in a pack that is sealed; a byte is written once;
 * what was written is synced before more is; a pack that was left is never written again; a pack has its name only after
 * its first sync. */

enum { PACK_BYTES = 64 * 1024 * 1024, GROUP_MOST = 1000, ID_TRIES = 1000, NAMED_TOGETHER = 8 };

int store_create_pack(struct blob_store *s, int64_t *id, struct blob_pack **out)
{
	int r = ERR_EXISTS;
	/* An id is taken only when metadata older than the blobs was put back: then the ids run over old ones. */
	for (int i = 0; i < ID_TRIES && r == ERR_EXISTS; i++) {
		*id = mint_id(s->mint);
		r = driver_of(s)->create(s->backend, *id, out);
	}
	if (r == ERR_EXISTS)
		return fail_with(ERR_UNAVAILABLE, "no free pack id: the metadata is older than the blobs");
	if (r)
		return r;
	pthread_mutex_lock(&s->lock);
	s->stats.packs++;
	pthread_mutex_unlock(&s->lock);
	return OK;
}

int store_sync_pack(struct blob_store *s, struct blob_pack *p, bool name, unsigned costs)
{
	int64_t began = clock_mono();
	int r = driver_of(s)->sync(s->backend, p, name);
	metric_observe(s->metrics, METRIC_BLOB_SYNC_SECONDS, 0, clock_mono() - began);
	pthread_mutex_lock(&s->lock);
	s->stats.syncs += costs;
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void open_pack_set(struct blob_store *s, struct blob_pack *file, int64_t id, int64_t synced)
{
	pthread_mutex_lock(&s->lock);
	s->open = (struct open_pack){ file, id, synced, synced, clock_mono() };
	pthread_mutex_unlock(&s->lock);
}

/* No more records: the pack is full, or doubtful after a failure and never written again. */
static void open_pack_leave(struct blob_store *s)
{
	struct blob_pack *file = s->open.file;
	if (!file)
		return;
	open_pack_set(s, NULL, 0, 0);
	driver_of(s)->done(s->backend, file);
}

static int open_pack_ready(struct blob_store *s)
{
	struct blob_pack *file;
	int64_t id;
	if (s->open.file && s->open.written == s->open.synced && clock_mono() - s->open.used > BLOB_PACK_IDLE_US)
		open_pack_leave(s);
	if (s->open.file)
		return OK;
	int r = store_create_pack(s, &id, &file);
	if (!r)
		open_pack_set(s, file, id, 0);
	return r;
}

/* One write of records that follow each other in the open pack. */
struct group {
	struct blob_stage *stages[GROUP_MOST];
	struct iovec parts[GROUP_MOST + 2];
	unsigned char header[PACK_HEADER], seal[PACK_SEAL];
	int n_stages, n_parts;
	int64_t at; /* where the next part goes */
	bool sealed;
};

static void group_part(struct group *g, void *p, size_t n)
{
	g->parts[g->n_parts++] = (struct iovec){ p, n };
	g->at += (int64_t)n;
}

static void group_stage(struct blob_store *s, struct group *g, struct blob_stage *st)
{
	st->at = (struct blob_location){ s->open.id, g->at, (int64_t)st->header.stored };
	st->header.synced = (uint64_t)s->open.synced;
	record_header_put(st->chunk, &st->header, s->open.id, g->at);
	group_part(g, st->chunk, st->header.stored);
	g->stages[g->n_stages++] = st;
}

static bool is_pending(const struct blob_stage *st)
{
	return st->state == STAGE_FINISHED && !st->own.id && !st->store->backend->whole;
}

/* As many pending stages as the pack takes; the one that fills it brings the seal along. Returns how many it saw. */
static size_t group_fill(struct blob_store *s, struct group *g, struct blob_stage *const *stages, size_t n)
{
	size_t i;
	g->n_stages = g->n_parts = 0;
	g->at = s->open.synced;
	if (!g->at) {
		pack_header_put(g->header, s->open.id);
		group_part(g, g->header, PACK_HEADER);
	}
	for (i = 0; i < n && g->n_stages < GROUP_MOST && (!g->n_stages || g->at < s->pack_bytes); i++)
		if (is_pending(stages[i]))
			group_stage(s, g, stages[i]);
	if ((g->sealed = g->at >= s->pack_bytes)) {
		pack_seal_put(g->seal, s->open.id, g->at);
		group_part(g, g->seal, PACK_SEAL);
	}
	return i;
}

void store_count(struct blob_store *s, const struct record_header *h)
{
	pthread_mutex_lock(&s->lock);
	s->stats.records++;
	s->stats.bytes_raw += h->raw;
	s->stats.bytes_stored += h->stored;
	pthread_mutex_unlock(&s->lock);
}

static void stage_durable(struct blob_store *s, struct blob_stage *st)
{
	st->state = STAGE_DURABLE;
	pool_give(&s->pool, &st->chunk);
	store_count(s, &st->header);
}

static bool is_written(const struct blob_stage *st)
{
	return st->state == STAGE_WRITTEN && !st->own.id;
}

/* A sync tells each stage how it went; what state that brings it to is for blob_settle. */
static void note_synced(struct blob_stage *st, int r)
{
	st->result = r;
	if (r)
		stage_failed(st, r);
}

static int open_pack_sync(struct blob_store *s)
{
	int64_t end = s->open.written;
	int r = store_sync_pack(s, s->open.file, true, s->open.synced ? 1 : 2);
	if (r)
		open_pack_leave(s);
	else
		open_pack_set(s, s->open.file, s->open.id, end);
	return r;
}

static int group_write(struct blob_store *s, struct group *g)
{
	int r = driver_of(s)->write(s->backend, s->open.file, g->parts, g->n_parts, s->open.synced);
	if (r)
		open_pack_leave(s);
	else
		s->open.written = g->at;
	return r;
}

static size_t write_group(struct blob_store *s, struct group *g, struct blob_stage *const *stages, size_t n)
{
	size_t seen = n;
	g->n_stages = 0;
	g->sealed = false;
	int r = open_pack_ready(s);
	if (!r) {
		seen = group_fill(s, g, stages, n);
		r = group_write(s, g);
	} else {
		for (seen = 0; seen < n && g->n_stages < GROUP_MOST; seen++)
			if (is_pending(stages[seen]))
				g->stages[g->n_stages++] = stages[seen];
	}
	for (int i = 0; i < g->n_stages; i++) {
		g->stages[i]->state = r ? STAGE_FINISHED : STAGE_WRITTEN;
		if (r)
			stage_failed(g->stages[i], r);
	}
	return seen;
}

static int sync_small(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	if (s->open.written == s->open.synced)
		return OK;
	int r = open_pack_sync(s);
	for (size_t i = 0; i < n; i++)
		if (is_written(stages[i]))
			note_synced(stages[i], r);
	return r;
}

/* Before the open pack is written again, or left: what is in it by now is synced. */
static void group_sync(struct blob_store *s, struct group *g)
{
	sync_small(s, g->stages, (size_t)g->n_stages);
	blob_settle(s, g->stages, (size_t)g->n_stages);
	if (g->sealed)
		open_pack_leave(s);
}

static void skip_others(struct blob_stage *const **stages, size_t *n)
{
	while (*n && !is_pending(**stages))
		++*stages, --*n;
}

static void write_small(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	struct group g;
	for (skip_others(&stages, &n); n;) {
		size_t seen = write_group(s, &g, stages, n);
		stages += seen, n -= seen;
		skip_others(&stages, &n);
		if (n || g.sealed)
			group_sync(s, &g);
	}
}

void blob_write(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (stages[i]->state == STAGE_FINISHED && stages[i]->own.id)
			stages[i]->state = STAGE_WRITTEN;
	write_small(s, stages, n);
}

/* Large bodies have their bytes on stable storage already; their names are missing. */
struct naming {
	struct blob_store *store;
	struct blob_stage *const *stages;
	size_t n;
	atomic_size_t next;
};

static bool is_nameless(const struct blob_stage *st)
{
	return st->state == STAGE_WRITTEN && st->own.id;
}

static void *name_some(void *ctx)
{
	struct naming *w = ctx;
	for (size_t i; (i = atomic_fetch_add(&w->next, 1)) < w->n;)
		if (is_nameless(w->stages[i]))
			note_synced(w->stages[i], store_sync_pack(w->store, w->stages[i]->own.file, true, 1));
	return NULL;
}

/* Where each is a request to a server, several at a time. */
static int sync_own(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	struct naming w = { .store = s, .stages = stages, .n = n };
	pthread_t helpers[NAMED_TOGETHER - 1];
	size_t own = 0, k = 0;
	int first = OK;
	for (size_t i = 0; i < n; i++)
		own += is_nameless(stages[i]);
	while (s->backend->whole && k + 1 < own && k < NAMED_TOGETHER - 1 && !pthread_create(&helpers[k], NULL, name_some, &w))
		k++;
	name_some(&w);
	while (k)
		pthread_join(helpers[--k], NULL);
	for (size_t i = 0; i < n && !first; i++)
		if (is_nameless(stages[i]))
			first = stages[i]->result;
	return first;
}

int blob_sync(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	int own = sync_own(s, stages, n), small = sync_small(s, stages, n);
	pthread_mutex_lock(&s->lock);
	s->stats.flushes++;
	pthread_mutex_unlock(&s->lock);
	return small ? small : own;
}

void blob_settle(struct blob_store *s, struct blob_stage *const *stages, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct blob_stage *st = stages[i];
		if (st->state != STAGE_WRITTEN)
			continue;
		if (st->own.file)
			driver_of(s)->done(s->backend, st->own.file);
		st->own.file = NULL;
		if (st->result)
			st->state = st->own.id ? STAGE_FAILED : STAGE_FINISHED;
		else
			stage_durable(s, st);
	}
}

/* A seal spares the next start the reading of the pack; without it nothing is lost. */
static void open_pack_seal(struct blob_store *s)
{
	unsigned char seal[PACK_SEAL];
	struct iovec part = { seal, sizeof seal };
	if (!s->open.file || !s->open.synced)
		return;
	pack_seal_put(seal, s->open.id, s->open.synced);
	if (!driver_of(s)->write(s->backend, s->open.file, &part, 1, s->open.synced))
		driver_of(s)->sync(s->backend, s->open.file, true);
}

void blob_close(struct blob_store **sp)
{
	struct blob_store *s = *sp;
	*sp = NULL;
	if (!s)
		return;
	if (s->backend) {
		open_pack_seal(s);
		open_pack_leave(s);
		driver_of(s)->close(s->backend);
	}
	EVP_MD_free(s->sha256);
	pool_free(&s->pool);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int backend_open(const char *url, const struct blob_options *o, struct blob_backend **out)
{
	struct blob_driver_options d = { .dir = o->dir, .node_name = o->node_name, .node = mint_node(o->mint->base),
		.metrics = o->metrics, .cache_bytes = o->cache_bytes };
	return blob_driver_open(url, &d, out);
}

/* Before this node has a number. */
static int backend_look(const char *url, const struct blob_options *o, struct blob_backend **out)
{
	struct blob_driver_options d = { .dir = o->dir, .node_name = o->node_name };
	return blob_driver_open(url, &d, out);
}

static int store_set_up(struct blob_store *s, const char *url, const struct blob_options *o)
{
	if (!s->sha256)
		return fail_with(ERR_UNAVAILABLE, "OpenSSL has no SHA-256");
	int r = backend_open(url, o, &s->backend);
	return r ? r : store_repair(s);
}

/* A pack_fn: one is enough. */
static int is_pack(void *ctx, int64_t pack, int64_t size, int64_t changed)
{
	*(bool *)ctx = true;
	return 1;
}

int blob_holds_packs(const char *url, const struct blob_options *o, bool *holds)
{
	struct blob_backend *b;
	int r = backend_look(url, o, &b);
	if (r)
		return r;
	*holds = false;
	r = b->driver->list(b, is_pack, holds);
	b->driver->close(b);
	return *holds ? OK : r;
}

bool blob_is_far(const char *url)
{
	return blob_driver_far(url);
}

static int mark_of(struct blob_backend *b, const char *put, char out[static BLOB_MARK])
{
	return b->driver->mark ? b->driver->mark(b, put, out, BLOB_MARK) : ERR_CANNOT;
}

int blob_mark(const char *url, const struct blob_options *o, const char *put, char out[static BLOB_MARK])
{
	struct blob_backend *b;
	int r = backend_look(url, o, &b);
	if (r)
		return r;
	r = mark_of(b, put, out);
	b->driver->close(b);
	return r;
}

int blob_own_mark(struct blob_store *s, char out[static BLOB_MARK])
{
	return mark_of(s->backend, NULL, out);
}

int blob_open(const char *url, const struct blob_options *o, struct blob_store **out)
{
	struct blob_store *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	s->mint = o->mint;
	s->metrics = o->metrics;
	s->pack_bytes = o->pack_bytes ? o->pack_bytes : PACK_BYTES;
	s->rows = o->rows;
	s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	pthread_mutex_init(&s->lock, NULL);
	pool_init(&s->pool);
	int r = store_set_up(s, url, o);
	if (r)
		blob_close(&s);
	else
		*out = s;
	return r;
}

bool blob_is_whole(const struct blob_store *s)
{
	return s->backend->whole;
}

static bool is_open(struct blob_store *s, int64_t pack)
{
	pthread_mutex_lock(&s->lock);
	bool open = s->open.file && s->open.id == pack;
	pthread_mutex_unlock(&s->lock);
	return open;
}

struct listing {
	struct blob_store *store;
	int (*fn)(void *ctx, const struct blob_pack_info *p);
	void *ctx;
};

/* A pack_fn. */
static int list_one(void *ctx, int64_t pack, int64_t size, int64_t changed)
{
	struct listing *l = ctx;
	struct blob_pack_info p = { pack, size, changed, is_open(l->store, pack) };
	return l->fn(l->ctx, &p);
}

int blob_list(struct blob_store *s, int (*fn)(void *ctx, const struct blob_pack_info *p), void *ctx)
{
	struct listing l = { s, fn, ctx };
	return driver_of(s)->list(s->backend, list_one, &l);
}

static void hold_by(struct blob_store *s, int by)
{
	pthread_mutex_lock(&s->lock);
	s->holds += by;
	pthread_mutex_unlock(&s->lock);
}

void blob_hold(struct blob_store *s)
{
	hold_by(s, 1);
}

void blob_release(struct blob_store *s)
{
	hold_by(s, -1);
}

static bool is_held(struct blob_store *s)
{
	pthread_mutex_lock(&s->lock);
	bool held = s->holds > 0;
	pthread_mutex_unlock(&s->lock);
	return held;
}

int blob_copy(struct blob_store *s, const char *to, struct file_copy *c)
{
	return driver_of(s)->copy(s->backend, to, c);
}

int blob_copy_prune(struct blob_store *s, const char *to)
{
	return driver_of(s)->prune(s->backend, to);
}

int blob_remove_pack(struct blob_store *s, int64_t pack)
{
	if (is_open(s, pack))
		return fail_with(ERR_INVALID, "pack %llx is being written", (long long)pack);
	if (is_held(s))
		return fail_with(ERR_UNAVAILABLE, "a copy of the store is being made");
	return driver_of(s)->remove(s->backend, pack);
}

void blob_stats(struct blob_store *s, struct blob_stats *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->stats;
	pthread_mutex_unlock(&s->lock);
}
