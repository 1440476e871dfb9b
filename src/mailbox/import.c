#include "import.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "folder_private.h"
#include "incoming.h"
#include "lease.h"
#include "mailbox_name.h"
#include "service_private.h"
#include "settings.h"
#include "tree_private.h"

enum { READ_CHUNK = 10000, BATCH_BYTES = 8 << 20, WAIT_SECONDS = 10, WAIT_MS = 100 };

/* A node that imports may read for so long between two batches. */
#define PATIENCE_US (30 * SECOND_US)

/* How often content stands in a folder, and how often it came along in this import. */
struct content {
	int64_t hash;
	uint32_t there, seen;
	bool used;
};

struct known_folder {
	struct known_folder *next;
	struct span path;
	struct content *slots;
	size_t cap, n;
	bool there; /* it is, to put messages into */
};

struct pending {
	struct incoming *in;
	struct span folder, keywords;
	uint64_t flags;
	int64_t date;
};

struct import {
	struct import *next; /* of those that run, in the service's list */
	struct service *s;
	int64_t account, changeset;
	const struct actor *actor;
	struct arena arena; /* known folders */
	struct known_folder *folders;
	struct arena batch; /* texts of the pending */
	struct pending pending[INCOMING_BATCH];
	size_t n;
	uint64_t bytes;
	struct import_counts counts;
	int64_t quota;
	struct touched touched;
	char lease_name[40];
	struct lease lease; /* where nodes share the store: of all that import into the account one adds */
};

static bool is_running(const struct service *s, int64_t account)
{
	for (const struct import *m = s->imports; m; m = m->next)
		if (m->account == account)
			return true;
	return false;
}

/* What another import adds is not among what this one counts. One that was broken off ends as soon as the node sees it. */
static int enter(struct import *m)
{
	struct service *s = m->s;
	struct timespec until;
	int late = 0;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_SECONDS;
	pthread_mutex_lock(&s->imports_lock);
	while (is_running(s, m->account) && !late)
		late = pthread_cond_timedwait(&s->import_ended, &s->imports_lock, &until);
	if (!late) {
		m->next = s->imports;
		s->imports = m;
	}
	pthread_mutex_unlock(&s->imports_lock);
	return late ? fail_with(ERR_UNAVAILABLE, "another import into this account is running") : OK;
}

static void leave(struct import *m)
{
	struct service *s = m->s;
	pthread_mutex_lock(&s->imports_lock);
	for (struct import **p = &s->imports; *p; p = &(*p)->next)
		if (*p == m) {
			*p = m->next;
			break;
		}
	pthread_cond_broadcast(&s->import_ended);
	pthread_mutex_unlock(&s->imports_lock);
}

/* The same among nodes. What each adds it adds under the lease, so that a guess about who lives costs an import, and no message
   comes twice. */
static int enter_cluster(struct import *m)
{
	int64_t until = clock_mono() + WAIT_SECONDS * SECOND_US;
	int e;
	if (!meta_shared(m->s->store->meta))
		return OK;
	snprintf(m->lease_name, sizeof m->lease_name, "import/%lld", (long long)m->account);
	lease_init(&m->lease, m->s->store, m->lease_name, PATIENCE_US);
	while ((e = lease_take(&m->lease)) == ERR_CONFLICT && clock_mono() < until)
		nanosleep(&(struct timespec){ 0, WAIT_MS * 1000000L }, NULL);
	return e == ERR_CONFLICT ? fail_with(ERR_UNAVAILABLE, "another import into this account is running at another node") : e;
}

int import_open(struct service *s, int64_t account, const struct actor *a, struct import **out)
{
	struct settings settings;
	int e = service_settings(s, account, &settings);
	if (e)
		return e;
	struct import *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	m->s = s;
	m->quota = settings.quota;
	m->account = account;
	m->actor = a;
	e = enter(m);
	if (e) {
		free(m);
		return e;
	}
	e = enter_cluster(m);
	if (e)
		import_close(&m);
	else
		*out = m;
	return e;
}

static void drop_pending(struct import *m)
{
	for (size_t i = 0; i < m->n; i++)
		incoming_free(&m->pending[i].in);
	m->n = 0;
	m->bytes = 0;
	arena_reset(&m->batch);
}

void import_close(struct import **mp)
{
	struct import *m = *mp;
	*mp = NULL;
	if (!m)
		return;
	lease_return(&m->lease);
	leave(m);
	drop_pending(m);
	for (struct known_folder *k = m->folders; k; k = k->next)
		free(k->slots);
	arena_free(&m->arena);
	arena_free(&m->batch);
	free(m);
}

struct import_counts import_counts(const struct import *m)
{
	return m->counts;
}

static struct content *slot_of(const struct known_folder *k, int64_t hash)
{
	size_t i = (uint64_t)hash * 0x9E3779B97F4A7C15u >> 20 & (k->cap - 1);
	while (k->slots[i].used && k->slots[i].hash != hash)
		i = (i + 1) & (k->cap - 1);
	return &k->slots[i];
}

static struct content *content_of(struct known_folder *k, int64_t hash)
{
	if (k->n * 2 >= k->cap) {
		struct known_folder next = { .cap = k->cap ? k->cap * 2 : 1024 };
		next.slots = calloc(next.cap, sizeof *next.slots);
		if (!next.slots)
			return NULL;
		for (size_t i = 0; i < k->cap; i++)
			if (k->slots[i].used)
				*slot_of(&next, k->slots[i].hash) = k->slots[i];
		free(k->slots);
		k->slots = next.slots;
		k->cap = next.cap;
	}
	struct content *c = slot_of(k, hash);
	k->n += !c->used;
	c->used = true;
	c->hash = hash;
	return c;
}

struct folder_load {
	struct import *m;
	struct known_folder *k;
	int64_t id;
	uint32_t after, reached;
	struct buffer hashes; /* int64_t each */
};

static int find_folder(struct meta_txn *t, void *arg)
{
	struct folder_load *l = arg;
	struct tree tree;
	int e = tree_load_path(t, l->m->account, l->k->path, &tree);
	if (e)
		return e;
	const struct folder *f = tree_find(&tree, l->k->path);
	l->id = f ? f->id : 0;
	l->k->there = f && !(f->attributes & FOLDER_NOSELECT);
	tree_free(&tree);
	return OK;
}

static int read_hashes(struct meta_txn *t, void *arg)
{
	struct folder_load *l = arg;
	struct meta_rows r;
	buffer_reset(&l->hashes);
	int e = meta_query(t, &r, META_LIVE_HASHES, "iiii", l->m->account, l->id, (int64_t)l->after, (int64_t)READ_CHUNK);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t hash = meta_int(&r, 1);
		buffer_put(&l->hashes, &hash, sizeof hash);
		l->reached = (uint32_t)meta_int(&r, 0);
	}
	meta_done(&r);
	return e;
}

static int count_there(struct folder_load *l)
{
	size_t got;
	int e;
	do {
		e = meta_read(l->m->s->store->meta, read_hashes, l);
		got = l->hashes.n / sizeof(int64_t);
		for (size_t i = 0; !e && i < got; i++) {
			struct content *c = content_of(l->k, ((const int64_t *)(void *)l->hashes.p)[i]);
			if (c)
				c->there++;
			else
				e = fail_with(ERR_UNAVAILABLE, "no memory");
		}
		l->after = l->reached;
	} while (!e && got == READ_CHUNK);
	buffer_free(&l->hashes);
	return e;
}

static int know_folder(struct import *m, struct span path, struct known_folder **out)
{
	for (*out = m->folders; *out; *out = (*out)->next)
		if (span_eq((*out)->path, path))
			return OK;
	struct known_folder *k = arena_alloc(&m->arena, sizeof *k);
	if (!k)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	k->path = arena_copy(&m->arena, path);
	struct folder_load l = { .m = m, .k = k };
	int e = meta_read(m->s->store->meta, find_folder, &l);
	if (!e && l.id)
		e = count_there(&l);
	if (e) {
		free(k->slots);
		return e;
	}
	k->next = m->folders;
	m->folders = k;
	*out = k;
	return OK;
}

static int add_one(struct change *c, const struct tree *tree, struct pending *p, int64_t quota)
{
	struct collection *to;
	struct version v = { .flags = p->flags, .keywords = p->keywords, .date = p->date ? p->date : c->stamp };
	int64_t id;
	int e = change_room(c, quota, incoming_size(p->in));
	if (!e)
		e = folder_ensure_selectable(c, tree, p->folder, &id);
	if (!e)
		e = change_collection(c, id, &to);
	return e ? e : incoming_add(p->in, c, to, &v);
}

static int run_batch(struct meta_txn *t, void *arg)
{
	struct import *m = arg;
	struct change c;
	struct tree tree = { 0 };
	for (size_t i = 0; i < m->n; i++)
		incoming_begin(m->pending[i].in);
	int e = lease_held(&m->lease) ? lease_hold(t, &m->lease) : OK;
	if (e)
		return e;
	e = change_begin(&c, m->s, t, m->account, CHANGE_IMPORT, m->actor, m->changeset);
	for (size_t i = 0; !e && i < m->n; i++) {
		/* a folder made by this change, or made selectable, is not so in a tree read before */
		if (i == 0 || !span_eq(m->pending[i].folder, m->pending[i - 1].folder)) {
			tree_free(&tree);
			e = tree_load_path(t, m->account, m->pending[i].folder, &tree);
		}
		if (!e)
			e = add_one(&c, &tree, &m->pending[i], m->quota);
		const struct folder *f = e ? NULL : tree_find(&tree, m->pending[i].folder);
		if (!e && (!f || f->attributes & FOLDER_NOSELECT)) {
			tree_free(&tree);
			e = tree_load_path(t, m->account, m->pending[i].folder, &tree);
		}
	}
	e = change_end(&c, e, &m->touched);
	tree_free(&tree);
	return e;
}

int import_flush(struct import *m)
{
	struct incoming *in[INCOMING_BATCH];
	if (!m->n)
		return OK;
	for (size_t i = 0; i < m->n; i++)
		in[i] = m->pending[i].in;
	int e = incoming_commit(in, m->n, run_batch, m, &m->touched, 1);
	if (!e) {
		m->counts.added += m->n;
		m->changeset = m->changeset ? m->changeset : m->touched.change;
	}
	drop_pending(m);
	return e;
}

static int hash_of(const struct incoming *in, int64_t *out)
{
	memcpy(out, incoming_sha256(in), sizeof *out);
	return OK;
}

static int keep(struct import *m, struct span folder, struct incoming *in, uint64_t flags, struct span keywords, int64_t date)
{
	struct pending *p = &m->pending[m->n];
	*p = (struct pending){ in, arena_copy(&m->batch, folder), arena_copy(&m->batch, keywords), flags, date };
	m->n++;
	m->bytes += incoming_size(in);
	return m->n == INCOMING_BATCH || m->bytes > BATCH_BYTES ? import_flush(m) : OK;
}

/* Where it is not there; and subscribes it, as many clients show nothing else. */
static int make_folder(struct import *m, struct known_folder *k)
{
	if (k->there)
		return OK;
	int e = folder_create(m->s, m->account, k->path, m->actor);
	k->there = !e || e == ERR_EXISTS;
	if (e)
		return k->there ? OK : e;
	return folder_subscribe(m->s, m->account, k->path, true, m->actor);
}

int import_add(struct import *m, struct span folder, struct incoming *in, uint64_t flags, struct span keywords, int64_t date)
{
	struct known_folder *k;
	struct content *c = NULL;
	int64_t hash;
	int e = mailbox_name_check(folder);
	if (!e)
		e = know_folder(m, folder, &k);
	if (!e)
		e = make_folder(m, k);
	if (!e)
		e = hash_of(in, &hash);
	if (!e && !(c = content_of(k, hash)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = incoming_find(in);
	if (!e && ++c->seen > c->there)
		return keep(m, folder, in, flags, keywords, date);
	m->counts.skipped += !e;
	incoming_free(&in);
	return e;
}

int import_folder(struct import *m, struct span folder)
{
	struct known_folder *k;
	int e = mailbox_name_check(folder);
	if (!e)
		e = know_folder(m, folder, &k);
	return e ? e : make_folder(m, k);
}
