#include "purge_job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "buffer.h"
#include "clock.h"
#include "fail.h"
#include "log.h"
#include "purge.h"

struct purge_job {
	struct purge *purge;
	int64_t every;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stop;
};

static int stopping(void *ctx)
{
	return atomic_load(&((struct purge_job *)ctx)->stop);
}

static void tell(const struct purge_report *r)
{
	struct buffer b = { 0 };
	purge_report_write(r, &b);
	log_line(LOG_INFO, "purge", "%.*s", SPAN_ARG(buffer_span(&b)));
	buffer_free(&b);
}

static void run(struct purge_job *j)
{
	struct purge_report r;
	struct purge_request q = { .gentle = true, .cancelled = stopping, .ctx = j };
	char why[600];
	int e = purge_run(j->purge, &q, &r);
	if (!e)
		tell(&r);
	else if (e != ERR_CONFLICT && e != ERR_STOPPED) /* somebody runs it by hand; the node stops */
		log_line(e == ERR_DENIED ? LOG_WARN : LOG_ERROR, "purge", "error=%s detail=%s", fail_name(e),
		         log_quote(why, sizeof why, span_of(fail_detail())));
}

static void wait_until(struct purge_job *j, int64_t at)
{
	struct timespec t = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&j->lock);
	while (!stopping(j) && clock_mono() < at)
		pthread_cond_timedwait(&j->wake, &j->lock, &t);
	pthread_mutex_unlock(&j->lock);
}

static void *purge_job_main(void *ctx)
{
	struct purge_job *j = ctx;
	for (;;) {
		wait_until(j, clock_mono() + j->every);
		if (stopping(j))
			return NULL;
		run(j);
	}
}

int purge_job_start(struct purge *p, int64_t every, struct purge_job **out)
{
	struct purge_job *j = calloc(1, sizeof *j);
	pthread_condattr_t a;
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	j->purge = p;
	j->every = every;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &a);
	pthread_condattr_destroy(&a);
	if (pthread_create(&j->thread, NULL, purge_job_main, j)) {
		free(j);
		return fail_with(ERR_UNAVAILABLE, "no thread");
	}
	*out = j;
	return OK;
}

void purge_job_stop(struct purge_job **pj)
{
	struct purge_job *j = *pj;
	*pj = NULL;
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	atomic_store(&j->stop, true);
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
