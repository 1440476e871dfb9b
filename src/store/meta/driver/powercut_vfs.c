#include "powercut_vfs.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"

#include "over_vfs.h"

enum { SECTOR = 512, PASS_ONE_IN = 4 };

struct sector {
	int64_t number;
	bool used;
	unsigned char data[SECTOR];
};

/* One file as every connection sees it: the real one up to `valid`, zeros up to `size`, and the sectors over both. */
struct disk_file {
	struct disk_file *next;
	char *path;
	pthread_mutex_t lock;
	int64_t size;
	int64_t valid; /* bytes of the real file that still count: synced, and not cut off since */
	struct sector *sectors; /* open addressing; a power of two of them */
	size_t n, cap;
	uint64_t seed; /* 0: nothing gets through before it is synced */
	uint64_t bad_sync; /* syncs until one fails; 0: none does */
};

struct powercut {
	struct over_vfs over;
	pthread_mutex_t lock;
	struct disk_file *files;
	uint64_t seed, bad_sync;
};

/* What SQLite holds; the real file stands behind it in the same allocation. file is NULL where we do not interfere. */
struct handle {
	struct over_file over;
	struct disk_file *file;
	sqlite3_file real[];
};

static struct handle *of(sqlite3_file *f)
{
	return (struct handle *)f;
}

static sqlite3_file *real_of(sqlite3_file *f)
{
	return of(f)->over.below;
}

/* --- Sectors --- */

static struct sector *slot_of(struct sector *table, size_t cap, int64_t number)
{
	size_t i = (size_t)((uint64_t)number * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (cap - 1);
	while (table[i].used && table[i].number != number)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static const struct sector *find(const struct disk_file *d, int64_t number)
{
	if (!d->n)
		return NULL;
	const struct sector *s = slot_of(d->sectors, d->cap, number);
	return s->used ? s : NULL;
}

static bool grow(struct disk_file *d)
{
	size_t cap = d->cap ? 2 * d->cap : 256;
	struct sector *t = calloc(cap, sizeof *t);
	if (!t)
		return false;
	for (size_t i = 0; i < d->cap; i++)
		if (d->sectors[i].used)
			*slot_of(t, cap, d->sectors[i].number) = d->sectors[i];
	free(d->sectors);
	d->sectors = t;
	d->cap = cap;
	return true;
}

/* Real bytes, zeros where there are none (any more). */
static int read_base(struct disk_file *d, sqlite3_file *real, unsigned char *out, int n, int64_t at)
{
	int64_t there = d->valid - at;
	memset(out, 0, (size_t)n);
	if (there <= 0)
		return SQLITE_OK;
	int rc = real->pMethods->xRead(real, out, there < n ? (int)there : n, at);
	return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc;
}

/* The sector to change, as it reads now. */
static int own_sector(struct disk_file *d, sqlite3_file *real, int64_t number, struct sector **out)
{
	if (d->n * 2 >= d->cap && !grow(d))
		return SQLITE_IOERR_NOMEM;
	struct sector *s = slot_of(d->sectors, d->cap, number);
	if (!s->used) {
		int rc = read_base(d, real, s->data, SECTOR, number * SECTOR);
		if (rc)
			return rc;
		s->used = true;
		s->number = number;
		d->n++;
	}
	*out = s;
	return SQLITE_OK;
}

static int write_sector(const struct disk_file *d, sqlite3_file *real, const struct sector *s)
{
	int64_t at = s->number * SECTOR, n = d->size - at;
	if (n <= 0)
		return SQLITE_OK;
	return real->pMethods->xWrite(real, s->data, n < SECTOR ? (int)n : SECTOR, at);
}

/* The kernel happens to write this sector back now. */
static bool gets_through(struct disk_file *d)
{
	if (!d->seed)
		return false;
	d->seed ^= d->seed << 13;
	d->seed ^= d->seed >> 7;
	d->seed ^= d->seed << 17;
	return d->seed % PASS_ONE_IN == 0;
}

/* --- What SQLite does to a file --- */

static int read_overlaid(struct disk_file *d, sqlite3_file *real, unsigned char *out, int n, int64_t at)
{
	int rc = read_base(d, real, out, n, at);
	for (int64_t k = at / SECTOR; !rc && k * SECTOR < at + n; k++) {
		const struct sector *s = find(d, k);
		int64_t from = k * SECTOR > at ? k * SECTOR : at;
		int64_t to = (k + 1) * SECTOR < at + n ? (k + 1) * SECTOR : at + n;
		if (s)
			memcpy(out + (from - at), s->data + (from - k * SECTOR), (size_t)(to - from));
	}
	return !rc && at + n > d->size ? SQLITE_IOERR_SHORT_READ : rc;
}

static int powercut_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
	struct disk_file *d = of(f)->file;
	pthread_mutex_lock(&d->lock);
	int rc = read_overlaid(d, real_of(f), out, n, at);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int write_overlaid(struct disk_file *d, sqlite3_file *real, const unsigned char *p, int n, int64_t at)
{
	if (at + n > d->size)
		d->size = at + n;
	for (int64_t k = at / SECTOR; k * SECTOR < at + n; k++) {
		struct sector *s;
		int64_t from = k * SECTOR > at ? k * SECTOR : at;
		int64_t to = (k + 1) * SECTOR < at + n ? (k + 1) * SECTOR : at + n;
		int rc = own_sector(d, real, k, &s);
		if (rc)
			return rc;
		memcpy(s->data + (from - k * SECTOR), p + (from - at), (size_t)(to - from));
		if (gets_through(d) && (rc = write_sector(d, real, s)))
			return rc;
	}
	return SQLITE_OK;
}

static int powercut_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct disk_file *d = of(f)->file;
	pthread_mutex_lock(&d->lock);
	int rc = write_overlaid(d, real_of(f), p, n, at);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

/* Sectors past the new end become zeros: should the file grow again, they read so. */
static void cut(struct disk_file *d, int64_t size)
{
	for (size_t i = 0; i < d->cap; i++) {
		struct sector *s = &d->sectors[i];
		int64_t keep = size - s->number * SECTOR;
		if (s->used && keep < SECTOR)
			memset(s->data + (keep > 0 ? keep : 0), 0, (size_t)(SECTOR - (keep > 0 ? keep : 0)));
	}
	d->size = size;
	if (d->valid > size)
		d->valid = size;
}

static int powercut_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct disk_file *d = of(f)->file;
	pthread_mutex_lock(&d->lock);
	cut(d, size);
	pthread_mutex_unlock(&d->lock);
	return SQLITE_OK;
}

static int apply(struct disk_file *d, sqlite3_file *real)
{
	sqlite3_int64 there;
	int rc = real->pMethods->xFileSize(real, &there);
	if (!rc && there > d->valid)
		rc = real->pMethods->xTruncate(real, d->valid);
	for (size_t i = 0; !rc && i < d->cap; i++)
		if (d->sectors[i].used)
			rc = write_sector(d, real, &d->sectors[i]);
	if (!rc) /* a tail that nobody wrote to */
		rc = real->pMethods->xTruncate(real, d->size);
	return rc;
}

static void forget_sectors(struct disk_file *d)
{
	free(d->sectors);
	d->sectors = NULL;
	d->n = d->cap = 0;
}

static int powercut_sync(sqlite3_file *f, int flags)
{
	struct disk_file *d = of(f)->file;
	pthread_mutex_lock(&d->lock);
	bool bad = d->bad_sync && !--d->bad_sync;
	int rc = bad ? SQLITE_IOERR_FSYNC : apply(d, real_of(f));
	if (!rc)
		rc = real_of(f)->pMethods->xSync(real_of(f), flags);
	if (!rc)
		d->valid = d->size;
	if (!rc || bad)
		forget_sectors(d);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

static int powercut_file_size(sqlite3_file *f, sqlite3_int64 *out)
{
	struct disk_file *d = of(f)->file;
	pthread_mutex_lock(&d->lock);
	*out = d->size;
	pthread_mutex_unlock(&d->lock);
	return SQLITE_OK;
}

static int powercut_close(sqlite3_file *f)
{
	return real_of(f)->pMethods->xClose(real_of(f));
}

/* --- What goes straight to the real file: locks, shared memory, questions --- */

static int pass_control(sqlite3_file *f, int op, void *arg)
{
	if (op == SQLITE_FCNTL_SIZE_HINT || op == SQLITE_FCNTL_CHUNK_SIZE) /* would change the real size */
		return SQLITE_OK;
	return over_control(f, op, arg);
}

static int pass_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
	return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int pass_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
	return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}

static void pass_shm_barrier(sqlite3_file *f)
{
	real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int pass_shm_unmap(sqlite3_file *f, int delete)
{
	return real_of(f)->pMethods->xShmUnmap(real_of(f), delete);
}

static const sqlite3_io_methods methods = {
	.iVersion = 2,
	.xClose = powercut_close,
	.xRead = powercut_read,
	.xWrite = powercut_write,
	.xTruncate = powercut_truncate,
	.xSync = powercut_sync,
	.xFileSize = powercut_file_size,
	.xLock = over_lock,
	.xUnlock = over_unlock,
	.xCheckReservedLock = over_check_reserved,
	.xFileControl = pass_control,
	.xSectorSize = over_sector_size,
	.xDeviceCharacteristics = over_characteristics,
	.xShmMap = pass_shm_map,
	.xShmLock = pass_shm_lock,
	.xShmBarrier = pass_shm_barrier,
	.xShmUnmap = pass_shm_unmap,
};

/* --- The file system --- */

static struct disk_file **place_of(struct powercut *p, const char *path)
{
	struct disk_file **d = &p->files;
	while (*d && strcmp((*d)->path, path))
		d = &(*d)->next;
	return d;
}

static void forget(struct disk_file **place)
{
	struct disk_file *d = *place;
	*place = d->next;
	pthread_mutex_destroy(&d->lock);
	free(d->sectors);
	free(d->path);
	free(d);
}

static int add_file(struct powercut *p, const char *path, sqlite3_file *real, int flags, struct disk_file **place)
{
	sqlite3_int64 size;
	int rc = real->pMethods->xFileSize(real, &size);
	if (rc)
		return rc;
	struct disk_file *d = calloc(1, sizeof *d);
	char *copy = strdup(path);
	if (!d || !copy) {
		free(d);
		free(copy);
		return SQLITE_NOMEM;
	}
	*d = (struct disk_file){ .path = copy, .size = size, .valid = size, .seed = p->seed,
		                 .bad_sync = flags & SQLITE_OPEN_MAIN_DB ? p->bad_sync : 0 };
	pthread_mutex_init(&d->lock, NULL);
	*place = d;
	return SQLITE_OK;
}

static int attach(struct powercut *p, const char *path, int flags, struct handle *h)
{
	pthread_mutex_lock(&p->lock);
	struct disk_file **place = place_of(p, path);
	int rc = *place ? SQLITE_OK : add_file(p, path, h->real, flags, place);
	h->file = *place;
	pthread_mutex_unlock(&p->lock);
	return rc;
}

static struct powercut *powercut_of(sqlite3_vfs *v)
{
	return v->pAppData;
}

/* Temporary files have nothing to lose: SQLite gets the real file. */
static int vfs_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
	struct powercut *p = powercut_of(v);
	sqlite3_vfs *real = p->over.below;
	if (!path || !(flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL)))
		return real->xOpen(real, path, f, flags, out_flags);
	struct handle *h = of(f);
	*h = (struct handle){ .over.below = h->real };
	int rc = real->xOpen(real, path, h->real, flags, out_flags);
	if (rc)
		return rc;
	rc = attach(p, path, flags, h);
	if (rc)
		powercut_close(f);
	else
		f->pMethods = &methods;
	return rc;
}

static int vfs_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
	struct powercut *p = powercut_of(v);
	pthread_mutex_lock(&p->lock);
	struct disk_file **place = place_of(p, path);
	if (*place)
		forget(place);
	pthread_mutex_unlock(&p->lock);
	return p->over.below->xDelete(p->over.below, path, sync_dir);
}

/* The real VFS says of an empty file that it does not exist; ours may have its bytes in memory. */
static int vfs_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	struct powercut *p = powercut_of(v);
	pthread_mutex_lock(&p->lock);
	struct disk_file *d = *place_of(p, path);
	sqlite3_int64 size = 0;
	if (d) {
		pthread_mutex_lock(&d->lock);
		size = d->size;
		pthread_mutex_unlock(&d->lock);
	}
	pthread_mutex_unlock(&p->lock);
	if (size && flags == SQLITE_ACCESS_EXISTS) {
		*out = 1;
		return SQLITE_OK;
	}
	return p->over.below->xAccess(p->over.below, path, flags, out);
}

int powercut_new(uint64_t seed, uint64_t bad_sync, struct powercut **out)
{
	struct powercut *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	p->seed = seed;
	p->bad_sync = bad_sync;
	pthread_mutex_init(&p->lock, NULL);
	int r = over_vfs_init(&p->over, "powercut", NULL, sizeof(struct handle));
	p->over.vfs.xOpen = vfs_open;
	p->over.vfs.xDelete = vfs_delete;
	p->over.vfs.xAccess = vfs_access;
	if (!r)
		r = over_vfs_register(&p->over);
	if (r)
		powercut_free(&p);
	else
		*out = p;
	return r;
}

const char *powercut_name(const struct powercut *p)
{
	return p->over.name;
}

void powercut_free(struct powercut **pp)
{
	struct powercut *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	sqlite3_vfs_unregister(&p->over.vfs);
	while (p->files)
		forget(&p->files);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
