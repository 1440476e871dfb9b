/* A folder of a test's own, in memory where there is room: what is synced there costs nothing. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "unit.h"

enum { SCRATCH_ROOM = 512 << 20 };

static inline const char *scratch_disk(void)
{
	struct statvfs v;
	return !access("/dev/shm", W_OK) && !statvfs("/dev/shm", &v) && v.f_bavail * v.f_frsize >= SCRATCH_ROOM ? "/dev/shm" : "/tmp";
}

static inline void scratch_make(const char *name, char out[static 64])
{
	snprintf(out, 64, "%s/perdura-%s-XXXXXX", scratch_disk(), name);
	assert_non_null(mkdtemp(out));
}

static inline int scratch_remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static inline void scratch_remove(const char *dir)
{
	assert_int_equal(nftw(dir, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
