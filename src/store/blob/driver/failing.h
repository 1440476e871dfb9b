/* A store whose calls fail when a test says so. URL: failing:file:blobs?fail=OP&at=N&times=N&error=enospc&short=1,
   OP one of create, write, sync, read, remove, any. With plan=FILE it takes others while it runs (plan_file.h). */
#ifndef FAILING_H
#define FAILING_H

#include "driver.h"

enum fault_op { FAULT_NONE, FAULT_CREATE, FAULT_WRITE, FAULT_SYNC, FAULT_READ, FAULT_REMOVE, FAULT_ANY };

struct fault_plan {
	enum fault_op op;
	int64_t at;    /* the first call to fail, counted from 1 since the plan was set */
	int64_t times; /* how many calls in a row; 0 counts as 1 */
	bool full;     /* no space left: ERR_FULL; else an I/O error: ERR_UNAVAILABLE */
	bool cut;      /* a write leaves half of its bytes behind, a sync or a removal is done and denied, a read ends early */
};

/* Wraps *b; takes it also when that fails. */
int blob_failing_wrap(const char *query, struct blob_backend **b);
/* b: a failing backend. Starts counting anew. Any thread. */
void blob_failing_set(struct blob_backend *b, const struct fault_plan *plan);
/* Calls the plan's op has seen since. */
int64_t blob_failing_calls(struct blob_backend *b);

#endif
