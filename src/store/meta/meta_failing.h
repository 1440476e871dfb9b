/* A store that fails when told to, over a real one: failing:URL. What must hold in every failure is tried with it.
 *
 * A test sets the plan; a whole process gets it in the URL: failing:sqlite:meta.db?commit=3&mode=full&times=1, where
 * commit=N or statement=N says which call fails, times how many from there on (0: all; 1 when not given), and mode is
 * full, unavailable, corrupt, conflict, or unknown: the commit happened, but the caller hears that it is not known. With plan=FILE it
 * takes others while it runs (plan_file.h): the same parameters, counted from then on. */
#ifndef META_FAILING_H
#define META_FAILING_H

#include "meta.h"

enum meta_failing_call { META_FAILING_NONE, META_FAILING_STATEMENT, META_FAILING_COMMIT };

struct meta_failing_plan {
	enum meta_failing_call call;
	uint64_t at;    /* the at-th such call from now on; 1 is the next */
	uint64_t times; /* so many calls fail; 0: all from there on */
	int code;       /* ERR_FULL, ERR_UNAVAILABLE, ERR_CORRUPT, ERR_CONFLICT */
	bool committed; /* a commit fails after it happened */
};

/* m was opened with failing:URL. Counting begins anew. Statements are counted in transactions of both kinds, at each
   execution and each row asked for; commits where a transaction's function returned OK. */
void meta_failing_set(struct meta *m, const struct meta_failing_plan *plan);
/* Calls of either kind since the plan was set. */
void meta_failing_seen(struct meta *m, uint64_t *statements, uint64_t *commits);


/* What the calls since the plan was set would cost where the database is a network away: a trip for each query but those
   that were named before (meta_expect) and came with an earlier trip, for each meta_try, and for each commit. */
struct meta_failing_cost {
	uint64_t transactions, queries, writes, trips;
};
void meta_failing_cost(struct meta *m, struct meta_failing_cost *out);

#endif
