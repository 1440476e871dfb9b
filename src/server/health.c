#include "health.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "clock.h"
#include "fail.h"
#include "job.h"
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
	struct job *job;
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

static int64_t period(void)
{
	int64_t watchdog = notify_watchdog() / 3;
	return watchdog && watchdog < PERIOD_US ? watchdog : PERIOD_US;
}

static void look(struct job *j, void *arg)
{
	struct health *h = arg;
	bool served = loop_beat(h->opt.loop);
	const char *last = h->reason, *now = try_all(h, served);
	h->reason = now;
	h->at = clock_mono();
	say(last, now);
	if (served)
		notify_manager("WATCHDOG=1");
}

int health_start(const struct health_options *o, struct health **out)
{
	struct health *h = calloc(1, sizeof *h);
	if (!h)
		return fail_with(ERR_UNAVAILABLE, "health: no memory");
	h->opt = *o;
	h->reason = ok;
	h->at = clock_mono();
	loop_beat(o->loop);
	int64_t us = period();
	int e = job_start(us, us, look, h, &h->job);
	if (e)
		free(h);
	else
		*out = h;
	return e;
}

void health_stop(struct health **ph)
{
	struct health *h = *ph;
	*ph = NULL;
	if (!h)
		return;
	job_stop(&h->job);
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
