#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "buffer.h"
#include "fail.h"
#include "meta_driver.h"
#include "meta_failing.h"
#include "plan_file.h"

struct failing {
	struct meta base;
	struct meta *inner;
	pthread_mutex_t lock;
	struct meta_failing_plan plan;
	uint64_t statements, commits;
	struct meta_failing_cost cost;
	char file[PATH_MAX]; /* where new plans come; empty: nowhere */
};

struct failing_txn {
	struct meta_txn base;
	struct failing *failing;
	struct meta_txn *inner;
	struct buffer expected; /* uint64_t each: the queries that were named and not asked yet */
	size_t fetched;         /* bytes of expected that came with an earlier trip */
};

static struct failing *of(struct meta *m)
{
	return (struct failing *)m;
}

/* --- The plan --- */

void meta_failing_set(struct meta *m, const struct meta_failing_plan *plan)
{
	struct failing *f = of(m);
	pthread_mutex_lock(&f->lock);
	f->plan = *plan;
	f->statements = f->commits = 0;
	f->cost = (struct meta_failing_cost){ 0 };
	pthread_mutex_unlock(&f->lock);
}

void meta_failing_seen(struct meta *m, uint64_t *statements, uint64_t *commits)
{
	struct failing *f = of(m);
	pthread_mutex_lock(&f->lock);
	*statements = f->statements;
	*commits = f->commits;
	pthread_mutex_unlock(&f->lock);
}

void meta_failing_cost(struct meta *m, struct meta_failing_cost *out)
{
	struct failing *f = of(m);
	pthread_mutex_lock(&f->lock);
	*out = f->cost;
	pthread_mutex_unlock(&f->lock);
}

static void spend(struct failing *f, struct meta_failing_cost by)
{
	pthread_mutex_lock(&f->lock);
	f->cost.transactions += by.transactions;
	f->cost.queries += by.queries;
	f->cost.writes += by.writes;
	f->cost.trips += by.trips;
	pthread_mutex_unlock(&f->lock);
}

/* A query by its statement and values. */
static uint64_t key_of(enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325) + stmt;
	for (size_t i = 0; i < n; i++) {
		struct span s = v[i].type == 'i' ? span_from(&v[i].i, sizeof v[i].i) : v[i].s;
		for (size_t k = 0; k < s.n; k++)
			h = (h ^ (unsigned char)s.p[k]) * UINT64_C(0x100000001b3);
		h = (h ^ s.n) * UINT64_C(0x100000001b3);
	}
	return h;
}

/* All that was named until now comes along. */
static void go_and_fetch(struct failing_txn *t)
{
	t->fetched = t->expected.n;
	spend(t->failing, (struct meta_failing_cost){ .trips = 1 });
}

static bool take_expected(struct failing_txn *t, uint64_t key)
{
	uint64_t *known = (uint64_t *)(void *)t->expected.p;
	for (size_t i = 0; i < t->fetched / sizeof *known; i++)
		if (known[i] == key) {
			memmove(known + i, known + i + 1, t->expected.n - (i + 1) * sizeof *known);
			t->expected.n -= sizeof *known;
			t->fetched -= sizeof *known;
			return true;
		}
	return false;
}

static void count_query(struct failing_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	uint64_t key = key_of(stmt, v, n);
	spend(t->failing, (struct meta_failing_cost){ .queries = 1 });
	if (take_expected(t, key))
		return;
	go_and_fetch(t);
	take_expected(t, key);
}

struct mode {
	const char *name;
	int code;
	bool committed;
};

static const struct mode modes[] = {
	{ "full", ERR_FULL, false },
	{ "unavailable", ERR_UNAVAILABLE, false },
	{ "corrupt", ERR_CORRUPT, false },
	{ "conflict", ERR_CONFLICT, false },
	{ "unknown", ERR_UNAVAILABLE, true },
};

static int take_number(const char *query, const char *key, uint64_t *out, bool *found)
{
	char text[24];
	*found = meta_url_parameter(query, key, text, sizeof text);
	if (*found && !span_u64(span_of(text), INT64_MAX, out))
		return fail_with(ERR_INVALID, "meta.url: failing: %s=%s is no number", key, text);
	return OK;
}

static int take_mode(const char *query, struct meta_failing_plan *p)
{
	char name[24] = "unavailable";
	meta_url_parameter(query, "mode", name, sizeof name);
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(name, modes[i].name)) {
			p->code = modes[i].code;
			p->committed = modes[i].committed;
			return OK;
		}
	return fail_with(ERR_INVALID, "meta.url: failing: mode=%s is none of full, unavailable, corrupt, conflict, unknown", name);
}

static int take_plan(const char *query, struct meta_failing_plan *p)
{
	bool statement, commit, times;
	p->times = 1;
	int r = take_number(query, "statement", &p->at, &statement);
	if (!r)
		r = take_number(query, "commit", &p->at, &commit);
	if (!r)
		r = take_number(query, "times", &p->times, &times);
	if (!r)
		r = take_mode(query, p);
	if (!r)
		p->call = commit ? META_FAILING_COMMIT : statement ? META_FAILING_STATEMENT : META_FAILING_NONE;
	return r;
}

/* A new plan, if one came. */
static void look(struct failing *f)
{
	char text[256];
	struct meta_failing_plan p = { 0 };
	if (*f->file && plan_file_take(f->file, text, sizeof text) && take_plan(text, &p) == OK) {
		f->plan = p;
		f->statements = f->commits = 0;
	}
}

/* Counts a call; its failure if it is due. */
static int due(struct failing *f, enum meta_failing_call call, bool *committed)
{
	pthread_mutex_lock(&f->lock);
	look(f);
	uint64_t n = call == META_FAILING_COMMIT ? ++f->commits : ++f->statements;
	struct meta_failing_plan p = f->plan;
	pthread_mutex_unlock(&f->lock);
	if (p.call != call || n < p.at || (p.times && n >= p.at + p.times))
		return OK;
	*committed = p.committed;
	if (*f->file)
		plan_file_struck(f->file);
	return fail_with(p.code, "failing: %s %llu, as planned", call == META_FAILING_COMMIT ? "commit" : "statement",
		(unsigned long long)n);
}

/* --- Open and close --- */

static bool ours(struct span parameter)
{
	static const char *const keys[] = { "statement=", "commit=", "times=", "mode=", "plan=" };
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (span_istarts(parameter, span_of(keys[i])))
			return true;
	return false;
}

/* The url without our parameters. */
static int inner_url(const char *url, char *out, size_t size)
{
	size_t n = strcspn(url, "?");
	if (strlen(url) >= size)
		return fail_with(ERR_INVALID, "meta.url: too long");
	memcpy(out, url, n);
	char sep = '?';
	for (const char *p = url + n; *p;) {
		struct span one = { p + 1, strcspn(p + 1, "&") };
		if (!ours(one)) {
			out[n++] = sep;
			memcpy(out + n, one.p, one.n);
			n += one.n;
			sep = '&';
		}
		p = one.p + one.n;
	}
	out[n] = 0;
	return OK;
}

static int open_failing(const char *url, const struct meta_options *o, struct meta **out)
{
	char inner[PATH_MAX];
	const char *query = strchr(url, '?');
	struct failing *f = calloc(1, sizeof *f);
	if (!f)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = inner_url(url, inner, sizeof inner);
	if (!r && query)
		r = take_plan(query + 1, &f->plan);
	if (query)
		meta_url_parameter(query + 1, "plan", f->file, sizeof f->file);
	if (!r)
		r = meta_driver_open(inner, o, &f->inner);
	if (r) {
		free(f);
		return r;
	}
	f->base.driver = &meta_failing;
	f->base.shared = f->inner->shared;
	pthread_mutex_init(&f->lock, NULL);
	*out = &f->base;
	return OK;
}

static void close_failing(struct meta *m)
{
	struct failing *f = of(m);
	f->inner->driver->close(f->inner);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* --- Transactions --- */

struct call {
	struct failing *failing;
	meta_fn *fn;
	void *arg;
	bool writes;
	int after; /* the failure to report although the commit happened */
};

static int call_through(struct meta_txn *inner, void *arg)
{
	struct call *c = arg;
	struct failing_txn t = { .failing = c->failing, .inner = inner };
	meta_txn_init(&t.base, &meta_failing);
	c->after = OK;
	int r = meta_txn_call(&t.base, c->fn, c->arg);
	buffer_free(&t.expected);
	spend(c->failing, (struct meta_failing_cost){ .transactions = 1, .trips = !r && c->writes });
	if (r || !c->writes)
		return r;
	bool committed = false;
	r = due(c->failing, META_FAILING_COMMIT, &committed);
	if (!committed)
		return r == ERR_CONFLICT ? META_AGAIN : r;
	c->after = r;
	return OK;
}

static int run(struct meta *m, meta_fn *fn, void *arg, void *companion)
{
	struct failing *f = of(m);
	struct call c = { .failing = f, .fn = fn, .arg = arg, .writes = true };
	atomic_store(&f->inner->node, atomic_load(&m->node));
	int r = f->inner->driver->run(f->inner, call_through, &c, companion);
	if (r || !c.after)
		return r;
	return fail_with(c.after, "failing: committed, and reported as failed, as planned");
}

static int read_only(struct meta *m, meta_fn *fn, void *arg)
{
	struct failing *f = of(m);
	struct call c = { .failing = f, .fn = fn, .arg = arg };
	return f->inner->driver->read(f->inner, call_through, &c);
}

static void announce(struct meta *m, int by)
{
	of(m)->inner->driver->announce(of(m)->inner, by);
}

static int verify(struct meta *m, void (*say)(void *ctx, const char *line), void *ctx)
{
	return of(m)->inner->driver->verify(of(m)->inner, say, ctx);
}

static int copy(struct meta *m, const char *to, struct file_copy *c, int64_t *at)
{
	return of(m)->inner->driver->copy(of(m)->inner, to, c, at);
}

static int read_clock(struct meta *m, int64_t *ahead, int64_t *unsure)
{
	const struct meta_driver *inner = of(m)->inner->driver;
	return inner->clock ? inner->clock(of(m)->inner, ahead, unsure) : OK;
}

static void stats(struct meta *m, struct meta_stats *out)
{
	of(m)->inner->driver->stats(of(m)->inner, out);
}

/* --- Statements --- */

static int statement_due(struct meta_txn *t)
{
	bool committed;
	return due(((struct failing_txn *)t)->failing, META_FAILING_STATEMENT, &committed);
}

static struct meta_txn *inner_of(struct meta_txn *t)
{
	return ((struct failing_txn *)t)->inner;
}

static int execute(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, int64_t *changed)
{
	int r = statement_due(t);
	struct failing_txn *f = (struct failing_txn *)t;
	spend(f->failing, (struct meta_failing_cost){ .writes = 1 });
	if (changed)
		go_and_fetch(f);
	return r ? r : inner_of(t)->driver->execute(inner_of(t), stmt, v, n, changed);
}

static int must(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, const struct meta_must *m)
{
	int r = statement_due(t);
	spend(((struct failing_txn *)t)->failing, (struct meta_failing_cost){ .writes = 1 });
	if (!r)
		r = meta_execute_must(inner_of(t), stmt, v, n, m);
	t->missed = inner_of(t)->missed;
	return r;
}

static void expect(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n)
{
	uint64_t key = key_of(stmt, v, n);
	buffer_put(&((struct failing_txn *)t)->expected, &key, sizeof key);
	if (inner_of(t)->driver->expect)
		inner_of(t)->driver->expect(inner_of(t), stmt, v, n);
}

/* A row keeps the inner store's statement with the driver that can read it. */
struct row {
	const struct meta_driver *driver;
	void *stmt;
};

static int query(struct meta_txn *t, enum meta_sql stmt, const struct meta_value *v, size_t n, void **out)
{
	int r = statement_due(t);
	if (r)
		return r;
	count_query((struct failing_txn *)t, stmt, v, n);
	struct row *row = malloc(sizeof *row);
	if (!row)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	row->driver = inner_of(t)->driver;
	r = row->driver->query(inner_of(t), stmt, v, n, &row->stmt);
	if (r)
		free(row);
	else
		*out = row;
	return r;
}

static int next(struct meta_txn *t, void *stmt)
{
	int r = statement_due(t);
	return r ? r : inner_of(t)->driver->next(inner_of(t), ((struct row *)stmt)->stmt);
}

static int64_t column_int(const void *stmt, int column)
{
	const struct row *r = stmt;
	return r->driver->column_int(r->stmt, column);
}

static struct span column_span(const void *stmt, int column)
{
	const struct row *r = stmt;
	return r->driver->column_span(r->stmt, column);
}

static void done(struct meta_txn *t, void *stmt)
{
	struct row *r = stmt;
	r->driver->done(inner_of(t), r->stmt);
	free(r);
}

const struct meta_driver meta_failing = {
	.scheme = "failing",
	.open = open_failing,
	.close = close_failing,
	.run = run,
	.read = read_only,
	.announce = announce,
	.verify = verify,
	.copy = copy,
	.stats = stats,
	.clock = read_clock,
	.execute = execute,
	.must = must,
	.expect = expect,
	.query = query,
	.next = next,
	.column_int = column_int,
	.column_span = column_span,
	.done = done,
};
