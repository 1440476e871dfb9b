/* Goes on with operations that were cut short (protect/resume): at the start, and where several nodes share the store every few
   seconds, with those of nodes that died. On a thread of its own. */
#ifndef RESUME_JOB_H
#define RESUME_JOB_H

struct resume_job;
struct service;

int resume_job_start(struct service *s, struct resume_job **out);
/* Waits for what runs. Takes the pointer's address, sets it NULL, accepts NULL. */
void resume_job_stop(struct resume_job **j);

#endif
