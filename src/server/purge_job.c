#include "purge_job.h"

#include <inttypes.h>

#include "buffer.h"
#include "fail.h"
#include "log.h"
#include "packer.h"
#include "purge.h"

static void tell(const struct purge_report *r)
{
	struct buffer b = { 0 };
	purge_report_write(r, &b);
	log_line(LOG_INFO, "purge", "%.*s", SPAN_ARG(buffer_span(&b)));
	buffer_free(&b);
}

static void tell_failure(const char *what, int e)
{
	char why[600];
	if (e != ERR_CONFLICT && e != ERR_STOPPED) /* another one runs it; the node stops */
		log_line(e == ERR_DENIED ? LOG_WARN : LOG_ERROR, what, "error=%s detail=%s", fail_name(e),
		         log_quote(why, sizeof why, span_of(fail_detail())));
}

void purge_job(struct job *j, void *purge)
{
	struct purge_report r;
	struct purge_request q = { .gentle = true, .cancelled = job_stopping, .ctx = j };
	int e = purge_run(purge, &q, &r);
	if (e)
		tell_failure("purge", e);
	else
		tell(&r);
}

void packer_job(struct job *j, void *packer)
{
	struct packer_report r;
	int e = packer_run(packer, false, job_stopping, j, &r);
	if (e)
		tell_failure("packer", e);
	else if (r.packs)
		log_line(LOG_INFO, "packer", "packs=%" PRIu64 " bodies=%" PRIu64 " bytes=%" PRIu64, r.packs, r.bodies, r.bytes);
}
