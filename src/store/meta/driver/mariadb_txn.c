#include "mariadb_txn.h"

#include <assert.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "mariadb_text.h"
#include "metric.h"

enum {
	PENDING_BYTES = 256 * 1024, /* of writes that wait; with more they go at once */
	PENDING = 1000,
	EXPECTED = 10000, /* queries that are named in one transaction; more are asked one by one */
};

static struct mariadb_txn *of(struct meta_txn *t)
{
	return (struct mariadb_txn *)t;
}

void mariadb_txn_init(struct mariadb_txn *t, struct mariadb_pool *p, struct mariadb_known *k, struct metrics *m, bool writes)
{
	*t = (struct mariadb_txn){ .pool = p, .known = k, .metrics = m, .writes = writes, .last = META_STATEMENTS };
}

void mariadb_txn_forget(struct mariadb_txn *t)
{
	while (t->n_expected)
		mysql_free_result(t->expected[--t->n_expected].rows);
	t->asked = 0;
	buffer_reset(&t->expects);
}

void mariadb_txn_free(struct mariadb_txn *t)
{
	if (t->begun && t->fault != FAULT_LOST)
		mariadb_send(t->conn, "ROLLBACK");
	mariadb_pool_give(t->pool, &t->conn, t->fault);
	mariadb_txn_forget(t);
	buffer_free(&t->pending);
	buffer_free(&t->guards);
	buffer_free(&t->expects);
	free(t->expected);
	buffer_free(&t->text);
	buffer_free(&t->batch);
}

/* --- One way to the database --- */

/* The statements that begin the transaction, and how many these are. */
static size_t put_beginning(struct mariadb_txn *t)
{
	struct mariadb_conn *c = t->conn;
	bool other = c->writes != t->writes;
	if (t->begun)
		return 0;
	if (other)
		buffer_puts(&t->batch, t->writes ? "SET SESSION " MARIADB_FOR_WRITING ";" : "SET SESSION " MARIADB_FOR_READING ";");
	buffer_puts(&t->batch, t->writes ? "START TRANSACTION;SAVEPOINT p;" : "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY;");
	return (size_t)other + (t->writes ? 2 : 1);
}

/* In the order in which they were named: what was named behind one that locks is read under the lock. */
static size_t put_expected(struct mariadb_txn *t)
{
	size_t n = 0;
	for (size_t i = 0; i < t->n_expected; i++) {
		const struct mariadb_expected *e = &t->expected[i];
		if (e->fetched)
			continue;
		buffer_put(&t->batch, t->expects.p + e->at, e->n);
		buffer_putc(&t->batch, ';');
		n++;
	}
	return n;
}

static void keep_expected(struct mariadb_txn *t, struct mariadb_answer *a)
{
	for (size_t i = 0; i < t->n_expected; i++) {
		struct mariadb_expected *e = &t->expected[i];
		if (e->fetched)
			continue;
		e->fetched = true;
		e->rows = a->rows;
		if (e->rows && !atomic_load_explicit(&t->known[e->stmt].least, memory_order_relaxed))
			atomic_store(&t->known[e->stmt].least, (unsigned)mariadb_least_bytes(e->rows));
		a++->rows = NULL;
	}
}

/* The text of the n-th statement of a batch. No statement of ours has a semicolon but in a quoted value, so this may be off
   there: it is for a line in the log. */
static struct span nth(struct span batch, size_t n)
{
	for (ssize_t at; n && (at = span_find(batch, ';')) >= 0; n--)
		batch = span_sub(batch, (size_t)at + 1, batch.n);
	return span_sub(batch, 0, 80);
}

static int connection(struct mariadb_txn *t)
{
	return t->conn ? OK : mariadb_pool_take(t->pool, t->named ? t->account : 0, t->writes, &t->conn);
}

/* What the at-th of those that waited was to guard. */
static const struct meta_must *guarded(const struct mariadb_txn *t, size_t at)
{
	const struct mariadb_guard *g = (const struct mariadb_guard *)(const void *)t->guards.p;
	for (size_t i = 0; i < t->guards.n / sizeof *g; i++)
		if (g[i].at == at)
			return &g[i].must;
	return NULL;
}

static int failed(struct mariadb_txn *t, size_t at)
{
	char what[81];
	struct span s = nth(buffer_span(&t->batch), at);
	memcpy(what, s.p, s.n);
	what[s.n] = 0;
	t->fault = mariadb_fault(t->conn->error);
	return mariadb_failure(t->conn, what);
}

/* How many statements of a batch are of which sort, in their order. */
struct shares {
	size_t beginning, pending, expected, asked;
};

static size_t before_asked(const struct shares *s)
{
	return s->beginning + s->pending + s->expected;
}

static size_t total(const struct shares *s)
{
	return before_asked(s) + s->asked;
}

/* Of the answers to all. */
static size_t least_bytes(const struct mariadb_txn *t, const struct shares *s)
{
	size_t n = (total(s) - s->expected) * MARIADB_OK_BYTES;
	for (size_t i = 0; i < t->n_expected; i++)
		if (!t->expected[i].fetched)
			n += atomic_load_explicit(&t->known[t->expected[i].stmt].least, memory_order_relaxed);
	return n;
}

static int compose(struct mariadb_txn *t, struct span sql, struct shares *s)
{
	buffer_reset(&t->batch);
	s->beginning = put_beginning(t);
	s->pending = t->n_pending;
	buffer_put_span(&t->batch, buffer_span(&t->pending));
	s->expected = put_expected(t);
	buffer_put_span(&t->batch, sql);
	bool good = buffer_ok(&t->batch) && buffer_ok(&t->pending) && buffer_ok(&t->expects) && buffer_ok(&t->text);
	return good ? OK : fail_with(ERR_UNAVAILABLE, "out of memory");
}

/* Whoever gets this connection next must know how it is set up. */
static void note_beginning(struct mariadb_txn *t, const struct shares *s, size_t good)
{
	t->begun = true;
	if (good >= s->beginning)
		t->conn->writes = t->writes;
	else if (good)
		t->fault = FAULT_LOST;
}

bool mariadb_txn_intact(struct mariadb_txn *t)
{
	static const char sql[] = "RELEASE SAVEPOINT p;SAVEPOINT p";
	struct mariadb_answer a[2];
	size_t good;
	char why[400];
	snprintf(why, sizeof why, "%s", fail_detail());
	metric_add(t->metrics, METRIC_META_TRIPS, 0, 1);
	if (mariadb_batch(t->conn, span_of(sql), 2, 0, a, &good)) {
		fail_set_detail(why);
		return true;
	}
	mariadb_failure(t->conn, sql);
	t->fault = mariadb_fault(t->conn->error);
	return false;
}

/* A write that had to change another number of rows, if that is what failed. */
static int missed(struct mariadb_txn *t, const struct shares *s, unsigned error, size_t at, int r)
{
	const struct meta_must *must = r && error == ER_SUBQUERY_NO_1_ROW ? guarded(t, at - s->beginning) : NULL;
	return must ? meta_missed(&t->base, must) : r;
}

/* Only what is asked may fail without spoiling the transaction. What comes behind the first that is asked ends it: no look at
   whether it is intact tells anything there. */
static int send_batch(struct mariadb_txn *t, const struct shares *s, struct mariadb_answer *a, size_t *good)
{
	size_t before = before_asked(s);
	metric_add(t->metrics, METRIC_META_TRIPS, 0, 1);
	t->wrote = t->wrote || s->pending;
	int r = mariadb_batch(t->conn, buffer_span(&t->batch), total(s), least_bytes(t, s), a, good) ? OK : failed(t, *good);
	unsigned error = t->conn->error;
	note_beginning(t, s, *good);
	bool counts = r && t->writes && t->fault == FAULT_OTHER && *good >= s->beginning && *good <= before;
	if (counts && !mariadb_txn_intact(t))
		t->base.failed = r = ERR_CONFLICT;
	else if (*good < before)
		t->base.failed = r = missed(t, s, error, *good, r);
	if (*good >= before) {
		buffer_reset(&t->pending);
		buffer_reset(&t->guards);
		t->n_pending = 0;
		t->last = META_STATEMENTS;
		keep_expected(t, a + s->beginning + s->pending);
	}
	return r;
}

int mariadb_txn_send(struct mariadb_txn *t, struct span sql, size_t n, struct mariadb_answer *answer, size_t *done, bool *sent)
{
	struct shares s = { .asked = n };
	size_t good;
	*done = 0;
	*sent = false;
	int r = t->base.failed ? t->base.failed : connection(t);
	if (!r)
		r = compose(t, sql, &s);
	struct mariadb_answer *a = r ? NULL : calloc(total(&s) + 1, sizeof *a);
	if (!a)
		return r ? r : fail_with(ERR_UNAVAILABLE, "out of memory");
	*sent = true;
	r = send_batch(t, &s, a, &good);
	size_t before = before_asked(&s);
	*done = good <= before ? 0 : good >= before + n ? n : good - before;
	if (answer && !r) {
		size_t i = before + n - 1;
		while (i > before && !a[i].rows)
			i--;
		*answer = a[i];
		a[i].rows = NULL;
	}
	for (size_t i = 0; i < good; i++)
		mysql_free_result(a[i].rows);
	free(a);
	return r;
}

/* --- Statements --- */

static void note_account(struct mariadb_txn *t, enum meta_sql stmt, const struct meta_value *v)
{
	int at = t->known[stmt].account_at;
	if (t->named || at < 0 || v[at].type != 'i')
		return;
	t->named = true;
	t->account = v[at].i;
}

static int send_waiting(struct mariadb_txn *t)
{
	size_t done;
	bool sent;
	return mariadb_txn_send(t, (struct span){ 0 }, 0, NULL, &done, &sent);
}

/* Rows that are inserted one after the other into the same table become one statement. */
static bool join_last(struct mariadb_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	size_t end = t->pending.n;
	if (stmt != t->last || !end || !buffer_ok(&t->pending))
		return false;
	t->pending.p[end - 1] = ',';
	if (mariadb_text_put_row(&t->pending, stmt, v, n)) {
		buffer_putc(&t->pending, ';');
		return true;
	}
	t->pending.p[end - 1] = ';';
	return false;
}

static int wait_with(struct mariadb_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	if (!join_last(t, stmt, v, n)) {
		mariadb_text_put(&t->pending, stmt, v, n);
		buffer_putc(&t->pending, ';');
		t->n_pending++;
	}
	t->last = stmt;
	return t->n_pending < PENDING && t->pending.n < PENDING_BYTES ? OK : send_waiting(t);
}

static int check_writes(const struct mariadb_txn *t, enum meta_sql stmt)
{
	if (!t->writes)
		return fail_with(ERR_CANNOT, "mariadb: a transaction that reads cannot write: %.80s", meta_sql_text(stmt));
	return t->base.failed;
}

/* A statement that fails ends the batch, COMMIT or not: a query that gives two rows for one, if the number is another. */
int mariadb_must(struct meta_txn *base, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *must)
{
	struct mariadb_txn *t = of(base);
	int r = check_writes(t, stmt);
	if (r)
		return r;
	note_account(t, stmt, v);
	struct mariadb_guard g = { t->n_pending + 1, *must };
	mariadb_text_put(&t->pending, stmt, v, n);
	buffer_printf(&t->pending, ";SELECT IF(ROW_COUNT()=%lld,0,(SELECT 1 UNION SELECT 2));", (long long)must->rows);
	buffer_put(&t->guards, &g, sizeof g);
	t->n_pending += 2;
	t->last = META_STATEMENTS;
	return t->n_pending < PENDING && t->pending.n < PENDING_BYTES ? OK : send_waiting(t);
}

int mariadb_execute(struct meta_txn *base, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed)
{
	struct mariadb_txn *t = of(base);
	struct mariadb_answer answer;
	size_t done;
	bool sent;
	int r = check_writes(t, stmt);
	if (r)
		return r;
	note_account(t, stmt, v);
	if (!changed)
		return wait_with(t, stmt, v, n);
	buffer_reset(&t->text);
	mariadb_text_put(&t->text, stmt, v, n);
	t->wrote = true;
	r = mariadb_txn_send(t, buffer_span(&t->text), 1, &answer, &done, &sent);
	if (!r)
		*changed = answer.changed;
	return r;
}

static bool has_room(struct mariadb_txn *t)
{
	if (t->n_expected < t->room)
		return true;
	size_t room = t->room ? 2 * t->room : 16;
	struct mariadb_expected *more = room <= EXPECTED ? realloc(t->expected, room * sizeof *more) : NULL;
	if (!more)
		return false;
	t->expected = more;
	t->room = room;
	return true;
}

void mariadb_expect(struct meta_txn *base, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	struct mariadb_txn *t = of(base);
	if (base->failed || !has_room(t))
		return;
	note_account(t, stmt, v);
	struct mariadb_expected *e = &t->expected[t->n_expected++];
	*e = (struct mariadb_expected){ .stmt = stmt, .at = t->expects.n };
	mariadb_text_put(&t->expects, stmt, v, n);
	e->n = t->expects.n - e->at;
}

/* Mostly the first of those that were not asked for. */
static struct mariadb_expected *find_expected(struct mariadb_txn *t, struct span text)
{
	while (t->asked < t->n_expected && !t->expected[t->asked].n)
		t->asked++;
	for (size_t i = t->asked; i < t->n_expected; i++) {
		struct mariadb_expected *e = &t->expected[i];
		if (e->n && span_eq(span_sub(buffer_span(&t->expects), e->at, e->n), text))
			return e;
	}
	return NULL;
}

/* Rows that were fetched whole. */
struct rows {
	MYSQL_RES *all;
	MYSQL_ROW row;
	unsigned long *lengths;
	unsigned columns;
};

static int give_rows(MYSQL_RES *all, void **out)
{
	struct rows *r = calloc(1, sizeof *r);
	if (!r || !all) {
		mysql_free_result(all);
		free(r);
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	}
	r->all = all;
	r->columns = mysql_num_fields(all);
	*out = r;
	return OK;
}

/* Where it is not fetched yet it goes in its place among the others: what was named before it is read before it. */
static int ask_expected(struct mariadb_txn *t, struct mariadb_expected *e, void **out)
{
	int r = e->fetched ? OK : send_waiting(t);
	if (r)
		return r;
	MYSQL_RES *rows = e->rows;
	e->rows = NULL;
	e->n = 0;
	return give_rows(rows, out);
}

int mariadb_query(struct meta_txn *base, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out)
{
	struct mariadb_txn *t = of(base);
	struct mariadb_answer answer;
	size_t done;
	bool sent;
	if (base->failed)
		return base->failed;
	note_account(t, stmt, v);
	buffer_reset(&t->text);
	mariadb_text_put(&t->text, stmt, v, n);
	struct mariadb_expected *e = find_expected(t, buffer_span(&t->text));
	if (e)
		return ask_expected(t, e, out);
	int r = mariadb_txn_send(t, buffer_span(&t->text), 1, &answer, &done, &sent);
	return r ? r : give_rows(answer.rows, out);
}

int mariadb_next(struct meta_txn *t, void *stmt)
{
	struct rows *r = stmt;
	r->row = mysql_fetch_row(r->all);
	r->lengths = r->row ? mysql_fetch_lengths(r->all) : NULL;
	return r->row != NULL;
}

int64_t mariadb_column_int(const void *stmt, int column)
{
	const struct rows *r = stmt;
	assert(r->row && (unsigned)column < r->columns);
	return r->row[column] ? strtoll(r->row[column], NULL, 10) : 0;
}

struct span mariadb_column_span(const void *stmt, int column)
{
	const struct rows *r = stmt;
	assert(r->row && (unsigned)column < r->columns);
	return r->row[column] && r->lengths[column] ? span_from(r->row[column], r->lengths[column]) : (struct span){ 0 };
}

void mariadb_done(struct meta_txn *t, void *stmt)
{
	struct rows *r = stmt;
	mysql_free_result(r->all);
	free(r);
}
