/* SEARCH (and ESEARCH, RFC 4731): message numbers or UIDs of what matches. */
#include <stdlib.h>

#include "context.h"
#include "reply.h"

struct search {
	struct imap_search_query query;
	struct search_run run;
	struct imap_args text;
	struct imap_set set; /* what was found, where the result is kept up to date */
};

static void end_search(struct command *c)
{
	struct search *s = c->job;
	search_end(&s->run);
	free(s->set.ranges);
}

static enum imap_step go_on(struct command *c)
{
	struct search *s = c->job;
	bool update = s->query.returns.update;
	int rc = update ? search_set(c, &s->run, &s->set) : search_go_on(c, &s->run);
	if (rc == SEARCH_MORE)
		return IMAP_DRAIN;
	if (rc) {
		reply_failure(c, rc);
		return nothing_saved(c, &s->query.returns);
	}
	struct search_result r = { .v = (const void *)s->run.found.p, .n = s->run.found.n / sizeof(struct found),
		                   .modseq = s->query.modseq, .returns = s->query.returns };
	if (update)
		context_keep(c, &(struct context_request){ .text = s->text, .query = &s->query, .found = &s->set });
	return put_result(c, &r);
}

enum imap_step cmd_search(struct command *c)
{
	struct search *s = command_job(c, sizeof *s);
	if (!s)
		return IMAP_DONE;
	if (!imap_sp(&c->args))
		return reply_bad_args(c);
	s->text = c->args;
	if (!imap_search_parse(&c->args, &s->query))
		return reply_bad_args(c);
	if (c->session->utf8_accept && s->query.charset.n) /* it would say what is known (RFC 9755, 3) */
		return reply_bad(c, "No CHARSET after ENABLE UTF8=ACCEPT");
	if (c->session->rev2 && !s->query.returns.what) /* RFC 9051, 6.4.4 */
		s->query.returns.what = SEARCH_RETURN_ALL;
	c->cleanup = end_search;
	c->resume = go_on;
	s->run.one_is_enough = !s->query.returns.update && (s->query.returns.what & ~SEARCH_RETURN_SAVE) == SEARCH_RETURN_MIN;
	return search_begin(c, &s->query, &s->run) ? go_on(c) : nothing_saved(c, &s->query.returns);
}
