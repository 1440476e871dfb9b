/* The bytes of a pack, as docs/pack-format.md has them: a header, records, and a seal once nothing more will come.
   Pure functions over memory; all numbers are little-endian. */
#ifndef RECORD_H
#define RECORD_H

#include <zstd.h>

#include "blob.h"

enum {
	PACK_HEADER = 32,
	PACK_SEAL = 32,
	RECORD_HEADER = 88,
	CHUNK_HEADER = 16,
	RECORD_ALIGN = 8,
	TABLE_ENTRY = 8,
	RECORD_BODY = RECORD_HEADER + CHUNK_HEADER, /* where the bytes of a one-chunk record begin */
	RECORD_SMALL = RECORD_BODY + BLOB_CHUNK,    /* no one-chunk record is longer */
};

enum { CODEC_CHUNKS = 2 };

#define RECORD_RAW_MAX (UINT64_C(1) << 44)

struct record_header {
	uint32_t dictionary, key; /* 0: none */
	uint64_t raw;             /* bytes of the body */
	uint64_t stored;          /* bytes of the record, this header and the padding included */
	uint32_t chunks;
	uint64_t synced; /* this much of the pack was on stable storage before the record was written */
	unsigned char sha256[32];
};

static inline uint64_t record_padded(uint64_t n)
{
	return (n + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

void pack_header_put(unsigned char *to, int64_t pack);
int pack_header_get(const unsigned char *from, int64_t pack);
/* A seal stands at the very end of a file and says that the records before it are all there will be. */
void pack_seal_put(unsigned char *to, int64_t pack, int64_t at);
bool pack_seal_ok(const unsigned char *from, int64_t pack, int64_t at);

/* Over a header without its last field. It covers pack and offset too, so that what looks like a header elsewhere (a
   pack that somebody sent by mail) is none. */
uint64_t record_checksum(const unsigned char *header, int64_t pack, int64_t offset);
void record_header_put(unsigned char *to, const struct record_header *h, int64_t pack, int64_t offset);
/* ERR_CORRUPT, or ERR_UNAVAILABLE for a sound header of a format this version does not know. */
int record_header_get(const unsigned char *from, int64_t pack, int64_t offset, struct record_header *h);

static inline size_t record_chunk_raw(const struct record_header *h, uint64_t index)
{
	return index + 1 < h->chunks ? (size_t)BLOB_CHUNK : (size_t)(h->raw - index * BLOB_CHUNK);
}

/* How the bytes of a chunk are stored: as they are; as a zstd frame; or parted into text and what base64 stands for
   (base64_runs.h), each for itself as it is or as a zstd frame. */
enum chunk_kind { CHUNK_PLAIN, CHUNK_ZSTD, CHUNK_PARTED };

/* Compresses n bytes to the place after the header of the chunk at `to`: their length there, or 0 with CHUNK_PLAIN when it is not
   worth it. to and scratch: POOL_BUFFER - RECORD_HEADER bytes each (pool.h). */
size_t chunk_compress(ZSTD_CCtx *z, unsigned char *to, unsigned char *scratch, const unsigned char *raw, size_t n,
                      enum chunk_kind *kind);
/* Over the lengths in a chunk's header and the `stored` bytes behind it. */
uint64_t chunk_checksum(const unsigned char *chunk, size_t stored, uint64_t index);
/* Puts the header of a chunk whose `stored` bytes follow at to + CHUNK_HEADER. */
void chunk_header_put(unsigned char *to, size_t raw, size_t stored, enum chunk_kind kind, uint64_t index);

struct chunk {
	const unsigned char *p;
	size_t n;
	enum chunk_kind kind;
};
/* Takes chunk number `index` of `raw` bytes off the front of n bytes and verifies it. */
int chunk_get(const unsigned char *from, size_t n, uint64_t index, size_t raw, struct chunk *out);
/* One that is not plain. scratch: as many bytes as `to`, raw. */
int chunk_expand(ZSTD_DCtx *z, const struct chunk *c, unsigned char *scratch, unsigned char *to, size_t raw);

void table_entry_put(unsigned char *to, uint64_t at);
uint64_t table_entry_get(const unsigned char *from);

#endif
