#include "stores.h"

#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fail.h"
#include "mariadb_url.h"
#include "meta.h"

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

static void hush(void *ctx, const char *line)
{
}

/* The database, with tables. */
static void create(const char *url)
{
	struct mariadb_url u;
	char sql[200];
	if (strncmp(url, "mariadb:", 8) || mariadb_url_parse(url + 8, &u))
		give_up(fail_detail());
	MYSQL *db = mysql_init(NULL);
	snprintf(sql, sizeof sql, "CREATE DATABASE `%s`", u.database);
	if (!mysql_real_connect(db, u.address[0].host, u.user, u.password, NULL, u.address[0].port, NULL, 0) || mysql_query(db, sql))
		give_up(mysql_error(db));
	mysql_close(db);
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
	if (!test_blob_shared())
		return EMBEDDED_BLOB;
	if (strncmp(variable("PERDURA_TEST_BLOB"), "s3:", 3))
		return variable("PERDURA_TEST_BLOB"); /* below the test's folder */
	fill(variable("PERDURA_TEST_BLOB"), '/', dir, url, sizeof url);
	return url;
}
