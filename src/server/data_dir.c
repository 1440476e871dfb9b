#include "data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"

static int take_lock(const char *dir, int fd)
{
	char pid[24] = "", ports[PATH_MAX];
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		if (errno != EWOULDBLOCK)
			return fail_errno("lock", dir);
		ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
		while (n > 0 && pid[n - 1] == '\n')
			pid[--n] = 0;
		return fail_with(ERR_EXISTS, "%s: another node (process %s) runs on it; stop it first, or give --data another folder",
			dir, n > 0 ? pid : "unknown");
	}
	snprintf(ports, sizeof ports, "%s/run/ports", dir);
	if (unlink(ports) && errno != ENOENT)
		return fail_errno("unlink", ports);
	int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, pid, (size_t)n, 0) != n)
		return fail_errno("write", dir);
	return OK;
}

int data_dir_open(const char *dir, int *lock)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/run", dir) >= (int)sizeof path - 32)
		return fail_with(ERR_INVALID, "%s: name too long", dir);
	int r = durable_mkdir(dir, 0700);
	if (r || (r = durable_mkdir(path, 0755)))
		return r;
	snprintf(path, sizeof path, "%s/lock", dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return fail_errno("open", path);
	if ((r = take_lock(dir, fd)))
		close(fd);
	else
		*lock = fd;
	return r;
}
