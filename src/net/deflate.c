#include "deflate.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#include "fail.h"

enum {
	RAW_WINDOW = -15, /* bits; no header, no checksum */
	MEMORY = 8,       /* zlib's default */
	LEVEL = 3,        /* saves 97 % of what level 6 does, of real mail, in less than half its time */
	OVERHEAD = 64,    /* of a piece: its blocks' heads, and the empty one at its end */
};

struct deflater {
	z_stream z;
};

struct inflater {
	z_stream z;
	bool rests; /* between two blocks, and two bytes */
};

int deflater_new(struct deflater **out)
{
	struct deflater *d = calloc(1, sizeof *d);
	if (!d || deflateInit2(&d->z, LEVEL, Z_DEFLATED, RAW_WINDOW, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK) {
		free(d);
		return fail_with(ERR_LIMIT, "deflate: no memory");
	}
	*out = d;
	return OK;
}

void deflater_free(struct deflater **p)
{
	if (*p)
		deflateEnd(&(*p)->z);
	free(*p);
	*p = NULL;
}

void deflater_reset(struct deflater *d)
{
	deflateReset(&d->z);
}

void deflater_put(struct deflater *d, struct span in, struct buffer *out)
{
	z_stream *z = &d->z;
	assert(in.n <= DEFLATE_PIECE);
	size_t room = in.n + OVERHEAD;
	char *to = in.n ? buffer_reserve(out, room) : NULL;
	if (!to)
		return;
	z->next_in = (Bytef *)(uintptr_t)in.p;
	z->avail_in = (uInt)in.n;
	z->next_out = (Bytef *)to;
	z->avail_out = (uInt)room;
	int r = deflate(z, Z_SYNC_FLUSH);
	assert(r == Z_OK && z->avail_in == 0 && z->avail_out > 0);
	out->n += room - z->avail_out;
}

int inflater_new(struct inflater **out)
{
	struct inflater *i = calloc(1, sizeof *i);
	if (!i || inflateInit2(&i->z, RAW_WINDOW) != Z_OK) {
		free(i);
		return fail_with(ERR_LIMIT, "inflate: no memory");
	}
	i->rests = true;
	*out = i;
	return OK;
}

void inflater_free(struct inflater **p)
{
	if (*p)
		inflateEnd(&(*p)->z);
	free(*p);
	*p = NULL;
}

int inflater_resume(struct inflater *i, struct span past)
{
	inflateReset(&i->z);
	i->rests = true;
	if (past.n && inflateSetDictionary(&i->z, (const Bytef *)past.p, (uInt)past.n) != Z_OK)
		return fail_with(ERR_LIMIT, "inflate: no memory");
	return OK;
}

/* Stops where a block ends, to see whether the stream rests there. */
static int one_block(struct inflater *i)
{
	enum { UNUSED_BITS = 63, IN_LAST = 64, AT_BLOCK = 128 };
	int r = inflate(&i->z, Z_BLOCK);
	i->rests = r == Z_OK && (i->z.data_type & (UNUSED_BITS | IN_LAST | AT_BLOCK)) == AT_BLOCK;
	return r;
}

enum inflate_answer inflater_get(struct inflater *i, struct span *in, char *out, size_t *room)
{
	z_stream *z = &i->z;
	int r = Z_OK;
	z->next_in = (Bytef *)(uintptr_t)in->p;
	z->avail_in = (uInt)in->n;
	z->next_out = (Bytef *)out;
	z->avail_out = (uInt)*room;
	while (r == Z_OK && z->avail_out && (z->avail_in || !i->rests))
		r = one_block(i);
	*in = span_sub(*in, in->n - z->avail_in, z->avail_in);
	*room -= z->avail_out;
	if (r == Z_OK)
		return z->avail_out ? INFLATE_MORE : INFLATE_FULL;
	return r == Z_BUF_ERROR ? INFLATE_MORE : r == Z_STREAM_END ? INFLATE_END : INFLATE_BAD;
}

bool inflater_leave(struct inflater *i, struct buffer *past)
{
	uInt n = 0;
	if (!i->rests || inflateGetDictionary(&i->z, NULL, &n) != Z_OK)
		return false;
	char *to = n ? buffer_reserve(past, n) : NULL;
	if (n && !to) {
		buffer_reset(past);
		return false;
	}
	if (n)
		inflateGetDictionary(&i->z, (Bytef *)to, &n);
	past->n += n;
	return true;
}
