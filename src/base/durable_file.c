#include "durable_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fail.h"

int file_write_at(int fd, const void *p, size_t n, int64_t offset, const char *path)
{
	const char *q = p;
	while (n) {
		ssize_t k = pwrite(fd, q, n, offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return fail_errno("write", path);
		q += k, n -= (size_t)k, offset += k;
	}
	return OK;
}

int file_read_at(int fd, void *p, size_t n, int64_t offset, const char *path)
{
	char *q = p;
	while (n) {
		ssize_t k = pread(fd, q, n, offset);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return fail_errno("read", path);
		if (k == 0)
			return fail_with(ERR_CORRUPT, "%s ends %zu bytes before offset %lld", path, n, (long long)offset);
		q += k, n -= (size_t)k, offset += k;
	}
	return OK;
}

int durable_dir_sync(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("open", path);
	int r = fsync(fd) ? fail_errno("fsync", path) : OK;
	close(fd);
	return r;
}

static void parent_of(const char *path, char *out, size_t n)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		snprintf(out, n, ".");
	else if (slash == path)
		snprintf(out, n, "/");
	else
		snprintf(out, n, "%.*s", (int)(slash - path), path);
}

int durable_mkdir(const char *path, unsigned mode)
{
	char parent[PATH_MAX];
	struct stat st;
	if (stat(path, &st) == 0)
		return S_ISDIR(st.st_mode) ? OK : fail_with(ERR_INVALID, "%s is there and is no folder", path);
	parent_of(path, parent, sizeof parent);
	int r = strcmp(parent, path) ? durable_mkdir(parent, mode) : OK;
	if (r)
		return r;
	if (mkdir(path, mode) && errno != EEXIST)
		return fail_errno("mkdir", path);
	return durable_dir_sync(parent);
}

static int write_and_sync(const char *path, struct span data, unsigned mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return fail_errno("open", path);
	int r = file_write_at(fd, data.p, data.n, 0, path);
	if (!r && fsync(fd))
		r = fail_errno("fsync", path);
	if (close(fd) && !r)
		r = fail_errno("close", path);
	return r;
}

int durable_file_write(const char *path, struct span data, unsigned mode)
{
	char tmp[PATH_MAX], dir[PATH_MAX];
	if (snprintf(tmp, sizeof tmp, "%s.new", path) >= (int)sizeof tmp)
		return fail_with(ERR_INVALID, "%s: name too long", path);
	int r = write_and_sync(tmp, data, mode);
	if (!r && rename(tmp, path))
		r = fail_errno("rename", path);
	if (r) {
		unlink(tmp);
		return r;
	}
	parent_of(path, dir, sizeof dir);
	return durable_dir_sync(dir);
}
