/* A SQLite VFS over another one that gathers what is written to a write-ahead log until it is synced. SQLite hands on each
 * page of a transaction in two writes; here they become one system call for a whole group of transactions. Nothing is
 * promised later than before: a log counts once it is synced. For the one connection that writes; readers open the file
 * through the VFS below, and see frames that are announced to them after the sync only. */
#ifndef GATHER_VFS_H
#define GATHER_VFS_H

struct gather;

/* below: a VFS's name, NULL for the usual one. */
int gather_new(const char *below, struct gather **out);
/* For sqlite3_open_v2. */
const char *gather_name(const struct gather *g);
/* All its files are closed. */
void gather_free(struct gather **g);

#endif
