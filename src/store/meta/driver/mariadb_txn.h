/* The statements of one try of a transaction on MariaDB. What meta_do and meta_expect ask for waits here until something is to
 * be answered, and then goes in one way to the database: the beginning of the transaction, the writes that waited, the queries
 * that are expected, in the order in which they were named, and the one that is asked.
 *
 * Galera may roll a transaction back at any moment, for another node's sake. Between two statements that came together the server
 * does not tell: the next one begins a new transaction, and is answered with OK. So a savepoint is set at the beginning, which
 * goes with its transaction; nothing is committed by itself; and each end is looked at: before COMMIT the savepoint must be there,
 * after it the commit id (mariadb_run.c). Failures that others are to hear of count only while the savepoint is there. */
#ifndef MARIADB_TXN_H
#define MARIADB_TXN_H

#include "buffer.h"
#include "mariadb_pool.h"

/* A query that was named ahead, by its whole text. */
struct mariadb_expected {
	enum meta_sql stmt;
	size_t at, n; /* of the text in expects; n 0: it was asked for */
	bool fetched;
	MYSQL_RES *rows; /* until it is asked for */
};

/* A write that waits, and the statement behind it that fails if it changed another number of rows. */
struct mariadb_guard {
	size_t at; /* the number of that statement, among those that wait */
	struct meta_must must;
};

/* What is known of each statement. */
struct mariadb_known {
	signed char account_at; /* which parameter is the account (mariadb_text_account) */
	atomic_uint least; /* bytes of its answer without rows; 0: it was not asked yet */
};

struct mariadb_txn {
	struct meta_txn base;
	struct mariadb_pool *pool;
	struct mariadb_known *known; /* by enum meta_sql */
	struct metrics *metrics;
	bool writes; /* not one that only reads */
	struct mariadb_conn *conn; /* NULL until something goes to the database */
	bool begun, wrote, named;
	int64_t account; /* the first that was named */
	struct buffer pending; /* writes that wait, each with a semicolon behind it */
	size_t n_pending;
	enum meta_sql last; /* of those that wait; META_STATEMENTS: none that another could join */
	struct buffer guards; /* struct mariadb_guard each */
	struct buffer expects;
	struct mariadb_expected *expected;
	size_t n_expected, room;
	size_t asked; /* all before this one were asked for */
	struct buffer text, batch; /* of the statement that is asked; of all that go together */
	enum mariadb_fault fault; /* the last failure of the connection */
};

void mariadb_txn_init(struct mariadb_txn *t, struct mariadb_pool *p, struct mariadb_known *k, struct metrics *m, bool writes);
/* Ends it, when that was not done; gives the connection back. */
void mariadb_txn_free(struct mariadb_txn *t);
/* Is all that was done since the beginning still there? False: what failed, or was read, means nothing, and the transaction
   is to be run again (fault says so). */
bool mariadb_txn_intact(struct mariadb_txn *t);
/* What was expected will not be asked for any more. */
void mariadb_txn_forget(struct mariadb_txn *t);
/* Did anything change, or will? */
static inline bool mariadb_txn_wrote(const struct mariadb_txn *t)
{
	return t->wrote || t->n_pending;
}
/* What waits, then n statements of the caller's with semicolons between. sent: it went out. *done: how many of the caller's
   were answered without an error. A failure of anything that waited spoils the transaction. answer (or
   NULL): that to the last of them that has rows, else to the first. */
int mariadb_txn_send(struct mariadb_txn *t, struct span sql, size_t n, struct mariadb_answer *answer, size_t *done, bool *sent);

/* The statement part of the driver. */
int mariadb_execute(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed);
int mariadb_must(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *must);
void mariadb_expect(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n);
int mariadb_query(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out);
int mariadb_next(struct meta_txn *t, void *stmt);
int64_t mariadb_column_int(const void *stmt, int column);
struct span mariadb_column_span(const void *stmt, int column);
void mariadb_done(struct meta_txn *t, void *stmt);

#endif
