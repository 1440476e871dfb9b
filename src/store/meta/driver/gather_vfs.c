#include "gather_vfs.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

enum { GATHER_MAX = 1 << 20, WRITE_MAX = 1 << 16 /* SQLite's own VFS takes no write of 128 KiB or more */ };

struct gather {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	char name[40];
};

/* A log as SQLite holds it; the file below stands behind it in the same allocation. */
struct handle {
	sqlite3_file base;
	sqlite3_int64 at; /* where the gathered bytes belong */
	int n;
	unsigned char *bytes; /* GATHER_MAX */
	sqlite3_file below[];
};

static struct handle *of(sqlite3_file *f)
{
	return (struct handle *)f;
}

static sqlite3_file *below(sqlite3_file *f)
{
	return of(f)->below;
}

/* After a failure the bytes stay: SQLite takes the transaction back, and the next writes begin elsewhere or over them. */
static int write_out(struct handle *h)
{
	int n = h->n, rc = SQLITE_OK;
	h->n = 0;
	for (int done = 0; !rc && done < n; done += WRITE_MAX)
		rc = h->below->pMethods->xWrite(h->below, h->bytes + done, n - done < WRITE_MAX ? n - done : WRITE_MAX, h->at + done);
	return rc;
}

static int gather_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct handle *h = of(f);
	bool follows = h->n && at == h->at + h->n && n <= GATHER_MAX - h->n;
	if (!follows) {
		int rc = write_out(h);
		if (rc)
			return rc;
		h->at = at;
	}
	memcpy(h->bytes + h->n, p, (size_t)n);
	h->n += n;
	return SQLITE_OK;
}

static int gather_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	struct handle *h = of(f);
	if (h->n && at < h->at + h->n && at + n > h->at) {
		if (at >= h->at && at + n <= h->at + h->n) {
			memcpy(out, h->bytes + (at - h->at), (size_t)n);
			return SQLITE_OK;
		}
		int rc = write_out(h);
		if (rc)
			return rc;
	}
	return below(f)->pMethods->xRead(below(f), out, n, at);
}

static int gather_sync(sqlite3_file *f, int flags)
{
	int rc = write_out(of(f));
	return rc ? rc : below(f)->pMethods->xSync(below(f), flags);
}

static int gather_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	int rc = write_out(of(f));
	return rc ? rc : below(f)->pMethods->xTruncate(below(f), size);
}

static int gather_file_size(sqlite3_file *f, sqlite3_int64 *out)
{
	int rc = write_out(of(f));
	return rc ? rc : below(f)->pMethods->xFileSize(below(f), out);
}

static int gather_close(sqlite3_file *f)
{
	int rc = write_out(of(f));
	free(of(f)->bytes);
	int closed = below(f)->pMethods->xClose(below(f));
	return rc ? rc : closed;
}

static int pass_lock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xLock(below(f), level);
}

static int pass_unlock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xUnlock(below(f), level);
}

static int pass_check_reserved(sqlite3_file *f, int *out)
{
	return below(f)->pMethods->xCheckReservedLock(below(f), out);
}

static int pass_control(sqlite3_file *f, int op, void *arg)
{
	return below(f)->pMethods->xFileControl(below(f), op, arg);
}

static int pass_sector_size(sqlite3_file *f)
{
	return below(f)->pMethods->xSectorSize(below(f));
}

static int pass_characteristics(sqlite3_file *f)
{
	return below(f)->pMethods->xDeviceCharacteristics(below(f));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1, /* a log has no shared memory of its own */
	.xClose = gather_close,
	.xRead = gather_read,
	.xWrite = gather_write,
	.xTruncate = gather_truncate,
	.xSync = gather_sync,
	.xFileSize = gather_file_size,
	.xLock = pass_lock,
	.xUnlock = pass_unlock,
	.xCheckReservedLock = pass_check_reserved,
	.xFileControl = pass_control,
	.xSectorSize = pass_sector_size,
	.xDeviceCharacteristics = pass_characteristics,
};

/* Whatever is no log is the VFS below's own. */
static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
	struct gather *g = v->pAppData;
	if (!(flags & SQLITE_OPEN_WAL))
		return g->below->xOpen(g->below, path, f, flags, out_flags);
	struct handle *h = of(f);
	*h = (struct handle){ .bytes = malloc(GATHER_MAX) };
	if (!h->bytes)
		return SQLITE_NOMEM;
	int rc = g->below->xOpen(g->below, path, h->below, flags, out_flags);
	if (rc)
		free(h->bytes);
	else
		f->pMethods = &methods;
	return rc;
}

/* The VFS below, for what is its own affair. */
static sqlite3_vfs *under(sqlite3_vfs *v)
{
	return ((struct gather *)v->pAppData)->below;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
	return under(v)->xDelete(under(v), path, sync_dir);
}

static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	return under(v)->xAccess(under(v), path, flags, out);
}

static int vfs_full_pathname(sqlite3_vfs *v, const char *path, int n, char *out)
{
	return under(v)->xFullPathname(under(v), path, n, out);
}

static int vfs_randomness(sqlite3_vfs *v, int n, char *out)
{
	return under(v)->xRandomness(under(v), n, out);
}

static int vfs_sleep(sqlite3_vfs *v, int us)
{
	return under(v)->xSleep(under(v), us);
}

static int vfs_current_time(sqlite3_vfs *v, double *out)
{
	return under(v)->xCurrentTime(under(v), out);
}

static int vfs_last_error(sqlite3_vfs *v, int n, char *out)
{
	return under(v)->xGetLastError(under(v), n, out);
}

int gather_new(const char *below_name, struct gather **out)
{
	sqlite3_vfs *b = sqlite3_vfs_find(below_name);
	struct gather *g = b ? calloc(1, sizeof *g) : NULL;
	if (!g)
		return fail_with(ERR_UNAVAILABLE, "sqlite: no memory for a VFS");
	g->below = b;
	g->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)sizeof(struct handle) + b->szOsFile,
		.mxPathname = b->mxPathname,
		.zName = g->name,
		.pAppData = g,
		.xOpen = vfs_open,
		.xDelete = vfs_delete,
		.xAccess = vfs_access,
		.xFullPathname = vfs_full_pathname,
		.xRandomness = vfs_randomness,
		.xSleep = vfs_sleep,
		.xCurrentTime = vfs_current_time,
		.xGetLastError = vfs_last_error,
	};
	snprintf(g->name, sizeof g->name, "gather-%p", (void *)g);
	if (sqlite3_vfs_register(&g->vfs, 0)) {
		free(g);
		return fail_with(ERR_UNAVAILABLE, "sqlite: no memory for a VFS");
	}
	*out = g;
	return OK;
}

const char *gather_name(const struct gather *g)
{
	return g->name;
}

void gather_free(struct gather **g)
{
	if (!*g)
		return;
	sqlite3_vfs_unregister(&(*g)->vfs);
	free(*g);
	*g = NULL;
}
