#include "presence.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail.h"
#include "job.h"
#include "log.h"
#include "nodes.h"
#include "pin.h"
#include "service.h"
#include "store.h"

struct presence {
	struct presence_options opt;
	struct store *store;
	bool failing;
	struct job *job; /* NULL: the database is this node's alone */
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

static void beat_again(struct job *j, void *arg)
{
	struct presence *p = arg;
	note_failure(p, beat(p));
}

int presence_start(const struct presence_options *o, struct presence **out)
{
	struct presence *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	p->opt = *o;
	p->store = service_store(o->service);
	int e = beat(p);
	if (!e && meta_shared(p->store->meta))
		e = job_start(NODES_BEAT_US, NODES_BEAT_US, beat_again, p, &p->job);
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
	job_stop(&p->job);
	free(p);
}
