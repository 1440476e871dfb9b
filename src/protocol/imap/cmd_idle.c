/* IDLE (RFC 2177): the session is parked; a notice of the service makes it tell the news. The service finds
   out by itself where notices were lost (hub.h), so a session wakes of its own only to say that it is still here. */
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "news.h"
#include "notify.h"
#include "reply.h"

enum { LINE_MAX_BYTES = 1024 };
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

/* To who used NOTIFY, what it asked for (RFC 5465, 4). */
static enum imap_step tell(struct command *c, int *news)
{
	struct imap_session *s = c->session;
	if (s->notify)
		return notify_tell(c, true);
	if (command_should_yield(c))
		return IMAP_DRAIN;
	*news = s->view ? news_send(c, true) : OK;
	if (*news == ERR_NOT_FOUND)
		return session_mailbox_gone(s);
	return *news == NEWS_MORE ? IMAP_DRAIN : IMAP_DONE;
}

/* When nothing wakes it, us from now. */
static int64_t next_look(const struct command *c, int news)
{
	int64_t us = notify_wait(c->session);
	if (us)
		return us;
	return news < 0 ? AGAIN_US : STILL_HERE_US;
}

static enum imap_step look(struct command *c)
{
	struct idle *i = c->job;
	size_t before = c->out->n;
	int news = OK;
	enum imap_step step = tell(c, &news);
	if (step != IMAP_DONE)
		return step;
	int64_t now = clock_mono();
	if (c->out->n == before && now - i->spoke > STILL_HERE_US - SECOND_US)
		buffer_puts(c->out, "* OK Still here\r\n");
	if (c->out->n != before)
		i->spoke = now;
	conn_timeout(c->session->conn, next_look(c, news));
	return IMAP_WAKE;
}

/* There was input, or a notice. What is being told may be in the middle of a line. */
static enum imap_step go_on(struct command *c)
{
	struct conn *conn = c->session->conn;
	enum imap_step step = c->telling ? look(c) : IMAP_WAKE;
	if (step != IMAP_WAKE)
		return step;
	ssize_t lf = span_find(conn->in, '\n');
	if (lf < 0 && conn->in.n > LINE_MAX_BYTES)
		return session_bye(c->session, "Line too long");
	if (lf < 0)
		return look(c);
	bool done = span_ieq(span_trim(span_sub(conn->in, 0, (size_t)lf)), SPAN("DONE"));
	conn_consume(conn, (size_t)lf + 1);
	return done ? reply_completed(c) : reply_bad(c, "DONE expected");
}

/* Of the selected mailbox, or of what NOTIFY asked for. */
static int watch(struct imap_session *s, struct idle *i)
{
	if (s->notify)
		notify_watch(s);
	if (s->notify || !s->view || view_info(s->view)->past)
		return OK;
	return service_watch(s->node->service, view_info(s->view)->account, view_info(s->view)->folder.id, wake, s->conn, &i->watch);
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
	c->let_go = notify_let_go;
	int rc = watch(s, i);
	if (rc)
		return reply_failure(c, rc);
	buffer_puts(c->out, "+ idling\r\n");
	return go_on(c); /* what came since the last command is told at once */
}
