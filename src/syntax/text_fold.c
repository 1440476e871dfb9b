#include "text_fold.h"

#include "utf8.h"

#include "casemap.inc"

enum { BLOCK = sizeof casemap_at[0] / sizeof casemap_at[0][0] };

static void fold_char(uint32_t c, struct span as_is, struct buffer *out)
{
	unsigned block = c / BLOCK < sizeof casemap_block ? casemap_block[c / BLOCK] : 0;
	unsigned at = casemap_at[block][c % BLOCK];
	if (at)
		buffer_put(out, casemap_text + at, casemap_text[at - 1]);
	else
		buffer_put_span(out, as_is);
}

static char upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
}

void text_fold(struct span s, struct buffer *out)
{
	while (s.n) {
		size_t n = 0;
		char *to = buffer_reserve(out, s.n);
		if (!to)
			return;
		while (n < s.n && (unsigned char)s.p[n] < 0x80) {
			to[n] = upper(s.p[n]);
			n++;
		}
		out->n += n;
		s = span_sub(s, n, SIZE_MAX);
		while (s.n && (unsigned char)s.p[0] >= 0x80) {
			uint32_t c;
			struct span rest = s;
			if (utf8_next(&s, &c)) {
				fold_char(c, span_sub(rest, 0, rest.n - s.n), out);
			} else {
				buffer_putc(out, s.p[0]);
				s = span_sub(s, 1, SIZE_MAX);
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
