#include "health.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "loop.h"
#include "notify.h"
#include "store.h"

#define PERIOD_US (2 * SECOND_US)
#define HUNG_US (10 * SECOND_US)    /* a try that takes longer */
#define DISK_LEAST (UINT64_C(1) << 20) /* bytes: less is full, also for a node without a ballast */

static const char ok[] = "ok", stopping[] = "stopping", hung[] = "the store does not answer in time",
	no_read[] = "the store cannot be read", no_commit[] = "the store takes no changes", full[] = "the disk is full",
	no_worker[] = "connections are not served";

struct health {
	struct health_options opt;
	pthread_t thread;
	pthread_mutex_t lock; /* stop */
	pthread_cond_t changed;
	bool stop;
	_Atomic(const char *) reason;
	_Atomic int64_t at; /* clock_mono() time of the last try's end */
	atomic_bool leaving;
};

static int read_something(struct meta_txn *t, void *arg)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NODE_MAX, "");
	if (!e)
		meta_done(&r);
	return e;
}

/* Writes nothing: it costs no sync, and comes back only through the committer. */
static int change_nothing(struct meta_txn *t, void *arg)
{
	return OK;
}

static bool disk_full(const struct health_options *o)
{
	struct statvfs v;
	return o->store->full || (statvfs(o->dir, &v) == 0 && (uint64_t)v.f_bavail * v.f_frsize < DISK_LEAST);
}

static const char *try_all(struct health *h, bool served)
{
	int r = meta_run(h->opt.store->meta, change_nothing, NULL, NULL);
	if (meta_read(h->opt.store->meta, read_something, NULL))
		return no_read;
	if (disk_full(&h->opt))
		return full;
	if (r)
		return no_commit;
	return served ? ok : no_worker;
}

static void say(const char *before, const char *now)
{
	if (before != now)
		log_line(now == ok ? LOG_INFO : LOG_ERROR, "health", "state=\"%s\"", now);
}

/* False when it is time to go. */
static bool pause_for(struct health *h, int64_t us)
{
	int64_t at = clock_mono() + us;
	struct timespec until = { .tv_sec = at / SECOND_US, .tv_nsec = at % SECOND_US * 1000 };
	pthread_mutex_lock(&h->lock);
	while (!h->stop && pthread_cond_timedwait(&h->changed, &h->lock, &until) == 0)
		;
	bool go_on = !h->stop;
	pthread_mutex_unlock(&h->lock);
	return go_on;
}

static int64_t period(void)
{
	int64_t watchdog = notify_watchdog() / 3;
	return watchdog && watchdog < PERIOD_US ? watchdog : PERIOD_US;
}

static void *watch(void *arg)
{
	struct health *h = arg;
	int64_t us = period();
	const char *last = ok;
	loop_beat(h->opt.loop);
	while (pause_for(h, us)) {
		bool served = loop_beat(h->opt.loop);
		const char *now = try_all(h, served);
		h->reason = now;
		h->at = clock_mono();
		say(last, now);
		last = now;
		if (served)
			notify_manager("WATCHDOG=1");
	}
	return NULL;
}

int health_start(const struct health_options *o, struct health **out)
{
	pthread_condattr_t attr;
	struct health *h = calloc(1, sizeof *h);
	if (!h)
		return fail_with(ERR_UNAVAILABLE, "health: no memory");
	h->opt = *o;
	h->reason = ok;
	h->at = clock_mono();
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->changed, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&h->thread, NULL, watch, h)) {
		free(h);
		return fail_with(ERR_UNAVAILABLE, "health: no thread");
	}
	*out = h;
	return OK;
}

void health_stop(struct health **ph)
{
	struct health *h = *ph;
	*ph = NULL;
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->stop = true;
	pthread_cond_signal(&h->changed);
	pthread_mutex_unlock(&h->lock);
	pthread_join(h->thread, NULL);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void health_stopping(struct health *h)
{
	h->leaving = true;
}

bool health_answer(struct health *h, const char **reason)
{
	*reason = h->leaving ? stopping : clock_mono() - h->at > HUNG_US ? hung : h->reason;
	return *reason == ok;
}
