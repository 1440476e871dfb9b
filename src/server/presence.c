#include "presence.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "fail.h"
#include "log.h"
#include "nodes.h"
#include "pin.h"
#include "service.h"
#include "store.h"

struct presence {
	struct presence_options opt;
	struct store *store;
	pthread_t thread;
	pthread_mutex_t lock; /* stop */
	pthread_cond_t wake;
	bool stop, failing;
};

/* The nearest that the clock may be to the database's; 0: it may be right. */
static int64_t clock_off(int64_t ahead, int64_t unsure)
{
	if (llabs(ahead) - unsure <= PRESENCE_CLOCK_US)
		return 0;
	return ahead;
}

static void note_clock(struct presence *p, int64_t off)
{
	int64_t was = atomic_exchange(&p->store->clock_off, off);
	if (off && !was)
		log_line(LOG_ERROR, "clock", "off-by-ms=%lld detail=\"this node's clock is not the database's: it takes no mail and no "
			"changes until one of them is set right\"", (long long)(off / 1000));
	else if (was && !off)
		log_line(LOG_INFO, "clock", "detail=\"the clock is right again\"");
}

static int beat(struct presence *p)
{
	struct meta *m = p->store->meta;
	struct node_report r = { .address = p->opt.address, .version = p->opt.version };
	int64_t unsure;
	if (!meta_clock(m, &r.ahead, &unsure)) /* else it is as it was */
		note_clock(p, clock_off(r.ahead, unsure));
	r.horizon = meta_horizon(m);
	r.needs = clock_now() - pin_oldest(p->opt.service);
	return nodes_beat(p->store->nodes, &r);
}

/* Stores that fail are in the log already, by whoever needed them. */
static void note_failure(struct presence *p, int e)
{
	char why[512];
	if (e == ERR_CONFLICT) {
		log_line(LOG_ERROR, "node", "detail=\"another start of this node runs, with its name: this one ends; give one of them "
			"another name (node.name)\"");
		_exit(EXIT_FAILURE);
	}
	if (e && !p->failing)
		log_line(LOG_WARN, "node", "detail=\"no sign of life reaches the others\" why=%s",
		         log_quote(why, sizeof why, span_of(fail_detail())));
	p->failing = e;
}

/* False when it is time to go. */
static bool pause_for(struct presence *p, int64_t us)
{
	int64_t at = clock_mono() + us;
	struct timespec until = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&p->lock);
	while (!p->stop && pthread_cond_timedwait(&p->wake, &p->lock, &until) == 0)
		;
	bool go_on = !p->stop;
	pthread_mutex_unlock(&p->lock);
	return go_on;
}

static void *beat_on(void *arg)
{
	struct presence *p = arg;
	while (pause_for(p, NODES_BEAT_US))
		note_failure(p, beat(p));
	return NULL;
}

static int start_thread(struct presence *p)
{
	pthread_condattr_t a;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &a);
	pthread_condattr_destroy(&a);
	return pthread_create(&p->thread, NULL, beat_on, p) ? fail_with(ERR_UNAVAILABLE, "no thread") : OK;
}

int presence_start(const struct presence_options *o, struct presence **out)
{
	struct presence *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->opt = *o;
	p->store = service_store(o->service);
	int e = beat(p);
	if (!e && !meta_shared(p->store->meta)) {
		free(p);
		return OK;
	}
	if (!e)
		e = start_thread(p);
	if (e)
		free(p);
	else
		*out = p;
	return e;
}

void presence_stop(struct presence **pp)
{
	struct presence *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
