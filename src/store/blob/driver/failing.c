#include "failing.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "fail.h"
#include "plan_file.h"

enum { IOV_MOST = 1024 };

struct failing {
	struct blob_backend backend;
	struct blob_backend *below;
	pthread_mutex_t lock;
	struct fault_plan plan;
	int64_t calls;
	char file[PATH_MAX]; /* where new plans come; empty: nowhere */
};

static struct failing *failing_of(struct blob_backend *b)
{
	return (struct failing *)b;
}

static struct fault_plan plan_of(const char *query)
{
	static const char *const ops[] = { "none", "create", "write", "sync", "read", "remove", "any" };
	char t[16];
	struct fault_plan plan = { .at = blob_query_int(query, "at", 1), .times = blob_query_int(query, "times", 1),
		.cut = blob_query_int(query, "short", 0) != 0 };
	plan.full = blob_query_get(query, "error", t, sizeof t) && !strcmp(t, "enospc");
	if (blob_query_get(query, "fail", t, sizeof t))
		for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
			if (!strcmp(t, ops[i]))
				plan.op = (enum fault_op)i;
	return plan;
}

/* A new plan, if one came. */
static void look(struct failing *f)
{
	char text[256];
	if (*f->file && plan_file_take(f->file, text, sizeof text)) {
		f->plan = plan_of(text);
		f->calls = 0;
	}
}

/* Counts a call; true when it is to fail, with the plan in *now. */
static bool strikes(struct failing *f, enum fault_op op, struct fault_plan *now)
{
	pthread_mutex_lock(&f->lock);
	look(f);
	*now = f->plan;
	bool counted = now->op == op || now->op == FAULT_ANY;
	int64_t n = counted ? ++f->calls : 0;
	pthread_mutex_unlock(&f->lock);
	bool strikes = counted && n >= now->at && n < now->at + (now->times ? now->times : 1);
	if (strikes && *f->file)
		plan_file_struck(f->file);
	return strikes;
}

static int fault(const struct fault_plan *now, const char *what)
{
	return fail_with(now->full ? ERR_FULL : ERR_UNAVAILABLE, "%s fails as the test wants", what);
}

static void failing_close(struct blob_backend *b)
{
	struct failing *f = failing_of(b);
	f->below->driver->close(f->below);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int failing_create(struct blob_backend *b, int64_t pack, struct blob_pack **out)
{
	struct failing *f = failing_of(b);
	struct fault_plan now;
	return strikes(f, FAULT_CREATE, &now) ? fault(&now, "create") : f->below->driver->create(f->below, pack, out);
}

static void write_half(struct failing *f, struct blob_pack *p, const struct iovec *v, int n, int64_t offset)
{
	struct iovec half[IOV_MOST];
	size_t left = 0;
	int k = 0;
	for (int i = 0; i < n; i++)
		left += v[i].iov_len;
	for (left /= 2; k < n && k < IOV_MOST && left; k++) {
		half[k] = v[k];
		half[k].iov_len = v[k].iov_len < left ? v[k].iov_len : left;
		left -= half[k].iov_len;
	}
	if (k)
		f->below->driver->write(f->below, p, half, k, offset);
}

static int failing_write(struct blob_backend *b, struct blob_pack *p, const struct iovec *v, int n, int64_t offset)
{
	struct failing *f = failing_of(b);
	struct fault_plan now;
	if (!strikes(f, FAULT_WRITE, &now))
		return f->below->driver->write(f->below, p, v, n, offset);
	if (now.cut)
		write_half(f, p, v, n, offset);
	return fault(&now, "write");
}

static int failing_sync(struct blob_backend *b, struct blob_pack *p, bool name)
{
	struct failing *f = failing_of(b);
	struct fault_plan now;
	if (!strikes(f, FAULT_SYNC, &now))
		return f->below->driver->sync(f->below, p, name);
	if (now.cut)
		f->below->driver->sync(f->below, p, name);
	return fault(&now, "sync");
}

static void failing_done(struct blob_backend *b, struct blob_pack *p)
{
	failing_of(b)->below->driver->done(failing_of(b)->below, p);
}

static int failing_read(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	struct failing *f = failing_of(b);
	struct fault_plan now;
	if (!strikes(f, FAULT_READ, &now))
		return f->below->driver->read(f->below, pack, to, n, offset);
	return now.cut ? fail_with(ERR_CORRUPT, "read ends early as the test wants") : fault(&now, "read");
}

static int failing_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	return blob_read_other(failing_of(b)->below, pack, to, n, offset);
}

static void failing_forget(struct blob_backend *b, int64_t pack)
{
	struct blob_backend *below = failing_of(b)->below;
	if (below->driver->forget)
		below->driver->forget(below, pack);
}

static int failing_list(struct blob_backend *b, pack_fn *fn, void *ctx)
{
	return failing_of(b)->below->driver->list(failing_of(b)->below, fn, ctx);
}

static int failing_remove(struct blob_backend *b, int64_t pack)
{
	struct failing *f = failing_of(b);
	struct fault_plan now;
	if (!strikes(f, FAULT_REMOVE, &now))
		return f->below->driver->remove(f->below, pack);
	if (now.cut)
		f->below->driver->remove(f->below, pack);
	return fault(&now, "remove");
}

static int failing_copy(struct blob_backend *b, const char *to, struct file_copy *c)
{
	return failing_of(b)->below->driver->copy(failing_of(b)->below, to, c);
}

static int failing_prune(struct blob_backend *b, const char *to)
{
	return failing_of(b)->below->driver->prune(failing_of(b)->below, to);
}

static int failing_repair(struct blob_backend *b, pack_inspect_fn *fn, void *ctx)
{
	return failing_of(b)->below->driver->repair(failing_of(b)->below, fn, ctx);
}

static const struct blob_driver blob_driver_failing = {
	.scheme = "failing", .close = failing_close, .create = failing_create, .write = failing_write,
	.sync = failing_sync, .done = failing_done, .read = failing_read, .read_other = failing_read_other, .forget = failing_forget, .list = failing_list,
	.remove = failing_remove, .copy = failing_copy, .prune = failing_prune,
	.repair = failing_repair,
};

int blob_failing_wrap(const char *query, struct blob_backend **b)
{
	struct failing *f = malloc(sizeof *f);
	if (!f) {
		(*b)->driver->close(*b);
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	}
	*f = (struct failing){ .backend = { &blob_driver_failing, (*b)->whole }, .below = *b, .plan = plan_of(query) };
	blob_query_get(query, "plan", f->file, sizeof f->file);
	pthread_mutex_init(&f->lock, NULL);
	*b = &f->backend;
	return OK;
}

void blob_failing_set(struct blob_backend *b, const struct fault_plan *plan)
{
	struct failing *f = failing_of(b);
	pthread_mutex_lock(&f->lock);
	f->plan = *plan;
	f->calls = 0;
	pthread_mutex_unlock(&f->lock);
}

int64_t blob_failing_calls(struct blob_backend *b)
{
	struct failing *f = failing_of(b);
	pthread_mutex_lock(&f->lock);
	int64_t n = f->calls;
	pthread_mutex_unlock(&f->lock);
	return n;
}
