#include "text_fold.h"

#include "utf8.h"

/* Ranges of capitals: those at first, first + step, ... up to last become c + add. */
struct fold_range {
	uint32_t first, last, step;
	int32_t add;
};

static const struct fold_range ranges[] = {
	{ 0xc0, 0xd6, 1, 32 }, { 0xd8, 0xde, 1, 32 }, { 0x100, 0x12e, 2, 1 }, { 0x132, 0x136, 2, 1 }, { 0x139, 0x147, 2, 1 },
	{ 0x14a, 0x176, 2, 1 }, { 0x178, 0x178, 1, -121 }, { 0x179, 0x17d, 2, 1 }, { 0x1cd, 0x1db, 2, 1 },
	{ 0x1de, 0x1ee, 2, 1 }, { 0x1f8, 0x21e, 2, 1 }, { 0x222, 0x232, 2, 1 }, { 0x246, 0x24e, 2, 1 },
	{ 0x386, 0x386, 1, 38 }, { 0x388, 0x38a, 1, 37 }, { 0x38c, 0x38c, 1, 64 }, { 0x38e, 0x38f, 1, 63 },
	{ 0x391, 0x3a1, 1, 32 }, { 0x3a3, 0x3ab, 1, 32 }, { 0x3c2, 0x3c2, 1, 1 }, { 0x3d8, 0x3ee, 2, 1 },
	{ 0x400, 0x40f, 1, 80 }, { 0x410, 0x42f, 1, 32 }, { 0x460, 0x480, 2, 1 }, { 0x48a, 0x4be, 2, 1 },
	{ 0x4c0, 0x4c0, 1, 15 }, { 0x4c1, 0x4cd, 2, 1 }, { 0x4d0, 0x52e, 2, 1 }, { 0x531, 0x556, 1, 48 },
	{ 0x10a0, 0x10c5, 1, 7264 }, { 0x1c90, 0x1cba, 1, -3008 }, { 0x1e00, 0x1e94, 2, 1 }, { 0x1e9e, 0x1e9e, 1, -7615 },
	{ 0x1ea0, 0x1efe, 2, 1 }, { 0x1f08, 0x1f0f, 1, -8 }, { 0x1f18, 0x1f1d, 1, -8 }, { 0x1f28, 0x1f2f, 1, -8 },
	{ 0x1f38, 0x1f3f, 1, -8 }, { 0x1f48, 0x1f4d, 1, -8 }, { 0x1f68, 0x1f6f, 1, -8 }, { 0x2160, 0x216f, 1, 16 },
	{ 0x24b6, 0x24cf, 1, 26 }, { 0x2c80, 0x2ce2, 2, 1 }, { 0x10400, 0x10427, 1, 40 },
};

static uint32_t fold_range(uint32_t c)
{
	size_t low = 0, high = sizeof ranges / sizeof *ranges;
	while (low < high) {
		size_t mid = (low + high) / 2;
		const struct fold_range *r = &ranges[mid];
		if (c < r->first)
			high = mid;
		else if (c > r->last)
			low = mid + 1;
		else
			return (c - r->first) % r->step ? c : (uint32_t)((int32_t)c + r->add);
	}
	return c;
}

static uint32_t fold_char(uint32_t c)
{
	if (c >= 0xff01 && c <= 0xff5e)
		c -= 0xfee0; /* full-width forms are the ASCII ones */
	if (c >= 'A' && c <= 'Z')
		return c + 32;
	if (c == 0xa0)
		return ' ';
	if (c == 0x130 || c == 0x17f)
		return c == 0x130 ? 'i' : 's';
	return fold_range(c);
}

static bool is_caseless(uint32_t c)
{
	return (c >= 0x2d00 && c < 0xff00) || (c >= 0x590 && c < 0x10a0);
}

void text_fold(struct span s, struct buffer *out)
{
	while (s.n) {
		size_t n = 0;
		char *to = buffer_reserve(out, s.n);
		if (!to)
			return;
		while (n < s.n && (unsigned char)s.p[n] < 0x80) {
			to[n] = ascii_lower(s.p[n]);
			n++;
		}
		out->n += n;
		s = span_sub(s, n, SIZE_MAX);
		while (s.n && (unsigned char)s.p[0] >= 0x80) {
			uint32_t c;
			if (!utf8_next(&s, &c)) {
				buffer_putc(out, s.p[0]);
				s = span_sub(s, 1, SIZE_MAX);
			} else {
				utf8_put(out, is_caseless(c) ? c : fold_char(c));
			}
		}
	}
}

void text_find_start(struct text_find *f, struct span needle)
{
	buffer_reset(&f->tail);
	f->needle = needle;
	f->found = needle.n == 0;
}

/* A match that began in the tail lies within the tail and as many bytes of the new piece. */
static bool found_across(struct text_find *f, struct span s)
{
	size_t had = f->tail.n;
	if (had == 0)
		return false;
	buffer_put_span(&f->tail, span_sub(s, 0, f->needle.n - 1));
	bool found = memmem(f->tail.p, f->tail.n, f->needle.p, f->needle.n) != NULL;
	f->tail.n = had;
	return found;
}

static void keep_tail(struct text_find *f, struct span s)
{
	size_t keep = f->needle.n - 1;
	if (s.n >= keep) {
		buffer_reset(&f->tail);
		buffer_put_span(&f->tail, span_sub(s, s.n - keep, keep));
		return;
	}
	buffer_put_span(&f->tail, s);
	if (f->tail.n > keep)
		buffer_consume(&f->tail, f->tail.n - keep);
}

bool text_find_push(struct text_find *f, struct span s)
{
	if (f->found || s.n == 0)
		return f->found;
	f->found = found_across(f, s) || memmem(s.p, s.n, f->needle.p, f->needle.n) != NULL;
	if (!f->found)
		keep_tail(f, s);
	return f->found;
}

void text_find_free(struct text_find *f)
{
	buffer_free(&f->tail);
}

bool text_contains(struct span text, struct span needle)
{
	struct buffer folded = { 0 };
	text_fold(text, &folded);
	bool found = needle.n == 0 || (folded.n && memmem(folded.p, folded.n, needle.p, needle.n));
	buffer_free(&folded);
	return found;
}
