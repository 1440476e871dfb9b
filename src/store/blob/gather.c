#include <stdlib.h>

#include "fail.h"

#include "store_inside.h"

struct blob_gather {
	struct blob_store *store;
	struct blob_pack *file; /* NULL: nothing was added yet, or it was put */
	int64_t id, at;         /* where the next record goes */
};

int blob_gather_new(struct blob_store *s, struct blob_gather **out)
{
	struct blob_gather *g = calloc(1, sizeof *g);
	if (!g)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	g->store = s;
	*out = g;
	return OK;
}

static int gather_write(struct blob_gather *g, const struct iovec *v, int n)
{
	int r = driver_of(g->store)->write(g->store->backend, g->file, v, n, g->at);
	for (int i = 0; !r && i < n; i++)
		g->at += (int64_t)v[i].iov_len;
	return r;
}

static int gather_begin(struct blob_gather *g)
{
	unsigned char head[PACK_HEADER];
	int r = store_create_pack(g->store, &g->id, &g->file);
	if (r)
		return r;
	pack_header_put(head, g->id);
	struct iovec part = { head, sizeof head };
	return gather_write(g, &part, 1);
}

/* The record as it is, but for its header, which knows its place, and its padding, which no checksum covers. */
int blob_gather_add(struct blob_gather *g, const struct blob_location *from, struct span record, struct blob_location *to)
{
	static const unsigned char zero[RECORD_ALIGN];
	unsigned char head[RECORD_HEADER];
	struct record_header h;
	size_t end;
	int r = record_verify(from, record, &h, &end);
	if (!r && record.n - end >= sizeof zero)
		r = fail_with(ERR_CORRUPT, "the record is longer than its body");
	if (!r && !g->file)
		r = gather_begin(g);
	if (r)
		return r;
	h.synced = 0;
	record_header_put(head, &h, g->id, g->at);
	*to = (struct blob_location){ g->id, g->at, (int64_t)record.n };
	struct iovec parts[] = { { head, sizeof head },
		{ (void *)(uintptr_t)(record.p + RECORD_HEADER), end - RECORD_HEADER }, { (void *)(uintptr_t)zero, record.n - end } };
	return gather_write(g, parts, 3);
}

int64_t blob_gather_size(const struct blob_gather *g)
{
	return g->at;
}

/* What stands at its end says how long it is and which it is. */
static int find_again(struct blob_gather *g, int64_t seal_at)
{
	unsigned char seal[PACK_SEAL];
	int r = driver_of(g->store)->read(g->store->backend, g->id, seal, sizeof seal, seal_at);
	if (r)
		return r == ERR_NOT_FOUND ? fail_with(ERR_UNAVAILABLE, "pack %llx was put, and is not there", (long long)g->id) : r;
	return pack_seal_ok(seal, g->id, seal_at) ? OK : fail_with(ERR_CORRUPT, "pack %llx is not what was put", (long long)g->id);
}

int blob_gather_put(struct blob_gather *g)
{
	unsigned char seal[PACK_SEAL];
	int64_t end = g->at;
	struct iovec part = { seal, sizeof seal };
	if (!g->file)
		return fail_with(ERR_INVALID, "nothing was gathered");
	pack_seal_put(seal, g->id, end);
	int r = gather_write(g, &part, 1);
	if (!r)
		r = store_sync_pack(g->store, g->file, true, 2);
	if (r)
		return r;
	driver_of(g->store)->done(g->store->backend, g->file);
	g->file = NULL;
	return find_again(g, end);
}

void blob_gather_free(struct blob_gather **pg)
{
	struct blob_gather *g = *pg;
	*pg = NULL;
	if (!g)
		return;
	if (g->file)
		driver_of(g->store)->done(g->store->backend, g->file);
	free(g);
}
