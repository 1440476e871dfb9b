/* The MariaDB driver: one server, or a Galera cluster of several. Each transaction runs on its caller's thread and a connection
 * of its own, many at once; the servers group their commits. See mariadb_run.h for what a transaction can come to. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "mariadb_run.h"
#include "mariadb_txn.h"
#include "mariadb_upgrade.h"

enum {
	PACKET_MIN = 16 * 1024 * 1024, /* a transaction's largest statement has room in it */
	VERIFY_S = 3600,               /* one table's check may take so long */
};

struct mariadb_meta {
	struct meta base;
	struct meta_options options;
	struct mariadb_url url;
	struct mariadb_pool *pool;
	struct mariadb_runner runner;
};

static struct mariadb_meta *of(struct meta *m)
{
	return (struct mariadb_meta *)m;
}

/* --- Open and close --- */

static pthread_once_t library = PTHREAD_ONCE_INIT;

static void start_library(void)
{
	mysql_library_init(0, NULL, NULL);
}

/* The first column of the first row; empty without one. */
static int ask(struct mariadb_conn *c, const char *sql, char *out, size_t n)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	if (!mariadb_batch(c, span_of(sql), 1, 0, &a, &done))
		return mariadb_failure(c, sql);
	MYSQL_ROW row = a.rows ? mysql_fetch_row(a.rows) : NULL;
	snprintf(out, n, "%s", row && row[0] ? row[0] : "");
	mysql_free_result(a.rows);
	return OK;
}

static int check_packet(struct mariadb_conn *c)
{
	char text[24];
	int r = ask(c, "SELECT @@max_allowed_packet", text, sizeof text);
	if (!r && strtoull(text, NULL, 10) < PACKET_MIN)
		r = fail_with(ERR_INVALID, "mariadb: max_allowed_packet is %s on the server, and %d is needed", text, PACKET_MIN);
	return r;
}

static int check_schema(struct mariadb_conn *c)
{
	char text[24];
	int r = ask(c, "SELECT value FROM facts WHERE name = 'schema'", text, sizeof text);
	if (r && c->error != 1146)
		return r;
	if (r || !*text)
		return fail_with(ERR_INVALID, "the database has no tables of perdurad: run perdura upgrade --init --set meta.url=...");
	if (strcmp(text, META_SCHEMA_VERSION))
		return fail_with(ERR_INVALID, "the database has schema version %s; this perdurad works with " META_SCHEMA_VERSION, text);
	return OK;
}

static int check_host(const struct mariadb_url *u, size_t host)
{
	static const struct mariadb_patience p = { MARIADB_CONNECT_S, MARIADB_ANSWER_S, true };
	struct mariadb_conn c;
	int r = mariadb_conn_open(u, host, &p, &c);
	if (r)
		return r;
	r = check_packet(&c);
	if (!r)
		r = check_schema(&c);
	mariadb_conn_close(&c);
	return r;
}

/* One node that is fine is enough; else what somebody can mend is told rather than that another does not answer. */
static int look_around(const struct mariadb_url *u)
{
	int worst = OK;
	char why[512] = "";
	for (size_t i = 0; i < u->hosts; i++) {
		int r = check_host(u, i);
		if (!r)
			return OK;
		if (!worst || r == ERR_INVALID) {
			worst = r;
			snprintf(why, sizeof why, "%s", fail_detail());
		}
	}
	fail_set_detail(why);
	return worst == ERR_CONFLICT ? ERR_UNAVAILABLE : worst;
}

static void close_mariadb(struct meta *base)
{
	struct mariadb_meta *m = of(base);
	mariadb_pool_stop(&m->pool);
	explicit_bzero(&m->url, sizeof m->url);
	free(m);
}

static int start(struct mariadb_meta *m, const char *url)
{
	int r = mariadb_url_parse(url, &m->url);
	if (!r)
		r = mariadb_url_password(&m->url, m->options.dir);
	if (!r)
		r = look_around(&m->url);
	if (!r)
		r = mariadb_pool_start(&m->url, m->options.metrics, &m->pool);
	if (!r)
		mariadb_runner_init(&m->runner, &m->base, m->pool, m->options.metrics);
	return r;
}

static int open_mariadb(const char *url, const struct meta_options *o, struct meta **out)
{
	struct mariadb_meta *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	pthread_once(&library, start_library);
	m->base.driver = &meta_mariadb;
	m->base.shared = true;
	m->options = *o;
	int r = start(m, url);
	if (r)
		close_mariadb(&m->base);
	else
		*out = &m->base;
	return r;
}

/* --- The driver's calls --- */

static int run(struct meta *base, meta_fn *fn, void *arg, void *companion)
{
	struct mariadb_meta *m = of(base);
	int r = companion ? m->options.make_durable(m->options.ctx, companion) : OK;
	return r ? r : mariadb_run(&m->runner, fn, arg);
}

static int read_only(struct meta *m, meta_fn *fn, void *arg)
{
	return mariadb_read(&of(m)->runner, fn, arg);
}

static void announce(struct meta *m, int by)
{
}

static int verify_table(struct mariadb_conn *c, const char *table, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct mariadb_answer a = { 0 };
	char sql[120], line[400];
	size_t done;
	int r = OK;
	snprintf(sql, sizeof sql, "CHECK TABLE `%.64s`", table);
	if (!mariadb_batch(c, span_of(sql), 1, 0, &a, &done))
		return mariadb_failure(c, sql);
	for (MYSQL_ROW row; (row = mysql_fetch_row(a.rows));) { /* table, operation, kind, text */
		if (!row[2] || !row[3] || (strcmp(row[2], "error") && strcmp(row[2], "warning") && strcmp(row[3], "OK") == 0))
			continue;
		snprintf(line, sizeof line, "%s: %s: %s", table, row[2], row[3]);
		r = fail_with(ERR_CORRUPT, "mariadb: %s", line);
		say(ctx, line);
	}
	mysql_free_result(a.rows);
	return r;
}

static int verify_tables(struct mariadb_meta *m, struct mariadb_conn *c, void (*say)(void *ctx, const char *line), void *ctx)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	static const char sql[] = "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'";
	int r = OK;
	if (!mariadb_batch(c, span_of(sql), 1, 0, &a, &done))
		return mariadb_failure(c, sql);
	for (MYSQL_ROW row; !atomic_load(&m->base.stopping) && (row = mysql_fetch_row(a.rows));) {
		int k = verify_table(c, row[0], say, ctx);
		r = r ? r : k;
	}
	mysql_free_result(a.rows);
	return r;
}

/* On a connection of its own, of the first node that takes one: each has its own files. */
static int verify(struct meta *base, void (*say)(void *ctx, const char *line), void *ctx)
{
	static const struct mariadb_patience patient = { MARIADB_CONNECT_S, VERIFY_S, false };
	struct mariadb_meta *m = of(base);
	struct mariadb_conn c = { 0 };
	int r = ERR_UNAVAILABLE;
	for (size_t i = 0; i < m->url.hosts && r; i++)
		r = mariadb_conn_open(&m->url, i, &patient, &c);
	if (!r)
		r = verify_tables(m, &c, say, ctx);
	mariadb_conn_close(&c);
	return r == ERR_CONFLICT ? ERR_UNAVAILABLE : r;
}

static int copy(struct meta *m, const char *to, struct file_copy *c, int64_t *at)
{
	return fail_with(ERR_CANNOT, "the database is no file of this node: copy it with mariabackup or mariadb-dump");
}

static void stats(struct meta *m, struct meta_stats *out)
{
	out->commits = out->groups = atomic_load(&of(m)->runner.commits);
	out->bytes = mariadb_pool_bytes(of(m)->pool);
}

static int read_clock(struct meta *m, int64_t *ahead, int64_t *unsure)
{
	bool known = mariadb_pool_clock(of(m)->pool, ahead, unsure);
	return known ? OK : fail_with(ERR_UNAVAILABLE, "no node of the database has told the time lately");
}

const struct meta_driver meta_mariadb = {
	.scheme = "mariadb",
	.open = open_mariadb,
	.upgrade = mariadb_upgrade,
	.close = close_mariadb,
	.run = run,
	.read = read_only,
	.announce = announce,
	.verify = verify,
	.copy = copy,
	.stats = stats,
	.clock = read_clock,
	.execute = mariadb_execute,
	.must = mariadb_must,
	.expect = mariadb_expect,
	.query = mariadb_query,
	.next = mariadb_next,
	.column_int = mariadb_column_int,
	.column_span = mariadb_column_span,
	.done = mariadb_done,
};
