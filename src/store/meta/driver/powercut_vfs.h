/* A SQLite VFS over the usual one that loses power: what was written and not yet synced is kept in memory only, so that
 * kill -9 of the process forgets it, as a power cut would. With a seed other than 0 some of it, sector by sector, gets
 * through at once, in no order, as it may on a real machine. Names made and removed in the folder are durable at once.
 * The bad_sync'th sync of the database itself (0: none) fails, and what it should have written is lost, as Linux does it. */
#ifndef POWERCUT_VFS_H
#define POWERCUT_VFS_H

#include <stdint.h>

struct powercut;

int powercut_new(uint64_t seed, uint64_t bad_sync, struct powercut **out);
/* For sqlite3_open_v2. */
const char *powercut_name(const struct powercut *p);
/* All its files are closed. What is still unsynced is forgotten. */
void powercut_free(struct powercut **p);

#endif
