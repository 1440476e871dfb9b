#include "flusher.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

/* Somebody who waits in flusher_flush, on its own stack. */
struct waiting {
	struct waiting *next;
	struct blob_stage *const *stages;
	size_t n;
	bool done;
};

struct flusher {
	struct blob_store *store;
	pthread_t thread;
	sem_t begun, ended;
	struct blob_stage **stages; /* under way; NULL: nothing is */
	size_t n;
	bool stop;
	int result;
	char detail[256];

	pthread_mutex_t lock;
	pthread_cond_t change;
	struct waiting *waiting;
	bool led; /* one of those who waited flushes for all */
};

static void wait_for(sem_t *s)
{
	while (sem_wait(s))
		;
}

static void *flusher_main(void *arg)
{
	struct flusher *f = arg;
	for (;;) {
		wait_for(&f->begun);
		if (f->stop)
			return NULL;
		f->result = blob_sync(f->store, f->stages, f->n);
		if (f->result)
			snprintf(f->detail, sizeof f->detail, "%s", fail_detail());
		sem_post(&f->ended);
	}
}

int flusher_start(struct blob_store *s, struct flusher **out)
{
	struct flusher *f = calloc(1, sizeof *f);
	if (!f)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	f->store = s;
	sem_init(&f->begun, 0, 0);
	sem_init(&f->ended, 0, 0);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->change, NULL);
	if (pthread_create(&f->thread, NULL, flusher_main, f)) {
		free(f);
		return fail_with(ERR_UNAVAILABLE, "no thread for the syncs of bodies");
	}
	*out = f;
	return OK;
}

void flusher_stop(struct flusher **pf)
{
	struct flusher *f = *pf;
	*pf = NULL;
	if (!f)
		return;
	f->stop = true;
	sem_post(&f->begun);
	pthread_join(f->thread, NULL);
	sem_destroy(&f->begun);
	sem_destroy(&f->ended);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->change);
	free(f);
}

void flusher_begin(struct flusher *f, struct blob_stage **stages, size_t n)
{
	blob_write(f->store, stages, n);
	f->stages = stages;
	f->n = n;
	sem_post(&f->begun);
}

int flusher_end(struct flusher *f)
{
	if (!f->stages)
		return OK;
	wait_for(&f->ended);
	blob_settle(f->store, f->stages, f->n);
	free(f->stages);
	f->stages = NULL;
	if (f->result)
		fail_set_detail(f->detail);
	return f->result;
}

static void flush(struct flusher *f, struct blob_stage *const *stages, size_t n)
{
	blob_write(f->store, stages, n);
	blob_sync(f->store, stages, n); /* each stage keeps its own failure */
	blob_settle(f->store, stages, n);
}

/* One write and sync for all of them; without memory for that, one for each. */
static void flush_together(struct flusher *f, struct waiting *all)
{
	size_t total = 0, at = 0;
	for (const struct waiting *w = all; w; w = w->next)
		total += w->n;
	struct blob_stage **stages = malloc(total * sizeof(struct blob_stage *));
	for (struct waiting *w = all; w; w = w->next) {
		if (!stages)
			flush(f, w->stages, w->n);
		else
			memcpy(stages + at, w->stages, w->n * sizeof *stages);
		at += w->n;
	}
	if (stages)
		flush(f, stages, total);
	free(stages);
}

/* With the lock, which is given up meanwhile. */
static void lead(struct flusher *f)
{
	struct waiting *all = f->waiting, *next;
	f->waiting = NULL;
	f->led = true;
	pthread_mutex_unlock(&f->lock);
	flush_together(f, all);
	pthread_mutex_lock(&f->lock);
	f->led = false;
	for (; all; all = next) {
		next = all->next; /* it may be gone as soon as it is done */
		all->done = true;
	}
	pthread_cond_broadcast(&f->change);
}

void flusher_flush(struct flusher *f, struct blob_stage *const *stages, size_t n)
{
	struct waiting w = { .stages = stages, .n = n };
	pthread_mutex_lock(&f->lock);
	w.next = f->waiting;
	f->waiting = &w;
	while (!w.done) {
		if (f->led)
			pthread_cond_wait(&f->change, &f->lock);
		else
			lead(f);
	}
	pthread_mutex_unlock(&f->lock);
}
