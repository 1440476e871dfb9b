#include "follow_job.h"

#include <stdlib.h>

#include "fail.h"
#include "follow.h"
#include "job.h"
#include "log.h"
#include "service.h"

#define GATHER_US (SECOND_US / 10) /* between two steps at least, so that busy accounts are not read change by change */

struct follow_job {
	struct service *service;
	struct follow *const *followers;
	size_t n;
	struct listener_all *listening;
	struct job *job;
};

static void tell(void *ctx, const struct touched *t, bool ours)
{
	struct follow_job *j = ctx;
	job_wake(j->job);
}

static void step(struct follow *f)
{
	struct follow_stats before, after;
	char why[600];
	follow_stats(f, &before);
	int e = follow_step(f, clock_now());
	follow_stats(f, &after);
	if (e && e != ERR_CONFLICT && e != ERR_STOPPED)
		log_line(LOG_WARN, "follow", "error=%s detail=%s", fail_name(e), log_quote(why, sizeof why, span_of(fail_detail())));
	if (after.misses > before.misses)
		log_line(LOG_ERROR, "follow", "missed=%llu what=\"changes that came after their slot was closed: is a clock wrong?\"",
		         (unsigned long long)(after.misses - before.misses));
}

static void step_all(struct job *job, void *arg)
{
	struct follow_job *j = arg;
	int64_t began = clock_mono();
	for (size_t i = 0; i < j->n; i++)
		step(j->followers[i]);
	int64_t took = clock_mono() - began;
	job_rest(job, took > GATHER_US ? took : GATHER_US);
	int64_t left = began + FOLLOW_EVERY_US - clock_mono();
	job_next(job, left > 0 ? left : 0);
}

/* The first step comes when it is heard what changes. */
static int start(struct follow_job *j)
{
	int e = job_start(FOLLOW_EVERY_US, FOLLOW_EVERY_US, step_all, j, &j->job);
	if (!e)
		e = service_listen(j->service, tell, j, &j->listening);
	if (!e)
		job_wake(j->job);
	return e;
}

int follow_job_start(struct service *s, struct follow *const *followers, size_t n, struct follow_job **out)
{
	struct follow_job *j = calloc(1, sizeof *j);
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*j = (struct follow_job){ .service = s, .followers = followers, .n = n };
	int e = start(j);
	if (e)
		follow_job_stop(&j);
	else
		*out = j;
	return e;
}

void follow_job_stop(struct follow_job **pj)
{
	struct follow_job *j = *pj;
	*pj = NULL;
	if (!j)
		return;
	service_unlisten(j->service, &j->listening);
	job_stop(&j->job);
	free(j);
}
