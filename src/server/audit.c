#include "audit.h"

#include <stdlib.h>

#include "fail.h"
#include "follow.h"
#include "follow_job.h"
#include "history.h"
#include "instant.h"
#include "log.h"
#include "system.h"

#define SWEEP_US (600 * SECOND_US)

static const char name[] = "audit";

struct audit {
	struct service *service;
	struct follow *follow;
	struct follow_job *job;
};

static int tell(void *ctx, const struct history_event *e)
{
	char did[600], actor[300], client[100], when[40];
	instant_write(e->stamp, when);
	log_line(LOG_INFO, "audit", "account=%lld change=%lld at=%s actor=%s client=%s session=%lld did=%s",
	         (long long)*(const int64_t *)ctx, (long long)e->first, when, log_quote(actor, sizeof actor, span_of(e->actor)),
	         log_quote(client, sizeof client, span_of(e->client)), (long long)e->session, log_quote(did, sizeof did, e->text));
	return 0;
}

static bool is_told(const struct follow_row *r)
{
	return r->account == SYSTEM_ACCOUNT || r->kind == CHANGE_RESTORE || r->kind == CHANGE_UNDO;
}

static int take_rows(void *ctx, const struct follow_row *rows, size_t n)
{
	struct audit *a = ctx;
	int e = OK;
	for (size_t i = 0; !e && i < n; i++) {
		struct history_request q = { .account = rows[i].account, .first = rows[i].change, .last = rows[i].change };
		int64_t account = rows[i].account;
		if (is_told(&rows[i]))
			e = history_run(a->service, &q, tell, &account);
	}
	return e;
}

int audit_start(struct service *s, bool on, struct audit **out)
{
	*out = NULL;
	if (!on)
		return follow_forget(s, name);
	struct audit *a = calloc(1, sizeof *a);
	if (!a)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	a->service = s;
	struct follow_options o = { .service = s, .name = name, .alone = true, .sweep = SWEEP_US,
		.rows = take_rows, .ctx = a };
	int e = follow_open(&o, &a->follow);
	if (!e)
		e = follow_job_start(s, &a->follow, 1, &a->job);
	if (e)
		audit_stop(&a);
	else
		*out = a;
	return e;
}

void audit_stop(struct audit **pa)
{
	struct audit *a = *pa;
	*pa = NULL;
	if (!a)
		return;
	follow_job_stop(&a->job);
	follow_close(&a->follow);
	free(a);
}

void audit_stats(const struct audit *a, struct follow_stats *out)
{
	*out = (struct follow_stats){ 0 };
	if (a)
		follow_stats(a->follow, out);
}
