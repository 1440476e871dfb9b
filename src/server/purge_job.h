/* What runs every now and then, and logs a line for each time that it did something: purge, and the packer of staged bodies. */
#ifndef PURGE_JOB_H
#define PURGE_JOB_H

#include "job.h"

void purge_job(struct job *j, void *purge);
void packer_job(struct job *j, void *packer);

#endif
