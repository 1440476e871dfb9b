#include "timer.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"

struct timers {
	pthread_mutex_t lock;
	struct timer **heap; /* the earliest first; a parent is never later than its children */
	size_t n, cap;
	int fd;
};

int timers_open(struct timers **out)
{
	struct timers *t = calloc(1, sizeof *t);
	if (!t)
		return fail_with(ERR_LIMIT, "timers: no memory");
	t->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (t->fd < 0) {
		free(t);
		return fail_errno("timerfd_create", "timers");
	}
	pthread_mutex_init(&t->lock, NULL);
	*out = t;
	return OK;
}

void timers_close(struct timers **p)
{
	struct timers *t = *p;
	if (!t)
		return;
	close(t->fd);
	pthread_mutex_destroy(&t->lock);
	free(t->heap);
	free(t);
	*p = NULL;
}

int timers_fd(const struct timers *t)
{
	return t->fd;
}

static void put(struct timers *t, size_t i, struct timer *x)
{
	t->heap[i] = x;
	x->place = i;
}

static void sift_up(struct timers *t, size_t i, struct timer *x)
{
	while (i && t->heap[(i - 1) / 2]->at > x->at) {
		put(t, i, t->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	put(t, i, x);
}

static void sift_down(struct timers *t, size_t i, struct timer *x)
{
	for (size_t child; (child = 2 * i + 1) < t->n; i = child) {
		if (child + 1 < t->n && t->heap[child + 1]->at < t->heap[child]->at)
			child++;
		if (t->heap[child]->at >= x->at)
			break;
		put(t, i, t->heap[child]);
	}
	put(t, i, x);
}

static void place(struct timers *t, size_t i, struct timer *x)
{
	if (i && t->heap[(i - 1) / 2]->at > x->at)
		sift_up(t, i, x);
	else
		sift_down(t, i, x);
}

static void take_out(struct timers *t, struct timer *x)
{
	size_t i = x->place;
	struct timer *last = t->heap[--t->n];
	if (last != x)
		place(t, i, last);
	x->at = 0;
}

static void rearm(struct timers *t)
{
	struct itimerspec when = { 0 };
	if (t->n) {
		int64_t at = t->heap[0]->at;
		when.it_value.tv_sec = at / SECOND_US;
		when.it_value.tv_nsec = at % SECOND_US * 1000;
	}
	timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static int insert(struct timers *t, struct timer *x, int64_t at)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 64;
		struct timer **heap = realloc(t->heap, cap * sizeof(struct timer *));
		if (!heap)
			return fail_with(ERR_LIMIT, "timers: no memory");
		t->heap = heap;
		t->cap = cap;
	}
	x->at = at;
	t->n++;
	sift_up(t, t->n - 1, x);
	return OK;
}

int timers_set(struct timers *t, struct timer *x, int64_t at)
{
	int r = OK;
	pthread_mutex_lock(&t->lock);
	struct timer *first = t->n ? t->heap[0] : NULL;
	int64_t first_at = first ? (int64_t)first->at : 0;
	if (x->at && at) {
		x->at = at;
		place(t, x->place, x);
	} else if (x->at) {
		take_out(t, x);
	} else if (at) {
		r = insert(t, x, at);
	}
	if (t->n && (t->heap[0] != first || t->heap[0]->at != first_at))
		rearm(t);
	pthread_mutex_unlock(&t->lock);
	return r;
}

void timers_run(struct timers *t, int64_t now)
{
	pthread_mutex_lock(&t->lock);
	while (t->n && t->heap[0]->at <= now) {
		struct timer *x = t->heap[0];
		take_out(t, x);
		pthread_mutex_unlock(&t->lock);
		x->fire(x);
		pthread_mutex_lock(&t->lock);
	}
	rearm(t);
	pthread_mutex_unlock(&t->lock);
}
