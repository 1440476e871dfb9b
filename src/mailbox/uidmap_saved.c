#include "uidmap_saved.h"

#include "change.h"
#include "fail.h"
#include "service_private.h"
#include "varint.h"

enum { BYTES_MAX = 1 << 20 }; /* of what is kept: a row is written whole, and sent to every node of a cluster */

/* --- Runs --- */

void uidmap_encode(const struct uidmap *m, struct buffer *out)
{
	uint64_t next = 1;
	for (uint32_t i = 0, n; i < m->n; i += n) {
		for (n = 1; i + n < m->n && m->uid[i + n] == m->uid[i] + n; n++)
			;
		varint_put(out, m->uid[i] - next);
		varint_put(out, n - 1);
		next = (uint64_t)m->uid[i] + n;
	}
}

/* next: the least that the run may begin with; its end then. */
static bool take_run(struct span *runs, uint64_t *next, uint64_t *first)
{
	uint64_t left_out, more;
	if (!varint_get(runs, &left_out) || !varint_get(runs, &more) || left_out > UINT32_MAX || more > UINT32_MAX)
		return false;
	*first = *next + left_out;
	*next = *first + more + 1;
	return *next <= (uint64_t)UINT32_MAX + 1;
}

/* How many UIDs there are; UINT64_MAX: these are no runs. */
static uint64_t count(struct span runs)
{
	uint64_t next = 1, first, n = 0;
	while (runs.n) {
		if (!take_run(&runs, &next, &first))
			return UINT64_MAX;
		n += next - first;
	}
	return n;
}

struct uidmap *uidmap_decode(struct span runs)
{
	uint64_t n = count(runs), next = 1, first;
	struct uidmap *m = n <= UIDMAP_MAX ? uidmap_new((uint32_t)n) : NULL;
	while (m && runs.n && take_run(&runs, &next, &first))
		for (uint64_t uid = first; uid < next; uid++)
			m->uid[m->n++] = (uint32_t)uid;
	return m;
}

/* --- The row --- */

struct saved {
	int64_t account, collection, change;
	struct buffer runs;
	struct uidmap *map;
};

static int read_row(struct meta_txn *t, void *arg)
{
	struct saved *k = arg;
	struct meta_rows r;
	uidmap_unref(&k->map);
	int e = meta_one(t, &r, META_UIDMAP_GET, "ii", k->account, k->collection);
	if (e)
		return e;
	k->map = uidmap_decode(meta_span(&r, 1));
	if (k->map)
		k->map->change = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

struct uidmap *uidmap_saved_read(struct service *s, int64_t account, int64_t collection)
{
	struct saved k = { .account = account, .collection = collection };
	meta_read(s->store->meta, read_row, &k);
	return k.map;
}

/* Not of one that was purged meanwhile: nothing would remove it. */
static int write_row(struct meta_txn *t, void *arg)
{
	struct saved *k = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", k->account, k->collection);
	if (e)
		return e;
	meta_done(&r);
	struct span runs = k->runs.n ? buffer_span(&k->runs) : SPAN(""); /* not NULL */
	return meta_do(t, META_UIDMAP_PUT, "iiib", k->account, k->collection, k->change, runs);
}

void uidmap_saved_write(struct service *s, int64_t account, int64_t collection, const struct uidmap *m)
{
	struct saved k = { .account = account, .collection = collection, .change = m->change };
	uidmap_encode(m, &k.runs);
	if (buffer_ok(&k.runs) && k.runs.n <= BYTES_MAX)
		meta_run(s->store->meta, write_row, &k, NULL);
	buffer_free(&k.runs);
}
