#include "file_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "durable_file.h"
#include "fail.h"

enum { PIECE = 1 << 20, SYNC_EACH = 4, REST_MOST_US = 200000 };

static int tell(struct file_copy *c, uint64_t bytes)
{
	return c->step ? c->step(c->ctx, bytes) : OK;
}

static int copy_piece(int from, int64_t at, size_t n, int to, char *piece, const char *path)
{
	int e = file_read_at(from, piece, n, at, path);
	if (!e)
		e = file_write_at(to, piece, n, at, path);
	if (!e && at / PIECE % SYNC_EACH == SYNC_EACH - 1) {
		e = fdatasync(to) ? fail_errno("sync", path) : OK;
		posix_fadvise(to, 0, 0, POSIX_FADV_DONTNEED);
	}
	return e;
}

/* As long as a piece took the disk is left to others. */
static void rest(int64_t since)
{
	int64_t us = clock_mono() - since;
	usleep((useconds_t)(us < REST_MOST_US ? us : REST_MOST_US));
}

/* Dirty pages are written as we go, so that the end of a large copy is not one long sync that others wait behind. */
static int copy_bytes(struct file_copy *c, int from, int64_t n, int to, const char *path)
{
	char *piece = malloc(PIECE);
	int e = piece ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	for (int64_t at = 0; !e && at < n; at += PIECE) {
		size_t k = n - at < PIECE ? (size_t)(n - at) : PIECE;
		int64_t since = clock_mono();
		e = copy_piece(from, at, k, to, piece, path);
		if (!e)
			e = tell(c, k);
		c->copied += e ? 0 : k;
		if (at + PIECE < n)
			rest(since);
	}
	free(piece);
	return e;
}

int file_copy(struct file_copy *c, int from, int64_t n, const char *path, unsigned mode)
{
	int e;
	int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, (mode_t)mode);
	if (to < 0)
		return fail_errno("create", path);
	if (ioctl(to, FICLONE, from) == 0) {
		e = tell(c, (uint64_t)n);
		c->shared += e ? 0 : (uint64_t)n;
	} else {
		e = copy_bytes(c, from, n, to, path);
	}
	if (!e && fsync(to))
		e = fail_errno("sync", path);
	if (close(to) && !e)
		e = fail_errno("close", path);
	return e;
}
