#include "hash_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail.h"

enum { QUEUE_FOR_EACH = 32 };

enum place { WAITING, GRANTED, SENT_AWAY };

/* On the stack of the thread that waits. */
struct waiter {
	struct waiter *next;
	struct span peer;
	uint64_t turn;
	enum place place;
	pthread_cond_t moved;
};

/* Start-time fair queueing: a waiter's turn is one after the last of its peer that waits, or after the one let in last
   when its peer has none. The lowest turn goes first, the highest is sent away. */
struct hash_pool {
	pthread_mutex_t lock;
	unsigned parallel, queue;
	unsigned inside, waiting;
	uint64_t turn;        /* of the one let in last */
	struct waiter *first; /* in the order of arrival */
};

int hash_pool_new(unsigned parallel, unsigned queue, struct hash_pool **out)
{
	struct hash_pool *p = calloc(1, sizeof *p);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "hash pool: no memory");
	pthread_mutex_init(&p->lock, NULL);
	p->parallel = parallel ? parallel : cores > 0 ? (unsigned)cores : 1;
	p->queue = queue ? queue : QUEUE_FOR_EACH * p->parallel;
	*out = p;
	return OK;
}

void hash_pool_free(struct hash_pool **p)
{
	if (!*p)
		return;
	assert((*p)->inside == 0 && (*p)->waiting == 0);
	pthread_mutex_destroy(&(*p)->lock);
	free(*p);
	*p = NULL;
}

static uint64_t turn_for(const struct hash_pool *p, struct span peer)
{
	uint64_t turn = p->turn;
	for (const struct waiter *w = p->first; w; w = w->next)
		if (w->turn > turn && span_eq(w->peer, peer))
			turn = w->turn;
	return turn + 1;
}

static void append(struct hash_pool *p, struct waiter *w)
{
	struct waiter **at = &p->first;
	while (*at)
		at = &(*at)->next;
	*at = w;
	p->waiting++;
}

/* Out of the queue: it wakes up and finds what became of it. */
static void move(struct hash_pool *p, struct waiter *w, enum place place)
{
	struct waiter **at = &p->first;
	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	p->waiting--;
	w->place = place;
	pthread_cond_signal(&w->moved);
}

static struct waiter *lowest(const struct hash_pool *p)
{
	struct waiter *best = p->first;
	for (struct waiter *w = best; w; w = w->next)
		if (w->turn < best->turn)
			best = w;
	return best;
}

static struct waiter *highest(const struct hash_pool *p)
{
	struct waiter *best = p->first;
	for (struct waiter *w = best; w; w = w->next)
		if (w->turn >= best->turn)
			best = w;
	return best;
}

static enum place wait_for_place(struct hash_pool *p, struct span peer)
{
	struct waiter w = { .peer = peer, .turn = turn_for(p, peer), .place = WAITING };
	pthread_cond_init(&w.moved, NULL);
	append(p, &w);
	if (p->waiting > p->queue)
		move(p, highest(p), SENT_AWAY);
	while (w.place == WAITING)
		pthread_cond_wait(&w.moved, &p->lock);
	pthread_cond_destroy(&w.moved);
	return w.place;
}

int hash_pool_enter(struct hash_pool *p, struct span peer)
{
	enum place place = GRANTED;
	pthread_mutex_lock(&p->lock);
	if (p->inside < p->parallel)
		p->inside++;
	else
		place = wait_for_place(p, peer);
	pthread_mutex_unlock(&p->lock);
	return place == GRANTED ? OK : fail_with(ERR_UNAVAILABLE, "too many logins wait for their password check");
}

/* The place goes straight to the next one, so that nobody overtakes. */
void hash_pool_leave(struct hash_pool *p)
{
	pthread_mutex_lock(&p->lock);
	struct waiter *w = lowest(p);
	if (w) {
		p->turn = w->turn;
		move(p, w, GRANTED);
	} else {
		p->inside--;
	}
	pthread_mutex_unlock(&p->lock);
}

unsigned hash_pool_waiting(struct hash_pool *p)
{
	pthread_mutex_lock(&p->lock);
	unsigned n = p->waiting;
	pthread_mutex_unlock(&p->lock);
	return n;
}
