#include "ballast.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "job.h"
#include "log.h"

enum { PART = 16 }; /* of the disk: the most that is held */

struct ballast {
	char dir[PATH_MAX], path[PATH_MAX];
	int64_t bytes;
	atomic_bool *full;
	struct job *watcher;
	pthread_mutex_t lock; /* all below */
	bool exists;  /* the file, filled or empty */
	bool refused; /* it was said that it cannot be filled */
	int64_t held; /* bytes */
	int64_t free; /* of the disk, when it was last looked at */
};

/* Without the sync some file systems give the blocks back only seconds later. */
static int resize(const struct ballast *b, int64_t bytes)
{
	int fd = open(b->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno;
	int e = bytes ? posix_fallocate(fd, 0, bytes) : 0;
	if (!e && (ftruncate(fd, bytes) || fsync(fd)))
		e = errno;
	close(fd);
	return e;
}

static void release(struct ballast *b)
{
	int e = resize(b, 0);
	if (e)
		log_line(LOG_ERROR, "ballast", "error=\"cannot empty %s: %s\"", b->path, strerror(e));
	else
		log_line(LOG_WARN, "ballast", "released=%lld free=%lld", (long long)b->held, (long long)b->free);
	if (!e)
		b->held = 0;
}

/* Takes its blocks, all or none; a file that never held any is not left behind. */
static void fill(struct ballast *b)
{
	int e = resize(b, b->bytes);
	if (!e) {
		b->exists = true;
		b->held = b->bytes;
		return;
	}
	if (!b->refused)
		log_line(LOG_WARN, "ballast", "error=\"cannot fill %s: %s\"", b->path, strerror(e));
	b->refused = true;
	if (b->exists)
		resize(b, 0);
	else
		unlink(b->path);
}

static void set_full(struct ballast *b, bool full)
{
	if (atomic_exchange(b->full, full) == full)
		return;
	if (full)
		log_line(LOG_ERROR, "disk-full", "free=%lld do=\"make room on this disk, or run purge; mail and changes are "
			"refused until then\"", (long long)b->free);
	else
		log_line(LOG_INFO, "disk-has-room", "free=%lld ballast=%lld", (long long)b->free, (long long)b->held);
}

/* One step of the diagram in the header. */
static void look(struct ballast *b)
{
	struct statvfs v;
	int64_t low = b->bytes / 4;
	if (statvfs(b->dir, &v))
		return;
	b->free = (int64_t)(v.f_bavail * v.f_frsize);
	if (b->held && b->free < low)
		release(b);
	else if (!b->held && b->free >= b->bytes + 2 * low)
		fill(b);
	if (b->held)
		set_full(b, b->free < low);
	else
		set_full(b, b->exists || b->free < (atomic_load(b->full) ? 2 * low : low));
}

static void watch(struct job *j, void *arg)
{
	struct ballast *b = arg;
	pthread_mutex_lock(&b->lock);
	look(b);
	pthread_mutex_unlock(&b->lock);
}

/* What an earlier start left; the blocks are asked for again, as a copy of the folder may have come without them. */
static void take_over(struct ballast *b)
{
	struct stat st;
	b->exists = stat(b->path, &st) == 0;
	if (b->exists && st.st_size)
		fill(b);
}

static int start(struct ballast *b, const char *dir, int64_t bytes)
{
	struct statvfs v;
	if (snprintf(b->dir, sizeof b->dir, "%s", dir) >= PATH_MAX ||
	    snprintf(b->path, sizeof b->path, "%s/ballast", dir) >= PATH_MAX)
		return fail_with(ERR_INVALID, "%s: name too long", dir);
	if (!bytes) {
		unlink(b->path);
		return OK;
	}
	if (statvfs(dir, &v))
		return fail_errno("statvfs", dir);
	int64_t most = (int64_t)(v.f_blocks * v.f_frsize) / PART;
	b->bytes = bytes < most ? bytes : most;
	take_over(b);
	look(b);
	return job_start(SECOND_US, SECOND_US, watch, b, &b->watcher);
}

int ballast_open(const char *dir, int64_t bytes, atomic_bool *full, struct ballast **out)
{
	struct ballast *b = calloc(1, sizeof *b);
	if (!b)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	b->full = full;
	pthread_mutex_init(&b->lock, NULL);
	int r = start(b, dir, bytes);
	if (r)
		ballast_close(&b);
	else
		*out = b;
	return r;
}

void ballast_close(struct ballast **pb)
{
	struct ballast *b = *pb;
	*pb = NULL;
	if (!b)
		return;
	job_stop(&b->watcher);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

void ballast_stats(struct ballast *b, struct ballast_stats *out)
{
	struct statvfs v;
	pthread_mutex_lock(&b->lock);
	*out = (struct ballast_stats){ .held = (uint64_t)b->held, .full = atomic_load(b->full) };
	pthread_mutex_unlock(&b->lock);
	if (!statvfs(b->dir, &v))
		out->free = v.f_bavail * v.f_frsize;
}
