/* A SQLite VFS over another one: what is passed on as it is. Whoever makes one sets the calls that it takes on itself. */
#ifndef OVER_VFS_H
#define OVER_VFS_H

#include <sqlite3.h>
#include <stddef.h>

/* The first member of each one's own struct, which is what vfs.pAppData points to. */
struct over_vfs {
	sqlite3_vfs vfs;
	sqlite3_vfs *below;
	char name[40];
};

/* below_name NULL: the usual one. handle: bytes of the struct that a file begins with; the file below stands behind it in
   the same allocation. ERR_UNAVAILABLE when there is no such VFS. */
int over_vfs_init(struct over_vfs *o, const char *kind, const char *below_name, size_t handle);
int over_vfs_register(struct over_vfs *o);

/* The first member of each one's own struct of a file. */
struct over_file {
	sqlite3_file base;
	sqlite3_file *below;
};

int over_lock(sqlite3_file *f, int level);
int over_unlock(sqlite3_file *f, int level);
int over_check_reserved(sqlite3_file *f, int *out);
int over_control(sqlite3_file *f, int op, void *arg);
int over_sector_size(sqlite3_file *f);
int over_characteristics(sqlite3_file *f);

#endif
