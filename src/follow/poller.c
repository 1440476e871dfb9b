#include "poller.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "fail.h"
#include "link.h"
#include "log.h"
#include "metric.h"
#include "nodes.h"
#include "service.h"
#include "store.h"

struct poller {
	struct poller_options o;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stop; /* under the lock */
	bool failing;
	struct buffer nodes; /* struct node_info each */
	atomic_uint_fast64_t missed;
};

/* Who lives, and says where it listens. */
static void find_peers(struct poller *p)
{
	struct udp_address peers[LINK_PEERS];
	size_t n = 0;
	if (nodes_list(service_store(p->o.service)->nodes, &p->nodes))
		return;
	const struct node_info *all = (const struct node_info *)(void *)p->nodes.p;
	for (size_t i = 0; i < p->nodes.n / sizeof *all && n < LINK_PEERS; i++)
		if (!all[i].self && all[i].alive && *all[i].address)
			n += udp_resolve(span_of(all[i].address), &peers[n]) == OK;
	link_peers(p->o.link, peers, n);
}

/* A store that does not answer is said once. */
static void note(struct poller *p, int e)
{
	char why[600];
	if (e && e != ERR_STOPPED && !p->failing)
		log_line(LOG_WARN, "poll", "error=%s detail=%s", fail_name(e), log_quote(why, sizeof why, span_of(fail_detail())));
	p->failing = e != OK;
}

static void look(struct poller *p)
{
	uint64_t missed;
	note(p, service_poll(p->o.service, &missed));
	atomic_fetch_add(&p->missed, missed);
	metric_add(p->o.metrics, METRIC_POLLED, 0, missed);
	if (p->o.link)
		find_peers(p);
}

/* False: it is over. */
static bool wait_until(struct poller *p, int64_t at)
{
	struct timespec t = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&p->lock);
	while (!p->stop && clock_mono() < at)
		pthread_cond_timedwait(&p->wake, &p->lock, &t);
	bool stop = p->stop;
	pthread_mutex_unlock(&p->lock);
	return !stop;
}

static void *poller_main(void *ctx)
{
	struct poller *p = ctx;
	int64_t at = clock_mono();
	do {
		look(p);
		at = at + p->o.every > clock_mono() ? at + p->o.every : clock_mono();
	} while (wait_until(p, at));
	return NULL;
}

static void destroy(struct poller *p)
{
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	buffer_free(&p->nodes);
	free(p);
}

int poller_start(const struct poller_options *o, struct poller **out)
{
	struct poller *p = calloc(1, sizeof *p);
	pthread_condattr_t a;
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->o = *o;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &a);
	pthread_condattr_destroy(&a);
	if (pthread_create(&p->thread, NULL, poller_main, p)) {
		destroy(p);
		return fail_with(ERR_UNAVAILABLE, "no thread");
	}
	*out = p;
	return OK;
}

void poller_stop(struct poller **pp)
{
	struct poller *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	destroy(p);
}

uint64_t poller_missed(const struct poller *p)
{
	return p ? atomic_load(&p->missed) : 0;
}
