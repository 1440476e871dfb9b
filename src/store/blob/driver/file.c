#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "durable_file.h"
#include "fail.h"
#include "log.h"

#include "mint.h"

#include "descriptors.h"
#include "driver.h"
#include "file_mirror.h"

/* Packs as files: ROOT/<node name>/<epoch, 8 hex>/<sequence, 8 hex>.pack
 *
 * While a pack was never synced with its name it is called .part; what a start finds under that name was never
 * answered and goes. ROOT/.store is the store's mark. ROOT/<node name>/number says which node number the packs below have in their ids. An epoch whose
 * packs all have their end has a file `sealed`, so that a start looks only at what the one before it left. */

enum { IOV_MOST = 1024, FILE_MODE = 0640, DIR_MODE = 0750 };
#define CLOCK_SLACK_US (60 * SECOND_US)

struct file_backend {
	struct blob_backend backend;
	char root[PATH_MAX], home[PATH_MAX];
	int64_t node;
	int lock_fd; /* held on home: one process at a time is this node */
	pthread_mutex_t lock;
	int64_t epoch_made; /* this epoch's folder is there and durable; -1: none yet */
	struct descriptors open;
};

struct blob_pack {
	int64_t id;
	int fd;
	bool dirty, named;
	char epoch[PATH_MAX]; /* its folder */
};

static struct file_backend *file_of(struct blob_backend *b)
{
	return (struct file_backend *)b;
}

static int path_put(char out[static PATH_MAX], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int path_put(char out[static PATH_MAX], const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(out, PATH_MAX, fmt, ap);
	va_end(ap);
	return n < PATH_MAX ? OK : fail_with(ERR_INVALID, "path too long: %.200s...", out);
}

static int epoch_path(char out[static PATH_MAX], const char *home, int64_t pack)
{
	return path_put(out, "%s/%08llx", home, (unsigned long long)mint_epoch(pack));
}

static int pack_path(char out[static PATH_MAX], const char *epoch, int64_t pack, const char *suffix)
{
	return path_put(out, "%s/%08llx.%s", epoch, (unsigned long long)mint_sequence(pack), suffix);
}

/* The number in HOME/number; ERR_NOT_FOUND when HOME is no node's folder. */
static int home_number(const char *home, int64_t *node)
{
	char path[PATH_MAX], text[24] = "";
	uint64_t v;
	int r = path_put(path, "%s/number", home);
	if (r)
		return r;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? fail_with(ERR_NOT_FOUND, "no %s", path) : fail_errno("open", path);
	ssize_t n = read(fd, text, sizeof text - 1);
	close(fd);
	if (n < 0)
		return fail_errno("read", path);
	if (!span_u64(span_trim(span_of(text)), MINT_NODES - 1, &v))
		return fail_with(ERR_INVALID, "%s holds no node number", path);
	*node = (int64_t)v;
	return OK;
}

static int home_claim(struct file_backend *f)
{
	char path[PATH_MAX], text[24];
	int64_t node;
	f->lock_fd = open(f->home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->lock_fd < 0)
		return fail_errno("open", f->home);
	if (flock(f->lock_fd, LOCK_EX | LOCK_NB))
		return errno == EWOULDBLOCK ? fail_with(ERR_EXISTS, "%s is in use by another process", f->home)
					    : fail_errno("flock", f->home);
	int r = home_number(f->home, &node);
	if (!r && node != f->node)
		return fail_with(ERR_INVALID, "%s belongs to node number %lld, this is %lld", f->home, (long long)node,
			(long long)f->node);
	if (r != ERR_NOT_FOUND)
		return r;
	snprintf(text, sizeof text, "%lld\n", (long long)f->node);
	r = path_put(path, "%s/number", f->home);
	return r ? r : durable_file_write(path, span_of(text), FILE_MODE);
}

static void file_close(struct blob_backend *b)
{
	struct file_backend *f = file_of(b);
	descriptors_free(&f->open);
	pthread_mutex_destroy(&f->lock);
	if (f->lock_fd >= 0)
		close(f->lock_fd);
	free(f);
}

static int file_set_up(struct file_backend *f, const char *where, const struct blob_driver_options *o)
{
	const char *name = o->node_name;
	if (!*name || *name == '.' || strchr(name, '/'))
		return fail_with(ERR_INVALID, "node.name cannot name a folder: %s", name);
	int r = *where == '/' ? path_put(f->root, "%s", where) : path_put(f->root, "%s/%s", o->dir, where);
	if (!r)
		r = path_put(f->home, "%s/%s", f->root, name);
	if (!r)
		r = durable_mkdir(f->node ? f->home : f->root, DIR_MODE);
	return r || !f->node ? r : home_claim(f);
}

static int file_open(const char *where, const char *query, const struct blob_driver_options *o, struct blob_backend **out)
{
	struct file_backend *f = calloc(1, sizeof *f);
	if (!f)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	f->backend.driver = &blob_driver_file;
	f->node = o->node;
	f->lock_fd = f->epoch_made = -1;
	pthread_mutex_init(&f->lock, NULL);
	descriptors_init(&f->open);
	int r = file_set_up(f, where, o);
	if (r)
		file_close(&f->backend);
	else
		*out = &f->backend;
	return r;
}

/* Home is not made anew: if it is not there, the disk it is on is gone, and nothing must go below its mount point. */
static int epoch_mkdir(const struct file_backend *f, const char *epoch)
{
	if (mkdir(epoch, DIR_MODE) && errno != EEXIST)
		return fail_errno("mkdir", epoch);
	return durable_dir_sync(f->home);
}

/* The epoch's folder, durable, and without a mark that speaks of an earlier start with the same epoch. */
static int epoch_make(struct file_backend *f, int64_t pack, const char *epoch)
{
	char mark[PATH_MAX];
	int r = OK;
	pthread_mutex_lock(&f->lock);
	if (f->epoch_made != mint_epoch(pack)) {
		r = epoch_mkdir(f, epoch);
		if (!r)
			r = path_put(mark, "%s/sealed", epoch);
		if (!r && unlink(mark) && errno != ENOENT)
			r = fail_errno("unlink", mark);
		if (!r)
			f->epoch_made = mint_epoch(pack);
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int part_create(struct blob_pack *p)
{
	char part[PATH_MAX], pack[PATH_MAX];
	int r = pack_path(part, p->epoch, p->id, "part");
	if (!r)
		r = pack_path(pack, p->epoch, p->id, "pack");
	if (r)
		return r;
	p->fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
	if (p->fd < 0)
		return errno == EEXIST ? fail_with(ERR_EXISTS, "%s exists", part) : fail_errno("create", part);
	if (!access(pack, F_OK)) {
		close(p->fd);
		unlink(part);
		return fail_with(ERR_EXISTS, "%s exists", pack);
	}
	return OK;
}

static int file_create(struct blob_backend *b, int64_t id, struct blob_pack **out)
{
	struct file_backend *f = file_of(b);
	struct blob_pack *p = malloc(sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	p->id = id;
	p->dirty = p->named = false;
	int r = epoch_path(p->epoch, f->home, id);
	if (!r)
		r = epoch_make(f, id, p->epoch);
	if (!r)
		r = part_create(p);
	if (r)
		free(p);
	else
		*out = p;
	return r;
}

/* What is left of v after done bytes were written; returns how many parts that are. */
static int iov_advance(struct iovec *v, int n, size_t done)
{
	int k = 0;
	while (k < n && done >= v[k].iov_len)
		done -= v[k++].iov_len;
	memmove(v, v + k, (size_t)(n - k) * sizeof *v);
	if (k < n) {
		v->iov_base = (char *)v->iov_base + done;
		v->iov_len -= done;
	}
	return n - k;
}

static int file_write(struct blob_backend *b, struct blob_pack *p, const struct iovec *v, int n, int64_t offset)
{
	struct iovec left[IOV_MOST];
	p->dirty = true;
	while (n > 0) {
		int taken = n < IOV_MOST ? n : IOV_MOST, k = taken;
		memcpy(left, v, (size_t)k * sizeof *v);
		while ((k = iov_advance(left, k, 0)) > 0) {
			ssize_t done = pwritev(p->fd, left, k, offset);
			if (done < 0 && errno == EINTR)
				continue;
			if (done <= 0)
				return fail_errno("write", p->epoch);
			offset += done;
			k = iov_advance(left, k, (size_t)done);
		}
		v += taken, n -= taken;
	}
	return OK;
}

static int pack_name(struct blob_pack *p)
{
	char part[PATH_MAX], pack[PATH_MAX];
	int r = pack_path(part, p->epoch, p->id, "part");
	if (!r)
		r = pack_path(pack, p->epoch, p->id, "pack");
	if (r)
		return r;
	if (rename(part, pack))
		return fail_errno("rename", part);
	p->named = true;
	return durable_dir_sync(p->epoch);
}

static int file_sync(struct blob_backend *b, struct blob_pack *p, bool name)
{
	if (p->dirty && fdatasync(p->fd))
		return fail_errno("fdatasync", p->epoch);
	p->dirty = false;
	return name && !p->named ? pack_name(p) : OK;
}

static void file_done(struct blob_backend *b, struct blob_pack *p)
{
	char part[PATH_MAX];
	close(p->fd);
	if (!p->named && !pack_path(part, p->epoch, p->id, "part"))
		unlink(part);
	free(p);
}

/* fn for each name in a folder, in order. A folder that is a mount point has a lost+found, which is not ours to look into. */
static int each_name(const char *dir, int (*fn)(void *ctx, const char *dir, const char *name), void *ctx)
{
	struct dirent **names;
	int r = OK, n = scandir(dir, &names, NULL, alphasort);
	if (n < 0)
		return fail_errno("list", dir);
	for (int i = 0; i < n; i++) {
		if (!r && names[i]->d_name[0] != '.' && strcmp(names[i]->d_name, "lost+found"))
			r = fn(ctx, dir, names[i]->d_name);
		free(names[i]);
	}
	free(names);
	return r;
}

struct home_search {
	int64_t node;
	char *home;
};

static int home_match(void *ctx, const char *root, const char *name)
{
	struct home_search *s = ctx;
	int64_t node;
	int r = path_put(s->home, "%s/%s", root, name);
	if (!r)
		r = home_number(s->home, &node);
	if (r == ERR_NOT_FOUND)
		return OK;
	return r ? r : node == s->node;
}

/* The folder of the node that made a pack: ours, or that of another name on a shared file system. */
static int home_of(struct file_backend *f, int64_t pack, char home[static PATH_MAX])
{
	struct home_search s = { .node = mint_node(pack), .home = home };
	if (s.node == f->node)
		return path_put(home, "%s", f->home);
	int r = each_name(f->root, home_match, &s);
	if (r < 0)
		return r;
	return r ? OK : fail_with(ERR_UNAVAILABLE, "%s has no folder of node number %lld", f->root, (long long)s.node);
}

/* "Gone" is said only where other packs of that start are in their place; a disk that is not mounted is just down. */
static int open_failed(const char *epoch, const char *path)
{
	struct stat st;
	if (errno != ENOENT)
		return fail_errno("open", path);
	if (stat(epoch, &st) || !S_ISDIR(st.st_mode))
		return fail_with(ERR_UNAVAILABLE, "%s is not there", epoch);
	return fail_with(ERR_NOT_FOUND, "%s is not there", path);
}

/* Where a pack is, of whatever node, and the folder it is in. */
static int pack_find(struct file_backend *f, int64_t pack, char epoch[static PATH_MAX], char path[static PATH_MAX])
{
	char home[PATH_MAX];
	int r = home_of(f, pack, home);
	if (!r)
		r = epoch_path(epoch, home, pack);
	return r ? r : pack_path(path, epoch, pack, "pack");
}

static int pack_open(struct file_backend *f, int64_t pack, int *fd)
{
	char epoch[PATH_MAX], path[PATH_MAX];
	int r = pack_find(f, pack, epoch, path);
	if (r)
		return r;
	int k = open(path, O_RDONLY | O_CLOEXEC);
	if (k < 0)
		return open_failed(epoch, path);
	*fd = k;
	return OK;
}

static int read_held(struct file_backend *f, int64_t pack, int fd, void *to, size_t n, int64_t offset)
{
	char name[40];
	snprintf(name, sizeof name, "pack %llx", (unsigned long long)pack);
	int r = file_read_at(fd, to, n, offset, name);
	descriptors_release(&f->open, pack, fd);
	return r;
}

static void file_forget(struct blob_backend *b, int64_t pack)
{
	descriptors_drop(&file_of(b)->open, pack);
}

/* On a shared file system an open file may know nothing of what another node has written since, or removed (NFS: close-to-open
   consistency, ESTALE), so what fails is read again from a file that is opened now. */
static int file_read(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	struct file_backend *f = file_of(b);
	int fd = descriptors_take(&f->open, pack);
	if (fd >= 0 && !read_held(f, pack, fd, to, n, offset))
		return OK;
	if (fd >= 0)
		file_forget(b, pack);
	int r = pack_open(f, pack, &fd);
	if (r)
		return r;
	descriptors_add(&f->open, pack, fd);
	return read_held(f, pack, fd, to, n, offset);
}

/* The epoch's folder stays, empty or not: it is what tells a pack that is gone from a disk that is not mounted. */
static int file_remove(struct blob_backend *b, int64_t pack)
{
	struct file_backend *f = file_of(b);
	char epoch[PATH_MAX], path[PATH_MAX];
	int r = pack_find(f, pack, epoch, path);
	if (r)
		return r;
	if (unlink(path)) {
		r = errno == ENOENT ? open_failed(epoch, path) : fail_errno("unlink", path);
		if (r != ERR_NOT_FOUND)
			return r;
	}
	descriptors_drop(&f->open, pack);
	return durable_dir_sync(epoch); /* also of a pack that is not there: an earlier removal may not have come this far */
}

/* 8 hex digits and the suffix. */
static bool hex_name(const char *name, const char *suffix, int64_t most, int64_t *out)
{
	char *end;
	if (strspn(name, "0123456789abcdef") != 8 || strcmp(name + 8, suffix))
		return false;
	*out = strtoll(name, &end, 16);
	return *out <= most;
}

struct listing {
	int64_t node, epoch;
	pack_fn *fn;
	pack_inspect_fn *inspect;
	void *ctx;
	bool all_sealed;
	int64_t ahead; /* the clock that times of files are told by, of ours, us */
};

static bool listed_pack(const struct listing *l, const char *name, int64_t *pack)
{
	int64_t sequence;
	if (!hex_name(name, ".pack", 0x7fffffff, &sequence))
		return false;
	*pack = l->node << 51 | l->epoch << 31 | sequence;
	return true;
}

static int64_t time_of(const struct stat *st)
{
	return st->st_mtim.tv_sec * SECOND_US + st->st_mtim.tv_nsec / 1000;
}

static int list_pack(void *ctx, const char *epoch, const char *name)
{
	struct listing *l = ctx;
	char path[PATH_MAX];
	struct stat st;
	int64_t pack;
	if (!listed_pack(l, name, &pack))
		return OK;
	int r = path_put(path, "%s/%s", epoch, name);
	if (r)
		return r;
	if (stat(path, &st))
		return errno == ENOENT ? OK : fail_errno("stat", path);
	return l->fn(l->ctx, pack, st.st_size, time_of(&st) - l->ahead);
}

static int list_epoch(void *ctx, const char *home, const char *name)
{
	struct listing *l = ctx;
	char path[PATH_MAX];
	if (!hex_name(name, "", MINT_EPOCHS - 1, &l->epoch))
		return OK;
	int r = path_put(path, "%s/%s", home, name);
	return r ? r : each_name(path, list_pack, l);
}

static int list_home(void *ctx, const char *root, const char *name)
{
	struct listing *l = ctx;
	char home[PATH_MAX];
	int r = path_put(home, "%s/%s", root, name);
	if (!r)
		r = home_number(home, &l->node);
	if (r == ERR_NOT_FOUND)
		return OK;
	return r ? r : each_name(home, list_epoch, l);
}

/* A server of files gives them times of its own clock: by one that is behind, what was written just now would be old enough to go.
   Where nothing can be learned (a read-only disk), nothing can be removed either. */
static int64_t clock_ahead(const struct file_backend *f)
{
	char path[PATH_MAX];
	struct stat st;
	if (!f->node || path_put(path, "%s/number", f->home) || utimensat(AT_FDCWD, path, NULL, 0) || stat(path, &st))
		return 0;
	int64_t ahead = time_of(&st) - clock_now();
	if (llabs(ahead) > CLOCK_SLACK_US)
		log_line(LOG_WARN, "file-clock", "folder=\"%s\" detail=\"its server's clock is %+lld s off ours: see to both\"", f->root,
			(long long)(ahead / SECOND_US));
	return ahead;
}

static int file_list(struct blob_backend *b, pack_fn *fn, void *ctx)
{
	struct listing l = { .fn = fn, .ctx = ctx, .ahead = clock_ahead(file_of(b)) };
	return each_name(file_of(b)->root, list_home, &l);
}

static int mend_file(int fd, const char *path, const struct pack_mend *m)
{
	if (ftruncate(fd, m->length))
		return fail_errno("truncate", path);
	int r = file_write_at(fd, m->end.p, m->end.n, m->length, path);
	return !r && fsync(fd) ? fail_errno("fsync", path) : r;
}

static int repair_pack(struct listing *l, const char *path, int64_t pack)
{
	struct pack_mend m = { 0 };
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("open", path);
	int r = fstat(fd, &st) ? fail_errno("stat", path) : l->inspect(l->ctx, pack, st.st_size, &m);
	if (!r && !m.leave)
		r = mend_file(fd, path, &m);
	close(fd);
	return r;
}

static int repair_name(void *ctx, const char *epoch, const char *name)
{
	struct listing *l = ctx;
	char path[PATH_MAX];
	int64_t pack;
	int r = path_put(path, "%s/%s", epoch, name);
	if (r)
		return r;
	if (hex_name(name, ".part", 0x7fffffff, &pack))
		return unlink(path) ? fail_errno("unlink", path) : OK;
	/* What cannot be mended now (a full disk, a bad one) keeps nobody from starting: the next start tries again. */
	if (listed_pack(l, name, &pack) && repair_pack(l, path, pack))
		l->all_sealed = false;
	return OK;
}

static int repair_epoch(void *ctx, const char *home, const char *name)
{
	struct listing *l = ctx;
	char path[PATH_MAX], mark[PATH_MAX];
	if (!hex_name(name, "", MINT_EPOCHS - 1, &l->epoch))
		return OK;
	int r = path_put(path, "%s/%s", home, name);
	if (!r)
		r = path_put(mark, "%s/sealed", path);
	if (r || !access(mark, F_OK))
		return r;
	l->all_sealed = true;
	r = each_name(path, repair_name, l);
	if (!r && l->all_sealed)
		durable_file_write(mark, SPAN(""), FILE_MODE);
	return r;
}

static int file_repair(struct blob_backend *b, pack_inspect_fn *fn, void *ctx)
{
	struct listing l = { .node = file_of(b)->node, .inspect = fn, .ctx = ctx };
	return each_name(file_of(b)->home, repair_epoch, &l);
}

static int read_mark(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : fail_errno("open", path);
	ssize_t n = read(fd, out, size - 1);
	close(fd);
	if (n < 0)
		return fail_errno("read", path);
	out[n] = 0;
	out[strcspn(out, "\r\n")] = 0;
	return OK;
}

static int file_mark(struct blob_backend *b, const char *put, char *out, size_t size)
{
	char path[PATH_MAX], line[100];
	int r = path_put(path, "%s/.store", file_of(b)->root);
	if (!r)
		r = read_mark(path, out, size);
	if (r != ERR_NOT_FOUND || !put)
		return r;
	snprintf(line, sizeof line, "%s\n", put);
	r = durable_file_write(path, span_of(line), FILE_MODE);
	return r ? r : read_mark(path, out, size);
}

static int file_copy_packs(struct blob_backend *b, const char *to, struct file_copy *c)
{
	return file_mirror(file_of(b)->root, to, c);
}

static int file_prune(struct blob_backend *b, const char *to)
{
	return file_mirror_prune(file_of(b)->root, to);
}

const struct blob_driver blob_driver_file = {
	.scheme = "file", .open = file_open, .close = file_close, .create = file_create, .write = file_write,
	.sync = file_sync, .done = file_done, .read = file_read, .forget = file_forget, .list = file_list,
	.remove = file_remove, .copy = file_copy_packs, .prune = file_prune, .mark = file_mark, .repair = file_repair,
};
