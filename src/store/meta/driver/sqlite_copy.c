#include "sqlite_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "durable_file.h"
#include "fail.h"

/* The database is copied while pages are written to it, so what was copied may be of different times; but each of these
   pages is in the log, which is copied after it and replayed: the way databases are backed up elsewhere. */

static int copy_whole(int from, const char *path, const char *to, struct file_copy *c)
{
	struct stat st;
	if (fstat(from, &st))
		return fail_errno("stat", path);
	return file_copy(c, from, st.st_size, to, 0600);
}

static int copy_log(const char *path, const char *to, struct file_copy *c)
{
	char from[PATH_MAX];
	if (snprintf(from, sizeof from, "%s-wal", path) >= (int)sizeof from)
		return fail_with(ERR_INVALID, "%s: name too long", path);
	int fd = open(from, O_RDONLY | O_CLOEXEC); /* SQLite holds no locks on it */
	if (fd < 0)
		return errno == ENOENT ? OK : fail_errno("open", from);
	int r = copy_whole(fd, from, to, c);
	close(fd);
	return r;
}

/* The copied log goes into the copy, so that one file is left. */
static int replay(const char *to)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(to, &db, SQLITE_OPEN_READWRITE, NULL);
	if (!rc)
		rc = sqlite3_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
	int full = rc && sqlite3_system_errno(db) == ENOSPC;
	int r = rc ? fail_with(full ? ERR_FULL : ERR_UNAVAILABLE, "%s: %s (%d)", to, sqlite3_errmsg(db), rc) : OK;
	sqlite3_close(db);
	return r;
}

static int drop(const char *path)
{
	return unlink(path) && errno != ENOENT ? fail_errno("unlink", path) : OK;
}

int sqlite_copy(int database, const char *path, const char *to, struct file_copy *c, int64_t *at)
{
	char log[PATH_MAX], index[PATH_MAX];
	if (snprintf(log, sizeof log, "%s-wal", to) >= (int)sizeof log ||
	    snprintf(index, sizeof index, "%s-shm", to) >= (int)sizeof index)
		return fail_with(ERR_INVALID, "%s: name too long", to);
	int r = drop(log);
	if (!r)
		r = drop(index);
	if (!r)
		r = copy_whole(database, path, to, c);
	int64_t now = clock_now();
	if (!r)
		r = copy_log(path, log, c);
	if (!r)
		r = replay(to);
	if (!r)
		*at = now;
	return r;
}
