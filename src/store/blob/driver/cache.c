#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <xxhash.h>

#include "durable_file.h"
#include "fail.h"
#include "metric.h"

enum { SLOTS_LEAST = 2 * CACHE_AHEAD, DISK_SHARE = 4, STREAMS = 64, NONE = -1 };
enum { FROM_CACHE, FROM_STORE };

/* A block of the file. In use: in its chain, and in the list by use. Being filled: in neither. */
struct slot {
	int64_t pack, block; /* pack 0: it holds nothing */
	XXH64_hash_t sum;
	int n;               /* bytes; fewer than CACHE_BLOCK: the pack ends there */
	int newer, older;    /* by last use */
	int next;            /* in the chain */
};

struct cache {
	struct blob_backend backend;
	struct blob_backend *below;
	struct metrics *metrics;
	int fd;
	pthread_mutex_t lock;
	int n_slots, n_used; /* slots from n_used on were never filled */
	struct slot *slots;
	int *chains; /* n_slots of them */
	int newest, oldest;
	uint64_t dropped; /* times that a pack was: what was asked for before that is not kept after it */
	struct { int64_t pack, end; } stream[STREAMS]; /* where the last read of a pack from the store ended, in blocks */
};

static struct cache *cache_of(struct blob_backend *b)
{
	return (struct cache *)b;
}

static int *chain_of(struct cache *c, int64_t pack, int64_t block)
{
	int64_t key[2] = { pack, block };
	return &c->chains[XXH3_64bits(key, sizeof key) % (unsigned)c->n_slots];
}

static int find(struct cache *c, int64_t pack, int64_t block)
{
	int i = *chain_of(c, pack, block);
	while (i != NONE && (c->slots[i].pack != pack || c->slots[i].block != block))
		i = c->slots[i].next;
	return i;
}

static void list_remove(struct cache *c, int i)
{
	struct slot *s = &c->slots[i];
	*(s->newer == NONE ? &c->newest : &c->slots[s->newer].older) = s->older;
	*(s->older == NONE ? &c->oldest : &c->slots[s->older].newer) = s->newer;
}

static void list_put(struct cache *c, int i)
{
	c->slots[i].newer = NONE;
	c->slots[i].older = c->newest;
	*(c->newest == NONE ? &c->oldest : &c->slots[c->newest].newer) = i;
	c->newest = i;
}

/* Empty ones are the first to be taken. */
static void list_put_last(struct cache *c, int i)
{
	c->slots[i].older = NONE;
	c->slots[i].newer = c->oldest;
	*(c->oldest == NONE ? &c->newest : &c->slots[c->oldest].older) = i;
	c->oldest = i;
}

static void chain_remove(struct cache *c, int i)
{
	int *at = chain_of(c, c->slots[i].pack, c->slots[i].block);
	while (*at != i)
		at = &c->slots[*at].next;
	*at = c->slots[i].next;
	c->slots[i].pack = 0;
}

/* Its bytes go too: a removed message is not to be found on this disk. */
static void drop(struct cache *c, int i)
{
	chain_remove(c, i);
	list_remove(c, i);
	list_put_last(c, i);
	if (fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)i * CACHE_BLOCK, CACHE_BLOCK))
		return; /* a file system without holes: the bytes stay until others come */
}

static void drop_pack(struct cache *c, int64_t pack)
{
	pthread_mutex_lock(&c->lock);
	c->dropped++;
	for (int i = 0; i < c->n_used; i++)
		if (c->slots[i].pack == pack)
			drop(c, i);
	pthread_mutex_unlock(&c->lock);
}

/* A slot for a new block, in neither list nor chain; NONE when others fill all of them. */
static int take_slot(struct cache *c)
{
	int i = NONE;
	if (c->n_used < c->n_slots)
		return c->n_used++;
	if (c->oldest == NONE)
		return NONE;
	i = c->oldest;
	list_remove(c, i);
	if (c->slots[i].pack)
		chain_remove(c, i);
	return i;
}

/* Bytes of the block, put to `to`, or -1: it is not there. */
static int get_block(struct cache *c, int64_t pack, int64_t block, unsigned char to[static CACHE_BLOCK])
{
	pthread_mutex_lock(&c->lock);
	int i = find(c, pack, block);
	struct slot s = { 0 };
	if (i != NONE) {
		s = c->slots[i];
		list_remove(c, i);
		list_put(c, i);
	}
	pthread_mutex_unlock(&c->lock);
	if (i == NONE)
		return -1;
	/* The slot may be filled with another block meanwhile: the checksum tells, as it tells of a bad disk. */
	ssize_t n = pread(c->fd, to, (size_t)s.n, (off_t)i * CACHE_BLOCK);
	if (n == s.n && XXH3_64bits(to, (size_t)n) == s.sum)
		return s.n;
	pthread_mutex_lock(&c->lock);
	if (find(c, pack, block) == i && c->slots[i].sum == s.sum)
		drop(c, i);
	pthread_mutex_unlock(&c->lock);
	return -1;
}

/* What cannot be written here is not kept. */
static void put_block(struct cache *c, int64_t pack, int64_t block, const unsigned char *from, size_t n, uint64_t dropped)
{
	XXH64_hash_t sum = XXH3_64bits(from, n);
	pthread_mutex_lock(&c->lock);
	int i = find(c, pack, block) == NONE ? take_slot(c) : NONE;
	pthread_mutex_unlock(&c->lock);
	if (i == NONE)
		return;
	bool written = pwrite(c->fd, from, n, (off_t)i * CACHE_BLOCK) == (ssize_t)n;
	pthread_mutex_lock(&c->lock);
	if (written && c->dropped == dropped && find(c, pack, block) == NONE) {
		int *chain = chain_of(c, pack, block);
		c->slots[i] = (struct slot){ .pack = pack, .block = block, .sum = sum, .n = (int)n, .next = *chain };
		*chain = i;
		list_put(c, i);
	} else {
		c->slots[i] = (struct slot){ .pack = 0 };
		list_put_last(c, i);
	}
	pthread_mutex_unlock(&c->lock);
}

/* How many blocks to ask the store for, from `block` on, when `want` are needed; for put_block, *dropped. */
static int64_t blocks_to_fetch(struct cache *c, int64_t pack, int64_t block, int64_t want, uint64_t *dropped)
{
	pthread_mutex_lock(&c->lock);
	*dropped = c->dropped;
	bool goes_on = c->stream[pack % STREAMS].pack == pack && c->stream[pack % STREAMS].end == block;
	int64_t n = goes_on && want < CACHE_AHEAD ? CACHE_AHEAD : want;
	c->stream[pack % STREAMS].pack = pack;
	c->stream[pack % STREAMS].end = block + n;
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* Blocks from the store, kept here: *got bytes in *out, which the caller frees. */
static int fetch_blocks(struct cache *c, int64_t pack, int64_t block, int64_t want, unsigned char **out, size_t *got)
{
	uint64_t dropped;
	int64_t n = blocks_to_fetch(c, pack, block, want, &dropped);
	unsigned char *p = malloc((size_t)n * CACHE_BLOCK);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = c->below->driver->fetch(c->below, pack, p, (size_t)n * CACHE_BLOCK, block * CACHE_BLOCK, got);
	if (r) {
		free(p);
		if (r == ERR_NOT_FOUND)
			drop_pack(c, pack);
		return r;
	}
	for (size_t at = 0; at < *got; at += CACHE_BLOCK)
		put_block(c, pack, block + (int64_t)(at / CACHE_BLOCK), p + at, *got - at < CACHE_BLOCK ? *got - at : CACHE_BLOCK,
			dropped);
	*out = p;
	return OK;
}

/* The part of [offset, offset + n) that bytes from `start` on hold goes to `to`; returns how many bytes of it there are. */
static size_t copy_part(void *to, size_t n, int64_t offset, const unsigned char *bytes, size_t have, int64_t start)
{
	size_t skip = (size_t)(offset - start);
	if (have <= skip)
		return 0;
	have -= skip;
	have = have < n ? have : n;
	memcpy(to, bytes + skip, have);
	return have;
}

/* What is at `offset`, out of one block here or several from the store; *done bytes of n. */
static int read_some(struct cache *c, int64_t pack, void *to, size_t n, int64_t offset, size_t *done, bool *missed)
{
	unsigned char here[CACHE_BLOCK], *there = NULL;
	int64_t block = offset / CACHE_BLOCK, start = block * CACHE_BLOCK;
	size_t got = 0;
	int have = get_block(c, pack, block, here);
	if (have >= 0) {
		*done = copy_part(to, n, offset, here, (size_t)have, start);
		return OK;
	}
	*missed = true;
	int r = fetch_blocks(c, pack, block, (offset + (int64_t)n - 1) / CACHE_BLOCK - block + 1, &there, &got);
	if (r)
		return r;
	*done = copy_part(to, n, offset, there, got, start);
	free(there);
	return OK;
}

static int cache_read(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	struct cache *c = cache_of(b);
	bool missed = false;
	for (size_t at = 0, done; at < n; at += done) {
		int r = read_some(c, pack, (char *)to + at, n - at, offset + (int64_t)at, &done, &missed);
		if (r)
			return r;
		if (!done)
			return fail_with(ERR_CORRUPT, "pack %llx ends at %lld", (long long)pack, (long long)(offset + (int64_t)at));
	}
	metric_add(c->metrics, METRIC_CACHE_READS, missed ? FROM_STORE : FROM_CACHE, 1);
	return OK;
}

static int cache_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	return blob_read_other(cache_of(b)->below, pack, to, n, offset);
}

static void cache_forget(struct blob_backend *b, int64_t pack)
{
	drop_pack(cache_of(b), pack);
}

static int cache_remove(struct blob_backend *b, int64_t pack)
{
	struct cache *c = cache_of(b);
	int r = c->below->driver->remove(c->below, pack);
	drop_pack(c, pack);
	return r;
}

static int cache_create(struct blob_backend *b, int64_t pack, struct blob_pack **out)
{
	return cache_of(b)->below->driver->create(cache_of(b)->below, pack, out);
}

static int cache_write(struct blob_backend *b, struct blob_pack *p, const struct iovec *v, int n, int64_t offset)
{
	return cache_of(b)->below->driver->write(cache_of(b)->below, p, v, n, offset);
}

static int cache_sync(struct blob_backend *b, struct blob_pack *p, bool name)
{
	return cache_of(b)->below->driver->sync(cache_of(b)->below, p, name);
}

static void cache_done(struct blob_backend *b, struct blob_pack *p)
{
	cache_of(b)->below->driver->done(cache_of(b)->below, p);
}

static int cache_list(struct blob_backend *b, pack_fn *fn, void *ctx)
{
	return cache_of(b)->below->driver->list(cache_of(b)->below, fn, ctx);
}

static int cache_copy(struct blob_backend *b, const char *to, struct file_copy *c)
{
	return cache_of(b)->below->driver->copy(cache_of(b)->below, to, c);
}

static int cache_prune(struct blob_backend *b, const char *to)
{
	return cache_of(b)->below->driver->prune(cache_of(b)->below, to);
}

static int cache_mark(struct blob_backend *b, const char *put, char *out, size_t n)
{
	return cache_of(b)->below->driver->mark(cache_of(b)->below, put, out, n);
}

static int cache_repair(struct blob_backend *b, pack_inspect_fn *fn, void *ctx)
{
	return cache_of(b)->below->driver->repair(cache_of(b)->below, fn, ctx);
}

static void cache_close(struct blob_backend *b)
{
	struct cache *c = cache_of(b);
	c->below->driver->close(c->below);
	if (c->fd >= 0)
		close(c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c->slots);
	free(c->chains);
	free(c);
}

static const struct blob_driver blob_driver_cache = {
	.scheme = "cache", .close = cache_close, .create = cache_create, .write = cache_write, .sync = cache_sync, .done = cache_done,
	.read = cache_read, .read_other = cache_read_other, .forget = cache_forget, .list = cache_list, .remove = cache_remove, .copy = cache_copy, .prune = cache_prune,
	.mark = cache_mark, .repair = cache_repair,
};

static int make_file(struct cache *c, const char *dir)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/cache/blocks", dir) >= (int)sizeof path)
		return fail_with(ERR_INVALID, "path too long: %.200s...", dir);
	*strrchr(path, '/') = 0;
	int r = durable_mkdir(path, 0750);
	if (r)
		return r;
	path[strlen(path)] = '/';
	c->fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return c->fd < 0 ? fail_errno("open", path) : OK;
}

/* What is only kept to be faster must not fill the disk, which would end the taking of mail. */
static int64_t most_blocks(const struct cache *c, int64_t bytes)
{
	struct statvfs v;
	int64_t most = fstatvfs(c->fd, &v) || !v.f_blocks ? INT64_MAX : (int64_t)(v.f_blocks * v.f_frsize / DISK_SHARE);
	return (bytes < most ? bytes : most) / CACHE_BLOCK;
}

static int cache_set_up(struct cache *c, const struct blob_driver_options *o)
{
	int r = make_file(c, o->dir);
	if (r)
		return r;
	int64_t n = most_blocks(c, o->cache_bytes);
	n = n < SLOTS_LEAST ? SLOTS_LEAST : n > INT_MAX / 2 ? INT_MAX / 2 : n;
	c->n_slots = (int)n;
	c->slots = calloc((size_t)n, sizeof *c->slots);
	c->chains = malloc((size_t)n * sizeof *c->chains);
	if (!c->slots || !c->chains)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	for (int i = 0; i < c->n_slots; i++)
		c->chains[i] = NONE;
	c->newest = c->oldest = NONE;
	return OK;
}

int blob_cache_wrap(const struct blob_driver_options *o, struct blob_backend **b)
{
	struct cache *c = calloc(1, sizeof *c);
	if (!c) {
		(*b)->driver->close(*b);
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	}
	c->backend = (struct blob_backend){ .driver = &blob_driver_cache, .whole = (*b)->whole };
	c->below = *b;
	c->metrics = o->metrics;
	c->fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	int r = cache_set_up(c, o);
	if (r)
		cache_close(&c->backend);
	else
		*b = &c->backend;
	return r;
}
