/* The entries of one collection, as they were at the change N that its account was read at.
 *
 * N holds still while others go on writing: the version of an entry that is valid at N stands in live, or, when it was
 * replaced since, in past with an end above N. So a page of UIDs is read from both in one transaction. What ended at or
 * before N is read first, by its end: then each version is looked at after the one before it, and one number per UID is
 * all to be remembered. UIDs are taken SLICE at a time, so that this stays small. */
#include <stdlib.h>

#include "flags.h"
#include "verify_private.h"

enum { SLICE = 1 << 20 };
#define FAR (INT64_C(1) << 62)

struct version_row {
	int64_t uid, created, change, end; /* end 0: it lives */
	int64_t kind, gone, flags, email, size;
	int64_t email_id, email_size, email_created, blob, account; /* of the email's row; 0: there is none */
	int64_t named;                                              /* uid its name leads to; -1: it has no name */
};

struct entries {
	struct account *a;
	struct kept *k;
	int64_t low, high;  /* UIDs of this slice: low <= uid < high */
	int64_t from, to;   /* the same, but the first and the last slice take along what lies beside all of them */
	int64_t *last;      /* per UID: end of its last version << 1 | it was gone; 0: none */
	uint64_t n_last;
	struct version_row rows[VERIFY_PAGE];
	size_t n;
	struct buffer since; /* struct version_row: those of the page that were replaced since N */
	/* where reading goes on */
	int64_t after_end, after_uid, upto, page_low;
	bool more;
	int64_t head_now;
};

/* --- One version --- */

static const char *version_name(const struct version_row *k)
{
	return k->end ? "a past version" : "its version";
}

static void verify_email_of(struct entries *s, const struct version_row *k)
{
	const struct account *a = s->a;
	if (k->account != a->id || !k->email_id)
		trouble_at(a, s->k, k->uid, "%s shows email %lld, which is not there or another account's: " FIX_DATABASE,
		           version_name(k), (long long)k->email);
	else if (k->size != k->email_size)
		trouble_at(a, s->k, k->uid, "%s has %lld bytes, its email %lld: " FIX_DATABASE, version_name(k), (long long)k->size,
		           (long long)k->email_size);
	else if (k->email_created > k->created)
		trouble_at(a, s->k, k->uid, "came at @%lld, its email later, at @%lld: " FIX_DATABASE, (long long)k->created,
		           (long long)k->email_created);
	else if (verify_blob_is_bad(a->v, k->blob) && (!k->end || k->gone))
		trouble_at(a, s->k, k->uid, "%s cannot be read: its bytes in the pack are damaged or missing: " FIX_PACK,
		           k->end ? "as it was until it was removed, it" : "it");
}

static void verify_version(struct entries *s, const struct version_row *k)
{
	const struct account *a = s->a;
	if (k->kind != s->k->c.kind)
		trouble_at(a, s->k, k->uid, "%s is of kind %lld in a collection of kind %lld: " FIX_DATABASE, version_name(k),
		           (long long)k->kind, (long long)s->k->c.kind);
	if (k->created <= 0 || k->created > k->change || (k->end && k->change >= k->end))
		trouble_at(a, s->k, k->uid, "the changes of %s are out of order (came @%lld, changed @%lld, ended @%lld): " FIX_DATABASE,
		           version_name(k), (long long)k->created, (long long)k->change, (long long)k->end);
	if (k->uid <= 0 || k->uid >= s->k->c.uidnext)
		trouble_at(a, s->k, k->uid, "its UID may be given out again (the next is %lld): " FIX_DATABASE, (long long)s->k->c.uidnext);
	if (s->k->c.kind == COLLECTION_MAIL)
		verify_email_of(s, k);
	if (k->named >= 0 && k->named != k->uid)
		trouble_at(a, s->k, k->uid, "is not found by its name: " FIX_DATABASE);
}

/* How a version fits behind the one before it. */
static void verify_order(struct entries *s, const struct version_row *k)
{
	int64_t *last = &s->last[k->uid - s->low], end = *last >> 1;
	bool gone = *last & 1;
	if (end && k->change < end)
		trouble_at(s->a, s->k, k->uid, "two of its versions are valid at @%lld: " FIX_DATABASE, (long long)k->change);
	else if (end && !gone && k->change != end && !verify_purged(s->a, end))
		trouble_at(s->a, s->k, k->uid, "no version of it is valid from @%lld to @%lld: " FIX_DATABASE, (long long)end,
		           (long long)k->change);
	else if (gone && (s->k->c.kind == COLLECTION_MAIL || k->created < end))
		trouble_at(s->a, s->k, k->uid, "its UID was used before, until @%lld: " FIX_DATABASE, (long long)end);
	if (k->end > s->k->latest)
		s->k->latest = k->end;
	if (k->change > s->k->latest)
		s->k->latest = k->change;
}

/* --- What ended up to N --- */

static struct version_row row_of(const struct meta_rows *r)
{
	struct version_row k = { .uid = meta_int(r, 0), .created = meta_int(r, 1), .change = meta_int(r, 2), .end = meta_int(r, 3),
		                 .kind = meta_int(r, 4), .gone = meta_int(r, 5), .flags = meta_int(r, 6), .email = meta_int(r, 7),
		                 .size = meta_int(r, 8), .email_id = meta_int(r, 9), .email_size = meta_int(r, 10),
		                 .email_created = meta_int(r, 11), .blob = meta_int(r, 12), .account = meta_int(r, 13), .named = -1 };
	return k;
}

static int read_past(struct meta_txn *t, void *arg)
{
	struct entries *s = arg;
	struct meta_rows r;
	s->n = 0;
	int e = meta_query(t, &r, META_CHECK_PAST, "iiiiiii", s->a->id, s->k->c.id, s->after_end, s->after_end, s->after_uid,
	                   s->a->head.change, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		s->rows[s->n++] = row_of(&r);
	meta_done(&r);
	return e;
}

static void take_past(struct entries *s, const struct version_row *k)
{
	if (k->uid < s->from || k->uid > s->to) /* another slice's */
		return;
	s->a->v->report.versions++;
	verify_version(s, k);
	if (k->uid < s->low || k->uid >= s->high)
		return;
	verify_order(s, k);
	s->last[k->uid - s->low] = k->end << 1 | !!k->gone;
	s->n_last++;
}

static int verify_past(struct entries *s)
{
	int e;
	s->after_end = s->after_uid = 0;
	do {
		e = verify_failure(s->a->v, meta_read(meta_of(s->a->v), read_past, s), s->a->name);
		for (size_t i = 0; !e && i < s->n; i++)
			take_past(s, &s->rows[i]);
		if (s->n) {
			s->after_end = s->rows[s->n - 1].end;
			s->after_uid = s->rows[s->n - 1].uid;
		}
	} while (!e && s->n == VERIFY_PAGE && !verify_step(s->a->v, 0));
	return e;
}

/* --- What is valid at N --- */

/* Versions of the page's UIDs that ended since N. */
static int read_since(struct meta_txn *t, struct entries *s)
{
	struct meta_rows r;
	int e = meta_query(t, &r, META_CHECK_PAST_SINCE, "iii", s->a->id, s->k->c.id, s->a->head.change);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct version_row k = row_of(&r);
		if (k.uid >= s->page_low && k.uid <= s->upto)
			buffer_put(&s->since, &k, sizeof k);
	}
	meta_done(&r);
	return e;
}

static int read_page(struct meta_txn *t, void *arg)
{
	struct entries *s = arg;
	struct meta_rows r;
	struct head now;
	s->n = 0;
	s->more = false; /* should it fail */
	buffer_reset(&s->since);
	meta_expect(t, META_CHECK_ENTRIES, "iiiii", s->a->id, s->k->c.id, s->page_low, s->to, (int64_t)VERIFY_PAGE);
	meta_expect(t, META_CHECK_PAST_SINCE, "iii", s->a->id, s->k->c.id, s->a->head.change);
	int e = change_head(t, s->a->id, &now);
	s->head_now = now.change;
	if (!e)
		e = meta_query(t, &r, META_CHECK_ENTRIES, "iiiii", s->a->id, s->k->c.id, s->page_low, s->to, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		s->rows[s->n] = row_of(&r);
		s->rows[s->n].end = 0;
		s->rows[s->n++].named = meta_int(&r, 14);
	}
	meta_done(&r);
	s->more = s->n == VERIFY_PAGE;
	s->upto = s->more ? s->rows[s->n - 1].uid : s->to;
	return e ? e : read_since(t, s);
}

static void take_valid(struct entries *s, const struct version_row *k)
{
	struct kept *c = s->k;
	if (k->change > s->head_now || k->end > s->head_now) {
		trouble_at(s->a, c, k->uid, "%s is of @%lld, the account is at @%lld: " FIX_DATABASE, version_name(k),
		           (long long)(k->end ? k->end : k->change), (long long)s->head_now);
		return;
	}
	if (k->change > s->a->head.change) /* it came since N */
		return;
	struct version_row valid = *k;
	valid.end = 0; /* at N nobody knew */
	verify_version(s, &valid);
	c->messages++;
	c->unseen += !(k->flags & FLAG_SEEN);
	c->bytes += (uint64_t)k->size;
	s->a->v->report.entries++;
	if (k->uid < s->low || k->uid >= s->high)
		return;
	verify_order(s, &valid);
	s->last[k->uid - s->low] = 0;
}

static int verify_valid(struct entries *s)
{
	s->page_low = s->from;
	int e;
	do {
		e = verify_failure(s->a->v, meta_read(meta_of(s->a->v), read_page, s), s->a->name);
		if (e)
			return e;
		if (!buffer_ok(&s->since))
			return fail_with(ERR_UNAVAILABLE, "no memory");
		for (size_t i = 0; i < s->n; i++)
			take_valid(s, &s->rows[i]);
		const struct version_row *since = (const struct version_row *)(void *)s->since.p;
		for (size_t i = 0; i < s->since.n / sizeof *since; i++)
			take_valid(s, &since[i]);
		s->page_low = s->upto + 1;
	} while (!verify_step(s->a->v, s->n) && s->more);
	return OK;
}

/* A version that was replaced, and nothing that replaced it. */
static void verify_rest(struct entries *s)
{
	for (int64_t i = 0; s->n_last && i < s->high - s->low; i++)
		if (s->last[i] && !(s->last[i] & 1) && !verify_purged(s->a, s->last[i] >> 1))
			trouble_at(s->a, s->k, s->low + i, "a new version of @%lld took its place, and is missing: " FIX_DATABASE,
			           (long long)(s->last[i] >> 1));
}

static int verify_slice(struct entries *s)
{
	s->n_last = 0;
	s->last = calloc((size_t)(s->high - s->low), sizeof *s->last);
	if (!s->last)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int e = verify_past(s);
	if (!e && !s->a->v->report.cancelled)
		e = verify_valid(s);
	if (!e && !s->a->v->report.cancelled)
		verify_rest(s);
	free(s->last);
	return e;
}

int verify_entries(struct account *a, struct kept *k)
{
	struct entries *s = calloc(1, sizeof *s);
	int64_t end = k->c.uidnext > (int64_t)UINT32_MAX + 1 ? (int64_t)UINT32_MAX + 1 : k->c.uidnext < 2 ? 2 : k->c.uidnext;
	int e = OK;
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*s = (struct entries){ .a = a, .k = k };
	for (int64_t low = 1; !e && !a->v->report.cancelled && low < end; low = s->high) {
		s->low = low;
		s->high = end - low > SLICE ? low + SLICE : end;
		s->from = low == 1 ? -FAR : low;
		s->to = s->high == end ? FAR : s->high - 1;
		e = verify_slice(s);
	}
	buffer_free(&s->since);
	free(s);
	return e;
}

/* --- Names --- */

struct names_page {
	int64_t account, collection;
	struct arena arena;
	struct span after;
	struct named {
		struct span name;
		int64_t uid;
		bool found; /* an item of that UID and name */
	} rows[VERIFY_PAGE];
	size_t n;
};

static int read_names(struct meta_txn *t, void *arg)
{
	struct names_page *p = arg;
	struct meta_rows r;
	p->n = 0;
	int e = meta_query(t, &r, META_CHECK_NAMES, "iisi", p->account, p->collection, p->after, (int64_t)VERIFY_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		p->rows[p->n++] = (struct named){ arena_copy(&p->arena, meta_span(&r, 0)), meta_int(&r, 1), meta_int(&r, 2) };
	meta_done(&r);
	return e;
}

int verify_names(struct account *a, const struct kept *k)
{
	struct names_page *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*p = (struct names_page){ .account = a->id, .collection = k->c.id, .after = SPAN("") };
	int e;
	do {
		e = verify_failure(a->v, meta_read(meta_of(a->v), read_names, p), a->name);
		for (size_t i = 0; !e && i < p->n; i++)
			if (!p->rows[i].found && !verify_purged(a, INT64_MAX))
				trouble_at(a, k, p->rows[i].uid, "the name %.*s leads to it, and it has another name or is gone: " FIX_DATABASE,
				           SPAN_ARG(p->rows[i].name));
		if (p->n)
			p->after = p->rows[p->n - 1].name;
	} while (!e && p->n == VERIFY_PAGE && !verify_step(a->v, 0));
	arena_free(&p->arena);
	free(p);
	return e;
}
