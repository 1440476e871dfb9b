/* Numbers that a node keeps about itself and tells in the text format of Prometheus. Each is declared once, in
 * metrics.def. Counting takes some nanoseconds and no lock: every processor has cells of its own, which are added up
 * when somebody asks. All calls but metrics_free() may come from any thread; counting on NULL does nothing. */
#ifndef METRIC_H
#define METRIC_H

#include "buffer.h"

enum metric {
#define METRIC(id, ...) METRIC_##id,
#include "metrics.def"
#undef METRIC
	METRICS
};

enum {
	METRIC_NAMED = 64,   /* values of a label that are given by metric_name(), at most */
	METRIC_RESULTS = 14, /* error codes: where these are a label's values, others begin at this place */
};

struct metrics;

int metrics_new(struct metrics **out);
/* Takes the pointer's address, sets it NULL. */
void metrics_free(struct metrics **m);

/* Names a value of a label whose values stand not in the table. name: a literal, without quotes and backslashes.
   Before anybody counts. */
void metric_name(struct metrics *m, enum metric id, unsigned value, const char *name);

/* value: the place of the label's value, 0 without a label; one that there is not counts nowhere. */
void metric_add(struct metrics *m, enum metric id, unsigned value, uint64_t n);
/* For a result: the place of an error code in the values of labels that begin with the codes' names (fail_name). */
static inline unsigned metric_result(int code)
{
	return code > 0 ? 0 : (unsigned)-code;
}
/* Of a histogram: microseconds, or a number. */
void metric_observe(struct metrics *m, enum metric id, unsigned value, int64_t x);
/* What somebody else counted; never together with metric_add() on the same metric. */
void metric_set(struct metrics *m, enum metric id, unsigned value, uint64_t n);

/* All of them as text (text/plain; version=0.0.4). */
void metrics_put(const struct metrics *m, struct buffer *out);

#endif
