/* The loop: listeners, parked connections and the workers that run them.
 *
 * All workers wait on one epoll set, and every connection is armed for one event at a time (EPOLLONESHOT), so the kernel
 * hands each ready connection to one waiting worker: no loop thread, no queue, no hand-off on the way of a request. A
 * worker that takes the last waiter's place starts another, up to workers_max; those long without work end. Wake-ups,
 * timeouts and the stop go through one short queue that an eventfd announces. */
#ifndef LOOP_H
#define LOOP_H

#include "conn.h"
#include "listener.h"

struct loop;

struct loop_options {
	int workers_max;   /* threads */
	int conns_max;     /* connections of all listeners together */
	int64_t (*session_id)(void *ctx); /* an id for each new connection; any thread */
	void *ctx;
};

struct loop_stats {
	uint64_t accepted;  /* connections opened */
	uint64_t refused;   /* sent away, over a limit or out of descriptors */
	uint64_t conns;     /* open now */
	uint64_t workers;   /* threads now */
	uint64_t waiting;   /* of them without work */
};

int loop_open(const struct loop_options *o, struct loop **out);
/* Takes over the listener's descriptor (it is closed with the loop) and serves what connects to it with the protocol, at
   most conns_max connections at a time. service goes to each connection. tls: TLS begins at once with it; NULL: not. */
int loop_listen(struct loop *l, const struct listener *from, const struct conn_protocol *p, void *service, int conns_max,
                struct tls *tls);
/* From any thread: that protocol's connections at a time, for each of its listeners, from now on. */
void loop_limit(struct loop *l, const struct conn_protocol *p, int conns_max);
/* Workers start; connections are accepted from now on. */
int loop_start(struct loop *l);
/* Accepts no more, lets every protocol say goodbye, and waits at most us for the connections to end; then ends them
   hard. ERR_TIMEOUT when a handler still runs: the loop must not be closed then. */
int loop_stop(struct loop *l, int64_t us);
/* After loop_stop() (or without loop_start()). Takes the pointer's address, sets it NULL. */
void loop_close(struct loop **l);
/* Open connections of that protocol. */
uint64_t loop_conns(const struct loop *l, const struct conn_protocol *p);
/* Did a worker take up work since the last call? Asks for that anew; nothing but the first call and a loop whose
   workers are all stuck gives false. */
bool loop_beat(struct loop *l);

/* A connection as others see it. */
struct conn_info {
	int64_t id;
	const char *protocol, *peer;
	const char *tls;              /* NULL: none */
	int64_t account, app;         /* of conn_enter() */
	const char *facts[CONN_FACTS]; /* what the session told; NULL: nothing */
	int64_t since;                /* stamp, us */
	int64_t idle;                 /* us without input */
};

/* Calls each() for every connection, under a lock: it must be quick, and its argument ends with the call. Where it returns
   a text, which must stay, the session is ended: its protocol says goodbye and that. NULL: not. Returns how many were. */
int loop_each(struct loop *l, const char *(*each)(void *ctx, const struct conn_info *info), void *ctx);
void loop_stats(const struct loop *l, struct loop_stats *out);

#endif
