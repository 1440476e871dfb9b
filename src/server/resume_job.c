#include "resume_job.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "resume.h"
#include "store.h"

#define EVERY_US (5 * SECOND_US)

struct resume_job {
	struct service *service;
	pthread_t thread;
	pthread_mutex_t lock; /* stop */
	pthread_cond_t wake;
	bool stop;
};

static void say_resumed(void *ctx, const char *line)
{
	char text[600];
	log_line(LOG_INFO, "resume", "did=%s", log_quote(text, sizeof text, span_of(line)));
}

static const char *operation(const struct changeset *c)
{
	switch (c->kind) {
	case CHANGE_FLAGS: return "STORE";
	case CHANGE_COPY: return "COPY";
	case CHANGE_MOVE: return "MOVE";
	case CHANGE_EXPUNGE: return "EXPUNGE";
	case CHANGE_UNDO: return "undo";
	default: return "restore";
	}
}

static void say_failed(void *ctx, const struct changeset *c, int error, bool again)
{
	char why[600];
	log_line(LOG_ERROR, "resume", "account=%lld operation=%s changeset=%lld error=%s why=%s todo=\"%s\"", (long long)c->account,
	         operation(c), (long long)c->id, fail_name(error), log_quote(why, sizeof why, span_of(fail_detail())),
	         again ? "mend that; it goes on then (on SQLite at the next start), and holds purge of the account until then"
	               : "it ended in the middle: see what it did with perdura history, and ask for it again or undo it");
}

static bool wait_some(struct resume_job *j)
{
	int64_t at = clock_mono() + EVERY_US;
	struct timespec until = { at / SECOND_US, at % SECOND_US * 1000 };
	pthread_mutex_lock(&j->lock);
	while (!j->stop && pthread_cond_timedwait(&j->wake, &j->lock, &until) == 0)
		;
	bool go_on = !j->stop;
	pthread_mutex_unlock(&j->lock);
	return go_on;
}

static void *resume_main(void *ctx)
{
	struct resume_job *j = ctx;
	bool shared = meta_shared(service_store(j->service)->meta);
	struct buffer left = { 0 };
	char why[600];
	int last = OK;
	do {
		int e = resume_run(j->service, &(struct resume_request){ say_resumed, say_failed, j, &left });
		if (e && e != ERR_STOPPED && e != last)
			log_line(LOG_ERROR, "resume", "error=%s why=%s", fail_name(e),
			         log_quote(why, sizeof why, span_of(fail_detail())));
		last = e;
	} while (shared && wait_some(j));
	buffer_free(&left);
	return NULL;
}

int resume_job_start(struct service *s, struct resume_job **out)
{
	struct resume_job *j = calloc(1, sizeof *j);
	pthread_condattr_t a;
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	j->service = s;
	pthread_mutex_init(&j->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&j->wake, &a);
	pthread_condattr_destroy(&a);
	if (pthread_create(&j->thread, NULL, resume_main, j)) {
		free(j);
		return fail_with(ERR_UNAVAILABLE, "no thread");
	}
	*out = j;
	return OK;
}

void resume_job_stop(struct resume_job **pj)
{
	struct resume_job *j = *pj;
	*pj = NULL;
	if (!j)
		return;
	pthread_mutex_lock(&j->lock);
	j->stop = true;
	pthread_cond_signal(&j->wake);
	pthread_mutex_unlock(&j->lock);
	pthread_join(j->thread, NULL);
	pthread_cond_destroy(&j->wake);
	pthread_mutex_destroy(&j->lock);
	free(j);
}
