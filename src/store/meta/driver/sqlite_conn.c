#include "sqlite_conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#include "fail.h"

enum { BUSY_MS = 5000 };

static const char *const controls[CONTROLS] = {
	[BEGIN_READ] = "BEGIN",
	[BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[SAVEPOINT] = "SAVEPOINT one",
	[SAVEPOINT_RELEASE] = "RELEASE one",
	[SAVEPOINT_UNDO] = "ROLLBACK TO one",
};

static int code_of(const struct conn *c, int rc)
{
	int e = sqlite3_system_errno(c->db);
	switch (rc & 0xff) {
	case SQLITE_OK:
		return OK;
	case SQLITE_CONSTRAINT:
		return rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_ROWID
			? ERR_EXISTS
			: ERR_INVALID;
	case SQLITE_FULL:
		return ERR_FULL;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_CORRUPTFS || rc == SQLITE_IOERR_DATA)
			return ERR_CORRUPT;
		return e == ENOSPC || e == EDQUOT ? ERR_FULL : ERR_UNAVAILABLE;
	case SQLITE_CANTOPEN:
		return e == ENOSPC || e == EDQUOT ? ERR_FULL : ERR_UNAVAILABLE;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_CONFLICT;
	case SQLITE_TOOBIG:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE;
	}
}

int conn_failure(const struct conn *c, int rc, const char *what)
{
	if (rc == SQLITE_OK)
		return OK;
	return fail_with(code_of(c, rc), "sqlite: %.80s: %s (%d)", what, sqlite3_errmsg(c->db), rc);
}

int conn_execute(struct conn *c, const char *sql)
{
	return conn_failure(c, sqlite3_exec(c->db, sql, NULL, NULL, NULL), sql);
}

static int open_file(struct conn *c, const char *path, const char *vfs, int flags)
{
	*c = (struct conn){ .path = path, .vfs = vfs };
	int rc = sqlite3_open_v2(path, &c->db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);
	if (!c->db)
		return fail_with(ERR_UNAVAILABLE, "sqlite: out of memory");
	if (rc)
		return conn_failure(c, rc, path);
	sqlite3_busy_timeout(c->db, BUSY_MS);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	return OK;
}

/* Also takes the place of SQLite's own hook, which would checkpoint. */
static int note_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
	((struct conn *)arg)->wal_frames = frames;
	return SQLITE_OK;
}

static int want_wal(struct conn *c)
{
	sqlite3_stmt *s;
	int rc = sqlite3_prepare_v2(c->db, "PRAGMA journal_mode=WAL", -1, &s, NULL);
	if (rc)
		return conn_failure(c, rc, "journal_mode");
	rc = sqlite3_step(s);
	bool wal = rc == SQLITE_ROW && !strcmp((const char *)sqlite3_column_text(s, 0), "wal");
	int r = wal ? OK : rc == SQLITE_ROW ? fail_with(ERR_UNAVAILABLE, "sqlite: no write-ahead log on this file system")
										: conn_failure(c, rc, "journal_mode");
	sqlite3_finalize(s);
	return r;
}

static int set_up_writer(struct conn *c)
{
	char sql[400];
	snprintf(sql, sizeof sql,
		"PRAGMA page_size=%d; PRAGMA auto_vacuum=NONE; PRAGMA cache_size=-8192; PRAGMA temp_store=MEMORY;"
		"PRAGMA secure_delete=OFF; PRAGMA foreign_keys=OFF; PRAGMA journal_size_limit=33554432;", SQLITE_PAGE_BYTES);
	int r = conn_execute(c, sql);
	if (!r)
		r = want_wal(c);
	if (!r)
		r = conn_execute(c, "PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;");
	if (!r)
		sqlite3_wal_hook(c->db, note_frames, c);
	return r;
}

int conn_open_writer(struct conn *c, const char *path, const char *vfs)
{
	int r = open_file(c, path, vfs, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	if (!r)
		r = set_up_writer(c);
	if (r)
		conn_close(c);
	return r;
}

static int open_to_read(struct conn *c, const char *path, const char *vfs, int flags)
{
	int r = open_file(c, path, vfs, flags);
	if (!r)
		r = conn_execute(c, "PRAGMA cache_size=-1024; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=0;");
	if (r)
		conn_close(c);
	return r;
}

int conn_open_reader(struct conn *c, const char *path, const char *vfs)
{
	return open_to_read(c, path, vfs, SQLITE_OPEN_READONLY);
}

int conn_open_keeper(struct conn *c, const char *path, const char *vfs)
{
	return open_to_read(c, path, vfs, SQLITE_OPEN_READWRITE);
}

void conn_close(struct conn *c)
{
	for (size_t i = 0; i < CONTROLS; i++)
		sqlite3_finalize(c->control[i]);
	for (size_t i = 0; i < META_STATEMENTS; i++)
		sqlite3_finalize(c->stmt[i]);
	int rc = sqlite3_close(c->db);
	assert(rc == SQLITE_OK); /* else a statement leaked */
	*c = (struct conn){ .path = c->path, .vfs = c->vfs };
}

int conn_reopen(struct conn *c)
{
	conn_close(c);
	return conn_open_writer(c, c->path, c->vfs);
}

int conn_control(struct conn *c, enum control what)
{
	sqlite3_stmt **s = &c->control[what];
	int rc = *s ? SQLITE_OK : sqlite3_prepare_v3(c->db, controls[what], -1, SQLITE_PREPARE_PERSISTENT, s, NULL);
	if (rc)
		return conn_failure(c, rc, controls[what]);
	rc = sqlite3_step(*s);
	int r = rc == SQLITE_DONE ? OK : conn_failure(c, rc, controls[what]);
	sqlite3_reset(*s);
	return r == ERR_CONFLICT ? META_AGAIN : r;
}

bool conn_rollback(struct conn *c)
{
	char why[400];
	snprintf(why, sizeof why, "%s", fail_detail());
	if (conn_in_transaction(c))
		conn_control(c, ROLLBACK);
	fail_set_detail(why); /* what made us roll back says more than a failed ROLLBACK */
	return !conn_in_transaction(c);
}

/* statements.def says INSERT IGNORE as MariaDB does, and locks rows, of which SQLite's only writer has no need. */
static int prepare(struct conn *c, enum meta_sql stmt)
{
	static const char ignore[] = "INSERT IGNORE ", lock[] = " FOR UPDATE";
	struct span text = span_of(meta_sql_text(stmt));
	if (text.n >= sizeof lock - 1 && !strcmp(text.p + text.n - (sizeof lock - 1), lock))
		text.n -= sizeof lock - 1;
	if (strncmp(text.p, ignore, sizeof ignore - 1))
		return sqlite3_prepare_v3(c->db, text.p, (int)text.n, SQLITE_PREPARE_PERSISTENT, &c->stmt[stmt], NULL);
	char *t = sqlite3_mprintf("INSERT OR IGNORE %s", text.p + sizeof ignore - 1);
	int rc = t ? sqlite3_prepare_v3(c->db, t, -1, SQLITE_PREPARE_PERSISTENT, &c->stmt[stmt], NULL) : SQLITE_NOMEM;
	sqlite3_free(t);
	return rc;
}

static int bind_one(sqlite3_stmt *s, int at, const struct meta_value *v, sqlite3_destructor_type lives)
{
	if (v->type == 'i')
		return sqlite3_bind_int64(s, at, v->i);
	if (!v->s.p)
		return sqlite3_bind_null(s, at);
	if (v->type == 's')
		return sqlite3_bind_text64(s, at, v->s.p, v->s.n, lives, SQLITE_UTF8);
	return sqlite3_bind_blob64(s, at, v->s.p, v->s.n, lives);
}

static int ready(struct conn *c, enum meta_sql stmt, const struct meta_value *v, size_t n, sqlite3_destructor_type lives,
	sqlite3_stmt **out)
{
	int rc = c->stmt[stmt] ? SQLITE_OK : prepare(c, stmt);
	sqlite3_stmt *s = c->stmt[stmt];
	if (!rc) {
		assert(!sqlite3_stmt_busy(s)); /* open twice */
		assert((size_t)sqlite3_bind_parameter_count(s) == n);
	}
	for (size_t i = 0; !rc && i < n; i++)
		rc = bind_one(s, (int)i + 1, &v[i], lives);
	*out = s;
	return conn_failure(c, rc, meta_sql_text(stmt));
}

static struct conn *conn_of(struct meta_txn *t)
{
	return ((struct sqlite_txn *)t)->conn;
}

int sqlite_execute(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed)
{
	struct conn *c = conn_of(t);
	sqlite3_stmt *s;
	int r = ready(c, stmt, v, n, SQLITE_STATIC, &s);
	if (r)
		return r;
	int rc;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		;
	if (rc != SQLITE_DONE)
		r = conn_failure(c, rc, meta_sql_text(stmt));
	else if (changed)
		*changed = sqlite3_changes64(c->db);
	sqlite3_reset(s);
	return r;
}

int sqlite_query(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out)
{
	sqlite3_stmt *s;
	int r = ready(conn_of(t), stmt, v, n, SQLITE_TRANSIENT, &s);
	if (!r)
		*out = s;
	return r;
}

int sqlite_next(struct meta_txn *t, void *stmt)
{
	int rc = sqlite3_step(stmt);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : conn_failure(conn_of(t), rc, sqlite3_sql(stmt));
}

/* SQLite's column functions take a statement that is not const, and change it only to convert a value. */
static sqlite3_stmt *statement(const void *stmt)
{
	return (sqlite3_stmt *)(uintptr_t)stmt;
}

int64_t sqlite_column_int(const void *stmt, int column)
{
	return sqlite3_column_int64(statement(stmt), column);
}

struct span sqlite_column_span(const void *stmt, int column)
{
	const void *p = sqlite3_column_blob(statement(stmt), column);
	return span_from(p, p ? (size_t)sqlite3_column_bytes(statement(stmt), column) : 0);
}

void sqlite_done(struct meta_txn *t, void *stmt)
{
	sqlite3_reset(stmt);
}
