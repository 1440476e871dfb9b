#include "metric.h"

#include <assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail.h"

enum kind { COUNTER, GAUGE, SECONDS, NUMBERS };

static const struct family {
	enum kind kind;
	const char *name, *label, *values, *help;
} families[METRICS] = {
#define METRIC(id, kind, name, label, values, help) { kind, name, label, values, help },
#include "metrics.def"
#undef METRIC
};

/* Upper bounds of the buckets; one more takes the rest. */
static const int64_t seconds[] = { 100, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
	2500000, 10000000 };
static const int64_t numbers[] = { 1, 2, 4, 8, 16, 32, 64 };

enum {
	SHARDS_MAX = 16,
	LINE = 8, /* cells of a cache line: no two processors share one */
};

typedef atomic_uint_fast64_t cell;

/* A value of a family has one cell, or as many as buckets, the rest, and the sum. */
struct metrics {
	unsigned shards;            /* a power of two */
	unsigned cells;             /* of a shard */
	unsigned first[METRICS];    /* cell of the family's first value */
	unsigned values[METRICS];
	const char **names[METRICS]; /* of the values that metric_name() named */
	cell *all;                  /* shards * cells */
};

static unsigned bounds_of(const struct family *f, const int64_t **bounds)
{
	*bounds = f->kind == SECONDS ? seconds : numbers;
	if (f->kind == SECONDS)
		return sizeof seconds / sizeof *seconds;
	return f->kind == NUMBERS ? sizeof numbers / sizeof *numbers : 0;
}

static unsigned cells_of(const struct family *f)
{
	const int64_t *bounds;
	unsigned n = bounds_of(f, &bounds);
	return n ? n + 2 : 1;
}

/* The n-th of the words; empty behind the last. */
static struct span word(const char *words, unsigned n)
{
	for (; n && *words; n--) {
		words += strcspn(words, " ");
		words += *words == ' ';
	}
	return span_from(words, strcspn(words, " "));
}

static unsigned count_values(const struct family *f)
{
	unsigned n = 0;
	if (!*f->label)
		return 1;
	while (word(f->values, n).n)
		n++;
	return n ? n : METRIC_NAMED;
}

static unsigned count_shards(void)
{
	long processors = sysconf(_SC_NPROCESSORS_CONF);
	unsigned n = 1;
	while (n < SHARDS_MAX && (long)n < processors)
		n *= 2;
	return n;
}

int metrics_new(struct metrics **out)
{
	struct metrics *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "metrics: no memory");
	bool whole = true;
	for (unsigned i = 0; i < METRICS; i++) {
		m->first[i] = m->cells;
		m->values[i] = count_values(&families[i]);
		m->cells += m->values[i] * cells_of(&families[i]);
		if (*families[i].label && !*families[i].values)
			whole = (m->names[i] = calloc(METRIC_NAMED, sizeof **m->names)) && whole;
	}
	m->cells = (m->cells + LINE - 1) / LINE * LINE;
	m->shards = count_shards();
	m->all = aligned_alloc(LINE * sizeof(cell), (size_t)m->shards * m->cells * sizeof(cell));
	if (!m->all || !whole) {
		metrics_free(&m);
		return fail_with(ERR_UNAVAILABLE, "metrics: no memory");
	}
	for (size_t i = 0; i < (size_t)m->shards * m->cells; i++)
		atomic_init(&m->all[i], 0);
	*out = m;
	return OK;
}

void metrics_free(struct metrics **pm)
{
	struct metrics *m = *pm;
	*pm = NULL;
	if (!m)
		return;
	for (unsigned i = 0; i < METRICS; i++)
		free(m->names[i]);
	free(m->all);
	free(m);
}

void metric_name(struct metrics *m, enum metric id, unsigned value, const char *name)
{
	if (!m)
		return;
	assert(m->names[id] && value < METRIC_NAMED);
	m->names[id][value] = name;
}

/* The value's cells that belong to this processor; NULL when there is no such value. */
static cell *here(struct metrics *m, enum metric id, unsigned value)
{
	if (!m || value >= m->values[id])
		return NULL;
	unsigned shard = (unsigned)sched_getcpu() & (m->shards - 1);
	return m->all + (size_t)shard * m->cells + m->first[id] + value * cells_of(&families[id]);
}

static void add(cell *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

void metric_add(struct metrics *m, enum metric id, unsigned value, uint64_t n)
{
	cell *c = here(m, id, value);
	if (c)
		add(c, n);
}

void metric_observe(struct metrics *m, enum metric id, unsigned value, int64_t x)
{
	const int64_t *bounds;
	unsigned n = bounds_of(&families[id], &bounds), i = 0;
	cell *c = here(m, id, value);
	if (!c)
		return;
	assert(n);
	if (x < 0)
		x = 0;
	while (i < n && x > bounds[i])
		i++;
	add(c + i, 1);
	add(c + n + 1, (uint64_t)x);
}

void metric_set(struct metrics *m, enum metric id, unsigned value, uint64_t n)
{
	if (m && value < m->values[id])
		atomic_store_explicit(m->all + m->first[id] + value * cells_of(&families[id]), n, memory_order_relaxed);
}

/* ---- As text */

static uint64_t sum(const struct metrics *m, unsigned at)
{
	uint64_t n = 0;
	for (unsigned s = 0; s < m->shards; s++)
		n += atomic_load_explicit(m->all + (size_t)s * m->cells + at, memory_order_relaxed);
	return n;
}

/* "{result="ok"", with le="..." if there is one; empty without both. */
static void put_labels(struct buffer *out, const struct family *f, struct span value, const char *le)
{
	const char *before = "{";
	if (*f->label) {
		buffer_printf(out, "{%s=\"%.*s\"", f->label, SPAN_ARG(value));
		before = ",";
	}
	if (le)
		buffer_printf(out, "%sle=\"%s\"", before, le);
	if (*f->label || le)
		buffer_putc(out, '}');
}

static void put_line(struct buffer *out, const struct family *f, const char *suffix, struct span value, const char *le)
{
	buffer_puts(out, f->name);
	buffer_puts(out, suffix);
	put_labels(out, f, value, le);
	buffer_putc(out, ' ');
}

/* x of a histogram: microseconds as seconds without needless digits, or the number. */
static void write_x(char *to, size_t n, const struct family *f, uint64_t x)
{
	uint64_t unit = f->kind == SECONDS ? 1000000 : 1;
	size_t k = (size_t)snprintf(to, n, "%llu", (unsigned long long)(x / unit));
	if (x % unit == 0)
		return;
	k += (size_t)snprintf(to + k, n - k, ".%06llu", (unsigned long long)(x % unit));
	while (to[k - 1] == '0')
		to[--k] = 0;
}

static void put_histogram(const struct metrics *m, struct buffer *out, const struct family *f, struct span value,
                          unsigned at)
{
	const int64_t *bounds;
	unsigned n = bounds_of(f, &bounds);
	uint64_t count = 0;
	char x[40];
	for (unsigned i = 0; i <= n; i++) {
		count += sum(m, at + i);
		if (i < n)
			write_x(x, sizeof x, f, (uint64_t)bounds[i]);
		put_line(out, f, "_bucket", value, i < n ? x : "+Inf");
		buffer_printf(out, "%llu\n", (unsigned long long)count);
	}
	write_x(x, sizeof x, f, sum(m, at + n + 1));
	put_line(out, f, "_sum", value, NULL);
	buffer_printf(out, "%s\n", x);
	put_line(out, f, "_count", value, NULL);
	buffer_printf(out, "%llu\n", (unsigned long long)count);
}

static void put_value(const struct metrics *m, struct buffer *out, const struct family *f, struct span value, unsigned at)
{
	if (f->kind == SECONDS || f->kind == NUMBERS) {
		put_histogram(m, out, f, value, at);
		return;
	}
	put_line(out, f, "", value, NULL);
	buffer_printf(out, "%llu\n", (unsigned long long)sum(m, at));
}

static void put_family(const struct metrics *m, struct buffer *out, unsigned id)
{
	static const char *const types[] = { "counter", "gauge", "histogram", "histogram" };
	const struct family *f = &families[id];
	buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, types[f->kind]);
	for (unsigned i = 0; i < m->values[id]; i++) {
		struct span name = m->names[id] ? span_of(m->names[id][i]) : word(f->values, i);
		if (name.n || !*f->label)
			put_value(m, out, f, name, m->first[id] + i * cells_of(f));
	}
}

void metrics_put(const struct metrics *m, struct buffer *out)
{
	for (unsigned i = 0; i < METRICS; i++)
		put_family(m, out, i);
}
