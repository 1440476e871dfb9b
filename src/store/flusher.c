#include "flusher.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "fail.h"

struct flusher {
	struct blob_store *store;
	pthread_t thread;
	sem_t begun, ended;
	struct blob_stage **stages; /* under way; NULL: nothing is */
	size_t n;
	bool stop;
	int result;
	char detail[256];
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
