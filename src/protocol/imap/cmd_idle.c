/* IDLE (RFC 2177): the session is parked; a notice of the service, or a look now and then, makes it tell the news. */
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "news.h"
#include "reply.h"

enum { LINE_MAX_BYTES = 1024 };
#define LOOK_US (30 * SECOND_US)
#define AGAIN_US SECOND_US /* the store did not answer */
#define STILL_HERE_US (120 * SECOND_US)

struct idle {
	struct watch *watch;
	int64_t spoke; /* clock_mono() */
};

static void end_idle(struct command *c)
{
	struct idle *i = c->job;
	if (i->watch)
		service_unwatch(c->session->node->service, &i->watch);
	free(i);
}

static void wake(void *conn)
{
	conn_wake(conn);
}

static enum imap_step look(struct command *c)
{
	struct idle *i = c->job;
	size_t before = c->out->n;
	int news = c->session->view ? news_send(c, true) : OK;
	if (news == NEWS_MORE)
		return IMAP_DRAIN;
	if (news == ERR_NOT_FOUND)
		return session_mailbox_gone(c->session);
	int64_t now = clock_mono();
	if (c->out->n == before && now - i->spoke > STILL_HERE_US - SECOND_US)
		buffer_puts(c->out, "* OK Still here\r\n");
	if (c->out->n != before)
		i->spoke = now;
	conn_timeout(c->session->conn, news < 0 ? AGAIN_US : LOOK_US);
	return IMAP_WAKE;
}

/* There was input, or a notice. */
static enum imap_step go_on(struct command *c)
{
	struct conn *conn = c->session->conn;
	ssize_t lf = span_find(conn->in, '\n');
	if (lf < 0 && conn->in.n > LINE_MAX_BYTES)
		return session_bye(c->session, "Line too long");
	if (lf < 0)
		return look(c);
	bool done = span_ieq(span_trim(span_sub(conn->in, 0, (size_t)lf)), SPAN("DONE"));
	conn_consume(conn, (size_t)lf + 1);
	return done ? reply_completed(c) : reply_bad(c, "DONE expected");
}

enum imap_step cmd_idle(struct command *c)
{
	struct imap_session *s = c->session;
	if (!imap_end(&c->args))
		return reply_bad_args(c);
	struct idle *i = c->job = calloc(1, sizeof *i); /* not in an arena: this may take a day, and should be small */
	if (!i)
		return reply_failure(c, fail_with(ERR_LIMIT, "out of memory"));
	i->spoke = clock_mono();
	c->cleanup = end_idle;
	c->resume = go_on;
	c->timeout = look;
	if (s->view && !view_info(s->view)->past) {
		int64_t folder = view_info(s->view)->folder.id;
		int rc = service_watch(s->node->service, s->account, folder, wake, s->conn, &i->watch);
		if (rc)
			return reply_failure(c, rc);
	}
	buffer_puts(c->out, "+ idling\r\n");
	return go_on(c); /* what came since the last command is told at once */
}
