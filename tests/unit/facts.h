/* Rows of the smallest table, for tests of transactions on any driver. */
#ifndef FACTS_H
#define FACTS_H

#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "fail.h"
#include "meta.h"

struct fact {
	const char *name;
	char value[64]; /* in or out */
	int result;     /* what the function returns at its end */
	int runs;       /* how often it was run */
};

static inline int fact_get(struct meta_txn *t, void *arg)
{
	struct fact *f = arg;
	struct meta_rows r;
	int code = meta_one(t, &r, META_FACT_GET, "s", span_of(f->name));
	if (code)
		return code;
	snprintf(f->value, sizeof f->value, "%.*s", SPAN_ARG(meta_span(&r, 0)));
	meta_done(&r);
	return OK;
}

/* A number under a name; 0: it was never set. */
static inline int tally_get(struct meta_txn *t, const char *name, int64_t *value)
{
	struct fact f = { .name = name };
	int code = fact_get(t, &f);
	*value = code ? 0 : strtoll(f.value, NULL, 10);
	return code == ERR_NOT_FOUND ? OK : code;
}

static inline int tally_set(struct meta_txn *t, const char *name, int64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%lld", (long long)value);
	return meta_do(t, META_FACT_SET, "ss", span_of(name), span_of(text));
}

/* value NULL: there is none. */
static inline void assert_fact(struct meta *m, const char *name, const char *value)
{
	struct fact f = { .name = name };
	int r = meta_read(m, fact_get, &f);
	assert_int_equal(r, value ? OK : ERR_NOT_FOUND);
	if (value)
		assert_string_equal(f.value, value);
}

struct musts {
	struct meta_must must;
	bool asks; /* something behind it */
	int runs;
};

/* Nobody has that lease: no row is changed. */
static inline int must_change(struct meta_txn *t, void *arg)
{
	struct musts *m = arg;
	struct meta_rows r;
	m->runs++;
	int e = meta_do(t, META_FACT_ADD, "ss", SPAN("must"), SPAN("x"));
	if (!e)
		e = meta_must(t, m->must, META_LEASE_HOLD, "sii", SPAN("nobody's"), INT64_C(1), INT64_C(1));
	if (e || !m->asks)
		return e;
	e = meta_one(t, &r, META_FACT_GET, "s", SPAN("schema"));
	if (!e)
		meta_done(&r);
	return e;
}

/* With another number of rows than it must change nothing is committed, and a conflict is the caller's. */
static inline void assert_musts(struct meta *meta)
{
	static const struct {
		int64_t rows;
		bool asks;
		int failure;
	} cases[] = {
		{ 1, false, ERR_CONFLICT }, { 1, true, ERR_CONFLICT }, { 2, false, ERR_CORRUPT }, { 2, true, ERR_CORRUPT }, { 0, true, OK },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct musts m = { .must = { cases[i].rows, cases[i].failure, "not so many" }, .asks = cases[i].asks };
		assert_int_equal(meta_run(meta, must_change, &m, NULL), cases[i].failure);
		assert_int_equal(m.runs, 1);
		if (cases[i].failure)
			assert_string_equal(fail_detail(), "not so many");
		assert_fact(meta, "must", cases[i].failure ? NULL : "x");
	}
}

#endif
