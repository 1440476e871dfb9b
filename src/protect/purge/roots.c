/* What must stay. The floor of an account is the change at which its window begins, or an earlier one: the last that every
 * required follower has read, the last that a session lagging behind for less than an hour was told of. Below the floor,
 * what snapshots show is kept, and what sessions that look at the past see, for an hour.
 *
 * The floor is raised first, in a transaction of its own. A session that wants to look below it from then on is refused
 * unless a snapshot shows what it wants; one that came before has a pin by then, which is looked at after. So nothing goes
 * that somebody was let in to see. */
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "past.h"
#include "purge_private.h"
#include "settings.h"
#include "snapshot_private.h"
#include "varint.h"

static void hold_back(struct roots *k, int64_t change, const char *why)
{
	if (change >= k->limit)
		return;
	k->limit = change;
	snprintf(k->limit_why, sizeof k->limit_why, "%s", why);
}

static int read_followers(struct meta_txn *t, struct roots *k)
{
	struct meta_rows r;
	char why[96];
	int e = meta_query(t, &r, META_PURGE_FOLLOWERS, "i", k->account);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		snprintf(why, sizeof why, "follower %.*s",
			SPAN_ARG(span_sub(meta_span(&r, 0), 0, sizeof why - sizeof "follower ")));
		hold_back(k, meta_int(&r, 1), why);
	}
	meta_done(&r);
	return e;
}

static int count_of(struct meta_txn *t, struct meta_rows *r, int64_t *out)
{
	*out = meta_int(r, 0);
	meta_done(r);
	return OK;
}

static int read_busy(struct meta_txn *t, struct roots *k)
{
	struct meta_rows r;
	int64_t n;
	int e = meta_one(t, &r, META_PURGE_CHANGESETS, "i", k->account);
	if (!e)
		e = count_of(t, &r, &n);
	if (!e)
		k->busy = n > 0;
	return e;
}

/* The first version that the session was not told the end of; 0: it was told of all. */
static int first_untold(struct meta_txn *t, const struct roots *k, const struct pin_info *p, int64_t *end)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_FIRST_AFTER, "iii", k->account, p->collection, p->change);
	return e ? e : count_of(t, &r, end);
}

/* A session that lags behind by less than an hour keeps the floor where it stands. */
static int read_lagging(struct meta_txn *t, struct roots *k)
{
	for (size_t i = 0; i < k->n_pins; i++) {
		const struct pin_info *p = &k->pins[i];
		int64_t end, stamp;
		if (p->kind != PIN_SINCE || p->change >= k->window_floor)
			continue;
		int e = first_untold(t, k, p, &end);
		if (!e && end && end <= k->window_floor) {
			e = past_stamp(t, k->account, end, &stamp);
			if (!e && stamp > k->run->now - PIN_AGE_US)
				hold_back(k, p->change, "a session");
		}
		if (e)
			return e;
	}
	return OK;
}

/* Sessions of other nodes that lag behind are not seen here: they have their time in any case (view.c). */
static int64_t window_begins(const struct roots *k)
{
	const struct run *r = k->run;
	int64_t begin = r->as_of - k->window, least = r->now - PIN_AGE_US;
	return r->others && begin > least ? least : begin;
}

static int read_floor(struct meta_txn *t, void *arg)
{
	struct roots *k = arg;
	k->limit = INT64_MAX;
	int e = change_head(t, k->account, &k->head);
	if (!e)
		e = instant_change_at(t, k->account, window_begins(k), k->head.change, &k->window_floor);
	if (!e)
		e = read_followers(t, k);
	if (!e)
		e = read_lagging(t, k);
	if (!e)
		e = read_busy(t, k);
	if (e)
		return e;
	k->floor = k->limit < k->window_floor ? k->limit : k->window_floor;
	if (k->floor < k->head.floor)
		k->floor = k->head.floor;
	return OK;
}

static int raise_floor(struct meta_txn *t, void *arg)
{
	struct roots *k = arg;
	int e = read_busy(t, k);
	return e || k->busy ? e : meta_do(t, META_PURGE_FLOOR, "iii", k->floor, k->account, k->floor);
}

static void add_cover(struct roots *k, int64_t change, const char *why)
{
	struct cover c = { .change = change };
	snprintf(c.why, sizeof c.why, "%s", why);
	buffer_put(&k->cover, &c, sizeof c);
}

static int add_snapshot(void *ctx, const struct snapshot *sn, int64_t change)
{
	struct roots *k = ctx;
	char why[96];
	if (change >= k->floor || (sn->expires && sn->expires <= k->run->as_of))
		return OK;
	snprintf(why, sizeof why, "snapshot %s", sn->name);
	add_cover(k, change, why);
	return OK;
}

static int read_state(struct meta_txn *t, struct roots *k)
{
	struct meta_rows r;
	uint64_t n, change;
	int e = meta_one(t, &r, META_PURGE_STATE, "i", k->account);
	k->done = 0;
	buffer_reset(&k->doubt);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	k->done = meta_int(&r, 0);
	struct span in = meta_span(&r, 1);
	bool sound = varint_get(&in, &n);
	for (; sound && n; n--) {
		sound = varint_get(&in, &change);
		buffer_put(&k->doubt, &(int64_t){ (int64_t)change }, sizeof(int64_t));
	}
	meta_done(&r);
	if (!sound) /* all is looked at again */
		k->done = 0;
	return OK;
}

static bool is_young(const struct roots *k, const struct pin_info *p)
{
	return clock_mono() - p->since < PIN_AGE_US;
}

static int by_change(const void *a, const void *b)
{
	int64_t x = ((const struct cover *)a)->change, y = ((const struct cover *)b)->change;
	return (x > y) - (x < y);
}

static int read_cover(struct meta_txn *t, void *arg)
{
	struct roots *k = arg;
	buffer_reset(&k->cover);
	int e = read_busy(t, k);
	if (!e)
		e = past_snapshots(t, k->account, add_snapshot, k);
	if (!e)
		e = read_state(t, k);
	for (size_t i = 0; !e && i < k->n_pins; i++)
		if (k->pins[i].kind == PIN_AT && k->pins[i].change < k->floor && is_young(k, &k->pins[i]))
			add_cover(k, k->pins[i].change, "a session");
	if (k->cover.n)
		qsort(k->cover.p, k->cover.n / sizeof(struct cover), sizeof(struct cover), by_change);
	return e || (buffer_ok(&k->cover) && buffer_ok(&k->doubt)) ? e : fail_with(ERR_UNAVAILABLE, "no memory");
}

struct lagging {
	struct roots *k;
	bool *lost;
};

static int find_lost(struct meta_txn *t, void *arg)
{
	struct lagging *l = arg;
	struct roots *k = l->k;
	int e = OK;
	for (size_t i = 0; !e && i < k->n_pins; i++) {
		const struct pin_info *p = &k->pins[i];
		int64_t end = 0;
		if (p->change >= k->floor)
			continue;
		if (p->kind == PIN_SINCE && !(e = first_untold(t, k, p, &end)))
			l->lost[i] = end && end <= k->floor;
		else if (p->kind == PIN_AT)
			l->lost[i] = !roots_cover(k, p->change, p->change + 1);
	}
	return e;
}

/* Sessions that have stood there for long enough. */
static int lose_pins(struct roots *k)
{
	struct lagging l = { k, calloc(k->n_pins + 1, sizeof *l.lost) };
	if (!l.lost)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e = purge_read(k->run, find_lost, &l);
	for (size_t i = 0; !e && i < k->n_pins; i++)
		if (l.lost[i])
			pin_lose(k->run->s, k->account, &k->pins[i]);
	free(l.lost);
	return e;
}

static int with_pins(struct roots *k, int (*fn)(struct roots *k))
{
	struct pin_info *pins = NULL;
	int e = pin_list(k->run->s, k->account, &pins, &k->n_pins);
	k->pins = pins;
	if (!e)
		e = fn(k);
	free(pins);
	k->pins = NULL;
	k->n_pins = 0;
	return e;
}

static int find_floor(struct roots *k)
{
	return purge_read(k->run, read_floor, k);
}

static int find_cover(struct roots *k)
{
	int e = purge_read(k->run, read_cover, k);
	return e || k->busy || k->run->q->dry_run ? e : lose_pins(k);
}

static int find_window(struct roots *k)
{
	struct settings set;
	int e = settings_of(k->run->p->o.identity, k->account, &set);
	if (e == ERR_NOT_FOUND) /* nobody's any more: what counts for all */
		e = settings_of(k->run->p->o.identity, 0, &set);
	if (!e)
		k->window = set.retention_window;
	return e;
}

int roots_find(struct roots *k)
{
	int e = find_window(k);
	if (!e)
		e = with_pins(k, find_floor);
	if (e || k->busy)
		return e;
	if (k->floor > k->head.floor && !k->run->q->dry_run)
		e = purge_step(k->run, raise_floor, k);
	return e || k->busy ? e : with_pins(k, find_cover);
}

void roots_free(struct roots *k)
{
	buffer_free(&k->cover);
	buffer_free(&k->doubt);
	buffer_free(&k->losing);
	buffer_free(&k->dying);
	free(k->holds);
}

const struct cover *roots_cover(const struct roots *k, int64_t begin, int64_t end)
{
	const struct cover *c = (const struct cover *)(void *)k->cover.p;
	size_t low = 0, n = k->cover.n / sizeof *c, high = n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (c[mid].change < begin)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && c[low].change < end ? &c[low] : NULL;
}

void roots_hold(struct roots *k, const char *what, uint64_t versions)
{
	for (size_t i = 0; i < k->n_holds; i++)
		if (strcmp(k->holds[i].what, what) == 0) {
			k->holds[i].versions += versions;
			return;
		}
	struct purge_hold *more = realloc(k->holds, (k->n_holds + 1) * sizeof *more);
	if (!more) /* an explanation less */
		return;
	k->holds = more;
	k->holds[k->n_holds] = (struct purge_hold){ .versions = versions };
	snprintf(k->holds[k->n_holds++].what, sizeof k->holds->what, "%s", what);
}

bool roots_need(struct roots *k, int64_t begin, int64_t end)
{
	const struct cover *c = roots_cover(k, begin, end);
	if (end <= k->floor && !c)
		return false;
	if (!k->run->q->dry_run)
		return true;
	if (end > k->window_floor)
		k->kept_by_window++;
	else
		roots_hold(k, end > k->floor ? k->limit_why : c->why, 1);
	return true;
}

/* What an earlier run has kept for somebody who does not see it any more is looked at again. */
int64_t roots_from(const struct roots *k)
{
	const int64_t *was = (const int64_t *)(void *)k->doubt.p;
	int64_t from = k->done;
	for (size_t i = 0; i < k->doubt.n / sizeof *was; i++)
		if (was[i] < from && !roots_cover(k, was[i], was[i] + 1))
			from = was[i];
	return from;
}

static int put_state(struct meta_txn *t, void *arg)
{
	struct roots *k = arg;
	struct buffer b = { 0 };
	const struct cover *c = (const struct cover *)(void *)k->cover.p;
	size_t n = k->cover.n / sizeof *c;
	varint_put(&b, n);
	for (size_t i = 0; i < n; i++)
		varint_put(&b, (uint64_t)c[i].change);
	int e = buffer_ok(&b) ? meta_do(t, META_PURGE_STATE_PUT, "iib", k->account, k->floor, buffer_span(&b))
	                      : fail_with(ERR_UNAVAILABLE, "no memory");
	buffer_free(&b);
	return e;
}

int roots_done(struct roots *k)
{
	return purge_step(k->run, put_state, k);
}
