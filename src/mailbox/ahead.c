#include "ahead.h"

#include "fail.h"
#include "message.h"
#include "service_private.h"

enum { AHEAD_MEMORY = 1 << 20 /* of records that are read together; one may be larger */ };

struct ahead_row {
	int64_t body;
	size_t stored;
	struct span record; /* empty: not there */
};

static struct ahead_row *find(const struct ahead *a, int64_t body)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->rows[i].body == body)
			return &a->rows[i];
	return NULL;
}

static bool is_row(const struct message_place *p)
{
	return p && p->body && !p->pack && p->stored > 0 && p->stored <= BLOB_STAGED;
}

/* Those that fit, among them the first. */
static void choose(struct ahead *a, struct entry *e, size_t n)
{
	size_t memory = 0;
	for (size_t i = 0; i < n && a->n < META_INTEGERS; i++) {
		const struct message_place *p = e[i].place;
		e[i].ahead = a;
		if (!is_row(p) || find(a, p->body))
			continue;
		memory += (size_t)p->stored;
		if (memory > AHEAD_MEMORY && a->n)
			break;
		a->rows[a->n++] = (struct ahead_row){ .body = p->body, .stored = (size_t)p->stored };
	}
}

/* A row of another length is as good as none: whoever reads it alone is told so. */
static int take_row(struct ahead *a, const struct meta_rows *r)
{
	struct ahead_row *row = find(a, meta_int(r, 0));
	struct span record = meta_span(r, 1);
	if (!row || row->record.p || record.n != row->stored)
		return OK;
	row->record = arena_copy(&a->memory, record);
	return row->record.p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int read_rows(struct meta_txn *t, void *arg)
{
	struct ahead *a = arg;
	struct meta_rows r;
	int64_t ids[META_INTEGERS];
	for (size_t i = 0; i < META_INTEGERS; i++)
		ids[i] = a->rows[i < a->n ? i : 0].body;
	int more, e = meta_query_integers(t, &r, META_STAGED_OF, ids);
	if (e)
		return e;
	while ((more = meta_next(&r)) > 0 && !e)
		e = take_row(a, &r);
	meta_done(&r);
	return e ? e : more;
}

int ahead_read(struct service *s, struct ahead *a, struct entry *e, size_t n)
{
	e->ahead = a;
	if (!is_row(e->place) || find(a, e->place->body))
		return OK;
	ahead_drop(a);
	a->rows = arena_alloc(&a->memory, META_INTEGERS * sizeof *a->rows);
	if (!a->rows)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	choose(a, e, n);
	return a->n > 1 ? meta_read(s->store->meta, read_rows, a) : OK; /* a single one is read where it is opened */
}

struct span ahead_find(const struct ahead *a, int64_t body)
{
	const struct ahead_row *row = a ? find(a, body) : NULL;
	return row ? row->record : (struct span){ 0 };
}

void ahead_drop(struct ahead *a)
{
	arena_free(&a->memory);
	*a = (struct ahead){ 0 };
}
