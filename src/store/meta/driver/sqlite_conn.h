/* One SQLite connection with its prepared statements. Used by one thread at a time. */
#ifndef SQLITE_CONN_H
#define SQLITE_CONN_H

#include <sqlite3.h>

#include "meta_driver.h"

/* Of a new database. A delivery changes a dozen pages by some hundred bytes each, and the log takes whole pages: small
   ones are half the bytes to write (see bench/deliver). */
enum { SQLITE_PAGE_BYTES = 1024 };

/* Transaction control, prepared like the statements of statements.def. */
enum control { BEGIN_READ, BEGIN_WRITE, COMMIT, ROLLBACK, SAVEPOINT, SAVEPOINT_RELEASE, SAVEPOINT_UNDO, CONTROLS };

struct conn {
	sqlite3 *db; /* NULL while closed */
	const char *path, *vfs; /* not owned; vfs may be NULL */
	sqlite3_stmt *control[CONTROLS];
	sqlite3_stmt *stmt[META_STATEMENTS];
	int wal_frames; /* in the log after the last commit; kept by the writer */
};

struct sqlite_txn {
	struct meta_txn base;
	struct conn *conn;
};

/* Only the writer may write and checkpoint. */
int conn_open_writer(struct conn *c, const char *path, const char *vfs);
/* Close and open the writer; left closed when that fails. */
int conn_reopen(struct conn *c);
int conn_open_reader(struct conn *c, const char *path, const char *vfs);
/* A reader whose file may be synced. */
int conn_open_keeper(struct conn *c, const char *path, const char *vfs);
/* Never checkpoints by itself. */
void conn_close(struct conn *c);
/* META_AGAIN when it meets a conflict. */
int conn_control(struct conn *c, enum control what);
/* Text of our own, several statements, no results. */
int conn_execute(struct conn *c, const char *sql);
/* Ends whatever transaction there is; false when the connection is beyond use and must be closed. */
bool conn_rollback(struct conn *c);
static inline bool conn_in_transaction(const struct conn *c)
{
	return !sqlite3_get_autocommit(c->db);
}
/* Our code for SQLite's, with the detail set. */
int conn_failure(const struct conn *c, int rc, const char *what);

/* The statement part of the driver. */
int sqlite_execute(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed);
int sqlite_query(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out);
int sqlite_next(struct meta_txn *t, void *stmt);
int64_t sqlite_column_int(const void *stmt, int column);
struct span sqlite_column_span(const void *stmt, int column);
void sqlite_done(struct meta_txn *t, void *stmt);

#endif
