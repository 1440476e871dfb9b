#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "buffer.h"
#include "driver.h"
#include "fail.h"

/* A power cut keeps or loses whole pages, and the last one may be cut anywhere. */
enum { PAGE = 4096 };

struct powercut {
	struct blob_backend backend;
	struct blob_backend *below;
	pthread_mutex_t lock;
	uint64_t random; /* 0: nothing unsynced ever gets through */
	int64_t left;    /* calls until the power goes, at 0; below: it does not go by itself */
};

struct held_write {
	int64_t offset;
	size_t n;
};

struct held_pack {
	struct blob_pack *below;
	struct buffer writes; /* struct held_write and its bytes, again and again */
};

static struct powercut *powercut_of(struct blob_backend *b)
{
	return (struct powercut *)b;
}

static struct held_pack *held_of(struct blob_pack *p)
{
	return (struct held_pack *)(void *)p;
}

static void powercut_close(struct blob_backend *b)
{
	struct powercut *c = powercut_of(b);
	c->below->driver->close(c->below);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int powercut_create(struct blob_backend *b, int64_t pack, struct blob_pack **out)
{
	struct powercut *c = powercut_of(b);
	struct held_pack *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = c->below->driver->create(c->below, pack, &p->below);
	if (r) {
		free(p);
		return r;
	}
	*out = (struct blob_pack *)(void *)p;
	return OK;
}

static uint64_t next_random(struct powercut *c)
{
	pthread_mutex_lock(&c->lock);
	uint64_t x = c->random;
	x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	c->random = x;
	pthread_mutex_unlock(&c->lock);
	return x * UINT64_C(0x2545f4914f6cdd1d) >> 32;
}

/* The power goes in the midst of this call. */
static void count_down(struct powercut *c)
{
	pthread_mutex_lock(&c->lock);
	bool now = c->left > 0 && --c->left == 0;
	pthread_mutex_unlock(&c->lock);
	if (now)
		raise(SIGKILL);
}

/* What the disk may have taken already: all pages up to some point, or any of them, the last one not always whole. */
static void leak(struct powercut *c, struct held_pack *p, const struct held_write *w, char *bytes)
{
	bool prefix = next_random(c) & 1;
	size_t end = prefix ? next_random(c) % (w->n + 1) : w->n;
	for (size_t at = 0; at < end;) {
		size_t n = PAGE - (size_t)(w->offset + (int64_t)at) % PAGE;
		n = n < end - at ? n : end - at;
		struct iovec v = { bytes + at, n };
		if (prefix || next_random(c) & 1)
			c->below->driver->write(c->below, p->below, &v, 1, w->offset + (int64_t)at);
		at += n;
	}
}

static int powercut_write(struct blob_backend *b, struct blob_pack *pack, const struct iovec *v, int n, int64_t offset)
{
	struct held_pack *p = held_of(pack);
	struct held_write w = { .offset = offset };
	for (int i = 0; i < n; i++)
		w.n += v[i].iov_len;
	buffer_put(&p->writes, &w, sizeof w);
	for (int i = 0; i < n; i++)
		buffer_put(&p->writes, v[i].iov_base, v[i].iov_len);
	if (!buffer_ok(&p->writes))
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	if (powercut_of(b)->random)
		leak(powercut_of(b), p, &w, p->writes.p + p->writes.n - w.n);
	count_down(powercut_of(b));
	return OK;
}

static int powercut_sync(struct blob_backend *b, struct blob_pack *pack, bool name)
{
	struct powercut *c = powercut_of(b);
	struct held_pack *p = held_of(pack);
	struct held_write w;
	for (size_t at = 0; at < p->writes.n; at += sizeof w + w.n) {
		memcpy(&w, p->writes.p + at, sizeof w);
		struct iovec v = { p->writes.p + at + sizeof w, w.n };
		int r = c->below->driver->write(c->below, p->below, &v, 1, w.offset);
		if (r)
			return r;
		count_down(c);
	}
	buffer_reset(&p->writes);
	int r = c->below->driver->sync(c->below, p->below, name);
	count_down(c);
	return r;
}

static void powercut_done(struct blob_backend *b, struct blob_pack *pack)
{
	struct held_pack *p = held_of(pack);
	powercut_of(b)->below->driver->done(powercut_of(b)->below, p->below);
	buffer_free(&p->writes);
	free(p);
}

static int powercut_read(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	return powercut_of(b)->below->driver->read(powercut_of(b)->below, pack, to, n, offset);
}

static int powercut_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	return blob_read_other(powercut_of(b)->below, pack, to, n, offset);
}

static void powercut_forget(struct blob_backend *b, int64_t pack)
{
	struct blob_backend *below = powercut_of(b)->below;
	if (below->driver->forget)
		below->driver->forget(below, pack);
}

static int powercut_list(struct blob_backend *b, pack_fn *fn, void *ctx)
{
	return powercut_of(b)->below->driver->list(powercut_of(b)->below, fn, ctx);
}

static int powercut_remove(struct blob_backend *b, int64_t pack)
{
	struct powercut *c = powercut_of(b);
	count_down(c);
	int r = c->below->driver->remove(c->below, pack);
	count_down(c);
	return r;
}

static int powercut_copy(struct blob_backend *b, const char *to, struct file_copy *c)
{
	return powercut_of(b)->below->driver->copy(powercut_of(b)->below, to, c);
}

static int powercut_prune(struct blob_backend *b, const char *to)
{
	return powercut_of(b)->below->driver->prune(powercut_of(b)->below, to);
}

static int powercut_repair(struct blob_backend *b, pack_inspect_fn *fn, void *ctx)
{
	return powercut_of(b)->below->driver->repair(powercut_of(b)->below, fn, ctx);
}

static const struct blob_driver blob_driver_powercut = {
	.scheme = "powercut", .close = powercut_close, .create = powercut_create, .write = powercut_write,
	.sync = powercut_sync, .done = powercut_done, .read = powercut_read, .read_other = powercut_read_other, .forget = powercut_forget, .list = powercut_list,
	.remove = powercut_remove, .copy = powercut_copy, .prune = powercut_prune,
	.repair = powercut_repair,
};

int blob_powercut_wrap(const char *query, struct blob_backend **b)
{
	struct powercut *c = malloc(sizeof *c);
	if (!c) {
		(*b)->driver->close(*b);
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	}
	*c = (struct powercut){ .backend = { &blob_driver_powercut, (*b)->whole }, .below = *b };
	c->random = (uint64_t)blob_query_int(query, "seed", 0) * UINT64_C(0x9e3779b97f4a7c15);
	c->left = blob_query_int(query, "cut", -1);
	pthread_mutex_init(&c->lock, NULL);
	*b = &c->backend;
	return OK;
}
