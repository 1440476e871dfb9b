#include "follow_job.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"
#include "follow.h"
#include "log.h"
#include "service.h"

#define GATHER_US (SECOND_US / 10) /* between two steps at least, so that busy accounts are not read change by change */

struct follow_job {
	struct service *service;
	struct follow *const *followers;
	size_t n;
	struct listener_all *listening;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	atomic_bool news, stop;
};

static void tell(void *ctx, const struct touched *t, bool ours)
{
	struct follow_job *j = ctx;
	if (atomic_exchange(&j->news, true))
		return;
	pthread_mutex_lock(&j->lock);
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
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

static void wait_until(struct follow_job *j, int64_t at, bool news)
{
	struct timespec t = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&j->lock);
	while (!atomic_load(&j->stop) && !(news && atomic_load(&j->news)) && clock_mono() < at)
		pthread_cond_timedwait(&j->wake, &j->lock, &t);
	pthread_mutex_unlock(&j->lock);
}

static void *follow_job_main(void *ctx)
{
	struct follow_job *j = ctx;
	while (!atomic_load(&j->stop)) {
		int64_t began = clock_mono();
		atomic_store(&j->news, false);
		for (size_t i = 0; i < j->n; i++)
			step(j->followers[i]);
		int64_t took = clock_mono() - began;
		wait_until(j, began + took + (took > GATHER_US ? took : GATHER_US), false);
		wait_until(j, began + FOLLOW_EVERY_US, true);
	}
	return NULL;
}

static int start(struct follow_job *j)
{
	pthread_condattr_t a;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &a);
	pthread_condattr_destroy(&a);
	int e = service_listen(j->service, tell, j, &j->listening);
	if (!e && pthread_create(&j->thread, NULL, follow_job_main, j))
		e = fail_with(ERR_UNAVAILABLE, "no thread");
	return e;
}

static void destroy(struct follow_job *j)
{
	service_unlisten(j->service, &j->listening);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int follow_job_start(struct service *s, struct follow *const *followers, size_t n, struct follow_job **out)
{
	struct follow_job *j = calloc(1, sizeof *j);
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*j = (struct follow_job){ .service = s, .followers = followers, .n = n };
	int e = start(j);
	if (e)
		destroy(j);
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
	pthread_mutex_lock(&j->lock);
	atomic_store(&j->stop, true);
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	destroy(j);
}
