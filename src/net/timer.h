/* Timers on a heap, and one timerfd that becomes readable when the earliest is due. Timers live inside what they time
   (no allocation for each), and may be set from any thread. */
#ifndef TIMER_H
#define TIMER_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct timers;

struct timer {
	_Atomic int64_t at; /* clock_mono() time, us; 0 when not set */
	size_t place;
	void (*fire)(struct timer *t);
};

int timers_open(struct timers **out);
/* No timer is called any more; those still set are forgotten. Takes the pointer's address, sets it NULL. */
void timers_close(struct timers **t);
/* Readable (edge) when something is due. */
int timers_fd(const struct timers *t);
/* Sets or moves it; at 0 takes it back. ERR_LIMIT when memory is out. */
int timers_set(struct timers *t, struct timer *timer, int64_t at);
/* Calls fire() of all that are due at now, on this thread, without a lock held. They are no longer set then. */
void timers_run(struct timers *t, int64_t now);

#endif
