/* A copy of a database that is in use. The caller keeps its log from starting over (committer_hold_log). */
#ifndef SQLITE_COPY_H
#define SQLITE_COPY_H

#include <stdint.h>

#include "file_copy.h"

/* database: an open file of it, which must not be closed while SQLite has it open too (that would drop SQLite's locks);
   path: its name. *at: all that was committed before it is in the copy. */
int sqlite_copy(int database, const char *path, const char *to, struct file_copy *c, int64_t *at);

#endif
