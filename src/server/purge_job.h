/* Runs purge every now and then, and logs a line for each run. */
#ifndef PURGE_JOB_H
#define PURGE_JOB_H

#include <stdint.h>

struct purge;
struct purge_job;

/* every: us. The first run comes that long after the start. */
int purge_job_start(struct purge *p, int64_t every, struct purge_job **out);
/* A run that is under way ends after its current transaction. Takes the pointer's address, sets it NULL. */
void purge_job_stop(struct purge_job **j);

#endif
