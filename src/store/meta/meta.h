/* meta: accounts, collections, items, versions, journal and positions in SQL.
 *
 * One schema (schema.sql) and one set of statements (statements.def), written in the SQL that SQLite and MariaDB share;
 * a driver below runs them. Callers name a statement, never its text.
 *
 * A transaction is a function that can be run again: the runner may call it several times (a group that rolled back, a
 * refused commit, a lost connection), so it must have no side effects but its statements and what it writes into its
 * argument, which it must set afresh each time. It returns OK to commit; anything else rolls its own changes back and is
 * handed to the caller. meta_run() returns OK only after the changes are on stable storage. */
#ifndef META_H
#define META_H

#include <stdbool.h>

#include "file_copy.h"
#include "span.h"

struct meta;
struct meta_txn;
struct metrics;

typedef int meta_fn(struct meta_txn *t, void *arg);

/* The statements, by name: META_HEAD_GET, ... */
enum meta_sql {
#define STATEMENT(name, sql) META_##name,
#include "statements.def"
#undef STATEMENT
	META_STATEMENTS
};

struct meta_options {
	const char *dir; /* the node's data folder; relative store URLs are below it */
	/* Called by the driver with the companions of all transactions of a group, before the first of them runs: starts
	   to make them durable. Each companion keeps its own failure (see store.c). NULL: there are no companions. */
	void (*before_group)(void *ctx, void **companions, size_t n);
	/* Asked right before fn runs: a companion that failed ends its transaction with this error. */
	int (*companion_error)(void *companion);
	/* Called after the last fn ran, also when the group failed: on OK the companions are on stable storage and the group
	   is committed; else it is rolled back, and each transaction runs again alone. Cheap when nothing was started. */
	int (*before_commit)(void *ctx);
	/* For drivers without groups, instead of these three: makes one companion durable before its transaction's first try, and
	   tells its failure. Called by many threads at once, which may share one sync. */
	int (*make_durable)(void *ctx, void *companion);
	void *ctx;
	struct metrics *metrics; /* not owned; NULL: nothing is counted */
};

/* url: sqlite:FILE, mariadb://USER:PASSWORD@HOST:PORT,.../DATABASE (mariadb_url.h), or failing:URL (tests). Refuses a schema of
   another version; an empty SQLite database gets one, MariaDB's must be there (meta_upgrade). */
int meta_open(const char *url, const struct meta_options *o, struct meta **out);
/* Makes the database what this version works with (perdura upgrade). init: creates the tables in an empty database, and goes
   on with a creation that was cut; ERR_EXISTS if it holds any. Else brings older tables up to date while nodes work with
   them. say: one line about what was done. */
int meta_upgrade(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx);
/* Waits for running transactions; later ones get ERR_STOPPED. Takes the pointer's address, sets it NULL. */
void meta_close(struct meta **m);

/* Do several nodes work on this database? false: it belongs to this one alone. */
bool meta_shared(const struct meta *m);
/* By how much this node's clock is ahead of the database's, us, and how far off that may be; 0 where it has none of its own. */
int meta_clock(struct meta *m, int64_t *ahead, int64_t *unsure);

/* Tells the number of this node, once it is known: what a transaction leaves behind to be known by is unique by it. */
void meta_node(struct meta *m, int64_t node);

/* The row commit_id of a transaction that node began at this time (us since 1970, from 2020 on). Those of a node lie together
   and grow; those of node 0, which has no number yet, are strewn. */
static inline int64_t meta_commit_id(int64_t node, int64_t us)
{
	return node << 51 | ((us - INT64_C(1577836800000000)) & ((INT64_C(1) << 51) - 1));
}

/* Runs fn in a transaction and waits until it is durable. companion (may be NULL): what must be durable first. */
int meta_run(struct meta *m, meta_fn *fn, void *arg, void *companion);
/* No transaction that still runs began before this time, us since 1970 (this node's clock, which may be set back by
   META_HORIZON_US meanwhile): what they stamp by that clock is later. */
#define META_HORIZON_US INT64_C(50000)
int64_t meta_horizon(struct meta *m);
/* Somebody prepares a transaction that will be handed to meta_run soon (begin), or gave up on it (end; meta_run ends it
   by itself). The group commit waits a moment for those announced, so that they share its sync. Cheap. */
void meta_announce(struct meta *m);
void meta_unannounce(struct meta *m);
/* Runs fn on one consistent state, read-only. Must be short: no socket, no waiting, under 50 ms. */
int meta_read(struct meta *m, meta_fn *fn, void *arg);

/* Arguments follow types: 'i' int64_t, 's' struct span as text, 'b' struct span as bytes (.p NULL is NULL for both).
   A write that finds the disk full, the database gone, ... fails with its code and spoils the transaction: it will not
   commit, whatever fn makes of the failure. The driver may carry it out later, with the next query or the commit, so
   that several share one way to the database; its failure comes then. A taken key is a failure like any other. */
int meta_do(struct meta_txn *t, enum meta_sql stmt, const char *types, ...);
/* meta_do of a statement that has to change so many rows: another number spoils the transaction with this failure, which is the
   caller's also where it is ERR_CONFLICT. */
struct meta_must {
	int64_t rows;
	int failure;
	const char *why;
};
int meta_must(struct meta_txn *t, struct meta_must must, enum meta_sql stmt, const char *types, ...);
/* Carried out at once: a taken key is an answer, ERR_EXISTS, with which the transaction goes on. */
int meta_try(struct meta_txn *t, enum meta_sql stmt, const char *types, ...);
/* Rows changed by the last meta_try. */
int64_t meta_changed(const struct meta_txn *t);
/* Names a query that will be asked soon, with the same values and before any statement that changes what it reads: the
   driver may fetch its rows on the next way to the database. */
void meta_expect(struct meta_txn *t, enum meta_sql stmt, const char *types, ...);

struct meta_rows {
	struct meta_txn *txn;
	void *stmt; /* the driver's */
};
int meta_query(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const char *types, ...);
/* 1: on a row; 0: no more; < 0: failed. */
int meta_next(struct meta_rows *r);
/* Column values of the row; spans live until the next meta_next or meta_done. NULL reads as 0 or an empty span. */
int64_t meta_int(const struct meta_rows *r, int column);
struct span meta_span(const struct meta_rows *r, int column);
/* Always, also after a failure. One statement can be open once per transaction. */
void meta_done(struct meta_rows *r);
/* meta_query for at most one row: OK with r on it, ERR_NOT_FOUND, or a failure. meta_done(r) after OK only. */
int meta_one(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const char *types, ...);

/* For a statement of exactly META_INTEGERS places, all of them integers: many keys at once. */
enum { META_INTEGERS = 128 };
int meta_query_integers(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const int64_t v[META_INTEGERS]);

/* Integrity of the database file itself; each line of trouble goes to say(). Runs beside readers and writers. */
int meta_verify(struct meta *m, void (*say)(void *ctx, const char *line), void *ctx);

/* A copy of the whole database in the file `to` (and its siblings while it is made), on which sqlite:FILE can be opened then;
   commits and reads go on. It holds all that was committed before *at (us since 1970, this node's clock), and of what came
   later each transaction whole or not at all. ERR_CANNOT: the database is not one file of this node's. */
int meta_copy(struct meta *m, const char *to, struct file_copy *c, int64_t *at);

struct meta_stats {
	uint64_t commits;      /* transactions made durable */
	uint64_t groups;       /* commits of the database: several transactions share one */
	uint64_t checkpoints;
	uint64_t failures;
	uint64_t bytes;        /* size of the database */
};
void meta_stats(struct meta *m, struct meta_stats *out);

#endif
