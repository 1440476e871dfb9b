/* A record as it may stand in a damaged pack: nothing but its checksums, which are put right, keeps nonsense out. */
#include <assert.h>
#include <endian.h>
#include <stdlib.h>

#include "record.h"

enum { PACK = 77, OFFSET = 4096 };

static void put(unsigned char *to, uint64_t v)
{
	v = htole64(v);
	memcpy(to, &v, sizeof v);
}

static void one_chunk(unsigned char *p, size_t n, uint64_t index, size_t raw)
{
	struct chunk c;
	uint32_t stored;
	unsigned char *to = malloc(raw);
	if (n >= CHUNK_HEADER) {
		memcpy(&stored, p + 4, sizeof stored);
		stored = le32toh(stored) & INT32_MAX;
		if (stored <= n - CHUNK_HEADER)
			put(p + 8, chunk_checksum(p, stored, index));
	}
	if (!chunk_get(p, n, index, raw, &c)) {
		assert(c.p >= p && c.n <= raw && c.p + c.n <= p + n);
		ZSTD_DCtx *z = ZSTD_createDCtx();
		unsigned char *scratch = malloc(raw);
		if (c.kind != CHUNK_PLAIN)
			chunk_expand(z, &c, scratch, to, raw);
		free(scratch);
		ZSTD_freeDCtx(z);
	}
	free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct record_header h;
	if (n < RECORD_HEADER)
		return 0;
	unsigned char *p = malloc(n);
	memcpy(p, data, n);
	memcpy(p, "PREC\1\2\0\0\0\0\0\0\0\0\0\0", 16);
	put(p + RECORD_HEADER - 8, record_checksum(p, PACK, OFFSET));
	if (!record_header_get(p, PACK, OFFSET, &h) && h.chunks) {
		uint64_t index = p[RECORD_HEADER - 9] % h.chunks;
		assert(record_chunk_raw(&h, index) - 1 < BLOB_CHUNK && h.stored <= RECORD_RAW_MAX * 2);
		one_chunk(p + RECORD_HEADER, n - RECORD_HEADER, index, record_chunk_raw(&h, index));
	}
	free(p);
	return 0;
}
