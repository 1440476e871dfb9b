/* A thread that does something every so often. */
#ifndef JOB_H
#define JOB_H

#include <stdint.h>

struct job;
typedef void job_fn(struct job *j, void *arg);

/* every: us. The first run comes that long after the start; the next one so long after its end. */
int job_start(int64_t every, job_fn *fn, void *arg, struct job **out);
/* For long runs, which end soon once it says so; takes the job as what they call their context. */
int job_stopping(void *job);
/* Waits for the run that is under way. Takes the pointer's address, sets it NULL. */
void job_stop(struct job **j);

#endif
