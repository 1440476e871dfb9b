#include "meta.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "clock.h"
#include "fail.h"
#include "metric.h"
#include "meta_driver.h"

enum { TRIES = 8 };

static const struct meta_driver *const drivers[] = { &meta_sqlite, &meta_mariadb, &meta_failing };

static const char *const statements[] = {
#define STATEMENT(name, sql) sql,
#include "statements.def"
#undef STATEMENT
};

static const char schema[] =
#include "schema_text.inc"
	;

const char *meta_sql_text(enum meta_sql stmt)
{
	return statements[stmt];
}

const char *meta_schema_text(void)
{
	return schema;
}

bool meta_url_parameter(const char *query, const char *key, char *out, size_t n)
{
	size_t k = strlen(key);
	for (const char *p = query; p && *p; p = *p == '&' ? p + 1 : p) {
		size_t len = strcspn(p, "&");
		if (len > k && p[k] == '=' && !strncmp(p, key, k) && len - k - 1 < n) {
			memcpy(out, p + k + 1, len - k - 1);
			out[len - k - 1] = 0;
			return true;
		}
		p += len;
	}
	return false;
}

/* The driver of a URL and what follows its scheme. */
static int find_driver(const char *url, const struct meta_driver **driver, const char **rest)
{
	size_t n = strcspn(url, ":");
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++) {
		const struct meta_driver *d = drivers[i];
		if (url[n] == ':' && strlen(d->scheme) == n && !strncmp(d->scheme, url, n)) {
			*driver = d;
			*rest = url + n + 1;
			return OK;
		}
	}
	return fail_with(ERR_INVALID, "meta.url: no store is called '%.*s' (sqlite:FILE and mariadb://... are)", (int)n, url);
}

int meta_driver_open(const char *url, const struct meta_options *o, struct meta **out)
{
	const struct meta_driver *d;
	const char *rest;
	int r = find_driver(url, &d, &rest);
	return r ? r : d->open(rest, o, out);
}

int meta_upgrade(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx)
{
	const struct meta_driver *d;
	const char *rest;
	int r = find_driver(url, &d, &rest);
	if (!r && !d->upgrade)
		r = fail_with(ERR_CANNOT, "%s: there is nothing to upgrade", d->scheme);
	return r ? r : d->upgrade(rest, o, init, say, ctx);
}

int meta_open(const char *url, const struct meta_options *o, struct meta **out)
{
	struct meta *m;
	int r = meta_driver_open(url, o, &m);
	if (r)
		return r;
	pthread_rwlock_init(&m->running, NULL);
	pthread_mutex_init(&m->runs_lock, NULL);
	atomic_init(&m->stopping, false);
	atomic_init(&m->failures, 0);
	atomic_init(&m->node, 0);
	m->metrics = o->metrics;
	*out = m;
	return OK;
}

void meta_close(struct meta **pm)
{
	struct meta *m = *pm;
	*pm = NULL;
	if (!m)
		return;
	atomic_store(&m->stopping, true);
	pthread_rwlock_wrlock(&m->running);
	pthread_rwlock_unlock(&m->running);
	pthread_rwlock_destroy(&m->running);
	pthread_mutex_destroy(&m->runs_lock);
	m->driver->close(m);
}

/* Entered by every call; leave() follows when it returned OK. */
static int enter(struct meta *m)
{
	if (!atomic_load(&m->stopping)) {
		pthread_rwlock_rdlock(&m->running);
		if (!atomic_load(&m->stopping))
			return OK;
		pthread_rwlock_unlock(&m->running);
	}
	return fail_with(ERR_STOPPED, "meta: closed");
}

static int leave(struct meta *m, int r)
{
	if (r == ERR_FULL || r == ERR_UNAVAILABLE || r == ERR_CORRUPT) {
		atomic_fetch_add(&m->failures, 1);
		metric_add(m->metrics, METRIC_STORE_FAILURES, metric_result(r), 1);
	}
	pthread_rwlock_unlock(&m->running);
	return r;
}

static int given_up(void)
{
	char why[400];
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with(ERR_UNAVAILABLE, "gave up after %d tries: %s", TRIES, why);
}

void meta_node(struct meta *m, int64_t node)
{
	atomic_store(&m->node, node);
}

bool meta_shared(const struct meta *m)
{
	return m->shared;
}

int meta_clock(struct meta *m, int64_t *ahead, int64_t *unsure)
{
	*ahead = *unsure = 0;
	if (!m->driver->clock)
		return OK;
	int r = enter(m);
	return r ? r : leave(m, m->driver->clock(m, ahead, unsure));
}

/* ---- What runs, and since when */

struct meta_run {
	struct meta_run *next, **at;
	int64_t began;
};

static void run_begins(struct meta *m, struct meta_run *k)
{
	k->at = &m->runs;
	pthread_mutex_lock(&m->runs_lock);
	k->began = clock_now();
	k->next = m->runs;
	if (k->next)
		k->next->at = &k->next;
	m->runs = k;
	pthread_mutex_unlock(&m->runs_lock);
}

static void run_ends(struct meta *m, struct meta_run *k)
{
	pthread_mutex_lock(&m->runs_lock);
	*k->at = k->next;
	if (k->next)
		k->next->at = k->at;
	pthread_mutex_unlock(&m->runs_lock);
}

int64_t meta_horizon(struct meta *m)
{
	int64_t first = clock_now();
	pthread_mutex_lock(&m->runs_lock);
	for (const struct meta_run *k = m->runs; k; k = k->next)
		first = k->began < first ? k->began : first;
	pthread_mutex_unlock(&m->runs_lock);
	return first - META_HORIZON_US;
}

int meta_run(struct meta *m, meta_fn *fn, void *arg, void *companion)
{
	int r = enter(m);
	if (r)
		return r;
	struct meta_run k;
	run_begins(m, &k);
	r = META_AGAIN;
	for (int i = 0; i < TRIES && r == META_AGAIN; i++)
		r = m->driver->run(m, fn, arg, companion);
	run_ends(m, &k);
	return leave(m, r == META_AGAIN ? given_up() : r);
}

int meta_read(struct meta *m, meta_fn *fn, void *arg)
{
	int r = enter(m);
	if (r)
		return r;
	r = META_AGAIN;
	for (int i = 0; i < TRIES && r == META_AGAIN; i++)
		r = m->driver->read(m, fn, arg);
	return leave(m, r == META_AGAIN ? given_up() : r);
}

void meta_announce(struct meta *m)
{
	m->driver->announce(m, 1);
}

void meta_unannounce(struct meta *m)
{
	m->driver->announce(m, -1);
}

void meta_txn_init(struct meta_txn *t, const struct meta_driver *d)
{
	*t = (struct meta_txn){ .driver = d };
}

int meta_txn_call(struct meta_txn *t, meta_fn *fn, void *arg)
{
	int r = fn(t, arg);
	assert(t->open == 0); /* a meta_done is missing */
	return t->failed == ERR_CONFLICT && !t->missed ? META_AGAIN : t->failed ? t->failed : r;
}

static size_t take_values(struct meta_value *v, const char *types, va_list ap)
{
	size_t n = 0;
	for (; types[n]; n++) {
		assert(n < META_ARGUMENTS);
		v[n].type = types[n];
		if (types[n] == 'i') {
			v[n].i = va_arg(ap, int64_t);
		} else {
			assert(types[n] == 's' || types[n] == 'b');
			v[n].s = va_arg(ap, struct span);
		}
	}
	return n;
}

/* What goes wrong spoils the transaction, whatever fn makes of it. */
static int spoil(struct meta_txn *t, int r)
{
	if (r < 0 && !t->failed)
		t->failed = r;
	return r;
}

int meta_do(struct meta_txn *t, enum meta_sql stmt, const char *types, ...)
{
	struct meta_value v[META_ARGUMENTS];
	va_list ap;
	va_start(ap, types);
	size_t n = take_values(v, types, ap);
	va_end(ap);
	return spoil(t, t->driver->execute(t, stmt, v, n, NULL));
}

int meta_missed(struct meta_txn *t, const struct meta_must *must)
{
	t->missed = true;
	return fail_with(must->failure, "%s", must->why);
}

int meta_execute_must(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *must)
{
	int64_t changed = 0;
	if (t->driver->must)
		return t->driver->must(t, stmt, v, n, must);
	int r = t->driver->execute(t, stmt, v, n, &changed);
	return r || changed == must->rows ? r : meta_missed(t, must);
}

int meta_must(struct meta_txn *t, struct meta_must must, enum meta_sql stmt, const char *types, ...)
{
	struct meta_value v[META_ARGUMENTS];
	va_list ap;
	va_start(ap, types);
	size_t n = take_values(v, types, ap);
	va_end(ap);
	return spoil(t, meta_execute_must(t, stmt, v, n, &must));
}

int meta_try(struct meta_txn *t, enum meta_sql stmt, const char *types, ...)
{
	struct meta_value v[META_ARGUMENTS];
	va_list ap;
	va_start(ap, types);
	size_t n = take_values(v, types, ap);
	va_end(ap);
	t->changed = 0;
	int r = t->driver->execute(t, stmt, v, n, &t->changed);
	return r == ERR_EXISTS ? r : spoil(t, r);
}

int64_t meta_changed(const struct meta_txn *t)
{
	return t->changed;
}

void meta_expect(struct meta_txn *t, enum meta_sql stmt, const char *types, ...)
{
	struct meta_value v[META_ARGUMENTS];
	if (!t->driver->expect)
		return;
	va_list ap;
	va_start(ap, types);
	size_t n = take_values(v, types, ap);
	va_end(ap);
	t->driver->expect(t, stmt, v, n);
}

static int query_values(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	*r = (struct meta_rows){ .txn = t };
	int code = spoil(t, t->driver->query(t, stmt, v, n, &r->stmt));
	if (!code)
		t->open++;
	else
		r->stmt = NULL;
	return code;
}

static int query(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const char *types, va_list ap)
{
	struct meta_value v[META_ARGUMENTS];
	size_t n = take_values(v, types, ap);
	return query_values(t, r, stmt, v, n);
}

int meta_query(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int code = query(t, r, stmt, types, ap);
	va_end(ap);
	return code;
}

int meta_next(struct meta_rows *r)
{
	return spoil(r->txn, r->txn->driver->next(r->txn, r->stmt));
}

int64_t meta_int(const struct meta_rows *r, int column)
{
	return r->txn->driver->column_int(r->stmt, column);
}

struct span meta_span(const struct meta_rows *r, int column)
{
	return r->txn->driver->column_span(r->stmt, column);
}

void meta_done(struct meta_rows *r)
{
	if (!r->stmt)
		return;
	r->txn->driver->done(r->txn, r->stmt);
	r->txn->open--;
	r->stmt = NULL;
}

int meta_one(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const char *types, ...)
{
	va_list ap;
	va_start(ap, types);
	int code = query(t, r, stmt, types, ap);
	va_end(ap);
	if (code)
		return code;
	code = meta_next(r);
	if (code == 1)
		return OK;
	meta_done(r);
	return code == 0 ? ERR_NOT_FOUND : code;
}

int meta_query_integers(struct meta_txn *t, struct meta_rows *r, enum meta_sql stmt, const int64_t v[META_INTEGERS])
{
	struct meta_value values[META_INTEGERS];
	for (size_t i = 0; i < META_INTEGERS; i++)
		values[i] = (struct meta_value){ .type = 'i', .i = v[i] };
	return query_values(t, r, stmt, values, META_INTEGERS);
}

int meta_verify(struct meta *m, void (*say)(void *ctx, const char *line), void *ctx)
{
	int r = enter(m);
	return r ? r : leave(m, m->driver->verify(m, say, ctx));
}

int meta_copy(struct meta *m, const char *to, struct file_copy *c, int64_t *at)
{
	int r = enter(m);
	if (r)
		return r;
	r = m->driver->copy(m, to, c, at);
	pthread_rwlock_unlock(&m->running); /* a disk that is full is the copy's */
	return r;
}

void meta_stats(struct meta *m, struct meta_stats *out)
{
	*out = (struct meta_stats){ 0 };
	m->driver->stats(m, out);
	out->failures = atomic_load(&m->failures);
}
