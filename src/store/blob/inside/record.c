#include "record.h"

#include <endian.h>
#include <xxhash.h>

#include "base64_runs.h"
#include "fail.h"
#include "pool.h"

/* Level 3 makes a mail 4 to 5 % smaller than level 1, and a delivery a tenth dearer. What does not shrink by a part in GAIN
   is stored as it is. */
enum { FORMAT = 1, LEVEL = 1, GAIN = 32 };
static const uint32_t parted = UINT32_C(1) << 31; /* in a chunk's length of the bytes stored */

/* A parted chunk: lengths, then the bytes, the text, the runs. */
enum { PARTED_RUNS = 0, PARTED_TEXT_RAW = 4, PARTED_TEXT = 8, PARTED_BYTES = 12, PARTED_HEAD = 16 };

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
	to[AT_CODEC] = CODEC_CHUNKS;
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
	if (from[AT_FORMAT] != FORMAT || from[AT_CODEC] != CODEC_CHUNKS || g.dictionary || g.key || !zero)
		return fail_with(ERR_UNAVAILABLE, "pack %llx: the record at %lld is of a later version", (long long)pack,
			(long long)offset);
	if (!lengths_ok(&g, offset))
		return fail_with(ERR_CORRUPT, "pack %llx: lengths of the record at %lld", (long long)pack, (long long)offset);
	*h = g;
	return OK;
}

static bool is_worth_it(size_t stored, size_t n)
{
	return stored < n - n / GAIN;
}

/* As a zstd frame, or as they are: how many bytes at `to`, where there is room for either. */
static size_t put_packed(ZSTD_CCtx *z, unsigned char *to, size_t cap, const unsigned char *from, size_t n)
{
	size_t k = n ? ZSTD_compressCCtx(z, to, cap, from, n, LEVEL) : 0;
	if (n && (ZSTD_isError(k) || !is_worth_it(k, n))) {
		memcpy(to, from, n);
		return n;
	}
	return k;
}

static void put_runs(unsigned char *to, const struct base64_split *s)
{
	for (size_t i = 0; i < s->n; i++, to += RUN_STORED) {
		put32(to, s->runs[i].text);
		put32(to + 4, s->runs[i].first);
		put32(to + 8, s->runs[i].line);
		put32(to + 12, s->runs[i].quads);
	}
}

/* text, and behind it room, are in scratch; the bytes where they belong, if they stay as they are. */
static size_t put_parted(ZSTD_CCtx *z, unsigned char *to, size_t cap, unsigned char *scratch, const struct base64_split *s)
{
	unsigned char *at = to + PARTED_HEAD;
	size_t bytes = put_packed(z, scratch + s->text, cap - s->text, at, s->bytes);
	if (bytes < s->bytes)
		memcpy(at, scratch + s->text, bytes);
	at += bytes;
	size_t text = put_packed(z, at, cap - (size_t)(at - to), scratch, s->text);
	put32(to + PARTED_RUNS, (uint32_t)s->n);
	put32(to + PARTED_TEXT_RAW, (uint32_t)s->text);
	put32(to + PARTED_TEXT, (uint32_t)text);
	put32(to + PARTED_BYTES, (uint32_t)bytes);
	put_runs(at + text, s);
	return PARTED_HEAD + bytes + text + s->n * RUN_STORED;
}

size_t chunk_compress(ZSTD_CCtx *z, unsigned char *to, unsigned char *scratch, const unsigned char *raw, size_t n,
                      enum chunk_kind *kind)
{
	size_t cap = POOL_BUFFER - RECORD_HEADER - CHUNK_HEADER, k;
	struct base64_split s;
	to += CHUNK_HEADER;
	*kind = base64_split(raw, n, scratch, to + PARTED_HEAD, &s) ? CHUNK_PARTED : CHUNK_ZSTD;
	k = *kind == CHUNK_PARTED ? put_parted(z, to, cap, scratch, &s) : put_packed(z, to, cap, raw, n);
	if (is_worth_it(k, n))
		return k;
	*kind = CHUNK_PLAIN;
	return 0;
}

uint64_t chunk_checksum(const unsigned char *chunk, size_t stored, uint64_t index)
{
	uint64_t lengths = XXH3_64bits_withSeed(chunk, 8, index);
	return XXH3_64bits_withSeed(chunk + CHUNK_HEADER, stored, lengths);
}

void chunk_header_put(unsigned char *to, size_t raw, size_t stored, enum chunk_kind kind, uint64_t index)
{
	put32(to, (uint32_t)raw);
	put32(to + 4, (uint32_t)stored | (kind == CHUNK_PARTED ? parted : 0));
	put64(to + 8, chunk_checksum(to, stored, index));
}

int chunk_get(const unsigned char *from, size_t n, uint64_t index, size_t raw, struct chunk *out)
{
	if (n < CHUNK_HEADER)
		return fail_with(ERR_CORRUPT, "chunk %llu is cut short", (unsigned long long)index);
	size_t stored = get32(from + 4) & ~parted;
	bool is_parted = get32(from + 4) & parted;
	if (get32(from) != raw || stored > raw || stored > n - CHUNK_HEADER)
		return fail_with(ERR_CORRUPT, "chunk %llu: bad lengths", (unsigned long long)index);
	if (get64(from + 8) != chunk_checksum(from, stored, index))
		return fail_with(ERR_CORRUPT, "chunk %llu: bad checksum", (unsigned long long)index);
	*out = (struct chunk){ from + CHUNK_HEADER, stored, is_parted ? CHUNK_PARTED : stored == raw ? CHUNK_PLAIN : CHUNK_ZSTD };
	return OK;
}

static int expand_frame(ZSTD_DCtx *z, const unsigned char *from, size_t n, unsigned char *to, size_t raw)
{
	size_t k = ZSTD_decompressDCtx(z, to, raw, from, n);
	if (ZSTD_isError(k) || k != raw)
		return fail_with(ERR_CORRUPT, "chunk does not expand: %s", ZSTD_isError(k) ? ZSTD_getErrorName(k) : "short");
	return OK;
}

/* Where the raw bytes of a part are: as they stand, or at `to`, where there is room for them. */
static int expand_part(ZSTD_DCtx *z, const unsigned char *from, size_t n, unsigned char *to, size_t raw, const unsigned char **out)
{
	*out = n == raw ? from : to;
	return n == raw ? OK : expand_frame(z, from, n, to, raw);
}

static void get_runs(const unsigned char *from, struct base64_run *runs, size_t n)
{
	for (size_t i = 0; i < n; i++, from += RUN_STORED)
		runs[i] = (struct base64_run){ get32(from), get32(from + 4), get32(from + 8), get32(from + 12) };
}

static int parted_wrong(void)
{
	return fail_with(ERR_CORRUPT, "chunk does not expand: lengths of its parts");
}

static int expand_parted(ZSTD_DCtx *z, const struct chunk *c, unsigned char *scratch, unsigned char *to, size_t raw)
{
	struct base64_run runs[RUNS_MAX];
	const unsigned char *text, *bytes;
	size_t bytes_raw, characters;
	if (c->n < PARTED_HEAD || get32(c->p) > RUNS_MAX)
		return parted_wrong();
	size_t n = get32(c->p + PARTED_RUNS), text_raw = get32(c->p + PARTED_TEXT_RAW);
	size_t n_text = get32(c->p + PARTED_TEXT), n_bytes = get32(c->p + PARTED_BYTES);
	if (n_text + n_bytes + n * RUN_STORED != c->n - PARTED_HEAD)
		return parted_wrong();
	get_runs(c->p + PARTED_HEAD + n_bytes + n_text, runs, n);
	if (!base64_sizes(runs, n, raw, &bytes_raw, &characters) || text_raw != raw - characters)
		return parted_wrong();
	int e = expand_part(z, c->p + PARTED_HEAD, n_bytes, scratch, bytes_raw, &bytes);
	if (!e)
		e = expand_part(z, c->p + PARTED_HEAD + n_bytes, n_text, scratch + bytes_raw, text_raw, &text);
	if (!e && !base64_join(runs, n, text, text_raw, bytes, to, raw))
		e = parted_wrong();
	return e;
}

int chunk_expand(ZSTD_DCtx *z, const struct chunk *c, unsigned char *scratch, unsigned char *to, size_t raw)
{
	return c->kind == CHUNK_PARTED ? expand_parted(z, c, scratch, to, raw) : expand_frame(z, c->p, c->n, to, raw);
}

void table_entry_put(unsigned char *to, uint64_t at)
{
	put64(to, at);
}

uint64_t table_entry_get(const unsigned char *from)
{
	return get64(from);
}
