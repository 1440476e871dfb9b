#include "imap_set.h"

#include <stdlib.h>

#include "fail.h"

static bool parse_number(struct span s, uint32_t *v)
{
	uint64_t n = 0;
	if (!span_eq(s, SPAN("*")) && (!span_u64(s, UINT32_MAX, &n) || n == 0))
		return false;
	*v = (uint32_t)n;
	return true;
}

static bool parse_range(struct span s, struct imap_range *r)
{
	ssize_t colon = span_find(s, ':');
	if (colon < 0)
		return parse_number(s, &r->first) && (r->last = r->first, true);
	return parse_number(span_sub(s, 0, (size_t)colon), &r->first) &&
	       parse_number(span_sub(s, (size_t)colon + 1, s.n), &r->last);
}

static size_t count_ranges(struct span text)
{
	size_t n = 1;
	for (size_t i = 0; i < text.n; i++)
		n += text.p[i] == ',';
	return n;
}

int imap_set_parse(struct arena *a, struct span text, struct imap_set *out)
{
	struct imap_set s = { .n = count_ranges(text) };
	if (s.n > IMAP_SET_RANGES_MAX)
		return fail_with(ERR_LIMIT, "a set of over %d ranges", IMAP_SET_RANGES_MAX);
	s.ranges = arena_alloc(a, s.n * sizeof *s.ranges);
	if (!s.ranges)
		return fail_with(ERR_LIMIT, "no room for a set of %zu ranges", s.n);
	for (size_t i = 0; i < s.n; i++) {
		ssize_t comma = span_find(text, ',');
		struct span one = span_sub(text, 0, comma < 0 ? text.n : (size_t)comma);
		if (!parse_range(one, &s.ranges[i]))
			return fail_with(ERR_INVALID, "not a set of numbers");
		text = span_sub(text, one.n + 1, text.n);
	}
	*out = s;
	return OK;
}

static int by_first(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;
	return (x->first > y->first) - (x->first < y->first);
}

/* Sorted already, as clients nearly always send it? */
static bool is_sorted(const struct imap_set *s)
{
	for (size_t i = 1; i < s->n; i++)
		if (s->ranges[i - 1].first > s->ranges[i].first)
			return false;
	return true;
}

static void give_star(struct imap_set *s, uint32_t max)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct imap_range r = s->ranges[i];
		if (max == 0 && (r.first == 0 || r.last == 0))
			continue;
		if (r.first == 0)
			r.first = max;
		if (r.last == 0)
			r.last = max;
		s->ranges[kept++] = r.first <= r.last ? r : (struct imap_range){ r.last, r.first };
	}
	s->n = kept;
}

static void merge(struct imap_set *s)
{
	size_t kept = 0;
	for (size_t i = 0; i < s->n; i++) {
		struct imap_range r = s->ranges[i], *last = kept ? &s->ranges[kept - 1] : NULL;
		if (!last || r.first > (uint64_t)last->last + 1)
			s->ranges[kept++] = r;
		else if (r.last > last->last)
			last->last = r.last;
	}
	s->n = kept;
}

void imap_set_resolve(struct imap_set *s, uint32_t max)
{
	give_star(s, max);
	if (!is_sorted(s))
		qsort(s->ranges, s->n, sizeof *s->ranges, by_first);
	merge(s);
}

uint64_t imap_set_count(const struct imap_set *s)
{
	uint64_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += (uint64_t)s->ranges[i].last - s->ranges[i].first + 1;
	return n;
}

uint32_t imap_set_last(const struct imap_set *s)
{
	return s->n ? s->ranges[s->n - 1].last : 0;
}

/* Index of the first range that does not end before v. */
static size_t find(const struct imap_set *s, uint64_t v)
{
	size_t low = 0, high = s->n;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (s->ranges[mid].last < v)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool imap_set_contains(const struct imap_set *s, uint32_t v)
{
	size_t i = find(s, v);
	return i < s->n && s->ranges[i].first <= v;
}

uint32_t imap_set_next(const struct imap_set *s, uint64_t from)
{
	size_t i = find(s, from);
	if (i == s->n)
		return 0;
	return s->ranges[i].first > from ? s->ranges[i].first : (uint32_t)from;
}

void imap_set_intersect(const struct imap_set *a, const struct imap_set *b, struct imap_set *out)
{
	size_t i = 0, j = 0;
	out->n = 0;
	while (i < a->n && j < b->n) {
		struct imap_range x = a->ranges[i], y = b->ranges[j];
		struct imap_range r = { x.first > y.first ? x.first : y.first, x.last < y.last ? x.last : y.last };
		if (r.first <= r.last)
			out->ranges[out->n++] = r;
		if (x.last < y.last)
			i++;
		else
			j++;
	}
}

static void append(struct imap_set *s, uint32_t first, uint32_t last)
{
	struct imap_range *before = s->n ? &s->ranges[s->n - 1] : NULL;
	if (before && before->last + (uint64_t)1 == first)
		before->last = last;
	else
		s->ranges[s->n++] = (struct imap_range){ first, last };
}

/* What is left of a range; returns how many of gone do not lie behind it. */
static size_t append_without(struct imap_set *s, struct imap_range r, const uint32_t *gone, size_t n)
{
	uint64_t first = r.first;
	size_t i = 0;
	for (; i < n && gone[i] <= r.last; i++) {
		if (gone[i] > first)
			append(s, (uint32_t)first, gone[i] - 1);
		if (gone[i] >= first)
			first = gone[i] + (uint64_t)1;
	}
	if (first <= r.last)
		append(s, (uint32_t)first, r.last);
	return i;
}

void imap_set_change(const struct imap_set *s, const uint32_t *gone, size_t n_gone, const uint32_t *come, size_t n_come,
                     struct imap_set *out)
{
	size_t g = 0, c = 0;
	out->n = 0;
	for (size_t i = 0; i < s->n; i++) {
		for (; c < n_come && come[c] < s->ranges[i].first; c++)
			append(out, come[c], come[c]);
		g += append_without(out, s->ranges[i], gone + g, n_gone - g);
	}
	for (; c < n_come; c++)
		append(out, come[c], come[c]);
}

void imap_set_add_range(struct imap_set_writer *w, struct imap_range r)
{
	if (w->last && r.first == (uint64_t)w->last + 1) {
		w->last = r.last;
		return;
	}
	imap_set_finish(w);
	w->first = r.first;
	w->last = r.last;
}

void imap_set_add(struct imap_set_writer *w, uint32_t v)
{
	imap_set_add_range(w, (struct imap_range){ v, v });
}

void imap_set_finish(struct imap_set_writer *w)
{
	if (w->last == 0)
		return;
	if (w->some)
		buffer_putc(w->b, ',');
	buffer_put_u64(w->b, w->first);
	if (w->last != w->first) {
		buffer_putc(w->b, ':');
		buffer_put_u64(w->b, w->last);
	}
	w->some = true;
	w->first = w->last = 0;
}

void imap_set_put(struct buffer *b, const uint32_t *v, size_t n)
{
	struct imap_set_writer w = { .b = b };
	for (size_t i = 0; i < n; i++)
		imap_set_add(&w, v[i]);
	imap_set_finish(&w);
}
