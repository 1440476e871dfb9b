#include "mariadb_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "mariadb_text.h"
#include "mariadb_txn.h"
#include "metric.h"

enum {
	BACK_OFF_US = 500, /* before the second try; doubled for each further one, and a part of it by chance */
	BACK_OFF_MAX_US = 200 * 1000,
};

/* Answers of a try, beside our codes and META_AGAIN. */
enum { OPEN_END = META_AGAIN + 1, ID_TAKEN };

/* Of a row commit_id. */
enum state { COMMITTED, FENCE };

struct attempt {
	int64_t id, began;
	int64_t account; /* whose node was asked */
	int tries;
	bool used; /* the id was sent to be committed before, and refused */
	enum mariadb_fault fault;
};

/* Ids of a node grow with its clock, so that their rows lie together and purge finds the old ones. A node whose number is not
   known yet takes one by chance among those of node 0. */
static int64_t new_id(struct mariadb_runner *m)
{
	int64_t node = atomic_load(&m->meta->node), now = clock_now(), last = atomic_load(&m->last_id), next;
	if (!node && getrandom(&now, sizeof now, 0) == sizeof now)
		return meta_commit_id(0, now);
	do
		next = now > last ? now : last + 1;
	while (!atomic_compare_exchange_weak(&m->last_id, &last, next));
	return meta_commit_id(node, next);
}

static void back_off(const struct attempt *a)
{
	int64_t us = (int64_t)BACK_OFF_US << (a->tries < 16 ? a->tries : 16);
	uint32_t chance = 0;
	if (getrandom(&chance, sizeof chance, 0) < 0)
		chance = (uint32_t)clock_mono();
	us = us < BACK_OFF_MAX_US ? us : BACK_OFF_MAX_US;
	us = us / 2 + chance % (us / 2 + 1);
	nanosleep(&(struct timespec){ us / 1000000, us % 1000000 * 1000 }, NULL);
}

static bool time_is_up(const struct attempt *a)
{
	return clock_mono() - a->began > MARIADB_RUN_S * SECOND_US;
}

static int given_up(const struct attempt *a, const char *what)
{
	char why[400];
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with(ERR_UNAVAILABLE, "%s (%d tries in %d s): %s", what, a->tries, MARIADB_RUN_S, why);
}

/* --- One try --- */

/* The look at what was committed opens a transaction of its own, which the last ends. */
#define END "INSERT INTO commit_id (id, state, stamp) VALUES (%lld,%d,%lld);RELEASE SAVEPOINT p;COMMIT;" \
	"SELECT state FROM commit_id WHERE id = %lld AND state = %d;ROLLBACK"
enum { END_COMMIT = 2, END_STATEMENTS = 5 };

static void begin(struct mariadb_txn *t, struct mariadb_runner *m, bool writes)
{
	mariadb_txn_init(t, m->pool, m->known, m->metrics, writes);
	meta_txn_init(&t->base, &meta_mariadb);
}

/* What became of a batch that was to end the transaction and was not answered with OK to its end. done: statements of END. */
static int end_of(const struct mariadb_txn *t, int r, size_t done)
{
	if (t->base.missed)
		return r;
	if (t->fault == FAULT_LOST)
		return OPEN_END;
	if (done == 0 && r == ERR_EXISTS && !t->base.failed)
		return ID_TAKEN;
	if (done < END_COMMIT)
		return r == ERR_CONFLICT ? META_AGAIN : r;
	return done == END_COMMIT && t->fault == FAULT_CONFLICT ? META_AGAIN : OPEN_END;
}

/* COMMIT was answered with OK: if there was anything to commit by then, our row of the commit id is there. Where it was a fence and
   the transaction it is for got there first, that one's row is. */
static int look_back(MYSQL_RES *rows)
{
	bool there = mysql_fetch_row(rows) != NULL;
	mysql_free_result(rows);
	if (!there)
		fail_set_detail("mariadb: rolled back for another node's sake");
	return there ? OK : META_AGAIN;
}

static int commit(struct mariadb_txn *t, int64_t id, enum state state)
{
	char sql[240];
	struct mariadb_answer look;
	size_t done;
	bool sent;
	mariadb_txn_forget(t);
	snprintf(sql, sizeof sql, END, (long long)id, state, (long long)clock_now(), (long long)id, state);
	int r = mariadb_txn_send(t, span_of(sql), END_STATEMENTS, &look, &done, &sent);
	if (!sent)
		return r == ERR_CONFLICT ? META_AGAIN : r;
	if (r)
		return end_of(t, r, done);
	t->begun = false;
	return look_back(look.rows);
}

/* Nobody waits for the answer: what was read is right already. */
static void end_reading(struct mariadb_txn *t)
{
	if (t->begun)
		mariadb_send(t->conn, "COMMIT");
	t->begun = false;
}

static int try_once(struct mariadb_runner *m, struct attempt *a, bool writes, meta_fn *fn, void *arg)
{
	struct mariadb_txn t;
	begin(&t, m, writes);
	int r = meta_txn_call(&t.base, fn, arg);
	if (!r && writes && (t.begun || mariadb_txn_wrote(&t))) /* also what found all done already: it may be seen and on no disk yet */
		r = commit(&t, a->id, COMMITTED);
	else if (!r)
		end_reading(&t);
	else if (r != META_AGAIN && t.wrote && !t.base.failed && !mariadb_txn_intact(&t))
		r = META_AGAIN;
	a->account = t.account;
	a->fault = t.fault;
	a->tries++;
	mariadb_txn_free(&t);
	return r;
}

/* --- Where the end is open --- */

static int ask_state(struct mariadb_txn *t, int64_t id, enum state *out)
{
	struct mariadb_answer answer;
	char sql[80];
	size_t done;
	bool sent;
	snprintf(sql, sizeof sql, "SELECT state FROM commit_id WHERE id = %lld", (long long)id);
	int r = mariadb_txn_send(t, span_of(sql), 1, &answer, &done, &sent);
	if (r)
		return r;
	MYSQL_ROW row = mysql_fetch_row(answer.rows);
	if (row)
		*out = *row[0] == '0' ? COMMITTED : FENCE;
	else
		r = fail_with(ERR_CONFLICT, "mariadb: commit id %lld was taken, and is not there", (long long)id);
	mysql_free_result(answer.rows);
	end_reading(t);
	return r;
}

static int read_state(struct mariadb_runner *m, const struct attempt *a, enum state *out)
{
	struct mariadb_txn t;
	begin(&t, m, false);
	t.account = a->account;
	t.named = true;
	int r = ask_state(&t, a->id, out);
	mariadb_txn_free(&t);
	return r;
}

static int put_fence(struct mariadb_runner *m, const struct attempt *a, int64_t id)
{
	struct mariadb_txn t;
	begin(&t, m, true);
	t.account = a->account;
	t.named = true;
	int r = commit(&t, id, FENCE);
	mariadb_txn_free(&t);
	return r;
}

enum end { END_COMMITTED, END_FENCED, END_OPEN }; /* as in metrics.def */

static int count_end(struct mariadb_runner *m, enum end e, int r)
{
	metric_add(m->metrics, METRIC_META_OPEN_ENDS, e, 1);
	return r;
}

/* OK: it was committed. META_AGAIN: it never will be. A commit that is seen may not be on any disk yet, where the node that was to
   answer died: it is behind another's, as a node writes what it commits in order. */
static int close_end(struct mariadb_runner *m, struct attempt *a)
{
	for (struct attempt fence = { .began = clock_mono() }; !time_is_up(&fence); fence.tries++) {
		enum state state = FENCE;
		int r = put_fence(m, a, a->id);
		if (r == ID_TAKEN)
			r = read_state(m, a, &state);
		if (!r && state == COMMITTED)
			r = put_fence(m, a, new_id(m));
		if (!r)
			return count_end(m, state == COMMITTED ? END_COMMITTED : END_FENCED, state == COMMITTED ? OK : META_AGAIN);
		back_off(&fence);
	}
	return count_end(m, END_OPEN, given_up(a, "it is not known whether this was committed"));
}

/* An id that was never sent before is another's (of a node that had no number yet, or whose clock was put back). Else the server
   lied, and what fn has left in its argument is not what was committed. */
static int whose_id(const struct attempt *a)
{
	return a->used ? fail_with(ERR_UNAVAILABLE, "mariadb: the server refused a transaction, and committed it all the same") : META_AGAIN;
}

/* --- All tries --- */

static int run_once(struct mariadb_runner *m, struct attempt *a, meta_fn *fn, void *arg)
{
	int r = try_once(m, a, true, fn, arg);
	bool new = r == OPEN_END || r == ID_TAKEN;
	a->used = a->used || r == META_AGAIN;
	if (r == OPEN_END)
		r = close_end(m, a);
	else if (r == ID_TAKEN)
		r = whose_id(a);
	if (r == META_AGAIN && new) {
		a->id = new_id(m);
		a->used = false;
	}
	return r;
}

int mariadb_run(struct mariadb_runner *m, meta_fn *fn, void *arg)
{
	struct attempt a = { .id = new_id(m), .began = clock_mono() };
	int r;
	while ((r = run_once(m, &a, fn, arg)) == META_AGAIN) {
		metric_add(m->metrics, METRIC_META_RERUNS, a.fault, 1);
		if (time_is_up(&a))
			return given_up(&a, "given up");
		back_off(&a);
	}
	atomic_fetch_add(&m->commits, r == OK);
	return r;
}

int mariadb_read(struct mariadb_runner *m, meta_fn *fn, void *arg)
{
	struct attempt a = { .began = clock_mono() };
	int r;
	while ((r = try_once(m, &a, false, fn, arg)) == META_AGAIN) {
		metric_add(m->metrics, METRIC_META_RERUNS, a.fault, 1);
		if (time_is_up(&a))
			return given_up(&a, "given up");
		back_off(&a);
	}
	return r;
}

void mariadb_runner_init(struct mariadb_runner *m, struct meta *meta, struct mariadb_pool *p, struct metrics *metrics)
{
	m->meta = meta;
	m->pool = p;
	m->metrics = metrics;
	atomic_init(&m->last_id, 0);
	atomic_init(&m->commits, 0);
	for (size_t i = 0; i < META_STATEMENTS; i++)
		m->known[i].account_at = (signed char)mariadb_text_account(meta_sql_text((enum meta_sql)i));
}
