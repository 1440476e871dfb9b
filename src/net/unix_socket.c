#include "unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fail.h"

/* An address for path. One that is too long goes through a descriptor of its folder, which the caller keeps open until
   the address was used (*dir, else -1). */
static int make_address(const char *path, struct sockaddr_un *a, int *dir)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*dir = -1;
	if (strlen(path) < sizeof a->sun_path) {
		strcpy(a->sun_path, path);
		return OK;
	}
	if (!slash || strlen(path) >= sizeof folder)
		return fail_with(ERR_INVALID, "%s: the name is too long for a socket", path);
	snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
	*dir = open(*folder ? folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*dir < 0)
		return fail_errno("open", folder);
	int n = snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/%s", *dir, slash + 1);
	if (n < (int)sizeof a->sun_path)
		return OK;
	close(*dir);
	return fail_with(ERR_INVALID, "%s: the name is too long for a socket", path);
}

typedef int socket_call(int fd, const struct sockaddr *a, socklen_t n);

/* bind or connect; errno is the call's. */
static int call_with_address(socket_call *call, int fd, const char *path)
{
	struct sockaddr_un a;
	int dir, r = make_address(path, &a, &dir);
	if (r)
		return r;
	int failed = call(fd, (struct sockaddr *)&a, sizeof a) ? errno : 0;
	if (dir >= 0)
		close(dir);
	errno = failed;
	return failed ? fail_errno(call == bind ? "bind" : "connect", path) : OK;
}

int unix_connect(const char *path, int *out)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_errno("socket", path);
	errno = 0;
	int r = call_with_address(connect, fd, path);
	if (!r) {
		*out = fd;
		return OK;
	}
	int e = errno;
	close(fd);
	if (e == ENOENT || e == ECONNREFUSED)
		return fail_with(ERR_NOT_FOUND, "%s: nobody listens there", path);
	return e == EACCES || e == EPERM ? fail_with(ERR_DENIED, "%s: %s", path, strerror(e)) : r;
}

static int check_free(const char *path)
{
	struct stat st;
	int fd;
	if (lstat(path, &st))
		return errno == ENOENT ? OK : fail_errno("stat", path);
	if (!S_ISSOCK(st.st_mode))
		return fail_with(ERR_INVALID, "%s is there and is no socket", path);
	int r = unix_connect(path, &fd);
	if (r)
		return r == ERR_NOT_FOUND ? OK : r;
	close(fd);
	return fail_with(ERR_EXISTS, "%s: another process listens there", path);
}

/* Ready under another name first, so that nobody meets it with the wrong mode or refusing. */
static int listen_and_rename(int fd, const char *path, const char *fresh, mode_t mode, gid_t group)
{
	unlink(fresh);
	int r = call_with_address(bind, fd, fresh);
	if (r)
		return r;
	if (group != (gid_t)-1 && lchown(fresh, (uid_t)-1, group))
		r = fail_errno("chown", path);
	else if (chmod(fresh, mode))
		r = fail_errno("chmod", path);
	else if (listen(fd, SOMAXCONN))
		r = fail_errno("listen", path);
	else if (rename(fresh, path))
		r = fail_errno("rename", path);
	if (r)
		unlink(fresh);
	return r;
}

int unix_listen(const char *path, mode_t mode, gid_t group, int *out)
{
	char fresh[PATH_MAX];
	int r = check_free(path);
	if (r)
		return r;
	if (snprintf(fresh, sizeof fresh, "%s.new", path) >= (int)sizeof fresh)
		return fail_with(ERR_INVALID, "%s: name too long", path);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_errno("socket", path);
	r = listen_and_rename(fd, path, fresh, mode, group);
	if (r)
		close(fd);
	else
		*out = fd;
	return r;
}
