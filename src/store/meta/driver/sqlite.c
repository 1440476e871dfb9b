/* The SQLite driver: one database in write-ahead mode, one committer, a pool of readers.
 *
 * SQLite up to 3.51.2 can corrupt a database when a checkpoint races a commit of another connection. So one connection
 * writes, and it alone checkpoints; no reader checkpoints, not even when closed; and a lock file keeps a second process
 * out, which could do either. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"
#include "gather_vfs.h"
#include "powercut_vfs.h"
#include "sqlite_commit.h"
#include "sqlite_copy.h"

struct sqlite_meta {
	struct meta base;
	struct meta_options options;
	char path[PATH_MAX];
	int lock;
	int file; /* the database, for copies; closed after all connections, for closing it drops SQLite's locks */
	struct powercut *powercut; /* NULL but in tests */
	struct gather *gather;     /* the writer's, over it */
	struct conn writer;
	struct readers readers;
	struct committer *committer;
};

static struct sqlite_meta *of(struct meta *m)
{
	return (struct sqlite_meta *)m;
}

/* --- Open and close --- */

/* Only files beside the database are touched: closing a descriptor of the database itself would drop SQLite's locks. */
static int lock_database(struct sqlite_meta *m)
{
	char path[PATH_MAX + 8];
	snprintf(path, sizeof path, "%s-lock", m->path);
	m->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (m->lock < 0)
		return fail_errno("open", path);
	if (!flock(m->lock, LOCK_EX | LOCK_NB))
		return OK;
	if (errno == EWOULDBLOCK)
		return fail_with(ERR_UNAVAILABLE, "%s is in use by another perdurad", m->path);
	return fail_errno("lock", path);
}

/* The lock file says "open" from when the log is there until the database is closed in order: a log that is missing then was
   taken away, and with it what was answered last. */
static int check_log(const struct sqlite_meta *m)
{
	char log[PATH_MAX + 8];
	struct stat st;
	snprintf(log, sizeof log, "%s-wal", m->path);
	if (fstat(m->lock, &st))
		return fail_errno("stat", m->path);
	if (!st.st_size || !stat(log, &st))
		return OK;
	if (errno != ENOENT)
		return fail_errno("stat", log);
	return fail_with(ERR_INVALID, "%s is missing, and %s was not closed in order: what was answered last stood there. Put it "
		"back; to go on without it, remove %s-lock", log, m->path, m->path);
}

/* The sync of the folder makes the log's name durable too. */
static int mark_open(const struct sqlite_meta *m)
{
	char dir[PATH_MAX];
	snprintf(dir, sizeof dir, "%s", m->path);
	char *slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = 0;
	int r = file_write_at(m->lock, "open\n", 5, 0, m->path);
	if (!r && fsync(m->lock))
		r = fail_errno("sync", m->path);
	return r ? r : durable_dir_sync(slash ? dir : ".");
}

static void mark_closed(const struct sqlite_meta *m)
{
	if (ftruncate(m->lock, 0) == 0)
		fsync(m->lock);
}

/* SQLite would make it readable for all. */
static int create_private(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? OK : fail_errno("create", path);
	close(fd);
	return OK;
}

/* The first column of the first row as text; ERR_NOT_FOUND without one. */
static int ask(struct conn *c, const char *sql, char *out, size_t n)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
	if (!rc)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		snprintf(out, n, "%s", (const char *)sqlite3_column_text(s, 0));
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? OK : rc == SQLITE_DONE ? ERR_NOT_FOUND : conn_failure(c, rc, sql);
}

static int create_schema(struct conn *c)
{
	int r = conn_control(c, BEGIN_WRITE);
	if (!r)
		r = conn_execute(c, meta_schema_text());
	if (!r)
		r = conn_execute(c, "INSERT INTO facts (name, value) VALUES ('schema', '" META_SCHEMA_VERSION "')");
	if (!r)
		r = conn_control(c, COMMIT);
	return r == META_AGAIN ? ERR_UNAVAILABLE : r;
}

static int check_schema(struct sqlite_meta *m)
{
	char tables[24], version[24];
	int r = ask(&m->writer, "SELECT COUNT(*) FROM sqlite_schema", tables, sizeof tables);
	if (r)
		return r;
	if (!strcmp(tables, "0"))
		return create_schema(&m->writer);
	r = ask(&m->writer, "SELECT value FROM facts WHERE name = 'schema'", version, sizeof version);
	if (r == ERR_CORRUPT || r == ERR_FULL)
		return r;
	if (r)
		return fail_with(ERR_INVALID, "%s is no database of perdurad", m->path);
	if (strcmp(version, META_SCHEMA_VERSION))
		return fail_with(ERR_INVALID, "%s has schema version %s; this perdurad works with " META_SCHEMA_VERSION, m->path, version);
	return OK;
}

static void close_sqlite(struct meta *base)
{
	struct sqlite_meta *m = of(base);
	committer_stop(&m->committer);
	readers_close(&m->readers);
	if (m->writer.db) { /* clean: the log is emptied and removed */
		mark_closed(m);
		sqlite3_db_config(m->writer.db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	}
	conn_close(&m->writer);
	if (m->file >= 0)
		close(m->file);
	gather_free(&m->gather);
	powercut_free(&m->powercut);
	if (m->lock >= 0)
		close(m->lock);
	free(m);
}

/* 0 when the query does not say. */
static int number_of(const char *query, const char *key, uint64_t *out)
{
	char text[24] = "0";
	meta_url_parameter(query, key, text, sizeof text);
	if (!span_u64(span_of(text), UINT64_MAX, out))
		return fail_with(ERR_INVALID, "meta.url: sqlite: %s=%s is no number", key, text);
	return OK;
}

/* ?powercut=1&seed=N&badsync=N is all that can follow the file's name. */
static int set_vfs(struct sqlite_meta *m, const char *query)
{
	char on[2];
	uint64_t seed, bad_sync;
	if (!meta_url_parameter(query, "powercut", on, sizeof on) || strcmp(on, "1"))
		return fail_with(ERR_INVALID, "meta.url: sqlite: '%s' is not understood", query);
	int r = number_of(query, "seed", &seed);
	if (!r)
		r = number_of(query, "badsync", &bad_sync);
	if (!r)
		r = powercut_new(seed, bad_sync, &m->powercut);
	if (!r)
		m->readers.vfs = powercut_name(m->powercut);
	return r;
}

static int set_path(struct sqlite_meta *m, const char *url)
{
	bool absolute = url[0] == '/' || !m->options.dir;
	size_t n = strcspn(url, "?");
	int k = snprintf(m->path, sizeof m->path, "%s%s%.*s", absolute ? "" : m->options.dir, absolute ? "" : "/", (int)n, url);
	if (!n || k >= (int)sizeof m->path)
		return fail_with(ERR_INVALID, "meta.url: sqlite: wants the name of a file");
	return url[n] ? set_vfs(m, url + n + 1) : OK;
}

/* SQLite takes half a page at the end for a page that ends in zeros. With a log beside it, that may be a page which was being
   written back from there when the power failed. */
static int check_length(const struct sqlite_meta *m)
{
	char log[PATH_MAX + 8];
	struct stat st, log_st;
	snprintf(log, sizeof log, "%s-wal", m->path);
	if (stat(m->path, &st))
		return fail_errno("stat", m->path);
	if (st.st_size % SQLITE_PAGE_BYTES == 0 || (stat(log, &log_st) == 0 && log_st.st_size))
		return OK;
	return fail_with(ERR_CORRUPT, "it was cut off after %lld bytes", (long long)st.st_size);
}

static int open_database(struct sqlite_meta *m)
{
	int r = create_private(m->path);
	if (!r)
		r = check_log(m);
	if (!r)
		r = check_length(m);
	if (!r)
		r = conn_open_writer(&m->writer, m->path, gather_name(m->gather));
	if (!r)
		r = check_schema(m);
	if (!r)
		r = mark_open(m);
	return r != ERR_CORRUPT ? r : fail_with(ERR_CORRUPT, "%s is damaged, put back a copy of it (%s)", m->path, fail_detail());
}

static int start(struct sqlite_meta *m, const char *url)
{
	readers_init(&m->readers, m->path, NULL);
	int r = set_path(m, url);
	if (!r)
		r = lock_database(m);
	if (!r)
		r = gather_new(m->readers.vfs, &m->gather);
	if (!r)
		r = open_database(m);
	if (!r && (m->file = open(m->path, O_RDONLY | O_CLOEXEC)) < 0)
		r = fail_errno("open", m->path);
	return r ? r : committer_start(&m->writer, &m->readers, &meta_sqlite, &m->options, &m->committer);
}

static int open_sqlite(const char *url, const struct meta_options *o, struct meta **out)
{
	/* No count of memory in use: it costs every allocation a lock that all threads share. Refused once SQLite runs. */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	struct sqlite_meta *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	m->base.driver = &meta_sqlite;
	m->options = *o;
	m->lock = m->file = -1;
	int r = start(m, url);
	if (r)
		close_sqlite(&m->base);
	else
		*out = &m->base;
	return r;
}

/* The tables are made with the file, and a file of another version is refused: to open it is all there is to do. */
static int upgrade(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct sqlite_meta where = { .options = *o };
	struct meta *m;
	struct stat st;
	char line[PATH_MAX + 100];
	int r = set_path(&where, url);
	if (r)
		return r;
	bool there = !stat(where.path, &st);
	if (init && there)
		return fail_with(ERR_EXISTS, "%s is there already: leave out --init", where.path);
	if (!init && !there)
		return fail_with(ERR_NOT_FOUND, "%s is not there: perdurad makes it when it starts, --init makes it now", where.path);
	if ((r = open_sqlite(url, o, &m)))
		return r;
	close_sqlite(m);
	snprintf(line, sizeof line, init ? "%s: created, schema version %s" : "%s: schema version %s, nothing to do", where.path,
		META_SCHEMA_VERSION);
	say(ctx, line);
	return OK;
}

/* --- The driver's calls --- */

static int run(struct meta *m, meta_fn *fn, void *arg, void *companion)
{
	return committer_run(of(m)->committer, fn, arg, companion);
}

static int read_only(struct meta *m, meta_fn *fn, void *arg)
{
	return readers_run(&of(m)->readers, &meta_sqlite, fn, arg);
}

static void announce(struct meta *m, int by)
{
	committer_announce(of(m)->committer, by);
}

static int stop_when_closing(void *arg)
{
	return atomic_load(&((struct meta *)arg)->stopping);
}

/* Says what is wrong with one table and its indexes. */
static int verify_table(struct conn *c, const char *table, void (*say)(void *ctx, const char *line), void *ctx)
{
	sqlite3_stmt *s = NULL;
	char *sql = sqlite3_mprintf("PRAGMA integrity_check(%Q)", table);
	int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
	int r = OK;
	while (!rc && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *line = (const char *)sqlite3_column_text(s, 0);
		if (strcmp(line, "ok")) {
			r = fail_with(ERR_CORRUPT, "sqlite: %s: %s", table, line);
			say(ctx, line);
		}
		rc = SQLITE_OK;
	}
	if (rc != SQLITE_DONE)
		r = conn_failure(c, rc, sql);
	sqlite3_finalize(s);
	sqlite3_free(sql);
	return r;
}

static int verify_tables(struct conn *c, void (*say)(void *ctx, const char *line), void *ctx)
{
	static const char list[] = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
	char names[64][64];
	size_t n = 0;
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(c->db, list, -1, &s, NULL);
	while (!rc && n < 64 && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		snprintf(names[n++], sizeof *names, "%s", (const char *)sqlite3_column_text(s, 0));
		rc = SQLITE_OK;
	}
	int r = rc == SQLITE_DONE ? OK : conn_failure(c, rc, list);
	sqlite3_finalize(s);
	for (size_t i = 0; i < n; i++) {
		int k = verify_table(c, names[i], say, ctx);
		if (!r)
			r = k;
	}
	return r;
}

/* Table by table on a connection of its own, so that no read transaction lasts longer than one table takes; while it
   lasts the log cannot start over and grows. */
static int verify(struct meta *m, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct conn c;
	int r = conn_open_reader(&c, of(m)->path, of(m)->readers.vfs);
	if (r)
		return r;
	sqlite3_progress_handler(c.db, 100000, stop_when_closing, m);
	r = verify_tables(&c, say, ctx);
	conn_close(&c);
	return r;
}

static int copy(struct meta *base, const char *to, struct file_copy *c, int64_t *at)
{
	struct sqlite_meta *m = of(base);
	if (m->powercut)
		return fail_with(ERR_CANNOT, "a database that loses power on purpose cannot be copied");
	int r = committer_hold_log(m->committer);
	if (r)
		return r;
	r = sqlite_copy(m->file, m->path, to, c, at);
	committer_release_log(m->committer);
	return r;
}

static void stats(struct meta *m, struct meta_stats *out)
{
	struct stat st;
	committer_stats(of(m)->committer, out);
	if (!stat(of(m)->path, &st))
		out->bytes = (uint64_t)st.st_size;
}

const struct meta_driver meta_sqlite = {
	.scheme = "sqlite",
	.open = open_sqlite,
	.upgrade = upgrade,
	.close = close_sqlite,
	.run = run,
	.read = read_only,
	.announce = announce,
	.verify = verify,
	.copy = copy,
	.stats = stats,
	.execute = sqlite_execute,
	.query = sqlite_query,
	.next = sqlite_next,
	.column_int = sqlite_column_int,
	.column_span = sqlite_column_span,
	.done = sqlite_done,
};
