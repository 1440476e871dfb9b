#include "stores.h"

#include <mysql.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "mariadb_url.h"
#include "meta.h"
#include "scratch.h"

#define EMBEDDED_META "sqlite:meta.db"
#define EMBEDDED_BLOB "file:blobs"

static const char *variable(const char *name)
{
	const char *v = getenv(name);
	return v && *v ? v : NULL;
}

bool test_meta_shared(void)
{
	return variable("PERDURA_TEST_META");
}

bool test_blob_shared(void)
{
	return variable("PERDURA_TEST_BLOB");
}

/* The template with the folder's last name behind its path, before its query; joint stands between. */
static void fill(const char *template, char joint, const char *dir, char *out, size_t n)
{
	int path = (int)strcspn(template, "?");
	const char *slash = strrchr(dir, '/');
	snprintf(out, n, "%.*s%c%s%s", path, template, joint, slash ? slash + 1 : dir, template + path);
	for (char *p = out + path; *p && *p != '?'; p++)
		if (*p == '.' || *p == '-')
			*p = '_';
}

static void give_up(const char *what)
{
	fprintf(stderr, "stores: %s\n", what);
	abort();
}

/* The server of a URL, with its database in use or none. */
static MYSQL *connect_to(const char *url, struct mariadb_url *u, bool use)
{
	if (strncmp(url, "mariadb:", 8) || mariadb_url_parse(url + 8, u))
		give_up(fail_detail());
	MYSQL *db = mysql_init(NULL);
	if (!mysql_real_connect(db, u->address[0].host, u->user, u->password, use ? u->database : NULL, u->address[0].port, NULL,
			CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS))
		give_up(mysql_error(db));
	return db;
}

/* The statement, with the name of the URL's database in it. */
static void on_database(const char *url, const char *statement)
{
	struct mariadb_url u;
	char sql[200];
	MYSQL *db = connect_to(url, &u, false);
	snprintf(sql, sizeof sql, "%s `%s`", statement, u.database);
	if (mysql_query(db, sql))
		give_up(mysql_error(db));
	mysql_close(db);
}

static void hush(void *ctx, const char *line)
{
}

/* The database, with tables. */
static void create(const char *url)
{
	on_database(url, "CREATE DATABASE");
	if (meta_upgrade(url, &(struct meta_options){ 0 }, true, hush, NULL))
		give_up(fail_detail());
}

const char *test_meta_url(const char *dir)
{
	static _Thread_local char url[1024];
	char mark[512];
	if (!test_meta_shared())
		return EMBEDDED_META;
	fill(variable("PERDURA_TEST_META"), '_', dir, url, sizeof url);
	snprintf(mark, sizeof mark, "%s/.database", dir);
	if (access(mark, F_OK)) {
		create(url);
		FILE *f = fopen(mark, "w");
		if (!f)
			give_up(mark);
		fclose(f);
	}
	return url;
}

const char *test_blob_url(const char *dir)
{
	static _Thread_local char url[1024];
	char original[512];
	if (!test_blob_shared())
		return EMBEDDED_BLOB;
	if (strncmp(variable("PERDURA_TEST_BLOB"), "s3:", 3))
		return variable("PERDURA_TEST_BLOB"); /* below the test's folder */
	/* a copy of a test's folder, FOLDER.N, has the bodies of FOLDER: its metadata says so */
	const char *name = strrchr(dir, '/');
	snprintf(original, sizeof original, "%.*s", (int)(name ? name - dir + (ptrdiff_t)strcspn(name, ".") : (ptrdiff_t)strcspn(dir, ".")), dir);
	fill(variable("PERDURA_TEST_BLOB"), '/', original, url, sizeof url);
	return url;
}

void test_meta_drop(const char *dir)
{
	char url[1024];
	if (!test_meta_shared())
		return;
	fill(variable("PERDURA_TEST_META"), '_', dir, url, sizeof url);
	on_database(url, "DROP DATABASE IF EXISTS");
}

void test_stores_remove(const char *dir)
{
	test_meta_drop(dir);
	scratch_remove(dir);
}

static int64_t sql_embedded(const char *dir, const char *sql)
{
	char path[512];
	sqlite3 *db;
	sqlite3_stmt *s;
	int64_t first = 0;
	snprintf(path, sizeof path, "%s/meta.db", dir);
	if (sqlite3_open(path, &db))
		give_up(path);
	sqlite3_busy_timeout(db, 10000);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_exec(db, "PRAGMA wal_autocheckpoint=0", NULL, NULL, NULL);
	for (const char *rest = sql; *rest;) {
		if (sqlite3_prepare_v2(db, rest, -1, &s, &rest))
			give_up(sqlite3_errmsg(db));
		int rc = sqlite3_step(s);
		if (rc == SQLITE_ROW)
			first = sqlite3_column_int64(s, 0);
		else if (rc == SQLITE_DONE && !sqlite3_stmt_readonly(s))
			first = sqlite3_changes64(db);
		else if (rc != SQLITE_DONE)
			give_up(sqlite3_errmsg(db));
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	return first;
}

static int64_t sql_shared(const char *url, const char *sql)
{
	struct mariadb_url u;
	int64_t first = 0;
	MYSQL *db = connect_to(url, &u, true);
	int more = mysql_query(db, "SET SESSION max_recursive_iterations = 100000");
	if (!more)
		more = mysql_query(db, sql);
	for (; !more; more = mysql_next_result(db)) {
		MYSQL_RES *rows = mysql_store_result(db);
		MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
		first = !rows ? (int64_t)mysql_affected_rows(db) : row && row[0] ? atoll(row[0]) : 0;
		mysql_free_result(rows);
	}
	if (more > 0) {
		fprintf(stderr, "%s\n", sql);
		give_up(mysql_error(db));
	}
	mysql_close(db);
	return first;
}

int64_t test_meta_sql(const char *dir, const char *sql)
{
	return test_meta_shared() ? sql_shared(test_meta_url(dir), sql) : sql_embedded(dir, sql);
}

/* All rows of one database in place of another's, as one transaction. */
static void copy_rows(MYSQL *db, const char *from, const char *to)
{
	char sql[400];
	snprintf(sql, sizeof sql, "SHOW TABLES FROM `%s`", from);
	int e = mysql_query(db, sql);
	MYSQL_RES *tables = e ? NULL : mysql_store_result(db);
	e = e || mysql_query(db, "START TRANSACTION");
	for (MYSQL_ROW row; !e && (row = mysql_fetch_row(tables));) {
		snprintf(sql, sizeof sql, "DELETE FROM `%s`.`%s`", to, row[0]);
		e = mysql_query(db, sql);
		snprintf(sql, sizeof sql, "INSERT INTO `%s`.`%s` SELECT * FROM `%s`.`%s`", to, row[0], from, row[0]);
		e = e || mysql_query(db, sql);
	}
	if (e || mysql_query(db, "COMMIT"))
		give_up(mysql_error(db));
	mysql_free_result(tables);
}

void test_meta_copied(const char *from, const char *to)
{
	struct mariadb_url a, b;
	if (!test_meta_shared())
		return;
	if (mariadb_url_parse(test_meta_url(from) + strlen("mariadb:"), &a))
		give_up(fail_detail());
	MYSQL *db = connect_to(test_meta_url(to), &b, false); /* the mark was copied too: it is not made by this */
	if (mysql_select_db(db, b.database))
		create(test_meta_url(to));
	copy_rows(db, a.database, b.database);
	mysql_close(db);
}
