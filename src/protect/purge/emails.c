/* Emails that lost a version: those that no version of their account shows any more go, with their use of the body.
 *
 * The account's versions are read through, first live, then past. A version that moves meanwhile moves from live to past, so
 * it is met; and a new one can only show an email that an older one shows. So an email that was not met is never met again:
 * nobody but purge removes from past, and it is here. */
#include <stdlib.h>

#include "purge_private.h"

struct doomed {
	int64_t id;
	bool shown;
};

struct search {
	struct roots *k;
	struct doomed *list; /* by id */
	size_t n;
	int64_t after;
	/* reading through */
	int64_t from, collection, viewer, uid, end;
	size_t got;
	/* removing */
	size_t first, last;
	uint64_t bytes, emails, condemned;
};

static void show(struct search *s, int64_t email)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = (low + high) / 2;
		if (s->list[mid].id < email)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->n && s->list[low].id == email)
		s->list[low].shown = true;
}

static int read_doomed(struct meta_txn *t, void *arg)
{
	struct search *s = arg;
	struct meta_rows r;
	s->n = 0;
	int e = meta_query(t, &r, META_PURGE_DOOMED, "iiii", (int64_t)DOOM_EMAIL, s->k->account, s->after, (int64_t)PURGE_EMAILS);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		s->list[s->n++] = (struct doomed){ .id = meta_int(&r, 0) };
	meta_done(&r);
	return e;
}

static int next_collection(struct meta_txn *t, struct search *s, enum meta_sql stmt)
{
	struct meta_rows r;
	int e = meta_one(t, &r, stmt, "ii", s->k->account, s->from);
	if (e)
		return e;
	s->collection = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int next_live(struct meta_txn *t, void *arg)
{
	return next_collection(t, arg, META_PURGE_NEXT_LIVE);
}

static int next_past(struct meta_txn *t, void *arg)
{
	return next_collection(t, arg, META_PURGE_NEXT_PAST);
}

/* A dry run leaves everything there: what would have gone shows nothing. */
static bool stays(const struct roots *k, int64_t begin, int64_t end)
{
	return !k->run->q->dry_run || end > k->floor || roots_cover(k, begin, end);
}

static int look_live(struct meta_txn *t, void *arg)
{
	struct search *s = arg;
	struct meta_rows r;
	int64_t viewer = s->viewer, uid = s->uid;
	size_t got = 0;
	int e = meta_query(t, &r, META_PURGE_LIVE_EMAILS, "iiiiii", s->k->account, s->collection, viewer, viewer, uid,
	                   (int64_t)PURGE_READ);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; got++) {
		viewer = meta_int(&r, 0);
		uid = meta_int(&r, 1);
		show(s, meta_int(&r, 2));
	}
	meta_done(&r);
	if (!e) {
		s->viewer = viewer;
		s->uid = uid;
		s->got = got;
	}
	return e;
}

static int look_past(struct meta_txn *t, void *arg)
{
	struct search *s = arg;
	struct meta_rows r;
	int64_t end = s->end, viewer = s->viewer, uid = s->uid;
	size_t got = 0;
	int e = meta_query(t, &r, META_PURGE_PAST, "iiiiiiiii", s->k->account, s->collection, end, end, viewer, viewer, uid,
	                   INT64_MAX, (int64_t)PURGE_READ);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; got++) {
		end = meta_int(&r, 0);
		viewer = meta_int(&r, 1);
		uid = meta_int(&r, 2);
		if (stays(s->k, meta_int(&r, 3), end))
			show(s, meta_int(&r, 4));
	}
	meta_done(&r);
	if (!e) {
		s->end = end;
		s->viewer = viewer;
		s->uid = uid;
		s->got = got;
	}
	return e;
}

static int look_through(struct search *s, meta_fn *next, meta_fn *look)
{
	for (s->from = 0;; s->from = s->collection) {
		int e = purge_read(s->k->run, next, s);
		if (e || !s->collection)
			return e;
		s->end = s->uid = 0;
		s->viewer = -1;
		if (purge_dying(s->k, s->collection))
			continue;
		do
			e = purge_read(s->k->run, look, s);
		while (!e && s->got == PURGE_READ);
		if (e)
			return e;
	}
}

/* The body's row is locked before its uses are counted: who links to a body writes its row too (message.c), so that whichever of
   the two comes second sees the other, or is refused on another database node. */
static int release_body(struct meta_txn *t, struct search *s, int64_t body)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_BLOB_LOCK, "i", body);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	bool linked = meta_int(&r, 0) == 0;
	meta_done(&r);
	e = meta_one(t, &r, META_PURGE_USES, "i", body);
	if (e)
		return e;
	int64_t uses = meta_int(&r, 0);
	meta_done(&r);
	if (uses)
		return OK;
	s->condemned += linked;
	e = linked ? meta_do(t, META_PURGE_CONDEMN, "ii", s->k->run->now, body) : OK;
	return e ? e : purge_doom(t, DOOM_BODY, 0, body, s->k->run->now);
}

static int drop_email(struct meta_txn *t, struct search *s, int64_t email)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_PURGE_EMAIL, "ii", email, s->k->account);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	int64_t body = meta_int(&r, 0), size = meta_int(&r, 1);
	meta_done(&r);
	e = meta_do(t, META_PURGE_EMAIL_DROP, "i", email);
	if (!e)
		e = meta_do(t, META_PURGE_USE_DROP, "ii", body, email);
	s->emails++;
	s->bytes += (uint64_t)size;
	return e ? e : release_body(t, s, body);
}

static int drop_some(struct meta_txn *t, void *arg)
{
	struct search *s = arg;
	int e = OK;
	s->emails = s->bytes = s->condemned = 0;
	for (size_t i = s->first; !e && i < s->last; i++) {
		e = s->list[i].shown ? OK : drop_email(t, s, s->list[i].id);
		if (!e)
			e = purge_spare(t, DOOM_EMAIL, s->k->account, s->list[i].id);
	}
	return e;
}

static int drop_all(struct search *s)
{
	struct purge_counts *c = &s->k->counts;
	for (s->first = 0; s->first < s->n; s->first = s->last) {
		s->last = s->n - s->first < PURGE_ROWS / 2 ? s->n : s->first + PURGE_ROWS / 2;
		int e = purge_step(s->k->run, drop_some, s);
		if (e)
			return e;
		c->emails += s->emails;
		c->bytes += s->bytes;
		c->condemned += s->condemned;
	}
	return OK;
}

int purge_emails(struct roots *k)
{
	struct search s = { .k = k, .list = malloc(PURGE_EMAILS * sizeof *s.list) };
	if (!s.list)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e;
	do {
		e = purge_read(k->run, read_doomed, &s);
		if (e || !s.n)
			break;
		s.after = s.list[s.n - 1].id;
		e = look_through(&s, next_live, look_live);
		if (!e)
			e = look_through(&s, next_past, look_past);
		if (!e)
			e = drop_all(&s);
	} while (!e && s.n == PURGE_EMAILS);
	free(s.list);
	return e;
}

static int by_email(const void *a, const void *b)
{
	int64_t x = ((const struct doomed *)a)->id, y = ((const struct doomed *)b)->id;
	return (x > y) - (x < y);
}

static int count_lost(struct meta_txn *t, void *arg)
{
	struct search *s = arg;
	struct meta_rows r;
	s->emails = s->bytes = 0;
	for (size_t i = s->first; i < s->last; i++) {
		if (s->list[i].shown || !s->list[i].id || (i && s->list[i].id == s->list[i - 1].id))
			continue;
		int e = meta_one(t, &r, META_PURGE_EMAIL, "ii", s->list[i].id, s->k->account);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (e)
			continue;
		s->emails++;
		s->bytes += (uint64_t)meta_int(&r, 1);
		meta_done(&r);
	}
	return OK;
}

/* Several of one id stand behind each other: the first of them is the one that is found. */
static int count_all(struct search *s)
{
	int e = look_through(s, next_live, look_live);
	if (!e)
		e = look_through(s, next_past, look_past);
	for (size_t i = 1; i < s->n; i++)
		if (s->list[i].id == s->list[i - 1].id)
			s->list[i].shown = s->list[i - 1].shown;
	for (s->first = 0; !e && s->first < s->n; s->first = s->last) {
		s->last = s->n - s->first < PURGE_READ ? s->n : s->first + PURGE_READ;
		e = purge_read(s->k->run, count_lost, s);
		s->k->counts.emails += s->emails;
		s->k->counts.bytes += s->bytes;
	}
	return e;
}

int purge_emails_count(struct roots *k)
{
	const int64_t *id = (const int64_t *)(void *)k->losing.p;
	struct search s = { .k = k, .n = k->losing.n / sizeof *id };
	if (!buffer_ok(&k->losing) || !buffer_ok(&k->dying) || !(s.list = malloc((s.n + 1) * sizeof *s.list)))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < s.n; i++)
		s.list[i] = (struct doomed){ .id = id[i] };
	qsort(s.list, s.n, sizeof *s.list, by_email);
	int e = s.n ? count_all(&s) : OK;
	free(s.list);
	return e;
}
