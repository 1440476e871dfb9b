#include <stdlib.h>

#include "context_private.h"
#include "entries.h"
#include "fail.h"
#include "imap_update.h"
#include "sort_entry.h"

/* ---- What was expunged */

/* Those of the result, with the numbers they had. */
static size_t find_expunged(struct command *c, const struct context *x, const struct view_delta *d, struct leaving *out)
{
	bool uids = x->uid || c->session->uidonly;
	size_t n = 0;
	for (size_t i = 0; i < d->n_expunged; i++)
		if (imap_set_contains(&x->set, d->expunged[i].uid))
			out[n++] = (struct leaving){ d->expunged[i].uid, uids ? d->expunged[i].uid : d->expunged[i].number + (uint32_t)i };
	return n;
}

static void tell_expunged(struct command *c, struct context *x, const struct view_delta *d)
{
	struct buffer text = { 0 }, none = { 0 };
	struct leaving *v = malloc((d->n_expunged + 1) * sizeof *v);
	bool ok = v && context_remove(x, v, find_expunged(c, x, d, v), &text) && buffer_ok(&text);
	if (ok)
		context_put(c, x, &text, &none);
	else
		context_drop(c, x, "There is no memory");
	buffer_free(&text);
	free(v);
}

/* ---- What is to be asked */

static bool add_pending(struct contexts *k, struct imap_range r)
{
	struct imap_set *p = &k->pending;
	if (r.first > r.last || r.last == 0)
		return true;
	if ((p->n & (p->n + 1)) == 0) { /* room for 2^k - 1 is used up */
		void *more = realloc(p->ranges, (2 * p->n + 1) * sizeof *p->ranges);
		if (!more)
			return false;
		p->ranges = more;
	}
	p->ranges[p->n++] = r;
	return true;
}

static bool has_last(const struct contexts *k)
{
	for (const struct context *x = k->first; x; x = x->next)
		if (x->last)
			return true;
	return false;
}

/* "*" was the last message that was known, and is the last that is there: no other matched by that, or does. */
static bool note(struct contexts *k, const struct view *v, const struct view_delta *d)
{
	uint32_t last = view_last_uid(v);
	bool ok = true, moved = has_last(k) && last != k->known;
	for (size_t i = 0; i < d->n_changed && ok; i++)
		ok = add_pending(k, (struct imap_range){ d->changed[i], d->changed[i] });
	if (ok && moved)
		ok = add_pending(k, (struct imap_range){ k->known, k->known }) && add_pending(k, (struct imap_range){ last, last });
	if (ok && last > k->known)
		ok = add_pending(k, (struct imap_range){ k->known + 1, last });
	k->known = moved || last > k->known ? last : k->known;
	imap_set_resolve(&k->pending, UINT32_MAX);
	return ok;
}

/* Asking for more than changed is right, too. */
static void bound_pending(struct imap_set *p)
{
	if (p->n <= CONTEXT_PENDING_RANGES)
		return;
	p->ranges[0].last = p->ranges[p->n - 1].last;
	p->n = 1;
	void *less = realloc(p->ranges, sizeof *p->ranges);
	p->ranges = less ? less : p->ranges;
}

void context_note(struct command *c, const struct view_delta *d)
{
	struct imap_session *s = c->session;
	for (struct context *x = s->contexts ? s->contexts->first : NULL, *next; x && d->n_expunged; x = next) {
		next = x->next;
		tell_expunged(c, x, d);
	}
	if (!s->contexts)
		return;
	bool ok = note(s->contexts, s->view, d);
	bound_pending(&s->contexts->pending);
	while (!ok && s->contexts)
		context_drop(c, s->contexts->first, "There is no memory");
}

bool context_pending(const struct imap_session *s)
{
	return s->contexts && s->contexts->pending.n;
}

/* ---- Asking */

struct asking {
	struct context *of;
	enum { ASK_BEGIN, ASK_SEARCH, ASK_PLACES } stage;
	struct arena memory; /* of the query */
	struct imap_search_query query;
	struct imap_sort by;
	struct search_run run;
	struct buffer come, gone;     /* uint32_t, struct leaving: in the result now, and no more */
	struct buffer removed, added; /* what is told of it */
	/* Where those that come belong in a sorted one. */
	size_t i; /* of come: up to here they are in */
	struct imap_update_writer places;
	struct sort_scratch scratch;
	struct buffer key, other;
	struct arena entry;
};

static void forget(struct asking *a)
{
	search_end(&a->run);
	arena_free(&a->memory);
	arena_free(&a->entry);
	buffer_free(&a->come);
	buffer_free(&a->gone);
	buffer_free(&a->removed);
	buffer_free(&a->added);
	buffer_free(&a->key);
	buffer_free(&a->other);
	sort_scratch_free(&a->scratch);
}

void context_rest(struct imap_session *s)
{
	if (!s->contexts || !s->contexts->asking)
		return;
	forget(s->contexts->asking);
	free(s->contexts->asking);
	s->contexts->asking = NULL;
}

static int begin(struct command *c, struct asking *a)
{
	struct imap_args text = a->of->text;
	a->memory.limit = COMMAND_MEMORY_MAX; /* as when it was asked first */
	text.arena = &a->memory;
	if (!(a->of->sorted ? imap_sort_parse(&text, &a->by, &a->query) : imap_search_parse(&text, &a->query)))
		return fail_with(ERR_LIMIT, "the search is too large");
	a->run.arena = &a->memory;
	a->run.among = &c->session->contexts->pending;
	a->places.set.b = &a->added;
	int rc = search_ready(c, &a->query, &a->run);
	a->run.spoke = INT64_MAX; /* nobody waits to hear how far it is */
	return rc;
}

/* The number of the first message from that UID on; behind the last one, if there is none. */
static uint32_t number_from(const struct view *v, uint32_t uid)
{
	uint32_t low = 1, high = view_count(v) + 1;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		if (view_uid(v, mid) < uid)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void compare_one(struct command *c, struct asking *a, uint32_t uid, bool matches)
{
	bool did = imap_set_contains(&a->of->set, uid);
	if (matches && !did)
		buffer_put(&a->come, &uid, sizeof uid);
	if (matches || !did)
		return;
	struct leaving l = { uid, context_number(c, a->of, uid) };
	buffer_put(&a->gone, &l, sizeof l);
}

/* What was asked, against the result as it was. */
static void compare(struct command *c, struct asking *a)
{
	const struct imap_set *asked = &c->session->contexts->pending;
	const struct view *v = c->session->view;
	const struct found *f = (const void *)a->run.found.p;
	size_t n = a->run.found.n / sizeof *f;
	for (size_t i = 0; i < asked->n; i++)
		for (uint32_t k = number_from(v, asked->ranges[i].first); k <= view_count(v) && view_uid(v, k) <= asked->ranges[i].last; k++) {
			bool matches = n && f->uid == view_uid(v, k);
			compare_one(c, a, view_uid(v, k), matches);
			f += matches;
			n -= matches;
		}
}

static int take_out(struct command *c, struct asking *a)
{
	compare(c, a);
	bool ok = buffer_ok(&a->come) && buffer_ok(&a->gone);
	if (ok && a->gone.n)
		ok = context_remove(a->of, (const void *)a->gone.p, a->gone.n / sizeof(struct leaving), &a->removed);
	return ok ? OK : fail_with(ERR_LIMIT, "no memory");
}

/* ---- Places */

/* What cannot be read any more has an empty key. */
static int read_key(struct command *c, struct asking *a, uint32_t uid, struct buffer *out)
{
	struct imap_range range = { uid, uid };
	struct imap_set one = { &range, 1 };
	struct entry *e;
	size_t n;
	arena_reset(&a->entry);
	buffer_reset(out);
	int rc = view_read_set(c->session->view, &one, 0, 1, sort_entry_depth(&a->by), &a->entry, &e, &n);
	if (!rc && n)
		sort_entry_key(&a->by, e, &a->scratch, out);
	return !rc && !buffer_ok(out) ? fail_with(ERR_LIMIT, "no memory") : rc;
}

static int compare_keys(const struct buffer *x, const struct buffer *y)
{
	size_t n = x->n < y->n ? x->n : y->n;
	int order = n ? memcmp(x->p, y->p, n) : 0;
	return order ? order : (x->n > y->n) - (x->n < y->n);
}

/* Where all is the same, as they are numbered. */
static int place_of(struct command *c, struct asking *a, uint32_t uid, size_t *at)
{
	const struct context *x = a->of;
	size_t low = 0, high = x->n;
	int rc = read_key(c, a, uid, &a->key);
	while (!rc && low < high) {
		size_t mid = low + (high - low) / 2;
		rc = read_key(c, a, x->order[mid], &a->other);
		int order = compare_keys(&a->other, &a->key);
		if (order < 0 || (order == 0 && x->order[mid] < uid))
			low = mid + 1;
		else
			high = mid;
	}
	*at = low;
	return rc;
}

static int put_in(struct command *c, struct asking *a)
{
	const uint32_t *come = (const void *)a->come.p;
	for (; a->i < a->come.n / sizeof *come; a->i++) {
		size_t at = 0;
		if (command_should_yield(c))
			return CONTEXT_MORE;
		int rc = a->of->sorted ? place_of(c, a, come[a->i], &at) : OK;
		if (rc)
			return rc;
		if (a->of->sorted && !context_insert(a->of, at, come[a->i]))
			return fail_with(ERR_LIMIT, "no memory");
		imap_update_add(&a->places, a->of->sorted ? (uint32_t)at + 1 : 0, context_number(c, a->of, come[a->i]));
	}
	return OK;
}

/* ---- One context after the other */

/* Says what was done, be it not all. */
static int finish(struct command *c, struct asking *a, int rc)
{
	imap_update_finish(&a->places);
	bool ok = buffer_ok(&a->removed) && buffer_ok(&a->added) && context_add(a->of, (const void *)a->come.p, a->i);
	if (ok)
		context_put(c, a->of, &a->removed, &a->added);
	return ok ? rc : fail_with(ERR_LIMIT, "no memory");
}

static int ask(struct command *c, struct asking *a)
{
	int rc = OK;
	if (a->stage == ASK_BEGIN)
		rc = begin(c, a);
	if (!rc && a->stage <= ASK_SEARCH) {
		a->stage = ASK_SEARCH;
		rc = search_go_on(c, &a->run);
		if (!rc)
			rc = take_out(c, a);
		if (rc)
			return rc;
		a->stage = ASK_PLACES;
	}
	if (!rc)
		rc = put_in(c, a);
	return rc == CONTEXT_MORE || a->stage != ASK_PLACES ? rc : finish(c, a, rc);
}

/* Goes on with the next one. ERR_LIMIT would be met again and again: that context ends. */
static int ask_and_end(struct command *c, struct asking *a)
{
	struct context *x = a->of, *next = x->next;
	int rc = ask(c, a);
	if (rc && rc != ERR_LIMIT)
		return rc;
	forget(a);
	*a = (struct asking){ .of = next };
	if (!rc)
		context_bound(c, x);
	else
		context_drop(c, x, "The search is too large to be asked again");
	return OK;
}

static int ask_all(struct command *c, struct asking *a)
{
	int rc = OK;
	while (!rc && a->of)
		rc = ask_and_end(c, a);
	return rc;
}

int context_tell(struct command *c)
{
	struct imap_session *s = c->session;
	struct contexts *k = s->contexts;
	if (!context_pending(s))
		return OK;
	if (!k->asking) {
		k->asking = calloc(1, sizeof *k->asking);
		if (!k->asking)
			return fail_with(ERR_UNAVAILABLE, "no memory");
		k->asking->of = k->first;
	}
	int rc = ask_all(c, k->asking);
	if (rc == CONTEXT_MORE)
		return rc;
	context_rest(s);
	if (!rc) {
		free(k->pending.ranges);
		k->pending = (struct imap_set){ 0 };
	}
	if (!k->first)
		contexts_free(s);
	return rc;
}
