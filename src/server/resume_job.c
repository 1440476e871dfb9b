#include "resume_job.h"

#include <stdbool.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "job.h"
#include "log.h"
#include "resume.h"
#include "store.h"

#define EVERY_US (5 * SECOND_US)

struct resume_job {
	struct service *service;
	int last;           /* what the last run ended with: a failure is said once */
	struct job *job;
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

static void resume_some(struct job *job, void *arg)
{
	struct resume_job *j = arg;
	char why[600];
	int e = resume_run(j->service, &(struct resume_request){ say_resumed, say_failed, j });
	if (e && e != ERR_STOPPED && e != j->last)
		log_line(LOG_ERROR, "resume", "error=%s why=%s", fail_name(e), log_quote(why, sizeof why, span_of(fail_detail())));
	j->last = e;
	if (!meta_shared(service_store(j->service)->meta))
		job_next(job, -1);
}

int resume_job_start(struct service *s, struct resume_job **out)
{
	struct resume_job *j = calloc(1, sizeof *j);
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	j->service = s;
	int e = job_start(0, EVERY_US, resume_some, j, &j->job);
	if (e)
		free(j);
	else
		*out = j;
	return e;
}

void resume_job_stop(struct resume_job **pj)
{
	struct resume_job *j = *pj;
	*pj = NULL;
	if (!j)
		return;
	job_stop(&j->job);
	free(j);
}
