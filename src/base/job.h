/* A thread that does something every so often. */
#ifndef JOB_H
#define JOB_H

#include <stdint.h>

struct job;
typedef void job_fn(struct job *j, void *arg);

/* first, every: us. The first run comes so long after the start, each other one so long after the end of the one before. */
int job_start(int64_t first, int64_t every, job_fn *fn, void *arg, struct job **out);
/* Waits for the run that is under way. Takes the pointer's address, sets it NULL, accepts NULL. */
void job_stop(struct job **j);
/* The wait for the next run ends at once; while one is under way, another follows it. Any thread. */
void job_wake(struct job *j);

/* For a run: the next one comes so long after this one's end, us; negative: none will. */
void job_next(struct job *j, int64_t us);
/* For a run: waits so long, us, whoever wakes the job, unless it is stopped. */
void job_rest(struct job *j, int64_t us);
/* For long runs, which end soon once it says so; takes the job as what they call their context. */
int job_stopping(void *job);

#endif
