#include "base64_runs.h"

#include <endian.h>
#include <pthread.h>
#include <string.h>

enum {
	QUAD = 4, TRIPLE = 3,
	LINE_LEAST = 16,     /* characters: shorter lines are words */
	RUN_LEAST = 128,     /* and a run has its price */
	BAD = 1 << 24,       /* in values: no character of the alphabet */
};

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* values: of a character at each of the four places of a quad; pairs: the two characters of twelve bits. */
static uint32_t values[QUAD][256];
static char pairs[4096][2];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (int place = 0; place < QUAD; place++) {
		for (int c = 0; c < 256; c++)
			values[place][c] = BAD;
		for (uint32_t v = 0; v < 64; v++)
			values[place][(unsigned char)alphabet[v]] = v << (18 - 6 * place);
	}
	for (int i = 0; i < 4096; i++) {
		pairs[i][0] = alphabet[i >> 6];
		pairs[i][1] = alphabet[i & 63];
	}
}

/* ---- Parting */

static uint32_t quad_value(const unsigned char *p)
{
	return values[0][p[0]] | values[1][p[1]] | values[2][p[2]] | values[3][p[3]];
}

/* How many of n quads are base64; their bytes are put. */
static size_t decode(const unsigned char *from, size_t n, unsigned char *to)
{
	for (size_t i = 0; i < n; i++, from += QUAD, to += TRIPLE) {
		uint32_t v = quad_value(from);
		if (v & BAD)
			return i;
		uint32_t big = htobe32(v << 8);
		memcpy(to, &big, sizeof big);
	}
	return n;
}

/* Where the line that begins at p ends: before its CRLF, or at the end of all. */
static const unsigned char *line_end(const unsigned char *p, const unsigned char *end)
{
	const unsigned char *lf = memchr(p, '\n', (size_t)(end - p));
	return !lf ? end : lf > p && lf[-1] == '\r' ? lf - 1 : lf;
}

static bool has_crlf(const unsigned char *p, const unsigned char *end)
{
	return end - p >= 2 && p[0] == '\r' && p[1] == '\n';
}

/* The lines of a run behind its first: where it ends. */
static const unsigned char *take_lines(const unsigned char *p, const unsigned char *end, unsigned char *bytes, struct base64_run *r)
{
	while (has_crlf(p, end)) {
		const unsigned char *begin = p + 2;
		size_t length = (size_t)(line_end(begin, end) - begin);
		if (!r->line)
			r->line = (uint32_t)(length - length % QUAD);
		size_t quads = (length < r->line ? length : r->line) / QUAD;
		size_t good = quads ? decode(begin, quads, bytes + (size_t)r->quads * TRIPLE) : 0;
		if (!good)
			return p;
		r->quads += (uint32_t)good;
		p = begin + good * QUAD;
		if (good * QUAD < r->line)
			return p;
	}
	return p;
}

/* A run that begins at p, or NULL. */
static const unsigned char *take_run(const unsigned char *p, size_t length, const unsigned char *end, unsigned char *bytes,
	struct base64_run *r)
{
	r->first = (uint32_t)length;
	r->line = 0;
	r->quads = (uint32_t)decode(p, length / QUAD, bytes);
	if (r->quads * (size_t)QUAD < length)
		return NULL;
	p = take_lines(p + length, end, bytes, r);
	return (size_t)r->quads * QUAD >= RUN_LEAST ? p : NULL;
}

struct parting {
	const unsigned char *end, *kept; /* what stands from there on is text */
	unsigned char *text, *bytes;
	struct base64_split *out;
};

static void put_text(struct parting *s, const unsigned char *until)
{
	size_t n = (size_t)(until - s->kept);
	memcpy(s->text + s->out->text, s->kept, n);
	s->out->text += n;
}

/* Where to go on: behind a run, or at the line's end. */
static const unsigned char *take_line(struct parting *s, const unsigned char *p, const unsigned char *line, size_t skip)
{
	struct base64_split *o = s->out;
	size_t length = (size_t)(line - p) - skip;
	struct base64_run *r = &o->runs[o->n];
	if (length < LINE_LEAST || length % QUAD || o->n == RUNS_MAX)
		return line;
	const unsigned char *behind = take_run(p + skip, length, s->end, s->bytes + o->bytes, r);
	if (!behind)
		return line;
	r->text = (uint32_t)(p + skip - s->kept);
	put_text(s, p + skip);
	s->kept = behind;
	o->bytes += (size_t)r->quads * TRIPLE;
	o->n++;
	return behind;
}

/* A line may have begun in the chunk before, amid a quad. */
bool base64_split(const unsigned char *from, size_t n, unsigned char *text, unsigned char *bytes, struct base64_split *out)
{
	struct parting s = { .end = from + n, .kept = from, .text = text, .bytes = bytes, .out = out };
	pthread_once(&once, make_tables);
	out->n = out->text = out->bytes = 0;
	for (const unsigned char *p = from; p < s.end;) {
		const unsigned char *line = line_end(p, s.end);
		p = take_line(&s, p, line, p == from ? (size_t)(line - p) % QUAD : 0);
		const unsigned char *lf = memchr(p, '\n', (size_t)(s.end - p));
		p = lf ? lf + 1 : s.end;
	}
	if (out->n)
		put_text(&s, s.end);
	return out->n > 0;
}

/* ---- Joining */

static void encode(const unsigned char *from, size_t quads, unsigned char *to)
{
	for (; quads; quads--, from += TRIPLE, to += QUAD) {
		memcpy(to, pairs[from[0] << 4 | from[1] >> 4], 2);
		memcpy(to + 2, pairs[(from[1] & 15) << 8 | from[2]], 2);
	}
}

static size_t run_characters(const struct base64_run *r)
{
	size_t all = (size_t)r->quads * QUAD;
	size_t breaks = all > r->first ? (all - r->first + r->line - 1) / r->line : 0;
	return all + 2 * breaks;
}

bool base64_sizes(const struct base64_run *runs, size_t n_runs, size_t n, size_t *bytes, size_t *characters)
{
	*bytes = *characters = 0;
	for (size_t i = 0; i < n_runs; i++) {
		const struct base64_run *r = &runs[i];
		if (r->quads > n / QUAD || !r->first || r->first % QUAD || r->line % QUAD || ((size_t)r->quads * QUAD > r->first && !r->line))
			return false;
		*bytes += (size_t)r->quads * TRIPLE;
		*characters += run_characters(r);
		if (*characters > n)
			return false;
	}
	return true;
}

static unsigned char *put_run(const struct base64_run *r, const unsigned char *bytes, unsigned char *to)
{
	size_t left = r->quads, line = r->first / QUAD;
	for (;;) {
		size_t quads = left < line ? left : line;
		encode(bytes, quads, to);
		bytes += quads * TRIPLE;
		to += quads * QUAD;
		left -= quads;
		if (!left)
			return to;
		*to++ = '\r';
		*to++ = '\n';
		line = r->line / QUAD;
	}
}

bool base64_join(const struct base64_run *runs, size_t n_runs, const unsigned char *text, size_t n_text, const unsigned char *bytes,
                 unsigned char *to, size_t n)
{
	size_t all, characters;
	if (!base64_sizes(runs, n_runs, n, &all, &characters) || n_text != n - characters)
		return false;
	pthread_once(&once, make_tables);
	for (size_t i = 0; i < n_runs; i++) {
		if (runs[i].text > n_text)
			return false;
		memcpy(to, text, runs[i].text);
		text += runs[i].text;
		n_text -= runs[i].text;
		to = put_run(&runs[i], bytes, to + runs[i].text);
		bytes += (size_t)runs[i].quads * TRIPLE;
	}
	memcpy(to, text, n_text);
	return true;
}
