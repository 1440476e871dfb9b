#include "record.h"

#include <endian.h>
#include <xxhash.h>

#include "fail.h"

/* Level 3 makes a mail 4 to 5 % smaller than level 1, and a delivery a tenth dearer. What does not shrink by a part in GAIN
   is stored as it is. */
enum { FORMAT = 1, LEVEL = 1, GAIN = 32 };

/* Offsets of the fields of a record header. */
enum { AT_MAGIC = 0, AT_FORMAT = 4, AT_CODEC = 5, AT_ZERO = 6, AT_DICTIONARY = 8, AT_KEY = 12, AT_RAW = 16, AT_STORED = 24,
	AT_CHUNKS = 32, AT_ZERO2 = 36, AT_SYNCED = 40, AT_SHA256 = 48, AT_CHECKSUM = 80 };

static const unsigned char pack_magic[8] = "PERDPACK", seal_magic[8] = "PERDSEAL", record_magic[4] = "PREC";

static void put32(unsigned char *to, uint32_t v)
{
	v = htole32(v);
	memcpy(to, &v, sizeof v);
}

static void put64(unsigned char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof v);
}

static uint32_t get32(const unsigned char *from)
{
	uint32_t v;
	memcpy(&v, from, sizeof v);
	return le32toh(v);
}

static uint64_t get64(const unsigned char *from)
{
	uint64_t v;
	memcpy(&v, from, sizeof v);
	return le64toh(v);
}

uint64_t record_checksum(const unsigned char *header, int64_t pack, int64_t offset)
{
	uint64_t place = (uint64_t)pack * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)offset;
	return XXH3_64bits_withSeed(header, AT_CHECKSUM, place);
}

void pack_header_put(unsigned char *to, int64_t pack)
{
	memcpy(to, pack_magic, 8);
	put32(to + 8, FORMAT);
	put32(to + 12, 0);
	put64(to + 16, (uint64_t)pack);
	put64(to + 24, XXH3_64bits(to, 24));
}

int pack_header_get(const unsigned char *from, int64_t pack)
{
	if (memcmp(from, pack_magic, 8) || get64(from + 24) != XXH3_64bits(from, 24) || get64(from + 16) != (uint64_t)pack)
		return fail_with(ERR_CORRUPT, "pack %llx: bad header", (long long)pack);
	if (get32(from + 8) != FORMAT)
		return fail_with(ERR_UNAVAILABLE, "pack %llx: format %u is of a later version", (long long)pack, get32(from + 8));
	return OK;
}

void pack_seal_put(unsigned char *to, int64_t pack, int64_t at)
{
	memcpy(to, seal_magic, 8);
	put64(to + 8, (uint64_t)pack);
	put64(to + 16, (uint64_t)at);
	put64(to + 24, XXH3_64bits(to, 24));
}

bool pack_seal_ok(const unsigned char *from, int64_t pack, int64_t at)
{
	return !memcmp(from, seal_magic, 8) && get64(from + 24) == XXH3_64bits(from, 24) &&
	       get64(from + 8) == (uint64_t)pack && get64(from + 16) == (uint64_t)at;
}

void record_header_put(unsigned char *to, const struct record_header *h, int64_t pack, int64_t offset)
{
	memset(to, 0, RECORD_HEADER);
	memcpy(to + AT_MAGIC, record_magic, sizeof record_magic);
	to[AT_FORMAT] = FORMAT;
	to[AT_CODEC] = CODEC_ZSTD;
	put32(to + AT_DICTIONARY, h->dictionary);
	put32(to + AT_KEY, h->key);
	put64(to + AT_RAW, h->raw);
	put64(to + AT_STORED, h->stored);
	put32(to + AT_CHUNKS, h->chunks);
	put64(to + AT_SYNCED, h->synced);
	memcpy(to + AT_SHA256, h->sha256, sizeof h->sha256);
	put64(to + AT_CHECKSUM, record_checksum(to, pack, offset));
}

/* Lengths that fit together, so that no reader has to ask again. */
static bool lengths_ok(const struct record_header *h, int64_t offset)
{
	if (h->raw > RECORD_RAW_MAX || h->chunks != (h->raw + BLOB_CHUNK - 1) / BLOB_CHUNK || h->synced > (uint64_t)offset)
		return false;
	uint64_t table = h->chunks > 1 ? (uint64_t)h->chunks * TABLE_ENTRY : 0;
	uint64_t least = RECORD_HEADER + (uint64_t)h->chunks * CHUNK_HEADER + table;
	return h->stored % RECORD_ALIGN == 0 && h->stored >= least && h->stored <= record_padded(least + h->raw);
}

int record_header_get(const unsigned char *from, int64_t pack, int64_t offset, struct record_header *h)
{
	if (memcmp(from + AT_MAGIC, record_magic, sizeof record_magic) ||
	    get64(from + AT_CHECKSUM) != record_checksum(from, pack, offset))
		return fail_with(ERR_CORRUPT, "pack %llx: bad record header at %lld", (long long)pack, (long long)offset);
	struct record_header g = {
		.dictionary = get32(from + AT_DICTIONARY), .key = get32(from + AT_KEY), .raw = get64(from + AT_RAW),
		.stored = get64(from + AT_STORED), .chunks = get32(from + AT_CHUNKS), .synced = get64(from + AT_SYNCED),
	};
	memcpy(g.sha256, from + AT_SHA256, sizeof g.sha256);
	bool zero = !from[AT_ZERO] && !from[AT_ZERO + 1] && !get32(from + AT_ZERO2);
	if (from[AT_FORMAT] != FORMAT || from[AT_CODEC] != CODEC_ZSTD || g.dictionary || g.key || !zero)
		return fail_with(ERR_UNAVAILABLE, "pack %llx: the record at %lld is of a later version", (long long)pack,
			(long long)offset);
	if (!lengths_ok(&g, offset))
		return fail_with(ERR_CORRUPT, "pack %llx: lengths of the record at %lld", (long long)pack, (long long)offset);
	*h = g;
	return OK;
}

size_t chunk_compress(ZSTD_CCtx *z, unsigned char *to, size_t cap, const unsigned char *raw, size_t n)
{
	size_t k = ZSTD_compressCCtx(z, to + CHUNK_HEADER, cap - CHUNK_HEADER, raw, n,
		LEVEL);
	return ZSTD_isError(k) || k >= n - n / GAIN ? 0 : k;
}

uint64_t chunk_checksum(const unsigned char *chunk, size_t stored, uint64_t index)
{
	uint64_t lengths = XXH3_64bits_withSeed(chunk, 8, index);
	return XXH3_64bits_withSeed(chunk + CHUNK_HEADER, stored, lengths);
}

void chunk_header_put(unsigned char *to, size_t raw, size_t stored, uint64_t index)
{
	put32(to, (uint32_t)raw);
	put32(to + 4, (uint32_t)stored);
	put64(to + 8, chunk_checksum(to, stored, index));
}

int chunk_get(const unsigned char *from, size_t n, uint64_t index, size_t raw, struct chunk *out)
{
	if (n < CHUNK_HEADER)
		return fail_with(ERR_CORRUPT, "chunk %llu is cut short", (unsigned long long)index);
	size_t stored = get32(from + 4);
	if (get32(from) != raw || stored > raw || stored > n - CHUNK_HEADER)
		return fail_with(ERR_CORRUPT, "chunk %llu: bad lengths", (unsigned long long)index);
	if (get64(from + 8) != chunk_checksum(from, stored, index))
		return fail_with(ERR_CORRUPT, "chunk %llu: bad checksum", (unsigned long long)index);
	*out = (struct chunk){ from + CHUNK_HEADER, stored, stored == raw };
	return OK;
}

int chunk_expand(ZSTD_DCtx *z, const struct chunk *c, unsigned char *to, size_t raw)
{
	size_t k = ZSTD_decompressDCtx(z, to, raw, c->p, c->n);
	if (ZSTD_isError(k) || k != raw)
		return fail_with(ERR_CORRUPT, "chunk does not expand: %s", ZSTD_isError(k) ? ZSTD_getErrorName(k) : "short");
	return OK;
}

void table_entry_put(unsigned char *to, uint64_t at)
{
	put64(to, at);
}

uint64_t table_entry_get(const unsigned char *from)
{
	return get64(from);
}
