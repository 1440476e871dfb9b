/* What a driver of meta provides. Only meta.c and the drivers include this: callers see meta.h.
 *
 * The facade owns the contract towards callers (arguments, reruns, stopping, counting failures); a driver runs one try
 * of a transaction and translates its database's errors into ours. */
#ifndef META_DRIVER_H
#define META_DRIVER_H

#include <pthread.h>
#include <stdatomic.h>

#include "meta.h"

enum { META_ARGUMENTS = 32 };

/* What schema.sql is, in the row 'schema' of facts; counts up with every release that changes a table. */
#define META_SCHEMA_VERSION "5"

/* Not an error but an answer of run and read: the database wants the transaction to be run again. (A function's own
   ERR_CONFLICT is for its caller and never leads to another run.) */
enum { META_AGAIN = 1 };

struct meta_value {
	char type; /* 'i', 's', 'b' */
	int64_t i;
	struct span s;
};

struct meta_driver {
	const char *scheme;
	/* url is what follows "scheme:". */
	int (*open)(const char *url, const struct meta_options *o, struct meta **out);
	/* As meta_upgrade. NULL: nothing can be done. */
	int (*upgrade)(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx);
	void (*close)(struct meta *m); /* nothing runs any more */
	/* One try, durable when it returns OK. May answer META_AGAIN. */
	int (*run)(struct meta *m, meta_fn *fn, void *arg, void *companion);
	int (*read)(struct meta *m, meta_fn *fn, void *arg);
	void (*announce)(struct meta *m, int by); /* 1 or -1 */
	int (*verify)(struct meta *m, void (*say)(void *ctx, const char *line), void *ctx);
	int (*copy)(struct meta *m, const char *to, struct file_copy *c, int64_t *at);
	void (*stats)(struct meta *m, struct meta_stats *out);
	/* meta_clock; NULL: the database's clock is this node's. */
	int (*clock)(struct meta *m, int64_t *ahead, int64_t *unsure);
	/* Statements. Values need not outlive the call. execute runs one to its end, at once unless changed is NULL; query
	   leaves *stmt before its first row. expect may be NULL. */
	int (*execute)(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed);
	/* NULL: execute, and its count looked at (meta_execute_must). */
	int (*must)(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *must);
	void (*expect)(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n);
	int (*query)(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out);
	int (*next)(struct meta_txn *t, void *stmt);
	int64_t (*column_int)(const void *stmt, int column);
	struct span (*column_span)(const void *stmt, int column);
	void (*done)(struct meta_txn *t, void *stmt);
};

/* The first member of each driver's own struct; the facade fills it in. */
struct meta {
	const struct meta_driver *driver;
	pthread_rwlock_t running; /* shared by every call in progress, taken whole by meta_close */
	atomic_bool stopping;
	atomic_uint_fast64_t failures;
	atomic_int_fast64_t node; /* meta_node; 0: not known yet */
	pthread_mutex_t runs_lock;
	struct meta_run *runs;    /* those in progress */
	bool shared;              /* several nodes work on it; set by open */
	struct metrics *metrics;
};

/* The first member of each driver's own transaction, made by meta_txn_init. */
struct meta_txn {
	const struct meta_driver *driver;
	int failed; /* the first failure of a statement that spoils the whole transaction; OK while there is none */
	bool missed; /* it was a meta_must: no other run would do better */
	int open;   /* rows not yet given back with meta_done */
	int64_t changed;
};

void meta_txn_init(struct meta_txn *t, const struct meta_driver *d);
/* Runs fn; a failed statement outranks what fn made of it, so that nothing half-done is committed. META_AGAIN when one
   met a conflict. */
int meta_txn_call(struct meta_txn *t, meta_fn *fn, void *arg);

int meta_execute_must(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *must);
/* The number was another: returns the failure. */
int meta_missed(struct meta_txn *t, const struct meta_must *must);

/* Opens the store of a whole url, without the facade's part: for drivers that wrap another. */
int meta_driver_open(const char *url, const struct meta_options *o, struct meta **out);
/* The text of a statement, and the schema, as they are written. */
const char *meta_sql_text(enum meta_sql stmt);
const char *meta_schema_text(void);
/* The value of key in "k=v&k=v", into out; false when it is not there. */
bool meta_url_parameter(const char *query, const char *key, char *out, size_t n);

extern const struct meta_driver meta_sqlite, meta_mariadb, meta_failing;

#endif
