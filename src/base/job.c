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
	int64_t next; /* of the run under way: how long after its end, us */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_bool woken, stop;
};

int job_stopping(void *job)
{
	return atomic_load(&((struct job *)job)->stop);
}

static void wait_until(struct job *j, int64_t at, bool wakes)
{
	struct timespec t = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&j->lock);
	while (!job_stopping(j) && !(wakes && atomic_load(&j->woken)) && clock_mono() < at)
		pthread_cond_timedwait(&j->changed, &j->lock, &t);
	pthread_mutex_unlock(&j->lock);
}

static void *job_main(void *arg)
{
	struct job *j = arg;
	while (j->next >= 0) {
		wait_until(j, clock_mono() + j->next, true);
		if (job_stopping(j))
			break;
		j->next = j->every;
		atomic_store(&j->woken, false);
		j->fn(j, j->arg);
	}
	return NULL;
}

static void destroy(struct job *j)
{
	pthread_cond_destroy(&j->changed);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int job_start(int64_t first, int64_t every, job_fn *fn, void *arg, struct job **out)
{
	struct job *j = calloc(1, sizeof *j);
	pthread_condattr_t a;
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*j = (struct job){ .fn = fn, .arg = arg, .every = every, .next = first };
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&j->changed, &a);
	pthread_condattr_destroy(&a);
	*out = j;
	if (pthread_create(&j->thread, NULL, job_main, j) == 0)
		return OK;
	*out = NULL;
	destroy(j);
	return fail_with(ERR_UNAVAILABLE, "no thread");
}

static void set(struct job *j, atomic_bool *what)
{
	if (atomic_exchange(what, true))
		return;
	pthread_mutex_lock(&j->lock);
	pthread_cond_signal(&j->changed);
	pthread_mutex_unlock(&j->lock);
}

void job_wake(struct job *j)
{
	set(j, &j->woken);
}

void job_stop(struct job **pj)
{
	struct job *j = *pj;
	*pj = NULL;
	if (!j)
		return;
	set(j, &j->stop);
	pthread_join(j->thread, NULL);
	destroy(j);
}

void job_next(struct job *j, int64_t us)
{
	j->next = us;
}

void job_rest(struct job *j, int64_t us)
{
	wait_until(j, clock_mono() + us, false);
}
