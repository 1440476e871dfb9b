#include "mariadb_upgrade.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "mariadb_conn.h"
#include "mariadb_schema.h"

enum { CONNECT_S = 5, ANSWER_S = 3600 }; /* an index on a large table takes its time */

/* Versions before the first: nothing is there; tables are being made. */
#define EMPTY ""
#define BEGUN "0"

struct upgrade {
	struct mariadb_conn conn;
	const char *database;
	char version[24];
};

/* --- Talking to the database --- */

static int command(struct upgrade *u, struct span sql)
{
	struct mariadb_answer a;
	size_t done;
	if (!mariadb_batch(&u->conn, sql, 1, 0, &a, &done))
		return mariadb_failure(&u->conn, sql.p);
	mysql_free_result(a.rows);
	return OK;
}

/* The first column of the first row; ERR_NOT_FOUND without one, or without the table. */
static int ask(struct upgrade *u, const char *sql, char *out, size_t n)
{
	struct mariadb_answer a;
	size_t done;
	if (!mariadb_batch(&u->conn, span_of(sql), 1, 0, &a, &done))
		return u->conn.error == ER_NO_SUCH_TABLE ? ERR_NOT_FOUND : mariadb_failure(&u->conn, sql);
	char **row = mysql_fetch_row(a.rows);
	if (row)
		snprintf(out, n, "%s", row[0] ? row[0] : "");
	mysql_free_result(a.rows);
	return row ? OK : ERR_NOT_FOUND;
}

static int read_version(struct upgrade *u)
{
	char others[24];
	int r = ask(u, "SELECT value FROM facts WHERE name = 'schema'", u->version, sizeof u->version);
	if (r != ERR_NOT_FOUND)
		return r;
	/* the table of facts is the first that is made: alone and without a row it is a beginning */
	r = ask(u, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name <> 'facts'",
		others, sizeof others);
	if (!r && strcmp(others, "0"))
		return fail_with(ERR_EXISTS, "database %s holds tables of something else: name an empty one", u->database);
	if (!r)
		strcpy(u->version, EMPTY);
	return r;
}

static int write_version(struct upgrade *u, const char *version)
{
	char sql[120];
	int n = snprintf(sql, sizeof sql, "REPLACE INTO facts (name, value) VALUES ('schema', '%s')", version);
	int r = command(u, span_from(sql, (size_t)n));
	if (!r)
		snprintf(u->version, sizeof u->version, "%s", version);
	return r;
}

/* --- The steps --- */

/* Runs the statements of the schema that begin with these words. */
static int create(struct upgrade *u, const char *words)
{
	struct span schema = span_of(meta_schema_text());
	struct buffer sql = { 0 };
	int r = OK;
	while (!r && mariadb_schema_next(&schema, &sql)) {
		if (span_eq(span_sub(buffer_span(&sql), 0, strlen(words)), span_of(words)))
			r = command(u, buffer_span(&sql));
		buffer_reset(&sql);
	}
	buffer_free(&sql);
	return r;
}

/* From now on it is seen that the tables are ours. */
static int begin(struct upgrade *u)
{
	return create(u, "CREATE TABLE IF NOT EXISTS facts ");
}

static int create_all(struct upgrade *u)
{
	return create(u, "CREATE ");
}

static const struct step {
	const char *from, *to;
	int (*run)(struct upgrade *u);
} steps[] = {
	{ EMPTY, BEGUN, begin },
	{ BEGUN, META_SCHEMA_VERSION, create_all },
};

/* OK with *out NULL: it is up to date. */
static int next_step(const struct upgrade *u, const struct step **out)
{
	*out = NULL;
	if (!strcmp(u->version, META_SCHEMA_VERSION))
		return OK;
	for (size_t i = 0; i < sizeof steps / sizeof *steps && !*out; i++)
		if (!strcmp(u->version, steps[i].from))
			*out = &steps[i];
	if (*out)
		return OK;
	if (atoll(u->version) > atoll(META_SCHEMA_VERSION))
		return fail_with(ERR_CANNOT, "database %s has schema version %s, this perdura knows " META_SCHEMA_VERSION
			": use the release that made it, or a later one", u->database, u->version);
	return fail_with(ERR_CANNOT, "database %s has schema version %s, too old for this perdura (" META_SCHEMA_VERSION
		"): upgrade it with the releases between first", u->database, u->version);
}

/* --init is for what is empty, or was begun. */
static int may(const struct upgrade *u, bool init)
{
	bool made = strcmp(u->version, EMPTY) && strcmp(u->version, BEGUN);
	if (init && made)
		return fail_with(ERR_EXISTS, "database %s holds the tables of Perdura already, schema version %s: leave out --init",
			u->database, u->version);
	if (!init && !made)
		return fail_with(ERR_NOT_FOUND, "database %s %s: perdura upgrade --init makes the tables", u->database,
			*u->version ? "was not created to its end" : "is empty");
	return OK;
}

static int run_steps(struct upgrade *u, bool init, void (*say)(void *ctx, const char *line), void *ctx)
{
	char line[200];
	const struct step *step;
	bool did = false;
	int r = read_version(u);
	if (!r)
		r = may(u, init);
	while (!r && !(r = next_step(u, &step)) && step) {
		r = step->run(u);
		if (!r)
			r = write_version(u, step->to);
		did = true;
	}
	snprintf(line, sizeof line, "database %s: schema version %s%s", u->database, META_SCHEMA_VERSION, did ? "" : ", nothing to do");
	if (!r)
		say(ctx, line);
	return r;
}

/* The first database node that takes work. */
static int connect_any(const struct mariadb_url *url, struct upgrade *u)
{
	const struct mariadb_patience p = { CONNECT_S, ANSWER_S, true };
	int r = ERR_UNAVAILABLE;
	for (size_t i = 0; i < url->hosts; i++) {
		r = mariadb_conn_open(url, i, &p, &u->conn);
		if (!r && !(r = command(u, SPAN("SELECT 1 FROM information_schema.tables LIMIT 1"))))
			return OK;
		mariadb_conn_close(&u->conn);
	}
	return r == ERR_CONFLICT ? ERR_UNAVAILABLE : r;
}

int mariadb_upgrade(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct mariadb_url where;
	int r = mariadb_url_parse(url, &where);
	if (!r)
		r = mariadb_url_password(&where, o->dir);
	struct upgrade u = { .database = where.database };
	if (!r)
		r = connect_any(&where, &u);
	if (!r)
		r = run_steps(&u, init, say, ctx);
	mariadb_conn_close(&u.conn);
	explicit_bzero(&where, sizeof where);
	return r == ERR_CONFLICT ? ERR_UNAVAILABLE : r;
}
