#include "poller.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "fail.h"
#include "job.h"
#include "link.h"
#include "log.h"
#include "metric.h"
#include "nodes.h"
#include "service.h"
#include "store.h"

struct poller {
	struct poller_options o;
	int64_t at; /* the next look's time, clock_mono() */
	bool failing;
	struct buffer nodes; /* struct node_info each */
	atomic_uint_fast64_t missed;
	struct job *job;
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

static void look_again(struct job *j, void *arg)
{
	struct poller *p = arg;
	look(p);
	int64_t now = clock_mono();
	p->at = p->at + p->o.every > now ? p->at + p->o.every : now;
	job_next(j, p->at - now);
}

int poller_start(const struct poller_options *o, struct poller **out)
{
	struct poller *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->o = *o;
	p->at = clock_mono();
	int e = job_start(0, o->every, look_again, p, &p->job);
	if (e)
		free(p);
	else
		*out = p;
	return e;
}

void poller_stop(struct poller **pp)
{
	struct poller *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	job_stop(&p->job);
	buffer_free(&p->nodes);
	free(p);
}

uint64_t poller_missed(const struct poller *p)
{
	return p ? atomic_load(&p->missed) : 0;
}
