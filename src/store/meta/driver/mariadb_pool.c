#include "mariadb_pool.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <xxhash.h>

#include "clock.h"
#include "fail.h"
#include "metric.h"

enum {
	LOOK_US = 1000 * 1000,     /* between looks at a node */
	LOOK_SICK_US = 250 * 1000, /* that failed */
	LOOK_S = 1,                /* it has this long to answer one */
	LOOKS = 2,                 /* of which so many fail, one after the other, before nobody waits for it any more */
	PAUSE_US = 250 * 1000,     /* for a node that takes no more connections; doubled each time */
	PAUSE_MAX_US = 4000 * 1000,
	MEASURE_US = 60 * 1000 * 1000,
	CLOCK_US = 10 * 1000 * 1000, /* so long a look at a node's clock counts */
};

struct host {
	struct mariadb_pool *pool;
	size_t at;
	pthread_t thread;
	pthread_cond_t wake;
	pthread_cond_t freed; /* for those who wait for a connection to it */
	unsigned waiting;     /* so many */
	bool started, sick, hurry;
	struct mariadb_conn *idle, *lent;
	unsigned open;      /* connections to it, idle and lent, and those being made */
	int64_t pause;      /* it had none left for us: so long we do with those that are open; 0: it takes more */
	int64_t full_until; /* clock_mono() of when one of us may ask it for another */
	char why[256]; /* it is sick, or full */
	int64_t ahead, unsure; /* our clock of its, us */
	int64_t timed;         /* clock_mono() of when; 0: never */
};

struct mariadb_pool {
	const struct mariadb_url *url;
	struct metrics *metrics;
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct host host[MARIADB_HOSTS];
	size_t hosts;
	unsigned open; /* connections to all of them */
	bool stop;
	atomic_uint_fast64_t bytes;
};

/* Another host may be the one to take. */
static void wake_all(struct mariadb_pool *p)
{
	pthread_cond_broadcast(&p->change);
	for (size_t i = 0; i < p->hosts; i++)
		pthread_cond_broadcast(&p->host[i].freed);
}

static void count(struct host *h, int by)
{
	h->open += (unsigned)by;
	h->pool->open += (unsigned)by;
}

static bool is_full(const struct host *h)
{
	return h->pause && clock_mono() < h->full_until;
}

/* One failed to open for that reason. Of many that were tried at the same time the first counts. */
static void note_full(struct host *h, const char *why)
{
	if (!h->pause) {
		h->pause = PAUSE_US;
		h->full_until = clock_mono() + PAUSE_US;
	}
	snprintf(h->why, sizeof h->why, "%s", why);
}

static void note_room(struct host *h)
{
	h->pause = 0;
}

static struct timespec moment(int64_t us)
{
	return (struct timespec){ us / 1000000, us % 1000000 * 1000 };
}

/* --- Looking after a node --- */

/* Without its lock. */
static void close_all(struct mariadb_conn *c)
{
	for (struct mariadb_conn *next; c; c = next) {
		next = c->next;
		mariadb_conn_close(c);
		free(c);
	}
}

static bool is_aged(const struct mariadb_conn *c)
{
	return clock_mono() - c->born > MARIADB_LIFE_S * SECOND_US;
}

/* Takes the idle connections that nobody used since, or that are aged. */
static struct mariadb_conn *take_old(struct host *h, int64_t since)
{
	struct mariadb_conn *old = NULL;
	for (struct mariadb_conn **at = &h->idle; *at;) {
		struct mariadb_conn *c = *at;
		if (c->idle_since > since && !is_aged(c)) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		c->next = old;
		old = c;
		count(h, -1);
	}
	return old;
}

/* The answer is of no interest: that there is one is. */
static bool ask(struct mariadb_conn *c, const char *sql, MYSQL_RES **rows)
{
	struct mariadb_answer a = { 0 };
	size_t done;
	bool good = mariadb_batch(c, span_of(sql), 1, 0, &a, &done);
	if (good && rows)
		*rows = a.rows;
	else
		mysql_free_result(a.rows);
	return good || mariadb_fault(c->error) == FAULT_OTHER;
}

/* Its clock, as of the middle of the way there and back. */
static void note_clock(struct host *h, MYSQL_RES *rows, int64_t sent, int64_t took)
{
	MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
	if (row && row[1]) {
		pthread_mutex_lock(&h->pool->lock);
		h->ahead = sent + took / 2 - strtoll(row[1], NULL, 10);
		h->unsure = took / 2;
		h->timed = clock_mono();
		pthread_mutex_unlock(&h->pool->lock);
	}
	mysql_free_result(rows);
}

static bool look_at(struct host *h, struct mariadb_conn *c)
{
	static const char sql[] = "SELECT value, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) FROM facts"
		" WHERE name = 'schema'";
	static const struct mariadb_patience quick = { LOOK_S, LOOK_S, false };
	if (c->db && is_aged(c))
		mariadb_conn_close(c);
	if (!c->db && mariadb_conn_open(h->pool->url, h->at, &quick, c))
		return false;
	MYSQL_RES *rows = NULL;
	int64_t sent = clock_now(), began = clock_mono();
	if (ask(c, sql, &rows)) {
		note_clock(h, rows, sent, clock_mono() - began);
		return true;
	}
	mariadb_failure(c, "look");
	mariadb_conn_close(c);
	return false;
}

static void measure(struct mariadb_pool *p, struct mariadb_conn *c)
{
	static const char sql[] = "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables"
		" WHERE table_schema = DATABASE()";
	MYSQL_RES *rows = NULL;
	if (!ask(c, sql, &rows) || !rows)
		return;
	MYSQL_ROW row = mysql_fetch_row(rows);
	if (row && row[0])
		atomic_store(&p->bytes, strtoull(row[0], NULL, 10));
	mysql_free_result(rows);
}

/* Who waits for it now would wait for MARIADB_ANSWER_S: a node that answers no look will not answer them. */
static void cut_lent(struct host *h)
{
	for (struct mariadb_conn *c = h->lent; c; c = c->next)
		mariadb_conn_cut(c);
}

/* What a look came to. One that is full is there, and serves the connections that it has. */
static bool note_health(struct host *h, bool healthy, unsigned error, unsigned *failed)
{
	bool full = !healthy && mariadb_is_full(error);
	*failed = healthy || full ? 0 : *failed + 1;
	h->sick = *failed;
	if (full)
		note_full(h, fail_detail());
	else if (!healthy)
		snprintf(h->why, sizeof h->why, "%s", fail_detail());
	if (*failed >= LOOKS && mariadb_fault(error) == FAULT_LOST)
		cut_lent(h);
	wake_all(h->pool);
	return !*failed;
}

static void *look_after(void *arg)
{
	struct host *h = arg;
	struct mariadb_pool *p = h->pool;
	struct mariadb_conn c = { 0 };
	int64_t measured = 0;
	unsigned failed = 0;
	pthread_mutex_lock(&p->lock);
	while (!p->stop) {
		h->hurry = false;
		struct mariadb_conn *old = take_old(h, clock_mono() - MARIADB_IDLE_S * SECOND_US);
		pthread_mutex_unlock(&p->lock);
		close_all(old);
		bool healthy = look_at(h, &c);
		if (healthy && h->at == 0 && (!measured || clock_mono() - measured > MEASURE_US)) {
			measure(p, &c);
			measured = clock_mono();
		}
		pthread_mutex_lock(&p->lock);
		healthy = note_health(h, healthy, c.error, &failed);
		struct timespec until = moment(clock_mono() + (healthy ? LOOK_US : LOOK_SICK_US));
		while (!p->stop && !h->hurry && pthread_cond_timedwait(&h->wake, &p->lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&p->lock);
	mariadb_conn_close(&c);
	return NULL;
}

/* --- Lending --- */

static uint64_t weight(const struct mariadb_pool *p, size_t host, int64_t account)
{
	const struct mariadb_address *a = &p->url->address[host];
	return XXH3_64bits_withSeed(a->host, strlen(a->host), (uint64_t)account * 0x9e3779b97f4a7c15u + a->port);
}

/* The healthy one that the account likes best: whatever the order in which nodes name the hosts, and when one falls out, or has
   no connection for us, only its accounts move. NULL: none is. */
static struct host *choose(struct mariadb_pool *p, int64_t account)
{
	struct host *best = NULL;
	uint64_t most = 0;
	for (size_t i = 0; i < p->hosts; i++) {
		uint64_t w = weight(p, i, account);
		bool serves = !p->host[i].sick && (p->host[i].open || !is_full(&p->host[i]));
		if (serves && (!best || w > most)) {
			best = &p->host[i];
			most = w;
		}
	}
	return best;
}

static struct mariadb_conn *take_idle(struct host *h, bool writes)
{
	struct mariadb_conn **at = &h->idle;
	for (struct mariadb_conn **other = at; *other; other = &(*other)->next)
		if ((*other)->writes == writes) {
			at = other;
			break;
		}
	struct mariadb_conn *c = *at;
	if (c)
		*at = c->next;
	return c;
}

/* Makes room for one more connection: the pool's own, or that of an idle one to another node (*spare, to be closed). Of a node
   that was full one asks, and the others do with what there is. */
static bool make_room(struct mariadb_pool *p, struct host *h, struct mariadb_conn **spare)
{
	*spare = NULL;
	if (is_full(h))
		return false;
	for (size_t i = 0; p->open >= p->url->connections && i < p->hosts && !*spare; i++)
		if ((*spare = take_idle(&p->host[i], true))) {
			(*spare)->next = NULL;
			count(&p->host[i], -1);
		}
	if (p->open >= p->url->connections)
		return false;
	if (h->pause) {
		h->full_until = clock_mono() + h->pause;
		h->pause = h->pause < PAUSE_MAX_US / 2 ? h->pause * 2 : PAUSE_MAX_US;
	}
	count(h, 1);
	return true;
}

static void lend(struct host *h, struct mariadb_conn *c)
{
	c->next = h->lent;
	h->lent = c;
}

static void take_back(struct host *h, struct mariadb_conn *c)
{
	struct mariadb_conn **at = &h->lent;
	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
}

static void fell_out(struct host *h, const char *why)
{
	h->sick = h->hurry = true;
	snprintf(h->why, sizeof h->why, "%s", why);
	pthread_cond_signal(&h->wake);
}

static void no_connection(struct host *h, unsigned error)
{
	count(h, -1);
	if (mariadb_is_full(error))
		note_full(h, fail_detail());
	else
		fell_out(h, fail_detail());
	wake_all(h->pool);
}

/* A new connection, lent; room for it is made. Without the lock. */
static struct mariadb_conn *open_one(struct mariadb_pool *p, struct host *h)
{
	static const struct mariadb_patience usual = { MARIADB_CONNECT_S, MARIADB_ANSWER_S, true };
	struct mariadb_conn *c = calloc(1, sizeof *c), none = { 0 };
	bool good = c && !mariadb_conn_open(p->url, h->at, &usual, c);
	pthread_mutex_lock(&p->lock);
	if (good) {
		note_room(h);
		lend(h, c);
	} else {
		no_connection(h, (c ? c : &none)->error);
	}
	pthread_mutex_unlock(&p->lock);
	if (!good)
		free(c);
	return good ? c : NULL;
}

/* True when something changed before the time was up: for who waits for that host, or (NULL) for any. */
static bool wait_for_change(struct mariadb_pool *p, struct host *h, int64_t until)
{
	struct timespec t = moment(until);
	if (!h)
		return pthread_cond_timedwait(&p->change, &p->lock, &t) != ETIMEDOUT;
	h->waiting++;
	bool changed = pthread_cond_timedwait(&h->freed, &p->lock, &t) != ETIMEDOUT;
	h->waiting--;
	return changed;
}

/* A connection is idle again: best for one who waits for the same host, as another would have to close it first. */
static void wake_one(struct mariadb_pool *p, struct host *h)
{
	for (size_t i = 0; i < p->hosts && !h->waiting; i++)
		h = &p->host[i];
	pthread_cond_signal(&h->freed);
}

static int none_left(const struct mariadb_pool *p, const struct host *h)
{
	if (h && h->pause)
		return fail_with(ERR_UNAVAILABLE, "no connection was free for %d s: %s", MARIADB_WAIT_S, h->why);
	if (h)
		return fail_with(ERR_UNAVAILABLE, "mariadb: all %u connections were busy for %d s (connections= in meta.url)",
			p->url->connections, MARIADB_WAIT_S);
	return fail_with(ERR_UNAVAILABLE, "mariadb: no database node answers: %s", p->host[0].why);
}

/* When the first that is full may be asked again, if that is before `until`. */
static int64_t next_try(const struct mariadb_pool *p, int64_t until)
{
	for (size_t i = 0; i < p->hosts; i++)
		if (is_full(&p->host[i]) && p->host[i].full_until < until)
			until = p->host[i].full_until;
	return until;
}

/* Under the lock: an idle connection, lent, or the host for a new one. */
static int find(struct mariadb_pool *p, int64_t account, bool writes, int64_t until, struct mariadb_conn **out,
	struct mariadb_conn **spare, struct host **host)
{
	for (;;) {
		struct host *h = *host = choose(p, account);
		if (h && (*out = take_idle(h, writes))) {
			lend(h, *out);
			return OK;
		}
		if (h && make_room(p, h, spare))
			return OK;
		if (!wait_for_change(p, h, next_try(p, until)) && clock_mono() >= until)
			return none_left(p, h);
	}
}

static int take_once(struct mariadb_pool *p, int64_t account, bool writes, int64_t until, struct mariadb_conn **out)
{
	struct mariadb_conn *c = NULL, *spare = NULL;
	struct host *h = NULL;
	pthread_mutex_lock(&p->lock);
	int r = find(p, account, writes, until, &c, &spare, &h);
	pthread_mutex_unlock(&p->lock);
	close_all(spare);
	if (r)
		return r;
	if (!c)
		c = open_one(p, h);
	if (c && !mariadb_settle(c))
		mariadb_pool_give(p, &c, FAULT_LOST);
	*out = c;
	return OK;
}

int mariadb_pool_take(struct mariadb_pool *p, int64_t account, bool writes, struct mariadb_conn **out)
{
	struct mariadb_conn *c = NULL;
	int64_t began = clock_mono(), until = began + MARIADB_WAIT_S * SECOND_US;
	int r = OK;
	while (!r && !c)
		r = take_once(p, account, writes, until, &c);
	metric_observe(p->metrics, METRIC_META_WAIT_SECONDS, 0, clock_mono() - began);
	if (!r)
		*out = c;
	return r;
}

void mariadb_pool_give(struct mariadb_pool *p, struct mariadb_conn **pc, enum mariadb_fault fault)
{
	struct mariadb_conn *c = *pc, *lost = NULL;
	*pc = NULL;
	if (!c)
		return;
	struct host *h = &p->host[c->host];
	bool bad = fault == FAULT_LOST || fault == FAULT_NOT_READY;
	pthread_mutex_lock(&p->lock);
	take_back(h, c);
	c->idle_since = clock_mono();
	c->next = h->idle;
	h->idle = c;
	if (bad) { /* the others to this node will not be better */
		lost = take_old(h, c->idle_since);
		fell_out(h, fail_detail());
	}
	if (bad)
		wake_all(p);
	else
		wake_one(p, h);
	pthread_mutex_unlock(&p->lock);
	close_all(lost);
}

uint64_t mariadb_pool_bytes(const struct mariadb_pool *p)
{
	return atomic_load(&p->bytes);
}

/* --- Start and stop --- */

static void init_cond(pthread_cond_t *c)
{
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(c, &a);
	pthread_condattr_destroy(&a);
}

static int start_looking(struct mariadb_pool *p)
{
	for (size_t i = 0; i < p->hosts; i++) {
		if (pthread_create(&p->host[i].thread, NULL, look_after, &p->host[i]))
			return fail_with(ERR_UNAVAILABLE, "no thread to look after database nodes");
		p->host[i].started = true;
	}
	return OK;
}

int mariadb_pool_start(const struct mariadb_url *u, struct metrics *metrics, struct mariadb_pool **out)
{
	struct mariadb_pool *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	p->url = u;
	p->metrics = metrics;
	p->hosts = u->hosts;
	pthread_mutex_init(&p->lock, NULL);
	init_cond(&p->change);
	for (size_t i = 0; i < p->hosts; i++) {
		p->host[i].pool = p;
		p->host[i].at = i;
		init_cond(&p->host[i].wake);
		init_cond(&p->host[i].freed);
	}
	int r = start_looking(p);
	if (r)
		mariadb_pool_stop(&p);
	else
		*out = p;
	return r;
}

void mariadb_pool_stop(struct mariadb_pool **pp)
{
	struct mariadb_pool *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	for (size_t i = 0; i < p->hosts; i++)
		pthread_cond_signal(&p->host[i].wake);
	pthread_mutex_unlock(&p->lock);
	for (size_t i = 0; i < p->hosts; i++)
		if (p->host[i].started)
			pthread_join(p->host[i].thread, NULL);
	for (size_t i = 0; i < p->hosts; i++) { /* now that none wakes another's */
		struct mariadb_conn *rest = take_old(&p->host[i], INT64_MAX);
		close_all(rest);
		pthread_cond_destroy(&p->host[i].wake);
		pthread_cond_destroy(&p->host[i].freed);
	}
	assert(p->open == 0); /* else one was not given back */
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static int by_ahead(const void *a, const void *b)
{
	int64_t x = (*(const struct host *const *)a)->ahead, y = (*(const struct host *const *)b)->ahead;
	return (x > y) - (x < y);
}

/* The middle one; of two the one that is nearer to our clock. */
static const struct host *middle(const struct host **h, size_t n)
{
	const struct host *low = h[(n - 1) / 2], *high = h[n / 2];
	return llabs(low->ahead) < llabs(high->ahead) ? low : high;
}

static size_t known_clocks(const struct mariadb_pool *p, const struct host *known[MARIADB_HOSTS])
{
	size_t n = 0;
	for (size_t i = 0; i < p->hosts; i++)
		if (p->host[i].timed && clock_mono() - p->host[i].timed < CLOCK_US)
			known[n++] = &p->host[i];
	qsort(known, n, sizeof *known, by_ahead);
	return n;
}

bool mariadb_pool_clock(struct mariadb_pool *p, int64_t *ahead, int64_t *unsure)
{
	const struct host *known[MARIADB_HOSTS];
	struct timespec until = moment(clock_mono() + LOOK_S * SECOND_US);
	size_t n;
	pthread_mutex_lock(&p->lock);
	while (!(n = known_clocks(p, known)) && !p->stop && pthread_cond_timedwait(&p->change, &p->lock, &until) != ETIMEDOUT)
		;
	if (n) {
		*ahead = middle(known, n)->ahead;
		*unsure = middle(known, n)->unsure;
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}
