#include "job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fail.h"

struct job {
	job_fn *fn;
	void *arg;
	int64_t every;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool stop;
};

int job_stopping(void *job)
{
	return atomic_load(&((struct job *)job)->stop);
}

static void wait_until(struct job *j, int64_t at)
{
	struct timespec t = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&j->lock);
	while (!job_stopping(j) && clock_mono() < at)
		pthread_cond_timedwait(&j->wake, &j->lock, &t);
	pthread_mutex_unlock(&j->lock);
}

static void *job_main(void *arg)
{
	struct job *j = arg;
	for (;;) {
		wait_until(j, clock_mono() + j->every);
		if (job_stopping(j))
			return NULL;
		j->fn(j, j->arg);
	}
}

int job_start(int64_t every, job_fn *fn, void *arg, struct job **out)
{
	struct job *j = calloc(1, sizeof *j);
	pthread_condattr_t a;
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	j->fn = fn;
	j->arg = arg;
	j->every = every;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &a);
	pthread_condattr_destroy(&a);
	if (pthread_create(&j->thread, NULL, job_main, j)) {
		free(j);
		return fail_with(ERR_UNAVAILABLE, "no thread");
	}
	*out = j;
	return OK;
}

void job_stop(struct job **pj)
{
	struct job *j = *pj;
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
