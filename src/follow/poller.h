/* Once in a while asks the store which of the accounts watched here have changed (service_poll), so that what no notice told
   arrives all the same; and tells the link which other nodes live. */
#ifndef POLLER_H
#define POLLER_H

#include <stdint.h>

struct link;
struct metrics;
struct poller;
struct service;

struct poller_options {
	struct service *service;
	struct link *link;       /* NULL: there is none */
	int64_t every;           /* us */
	struct metrics *metrics; /* not owned; may be NULL */
};

int poller_start(const struct poller_options *o, struct poller **out);
/* Takes the pointer's address, sets it NULL. */
void poller_stop(struct poller **p);
/* Changes that a poll found and no notice announced. */
uint64_t poller_missed(const struct poller *p);

#endif
