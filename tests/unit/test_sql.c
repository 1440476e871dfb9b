/* The schema and the statements, as each database wants them. */
#include "unit.h"

#include <mysql.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "mariadb_schema.h"
#include "mariadb_text.h"
#include "mariadb_url.h"
#include "meta_driver.h"
#include "stores.h"

#define ENGINE " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARACTER SET binary"

static void test_schema_of_mariadb(void **state)
{
	static const struct {
		const char *ours, *theirs;
	} cases[] = {
		{ "", NULL },
		{ " \n ", NULL },
		{ "CREATE TABLE t ( a INTEGER NOT NULL PRIMARY KEY, b TEXT ); ",
			"CREATE TABLE IF NOT EXISTS t ( a BIGINT NOT NULL PRIMARY KEY, b MEDIUMBLOB )" ENGINE },
		{ "CREATE TABLE t ( a KEYTEXT NOT NULL, b KEYBLOB, c BLOB, PRIMARY KEY (a, b) ) WITHOUT ROWID;",
			"CREATE TABLE IF NOT EXISTS t ( a VARBINARY(1024) NOT NULL, b VARBINARY(1024), c MEDIUMBLOB, PRIMARY KEY (a, b) ) " ENGINE },
		{ "CREATE INDEX i ON t (a);", "CREATE INDEX IF NOT EXISTS i ON t (a)" },
		{ "CREATE UNIQUE INDEX TEXTS ON INTEGER_2 (a)", "CREATE UNIQUE INDEX IF NOT EXISTS TEXTS ON INTEGER_2 (a)" },
		{ "CREATE TABLE t ( thirteen_long INTEGER );", "CREATE TABLE IF NOT EXISTS t ( thirteen_long BIGINT )" ENGINE },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buffer b = { 0 };
		struct span s = span_of(cases[i].ours);
		assert_int_equal(mariadb_schema_next(&s, &b), cases[i].theirs != NULL);
		buffer_putc(&b, 0);
		assert_string_equal(b.p, cases[i].theirs ? cases[i].theirs : "");
		assert_false(mariadb_schema_next(&s, &b));
		buffer_free(&b);
	}
}

/* Nothing of SQLite's is left, and each statement is one of ours. */
static void test_whole_schema(void **state)
{
	static const char *const foreign[] = { "INTEGER", "TEXT", "ROWID", "--", ";", "KEYBLOB" };
	struct span s = span_of(meta_schema_text());
	struct buffer b = { 0 };
	size_t n = 0;
	for (; mariadb_schema_next(&s, &b); buffer_reset(&b), n++) {
		buffer_putc(&b, 0);
		assert_true(!strncmp(b.p, "CREATE ", 7) && strstr(b.p, " IF NOT EXISTS "));
		for (size_t i = 0; i < COUNT(foreign); i++)
			assert_null(strstr(b.p, foreign[i]));
	}
	assert_true(n > 20);
	buffer_free(&b);
}

/* --- The same statements mean the same --- */

/* What the parameters of a statement are, where they are not all numbers: s text, S text or NULL, b bytes, B bytes or NULL,
   i any number, n a small one, l a limit, t an end of some texts. */
static const struct shape {
	enum meta_sql stmt;
	const char *types;
	bool ties; /* which rows come first, or which are found, is left open */
} shapes[] = {
	{ META_NODE_BY_NAME, "s" },
	{ META_NODE_ADD, "nss" },
	{ META_NODE_TAKE, "snn" },
	{ META_NODE_BEAT, "iiiissnn" },
	{ META_LEASE_GET, "s" },
	{ META_LEASE_ADD, "sn" },
	{ META_LEASE_TAKE, "nsn" },
	{ META_LEASE_HOLD, "snn" },
	{ META_LEASE_RETURN, "snn" },
	{ META_FACT_GET, "s" },
	{ META_FACT_ADD, "ss" },
	{ META_FACT_SET, "ss" },
	{ META_FOLLOWER_ADD, "sn" },
	{ META_FOLLOWER_GET, "s" },
	{ META_FOLLOWER_SLOT, "ns" },
	{ META_FOLLOWER_DROP, "s" },
	{ META_FOLLOW_DIRTY, "snnnl" },
	{ META_FOLLOW_HEADS, "snl" },
	{ META_NAME_ITEM, "nns" },
	{ META_NAME_ITEMS, "nnssl" },
	{ META_DIRECTORY_BY_NAME, "nns" },
	{ META_DIRECTORY_LOGIN, "nnns" },
	{ META_COLLECTION_NAMED, "nnsn" },
	{ META_COLLECTION_ADD, "nnnnnsnnnnnnnnSn" },
	{ META_COLLECTION_DEFINE, "nnsnnn" },
	{ META_COLLECTION_COUNT, "nnnnnSnn" },
	{ META_LIVE_ADD, "nnnnnnnSiinnSB" },
	{ META_LIVE_FLAGS, "nnSnnn" },
	{ META_LIVE_DATA, "niBnnn" },
	{ META_PAST_THEN, "nnnlnnn", true },
	{ META_PAST_GONE, "nnnnnl", true },
	{ META_PAST_ITEM_LAST, "nns", true },
	{ META_PAST_ITEM_AT, "nnsnn" },
	{ META_NAME_GET, "nns" },
	{ META_NAME_ADD, "nnsn" },
	{ META_NAME_DROP, "nns" },
	{ META_NAME_LIST, "nnsl" },
	{ META_NAME_END_ANY, "nntt" },
	{ META_EMAIL_ADD, "nnnninb" },
	{ META_JOURNAL_ADD, "nnnnnsisb" },
	{ META_CHANGESET_ADD, "nnnnnbb" },
	{ META_CHANGESET_PUT, "bnn" },
	{ META_BLOB_COPIES, "inn" },
	{ META_BLOB_FIND, "in" },
	{ META_BLOB_ADD, "nnibnnnnn" },
	{ META_DELIVERY_GET, "inbnb", true },
	{ META_DELIVERY_ADD, "nnbnn" },
	{ META_DELIVERY_DROP, "nnb" },
	{ META_COLLECTION_CHILD, "nnsn" },
	{ META_CHECK_NAMES, "nnsl" },
	{ META_CHECK_DELIVERIES, "nnnnbl" },
	{ META_CHECK_POSITIONS, "ssnl" },
	{ META_PURGE_STATE_PUT, "nib" },
	{ META_PURGE_NAMES_DROP, "nns" },
	{ META_PURGE_DELIVERIES, "nnnnbl" },
	{ META_PURGE_DELIVERY_DROP, "nnbn" },
};

enum { OPS = 40, TRANSACTIONS = 150, PARAMETERS = 130 };

struct op {
	const struct shape *shape;
	enum meta_sql stmt;
	struct meta_value v[PARAMETERS];
	size_t n;
};

struct script {
	struct op op[OPS];
	struct buffer result[OPS];
	size_t found; /* queries that gave rows, over all runs */
};

static unsigned draw(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % n;
}

static const struct shape *shape_of(enum meta_sql stmt)
{
	for (size_t i = 0; i < COUNT(shapes); i++)
		if (shapes[i].stmt == stmt)
			return &shapes[i];
	return NULL;
}

static struct meta_value draw_value(unsigned *seed, char type)
{
	static const int64_t wide[] = { -1, -300, INT64_MIN, INT64_MAX, INT64_C(1) << 40, 7 };
	static const struct span texts[] = { { "", 0 }, { "a", 1 }, { "A", 1 }, { "a ", 2 }, { "b@x", 3 }, { "\\'\"%", 4 }, { "1", 1 },
		{ "\xc3\x9c@x", 4 } };
	static const struct span bytes[] = { { "", 0 }, { "\0'", 2 }, { "h", 1 }, { "h\0", 2 }, { "\\\n\x1a\r\"", 5 }, { "\xff\xfe", 2 } };
	switch (type) {
	case 'i':
		return (struct meta_value){ 'i', draw(seed, 2) ? wide[draw(seed, COUNT(wide))] : draw(seed, 4), { 0 } };
	case 'l':
		return (struct meta_value){ 'i', 1 + draw(seed, 3), { 0 } };
	case 't': /* of more bytes than characters */
		return (struct meta_value){ 's', 0, { "\xc3\x9c@x", 4 } };
	case 's':
	case 'S':
		return (struct meta_value){ 's', 0, type == 'S' && !draw(seed, 3) ? (struct span){ 0 } : texts[draw(seed, COUNT(texts))] };
	case 'b':
	case 'B':
		return (struct meta_value){ 'b', 0, type == 'B' && !draw(seed, 3) ? (struct span){ 0 } : bytes[draw(seed, COUNT(bytes))] };
	default:
		return (struct meta_value){ 'i', draw(seed, 30) ? draw(seed, 4) : INT64_C(1) << 40, { 0 } };
	}
}

/* Additions come more often than the rest, or there would be little to find. */
static void draw_op(unsigned *seed, struct op *op)
{
	do
		op->stmt = draw(seed, META_STATEMENTS);
	while (strncmp(meta_sql_text(op->stmt), "INSERT", 6) && draw(seed, 4) == 0);
	if (!strncmp(meta_sql_text(op->stmt), "DELETE", 6) && draw(seed, 3))
		op->stmt = META_LIVE_ADD;
	op->shape = shape_of(op->stmt);
	op->n = 0;
	for (const char *p = meta_sql_text(op->stmt); (p = strchr(p, '?')); p++) {
		bool limit = !strncmp(p - 6, "LIMIT ", 6);
		assert_true(op->n < PARAMETERS);
		op->v[op->n] = draw_value(seed, op->shape ? op->shape->types[op->n] : limit ? 'l' : 'n');
		op->n++;
	}
	if (op->shape && strlen(op->shape->types) != op->n)
		fail_msg("it takes other parameters by now: %s", meta_sql_text(op->stmt));
}

/* Columns of a SELECT: the commas before its FROM that stand in no parentheses, and one. */
static int columns(const char *sql)
{
	int n = 1, depth = 0;
	for (const char *p = sql; *p; p++) {
		depth += *p == '(' ? 1 : *p == ')' ? -1 : 0;
		if (depth == 0 && *p == ',')
			n++;
		if (depth == 0 && !strncmp(p, " FROM ", 6))
			break;
	}
	return n;
}

static int by_bytes(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rows in hexadecimal; in order where the statement says one, else sorted. */
static int put_rows(struct meta_txn *t, struct script *s, const struct op *op, struct buffer *out)
{
	const char *sql = meta_sql_text(op->stmt);
	char *row[1000];
	size_t n = 0;
	void *stmt;
	int r = t->driver->query(t, op->stmt, op->v, op->n, &stmt);
	if (r)
		return r;
	while ((r = t->driver->next(t, stmt)) == 1) {
		struct buffer b = { 0 };
		for (int i = 0; i < columns(sql); i++) {
			struct span v = t->driver->column_span(stmt, i);
			for (size_t k = 0; k < v.n; k++)
				buffer_printf(&b, "%02x", (unsigned char)v.p[k]);
			buffer_putc(&b, ',');
		}
		buffer_putc(&b, 0);
		assert_true(n < COUNT(row));
		row[n++] = b.p;
	}
	t->driver->done(t, stmt);
	if (!strstr(sql, "ORDER BY"))
		qsort(row, n, sizeof *row, by_bytes);
	bool open = (op->shape && op->shape->ties) || (strstr(sql, "LIMIT") && !strstr(sql, "ORDER BY"));
	s->found += n > 0;
	for (size_t i = 0; i < n; i++) {
		buffer_printf(out, "%s\n", open ? "a row" : row[i]);
		free(row[i]);
	}
	if (op->stmt == META_PAST_THEN)
		buffer_reset(out); /* also how many are left is open */
	return r;
}

static int run_script(struct meta_txn *t, void *arg)
{
	struct script *s = arg;
	for (size_t i = 0; i < OPS; i++) {
		struct op *op = &s->op[i];
		int64_t changed = 0;
		int r;
		buffer_reset(&s->result[i]);
		if (!strncmp(meta_sql_text(op->stmt), "SELECT", 6))
			r = put_rows(t, s, op, &s->result[i]);
		else
			r = t->driver->execute(t, op->stmt, op->v, op->n, &changed);
		buffer_printf(&s->result[i], "result %d", r);
		if (r && r != ERR_EXISTS)
			buffer_printf(&s->result[i], " %s", fail_detail());
		if (strncmp(meta_sql_text(op->stmt), "REPLACE", 7)) /* one for MariaDB is a row gone and a row come */
			buffer_printf(&s->result[i], " changed %lld", (long long)changed);
	}
	return OK;
}

static void assert_same(const struct script *a, const struct script *b)
{
	for (size_t i = 0; i < OPS; i++) {
		if (span_eq(buffer_span(&a->result[i]), buffer_span(&b->result[i])))
			continue;
		print_message("%s\n", meta_sql_text(a->op[i].stmt));
		for (size_t k = 0; k < a->op[i].n; k++)
			if (a->op[i].v[k].type == 'i')
				print_message(" %lld", (long long)a->op[i].v[k].i);
			else
				print_message(" '%.*s'", SPAN_ARG(a->op[i].v[k].s));
		fail_msg("\nSQLite says:\n%.*s\nthe other:\n%.*s", SPAN_ARG(buffer_span(&a->result[i])),
			SPAN_ARG(buffer_span(&b->result[i])));
	}
}

static void test_same_answers(void **state)
{
	static struct script a, b;
	char dir[] = "/tmp/perdura-sql.XXXXXX";
	struct meta *ma, *mb;
	unsigned seed = 1;
	if (!test_meta_shared())
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(meta_open("sqlite:meta.db", &(struct meta_options){ .dir = dir }, &ma), OK);
	assert_int_equal(meta_open(test_meta_url(dir), &(struct meta_options){ .dir = dir }, &mb), OK);
	for (int i = 0; i < TRANSACTIONS; i++) {
		for (size_t k = 0; k < OPS; k++) {
			draw_op(&seed, &a.op[k]);
			b.op[k] = a.op[k];
		}
		assert_int_equal(meta_run(ma, run_script, &a, NULL), OK);
		assert_int_equal(meta_run(mb, run_script, &b, NULL), OK);
		assert_same(&a, &b);
	}
	assert_true(a.found > OPS * TRANSACTIONS / 10);
	meta_close(&ma);
	meta_close(&mb);
	test_stores_remove(dir);
}

/* --- Keys are used --- */

static void values_for_plan(const struct shape *shape, const char *sql, struct meta_value *v, size_t *n)
{
	*n = 0;
	for (const char *p = sql; (p = strchr(p, '?')); p++, (*n)++) {
		char type = shape ? shape->types[*n] : 'n';
		bool text = strchr("sSbBt", type);
		v[*n] = text ? (struct meta_value){ 's', 0, SPAN("x7") } : (struct meta_value){ 'i', 7, { 0 } };
	}
}

/* Does SQLite look at each row of a table? */
static bool sqlite_scans(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s;
	char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", sql), *lock = strstr(explain, " FOR UPDATE");
	bool scans = false;
	if (lock)
		*lock = 0;
	int rc = sqlite3_prepare_v2(db, explain, -1, &s, NULL);
	if (rc)
		print_message("%s: %s\n", explain, sqlite3_errmsg(db));
	assert_int_equal(rc, SQLITE_OK);
	while (sqlite3_step(s) == SQLITE_ROW)
		scans = scans || !strncmp((const char *)sqlite3_column_text(s, 3), "SCAN", 4);
	sqlite3_finalize(s);
	sqlite3_free(explain);
	return scans;
}

/* The table of which MariaDB looks at each row; NULL for none. */
static const char *mariadb_scans(MYSQL *db, const char *sql)
{
	static char table[80];
	if (mysql_query(db, sql))
		fail_msg("%s: %s", sql, mysql_error(db));
	MYSQL_RES *rows = mysql_store_result(db);
	*table = 0;
	for (MYSQL_ROW row; (row = mysql_fetch_row(rows));)
		if (row[2] && *row[2] != '<' && row[3] && !strcmp(row[3], "ALL"))
			snprintf(table, sizeof table, "%s", row[2]);
	mysql_free_result(rows);
	return *table ? table : NULL;
}

/* As many rows in each table as it takes until a key is worth its while. */
static void fill_tables(const char *dir, MYSQL *db)
{
	static const char columns[] = "SELECT CONCAT('INSERT IGNORE INTO ', table_name, ' WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT"
		" i + 1 FROM n WHERE i < 3000) SELECT ', GROUP_CONCAT(CASE WHEN data_type <> 'bigint' THEN 'CONCAT(''x'', i)'"
		" WHEN column_name IN ('account', 'collection', 'parent', 'kind') THEN 'i % 20' ELSE 'i' END ORDER BY ordinal_position), ' FROM n'),"
		" CONCAT('ANALYZE TABLE ', table_name) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name <> 'facts'"
		" GROUP BY table_name";
	if (mysql_query(db, columns))
		fail_msg("%s", mysql_error(db));
	MYSQL_RES *rows = mysql_store_result(db);
	for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
		test_meta_sql(dir, row[0]);
		test_meta_sql(dir, row[1]);
	}
	mysql_free_result(rows);
}

static void test_keys_are_used(void **state)
{
	char dir[] = "/tmp/perdura-sql.XXXXXX", path[100];
	struct mariadb_url u;
	struct meta *m;
	sqlite3 *db;
	size_t bad = 0;
	if (!test_meta_shared())
		skip();
	assert_non_null(mkdtemp(dir));
	assert_int_equal(meta_open("sqlite:meta.db", &(struct meta_options){ .dir = dir }, &m), OK);
	meta_close(&m);
	snprintf(path, sizeof path, "%s/meta.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(mariadb_url_parse(test_meta_url(dir) + 8, &u), OK);
	MYSQL *server = mysql_init(NULL);
	assert_non_null(mysql_real_connect(server, u.address[0].host, u.user, u.password, u.database, u.address[0].port, NULL, 0));
	fill_tables(dir, server);
	for (enum meta_sql i = 0; i < META_STATEMENTS; i++) {
		const char *text = meta_sql_text(i);
		struct meta_value v[PARAMETERS];
		struct buffer b = { 0 };
		size_t n;
		if (!strncmp(text, "INSERT", 6) || !strncmp(text, "REPLACE", 7) || !strchr(text, '?') || sqlite_scans(db, text))
			continue;
		values_for_plan(shape_of(i), text, v, &n);
		buffer_puts(&b, "EXPLAIN ");
		mariadb_text_put(&b, i, v, n);
		buffer_putc(&b, 0);
		const char *table = mariadb_scans(server, b.p);
		if (table && ++bad)
			print_message("reads all of %s: %s\n", table, text);
		buffer_free(&b);
	}
	mysql_close(server);
	sqlite3_close(db);
	test_stores_remove(dir);
	assert_int_equal(bad, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_schema_of_mariadb),
		cmocka_unit_test(test_whole_schema),
		cmocka_unit_test(test_same_answers),
		cmocka_unit_test(test_keys_are_used),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
