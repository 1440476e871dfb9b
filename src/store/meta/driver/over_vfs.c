#include "over_vfs.h"

#include <stdio.h>

#include "fail.h"

static sqlite3_file *below(sqlite3_file *f)
{
	return ((struct over_file *)f)->below;
}

int over_lock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xLock(below(f), level);
}

int over_unlock(sqlite3_file *f, int level)
{
	return below(f)->pMethods->xUnlock(below(f), level);
}

int over_check_reserved(sqlite3_file *f, int *out)
{
	return below(f)->pMethods->xCheckReservedLock(below(f), out);
}

int over_control(sqlite3_file *f, int op, void *arg)
{
	return below(f)->pMethods->xFileControl(below(f), op, arg);
}

int over_sector_size(sqlite3_file *f)
{
	return below(f)->pMethods->xSectorSize(below(f));
}

int over_characteristics(sqlite3_file *f)
{
	return below(f)->pMethods->xDeviceCharacteristics(below(f));
}

static sqlite3_vfs *under(sqlite3_vfs *v)
{
	return ((struct over_vfs *)v->pAppData)->below;
}

static int pass_open(sqlite3_vfs *v, const char *path, sqlite3_file *f, int flags, int *out_flags)
{
	return under(v)->xOpen(under(v), path, f, flags, out_flags);
}

static int pass_delete(sqlite3_vfs *v, const char *path, int sync_dir)
{
	return under(v)->xDelete(under(v), path, sync_dir);
}

static int pass_access(sqlite3_vfs *v, const char *path, int flags, int *out)
{
	return under(v)->xAccess(under(v), path, flags, out);
}

static int pass_full_pathname(sqlite3_vfs *v, const char *path, int n, char *out)
{
	return under(v)->xFullPathname(under(v), path, n, out);
}

static int pass_randomness(sqlite3_vfs *v, int n, char *out)
{
	return under(v)->xRandomness(under(v), n, out);
}

static int pass_sleep(sqlite3_vfs *v, int us)
{
	return under(v)->xSleep(under(v), us);
}

static int pass_current_time(sqlite3_vfs *v, double *out)
{
	return under(v)->xCurrentTime(under(v), out);
}

static int pass_last_error(sqlite3_vfs *v, int n, char *out)
{
	return under(v)->xGetLastError(under(v), n, out);
}

int over_vfs_init(struct over_vfs *o, const char *kind, const char *below_name, size_t handle)
{
	o->below = sqlite3_vfs_find(below_name);
	if (!o->below)
		return fail_with(ERR_UNAVAILABLE, "sqlite: there is no VFS to stand on");
	snprintf(o->name, sizeof o->name, "%s-%p", kind, (void *)o);
	o->vfs = (sqlite3_vfs){
		.iVersion = 1,
		.szOsFile = (int)handle + o->below->szOsFile,
		.mxPathname = o->below->mxPathname,
		.zName = o->name,
		.pAppData = o,
		.xOpen = pass_open,
		.xDelete = pass_delete,
		.xAccess = pass_access,
		.xFullPathname = pass_full_pathname,
		.xRandomness = pass_randomness,
		.xSleep = pass_sleep,
		.xCurrentTime = pass_current_time,
		.xGetLastError = pass_last_error,
	};
	return OK;
}

int over_vfs_register(struct over_vfs *o)
{
	return sqlite3_vfs_register(&o->vfs, 0) ? fail_with(ERR_UNAVAILABLE, "sqlite: no memory for a VFS") : OK;
}
