/* Runs the followers of a node, one after the other, on one thread: soon after a change that becomes known here, and every
   FOLLOW_EVERY_US in any case. */
#ifndef FOLLOW_JOB_H
#define FOLLOW_JOB_H

#include <stddef.h>

#include "clock.h"

#define FOLLOW_EVERY_US SECOND_US

struct follow;
struct follow_job;
struct service;

/* The followers are the caller's, and his again after follow_job_stop(). */
int follow_job_start(struct service *s, struct follow *const *followers, size_t n, struct follow_job **out);
/* Takes the pointer's address, sets it NULL. */
void follow_job_stop(struct follow_job **j);

#endif
