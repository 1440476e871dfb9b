#include "quantity.h"

#include "clock.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit plain[] = { { "", 1 }, { NULL, 0 } };
static const struct unit sizes[] = { { "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 }, { "G", 1 << 30 },
	{ "T", INT64_C(1) << 40 }, { NULL, 0 } };
static const struct unit durations[] = { { "w", 604800 * SECOND_US }, { "d", 86400 * SECOND_US }, { "h", 3600 * SECOND_US },
	{ "m", 60 * SECOND_US }, { "s", SECOND_US }, { "ms", 1000 }, { "", SECOND_US }, { NULL, 0 } };

static const struct {
	const char *name;
	const struct unit *units;
} quantities[] = {
	[QUANTITY_NUMBER] = { "number", plain },
	[QUANTITY_SIZE] = { "size", sizes },
	[QUANTITY_DURATION] = { "duration", durations },
};

bool quantity_parse(enum quantity q, struct span s, int64_t *out)
{
	size_t n = 0;
	uint64_t v;
	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	struct span unit = span_sub(s, n, s.n);
	for (const struct unit *u = quantities[q].units; u->name; u++)
		if (span_eq(unit, span_of(u->name)) && span_u64(span_sub(s, 0, n), (uint64_t)(INT64_MAX / u->factor), &v)) {
			*out = (int64_t)v * u->factor;
			return true;
		}
	return false;
}

void quantity_write(enum quantity q, int64_t v, struct buffer *out)
{
	const struct unit *best = NULL;
	for (const struct unit *u = quantities[q].units; u->name; u++)
		if (v && v % u->factor == 0 && (!best || u->factor > best->factor))
			best = u;
	buffer_printf(out, "%lld%s", (long long)(best ? v / best->factor : v), best ? best->name : "");
}

const char *quantity_name(enum quantity q)
{
	return quantities[q].name;
}
