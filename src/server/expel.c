#include "expel.h"

#include <stdlib.h>

#include "app.h"
#include "clock.h"
#include "fail.h"
#include "job.h"
#include "log.h"
#include "login.h"
#include "loop.h"
#include "system.h"

#define EVERY_US (60 * SECOND_US) /* should a notice be lost */
#define AGAIN_US SECOND_US

struct expel {
	struct service *service;
	struct identity *identity;
	struct loop *loop;
	int64_t since;  /* the change of the system log up to which all was looked at; 0: none yet */
	struct app_ends ends;
	int last;       /* what the last look ended with: a failure is said once */
	struct watch *accounts, *apps;
	struct job *job;
};

static int by_number(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static bool has(const struct buffer *ids, int64_t id)
{
	return id && ids->n && bsearch(&id, ids->p, ids->n / sizeof id, sizeof id, by_number);
}

static const char *why_end(void *ctx, const struct conn_info *c)
{
	const struct app_ends *e = ctx;
	if (has(&e->accounts, c->account))
		return "This account was removed";
	return has(&e->apps, c->app) ? "This application password was revoked" : NULL;
}

static void note(struct expel *x, int e)
{
	char why[600];
	if (e && e != x->last)
		log_line(LOG_WARN, "expel", "error=%s why=%s", fail_name(e), log_quote(why, sizeof why, span_of(fail_detail())));
	x->last = e;
}

/* A login that looks into the store after the count has moved sees the end; one before is found, or looks again. */
static void look(struct job *job, void *arg)
{
	struct expel *x = arg;
	int e = app_ends(x->service, &x->since, &x->ends);
	note(x, e);
	if (e) {
		job_next(job, AGAIN_US);
		return;
	}
	if (x->ends.accounts.n || x->ends.apps.n) {
		identity_logins_ended(x->identity);
		loop_each(x->loop, why_end, &x->ends);
	}
	buffer_free(&x->ends.accounts);
	buffer_free(&x->ends.apps);
}

static void wake(void *ctx)
{
	job_wake(((struct expel *)ctx)->job);
}

int expel_start(struct service *s, struct identity *i, struct loop *l, struct expel **out)
{
	struct expel *x = calloc(1, sizeof *x);
	if (!x)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	x->service = s;
	x->identity = i;
	x->loop = l;
	int e = app_ends(s, &x->since, &x->ends);
	if (!e)
		e = job_start(0, EVERY_US, look, x, &x->job);
	if (!e)
		e = service_watch(s, SYSTEM_ACCOUNT, SYSTEM_ACCOUNTS, wake, x, &x->accounts);
	if (!e)
		e = service_watch(s, SYSTEM_ACCOUNT, SYSTEM_APPS, wake, x, &x->apps);
	if (e) {
		expel_stop(&x);
		return e;
	}
	job_wake(x->job); /* for what came before the watches */
	*out = x;
	return OK;
}

void expel_stop(struct expel **px)
{
	struct expel *x = *px;
	*px = NULL;
	if (!x)
		return;
	if (x->accounts)
		service_unwatch(x->service, &x->accounts);
	if (x->apps)
		service_unwatch(x->service, &x->apps);
	job_stop(&x->job);
	free(x);
}
