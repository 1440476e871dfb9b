#include "copy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "durable_file.h"
#include "fail.h"
#include "instant.h"
#include "store.h"

/* The file in a copy that says it is one. */
static const char mark_name[] = "perdura-copy";
enum { CONFIG_MOST = 1 << 20 };

struct copy {
	const struct copy_request *q;
	struct store *store;
	struct file_copy files;
	uint64_t done, total;
};

static int path_in(char out[static PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? OK : fail_with(ERR_INVALID, "%s: name too long", dir);
}

static bool has(const char *dir, const char *name)
{
	char path[PATH_MAX];
	return !path_in(path, dir, name) && !access(path, F_OK);
}

/* ---- May it go there? */

static bool is_empty(const char *dir)
{
	struct dirent *e;
	bool empty = true;
	DIR *d = opendir(dir);
	while (d && empty && (e = readdir(d)))
		empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || !strcmp(e->d_name, "lost+found");
	if (d)
		closedir(d);
	return empty;
}

static int check_target(const char *to)
{
	if (*to != '/')
		return fail_with(ERR_INVALID, "%s: a copy goes to an absolute path, for the node makes it", to);
	int r = durable_mkdir(to, 0700);
	if (r)
		return r;
	if (has(to, "lock"))
		return fail_with(ERR_INVALID, "%s: a node works there, or has worked on this copy; copy to another folder", to);
	if (!has(to, mark_name) && !is_empty(to))
		return fail_with(ERR_INVALID, "%s holds something else; copy to a new folder", to);
	return OK;
}

/* stamp 0: begun, and not a whole copy yet. */
static int write_mark(const struct copy *c, int64_t stamp)
{
	char path[PATH_MAX], at[40] = "";
	struct buffer b = { 0 };
	int r = path_in(path, c->q->to, mark_name);
	if (r)
		return r;
	if (stamp)
		instant_write(stamp, at);
	buffer_printf(&b, "node = %s\nfrom = %s\n", c->q->node_name, c->q->from);
	buffer_printf(&b, "%s%s\n", stamp ? "instant = " : "unfinished = yes", at);
	r = durable_file_write(path, buffer_span(&b), 0600);
	buffer_free(&b);
	return r;
}

/* ---- The parts */

static int step(void *ctx, uint64_t bytes)
{
	struct copy *c = ctx;
	c->done += bytes;
	if (c->q->progress)
		c->q->progress(c->q->ctx, c->done < c->total ? c->done : c->total, c->total);
	return c->q->cancelled && c->q->cancelled(c->q->ctx) ? fail_with(ERR_STOPPED, "broken off") : OK;
}

static int add_size(void *ctx, const struct blob_pack_info *p)
{
	*(uint64_t *)ctx += (uint64_t)p->size;
	return OK;
}

static int estimate(struct copy *c)
{
	struct meta_stats stats;
	meta_stats(c->store->meta, &stats);
	c->total = stats.bytes;
	return blob_list(c->store->blob, add_size, &c->total);
}

/* The name that a line of settings sets. */
static bool sets(struct span line, const char *name)
{
	ssize_t equals = span_find(line, '=');
	return equals > 0 && span_eq(span_trim(span_sub(line, 0, (size_t)equals)), span_of(name));
}

/* The copy has its stores in itself, wherever the original has them. */
static void put_config(struct buffer *out, struct span text)
{
	while (text.n) {
		ssize_t end = span_find(text, '\n');
		struct span line = end < 0 ? text : span_sub(text, 0, (size_t)end);
		bool store = sets(line, "meta.url") || sets(line, "blob.url") || sets(line, "index.url");
		buffer_printf(out, "%s%.*s\n", store ? "# not in a copy: " : "", SPAN_ARG(line));
		text = span_sub(text, line.n + 1, text.n);
	}
}

static int read_config(const char *path, char text[static CONFIG_MOST], size_t *n)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	*n = 0;
	if (fd < 0)
		return errno == ENOENT ? OK : fail_errno("open", path);
	ssize_t k = read(fd, text, CONFIG_MOST);
	close(fd);
	*n = k > 0 ? (size_t)k : 0;
	return k < 0 ? fail_errno("read", path) : OK;
}

static int copy_config(const struct copy *c)
{
	char from[PATH_MAX], to[PATH_MAX];
	struct buffer b = { 0 };
	size_t n = 0;
	char *text = malloc(CONFIG_MOST);
	int r = text ? path_in(from, c->q->from, "perdura.conf") : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!r)
		r = path_in(to, c->q->to, "perdura.conf");
	if (!r)
		r = read_config(from, text, &n);
	put_config(&b, span_from(text, n));
	if (!r && n)
		r = durable_file_write(to, buffer_span(&b), 0600);
	buffer_free(&b);
	free(text);
	return r;
}

/* The database first: the packs are then at least as new as what refers to them. */
static int copy_stores(struct copy *c, int64_t *stamp)
{
	char part[PATH_MAX], meta[PATH_MAX], blobs[PATH_MAX];
	int r = path_in(part, c->q->to, "meta.db.part");
	if (!r)
		r = path_in(meta, c->q->to, "meta.db");
	if (!r)
		r = path_in(blobs, c->q->to, "blobs");
	if (!r)
		r = meta_copy(c->store->meta, part, &c->files, stamp);
	if (!r)
		r = blob_copy(c->store->blob, blobs, &c->files);
	if (!r && rename(part, meta))
		r = fail_errno("rename", part);
	if (!r)
		r = durable_dir_sync(c->q->to);
	return r ? r : blob_copy_prune(c->store->blob, blobs);
}

static int copy_all(struct copy *c, int64_t *stamp)
{
	int r = has(c->q->to, mark_name) ? OK : write_mark(c, 0);
	if (!r)
		r = estimate(c);
	if (!r)
		r = copy_config(c);
	if (r)
		return r;
	blob_hold(c->store->blob);
	r = copy_stores(c, stamp);
	blob_release(c->store->blob);
	return r ? r : write_mark(c, *stamp);
}

/* One copy at a time into a folder: *fd is held until it is over. */
static int lock_target(const char *to, int *fd)
{
	*fd = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fd < 0)
		return fail_errno("open", to);
	return !flock(*fd, LOCK_EX | LOCK_NB) ? OK : fail_with(ERR_UNAVAILABLE, "%s: another copy is being made there", to);
}

int copy_run(struct service *s, const struct copy_request *q, struct copy_report *out)
{
	struct copy c = { .q = q, .store = service_store(s) };
	int64_t stamp = 0;
	c.files = (struct file_copy){ .step = step, .ctx = &c };
	int fd = -1, r = check_target(q->to);
	if (!r)
		r = lock_target(q->to, &fd);
	if (!r)
		r = copy_all(&c, &stamp);
	if (fd >= 0)
		close(fd);
	if (!r)
		*out = (struct copy_report){ stamp, c.files.copied, c.files.shared };
	return r;
}
