/* What the files of the blob facade share and nobody else sees. */
#ifndef STORE_INSIDE_H
#define STORE_INSIDE_H

#include <openssl/evp.h>
#include <pthread.h>

#include "buffer.h"

#include "mint.h"

#include "blob.h"
#include "driver.h"
#include "pool.h"
#include "record.h"

/* The pack that small bodies go to. Only blob_write, blob_sync and blob_close touch it; id and synced are read by
   blob_scan under the store's lock. */
struct open_pack {
	struct blob_pack *file; /* NULL: the next write makes one */
	int64_t id;
	int64_t written, synced; /* its bytes, and those on stable storage */
	int64_t used;            /* clock_mono() of the last write */
};

struct blob_store {
	struct blob_backend *backend;
	struct mint *mint;
	struct metrics *metrics;
	int64_t pack_bytes;
	struct blob_rows rows;
	EVP_MD *sha256;
	struct pool pool;
	struct open_pack open;
	pthread_mutex_t lock; /* open.id, open.synced, stats, holds */
	struct blob_stats stats;
	int holds;
};

static inline const struct blob_driver *driver_of(const struct blob_store *s)
{
	return s->backend->driver;
}

/* The next read of the pack asks the store itself, whatever is kept of it here. */
static inline void store_forget(struct blob_store *s, int64_t pack)
{
	if (driver_of(s)->forget)
		driver_of(s)->forget(s->backend, pack);
}

/* A pack under an id that was never used. */
int store_create_pack(struct blob_store *s, int64_t *id, struct blob_pack **out);
/* costs: how many syncs of the system it amounts to, for the statistics. */
int store_sync_pack(struct blob_store *s, struct blob_pack *p, bool name, unsigned costs);

/* stage.c, for blob_write, blob_sync and blob_settle. While a sync is under way on another thread, that one alone writes
   result and detail of the stages that are WRITTEN, and nobody else reads them. */
enum stage_state { STAGE_OPEN, STAGE_FINISHED, STAGE_WRITTEN, STAGE_DURABLE, STAGE_FAILED };

struct own_pack {
	struct blob_pack *file; /* until it has its name */
	int64_t id;             /* 0: the body is a small one */
	int64_t at;          /* where the next chunk goes */
	struct buffer table; /* where each chunk began, within the record */
};

struct blob_stage {
	struct blob_store *store;
	enum stage_state state;
	int result;
	char *detail; /* of result */
	EVP_MD_CTX *hash;
	unsigned char *chunk; /* the chunk being filled, its bytes from RECORD_BODY on; finished and small: the record */
	size_t filled;
	uint64_t chunks;
	struct record_header header;
	struct own_pack own;
	struct blob_location at;
	int64_t put;  /* a large body: when it was written, us since 1970 */
	bool counted; /* a row: in the statistics */
};

void stage_failed(struct blob_stage *st, int r);
/* blob.c. One more body came in. */
void store_count(struct blob_store *s, const struct record_header *h);

/* reader.c. Verifies the header of the record at `at`; one that fits into a pool's buffer is at `to` whole, of a larger one
   the header alone. other: out of the store's second copy. */
int store_read_record(struct blob_store *s, const struct blob_location *at, bool other, unsigned char *to, struct record_header *h);
/* As blob_reader_open; alone: what is damaged is not read out of the store's other copy. */
int store_reader_open(struct blob_store *s, const struct blob_location *at, bool alone, struct blob_reader **out);
/* Verifies a record that lies at `at`, all of it but its SHA-256; at most one chunk, whose end is *end. */
int record_verify(const struct blob_location *at, struct span record, struct record_header *h, size_t *end);

/* scan.c, for blob_open: ends the packs that earlier starts left open. */
int store_repair(struct blob_store *s);

#endif
