/* What became different since a change that a client remembers.
 *
 * Flags: a change of an entry keeps its old version in the past, so the past from that change on names the entries. New
 * messages: UIDs are handed out in the order of changes, so they are all that follow the first new one. Expunges: the
 * versions in the past that were their entry's last.
 *
 * Where the past does not reach back (the purge floor) or holds more than is worth reading, the answer is coarse: any
 * message may have changed, and every UID that is not there is gone. */
#include <stdlib.h>

#include "fail.h"
#include "service_private.h"
#include "view_private.h"

enum { RESYNC_VERSIONS_MAX = 20000 }; /* that are read one by one, in one short transaction */

struct resync {
	struct view *v;
	int64_t since;
	bool known;                /* the past tells it all */
	struct buffer flagged, gone; /* uint32_t each */
	uint32_t new_from;         /* UIDs of the view from here on came later; 0: none */
};

static int read_floor(struct meta_txn *t, struct resync *q)
{
	struct head head;
	int e = change_head(t, q->v->account, &head);
	q->known = !e && q->since >= head.floor;
	return e;
}

static int read_versions(struct meta_txn *t, struct resync *q)
{
	struct meta_rows r;
	int e = meta_query(t, &r, META_PAST_SINCE_SOME, "iiii", q->v->account, q->v->info.folder.id, q->since,
	                   (int64_t)RESYNC_VERSIONS_MAX + 1);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&r, 0);
		buffer_put(meta_int(&r, 1) ? &q->gone : &q->flagged, &uid, sizeof uid);
	}
	meta_done(&r);
	q->known = (q->gone.n + q->flagged.n) / sizeof(uint32_t) <= RESYNC_VERSIONS_MAX;
	return e;
}

/* Did all that lives from this UID on come after the change? */
static int is_new(struct meta_txn *t, const struct resync *q, uint32_t uid, bool *out)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_FIRST_AFTER, "iii", q->v->account, q->v->info.folder.id, (int64_t)uid);
	*out = true;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*out = meta_int(&r, 1) > q->since;
	meta_done(&r);
	return OK;
}

static int find_new(struct meta_txn *t, struct resync *q)
{
	const struct uidmap *m = q->v->map;
	uint32_t low = 0, high = m->n;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		bool new;
		int e = is_new(t, q, m->uid[mid], &new);
		if (e)
			return e;
		if (new)
			high = mid;
		else
			low = mid + 1;
	}
	q->new_from = low < m->n ? m->uid[low] : 0;
	return OK;
}

static int read_since(struct meta_txn *t, void *arg)
{
	struct resync *q = arg;
	buffer_reset(&q->flagged);
	buffer_reset(&q->gone);
	int e = read_floor(t, q);
	if (!e && q->known)
		e = read_versions(t, q);
	if (!e && q->known)
		e = view_seen_since(t, q->v, q->since, &q->flagged);
	if (!e && q->known)
		e = find_new(t, q);
	return e;
}

static int compare_uids(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static uint32_t *sorted(struct buffer *uids, size_t *n)
{
	uint32_t *v = (uint32_t *)(void *)uids->p;
	*n = uids->n / sizeof *v;
	if (*n)
		qsort(v, *n, sizeof *v, compare_uids);
	return v;
}

static void put_range(struct buffer *out, uint32_t first, uint32_t last)
{
	struct imap_range r = { first, last };
	buffer_put(out, &r, sizeof r);
}

/* Messages of the view as ranges: neighbours are one, whatever UIDs lie between them. */
static void put_changed(const struct uidmap *m, struct resync *q, struct buffer *out)
{
	size_t n;
	const uint32_t *uid = sorted(&q->flagged, &n);
	uint32_t end = q->new_from ? uidmap_lower(m, q->new_from) : m->n, first = 0, next = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = uidmap_lower(m, uid[i]);
		if (at >= end || m->uid[at] != uid[i] || at + 1 == next)
			continue;
		if (next && at != next)
			put_range(out, m->uid[first], m->uid[next - 1]);
		first = next && at == next ? first : at;
		next = at + 1;
	}
	if (next)
		put_range(out, m->uid[first], m->uid[next - 1]);
	if (end < m->n)
		put_range(out, m->uid[end], m->uid[m->n - 1]);
}

static void put_vanished(const struct uidmap *m, struct resync *q, const struct imap_set *among, struct buffer *out)
{
	size_t n;
	const uint32_t *uid = sorted(&q->gone, &n);
	uint32_t first = 0, last = 0;
	for (size_t i = 0; i < n; i++) {
		uint32_t at = uidmap_lower(m, uid[i]);
		if ((at < m->n && m->uid[at] == uid[i]) || !imap_set_contains(among, uid[i]))
			continue;
		if (first && uid[i] != last + 1)
			put_range(out, first, last);
		first = first && uid[i] == last + 1 ? first : uid[i];
		last = uid[i];
	}
	if (first)
		put_range(out, first, last);
}

/* Of a range of UIDs, all that the view does not hold. */
static void put_absent(const struct uidmap *m, struct imap_range r, struct buffer *out)
{
	uint64_t from = r.first;
	for (uint32_t i = uidmap_lower(m, r.first); i < m->n && m->uid[i] <= r.last; i++) {
		if (m->uid[i] > from)
			put_range(out, (uint32_t)from, m->uid[i] - 1);
		from = (uint64_t)m->uid[i] + 1;
	}
	if (from <= r.last)
		put_range(out, (uint32_t)from, r.last);
}

/* The past does not tell: see above. UIDs that were never given out are not gone. */
static void put_coarse(const struct view *v, const struct imap_set *among, struct buffer *changed, struct buffer *vanished)
{
	const struct uidmap *m = v->map;
	int64_t given = v->info.folder.uidnext - 1;
	if (m->n)
		put_range(changed, m->uid[0], m->uid[m->n - 1]);
	for (size_t i = 0; i < among->n && among->ranges[i].first <= given; i++) {
		struct imap_range r = among->ranges[i];
		put_absent(m, (struct imap_range){ r.first, r.last < given ? r.last : (uint32_t)given }, vanished);
	}
}

/* The buffer's memory becomes the set's. */
static void take_set(struct buffer *b, struct imap_set *out)
{
	*out = (struct imap_set){ (struct imap_range *)(void *)b->p, b->n / sizeof *out->ranges };
	*b = (struct buffer){ 0 };
}

int view_resync(struct view *v, int64_t since, const struct imap_set *among, struct view_resync *out)
{
	struct resync q = { .v = v, .since = since };
	struct buffer changed = { 0 }, vanished = { 0 };
	int e = meta_read(v->s->store->meta, read_since, &q);
	if (!e && q.known) {
		put_changed(v->map, &q, &changed);
		put_vanished(v->map, &q, among, &vanished);
	} else if (!e) {
		put_coarse(v, among, &changed, &vanished);
	}
	if (!e && (!buffer_ok(&q.flagged) || !buffer_ok(&q.gone) || !buffer_ok(&changed) || !buffer_ok(&vanished)))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e) {
		take_set(&changed, &out->changed);
		take_set(&vanished, &out->vanished);
	}
	buffer_free(&changed);
	buffer_free(&vanished);
	buffer_free(&q.flagged);
	buffer_free(&q.gone);
	return e;
}

void view_resync_free(struct view_resync *r)
{
	free(r->changed.ranges);
	free(r->vanished.ranges);
	*r = (struct view_resync){ 0 };
}
