#include "gather_vfs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#include "over_vfs.h"

enum { GATHER_MAX = 1 << 20, WRITE_MAX = 1 << 16 /* SQLite's own VFS takes no write of 128 KiB or more */ };

struct gather {
	struct over_vfs over;
};

/* A log as SQLite holds it; the file below stands behind it in the same allocation. */
struct handle {
	struct over_file over;
	sqlite3_int64 at; /* where the gathered bytes belong */
	int n;
	unsigned char *bytes; /* GATHER_MAX */
	sqlite3_file file_below[];
};

static struct handle *of(sqlite3_file *f)
{
	return (struct handle *)f;
}

static sqlite3_file *below(sqlite3_file *f)
{
	return of(f)->over.below;
}

/* After a failure the bytes stay: SQLite takes the transaction back, and the next writes begin elsewhere or over them. */
static int write_out(struct handle *h)
{
	int n = h->n, rc = SQLITE_OK;
	h->n = 0;
	for (int done = 0; !rc && done < n; done += WRITE_MAX)
		rc = h->over.below->pMethods->xWrite(h->over.below, h->bytes + done, n - done < WRITE_MAX ? n - done : WRITE_MAX, h->at + done);
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

static const sqlite3_io_methods methods = {
	.iVersion = 1, /* a log has no shared memory of its own */
	.xClose = gather_close,
	.xRead = gather_read,
	.xWrite = gather_write,
	.xTruncate = gather_truncate,
	.xSync = gather_sync,
	.xFileSize = gather_file_size,
	.xLock = over_lock,
	.xUnlock = over_unlock,
	.xCheckReservedLock = over_check_reserved,
	.xFileControl = over_control,
	.xSectorSize = over_sector_size,
	.xDeviceCharacteristics = over_characteristics,
};

/* Whatever is no log is the VFS below's own. */
static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
	sqlite3_vfs *below = ((struct over_vfs *)v->pAppData)->below;
	if (!(flags & SQLITE_OPEN_WAL))
		return below->xOpen(below, path, f, flags, out_flags);
	struct handle *h = of(f);
	*h = (struct handle){ .over.below = h->file_below, .bytes = malloc(GATHER_MAX) };
	if (!h->bytes)
		return SQLITE_NOMEM;
	int rc = below->xOpen(below, path, h->file_below, flags, out_flags);
	if (rc)
		free(h->bytes);
	else
		f->pMethods = &methods;
	return rc;
}

int gather_new(const char *below_name, struct gather **out)
{
	struct gather *g = calloc(1, sizeof *g);
	if (!g)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = over_vfs_init(&g->over, "gather", below_name, sizeof(struct handle));
	g->over.vfs.xOpen = vfs_open;
	if (!r)
		r = over_vfs_register(&g->over);
	if (r)
		free(g);
	else
		*out = g;
	return r;
}

const char *gather_name(const struct gather *g)
{
	return g->over.name;
}

void gather_free(struct gather **g)
{
	if (!*g)
		return;
	sqlite3_vfs_unregister(&(*g)->over.vfs);
	free(*g);
	*g = NULL;
}
