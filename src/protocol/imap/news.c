#include "news.h"

#include <stdlib.h>

#include "context.h"
#include "entries.h"
#include "fail.h"
#include "log.h"
#include "modseq.h"
#include "notify.h"

void news_told(struct command *c, const struct entry *e)
{
	struct told t = { e->uid, e->change };
	buffer_put(&c->told, &t, sizeof t);
}

void put_flags(struct command *c, const struct entry *e)
{
	struct imap_flags f = { .system = e->flags, .keywords = e->keywords };
	buffer_puts(c->out, "FLAGS (");
	flags_put(c->out, &f, !c->session->rev2 && e->uid >= view_info(c->session->view)->recent_from);
	buffer_putc(c->out, ')');
}

void begin_fetch_line(struct command *c, uint32_t uid)
{
	bool only = c->session->uidonly;
	buffer_puts(c->out, "* ");
	buffer_put_u64(c->out, only ? uid : view_number(c->session->view, uid));
	buffer_puts(c->out, only ? " UIDFETCH (" : " FETCH (");
}

static void begin_line(struct command *c, const struct entry *e)
{
	const struct imap_session *s = c->session;
	bool modseq = s->condstore && has_modseq(c);
	begin_fetch_line(c, e->uid);
	if (!s->uidonly && (c->uid || modseq || s->rev2 || notify_asked(s))) {
		buffer_puts(c->out, "UID ");
		buffer_put_u64(c->out, e->uid);
		buffer_putc(c->out, ' ');
	}
	if (modseq)
		put_modseq(c, e->change);
}

void put_flags_line(struct command *c, const struct entry *e)
{
	begin_line(c, e);
	if (c->session->condstore && has_modseq(c))
		buffer_putc(c->out, ' ');
	put_flags(c, e);
	buffer_puts(c->out, ")\r\n");
}

void put_modseq_line(struct command *c, const struct entry *e)
{
	begin_line(c, e);
	buffer_puts(c->out, ")\r\n");
}

static int compare_told(const void *a, const void *b)
{
	const struct told *x = a, *y = b;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static bool is_told(const struct command *c, const struct entry *e)
{
	const struct told key = { .uid = e->uid };
	const struct told *t = c->told.n ? bsearch(&key, c->told.p, c->told.n / sizeof key, sizeof key, compare_told) : NULL;
	if (t && t->change == e->change)
		return true;
	return c->quiet_from <= e->change && e->change <= c->quiet_to && imap_set_contains(&c->quiet, e->uid);
}

/* What is being told: entries that changed, and then what that changes in results. */
struct news {
	struct imap_set set;
	struct arena sets;
	struct lines lines;
};

void news_end(struct command *c)
{
	context_rest(c->session);
	if (!c->news)
		return;
	arena_free(&c->news->sets);
	lines_end(&c->news->lines);
	free(c->news);
	c->news = NULL;
}

static int begin_changed(struct command *c, const struct view_delta *d)
{
	struct news *w = c->news;
	w->set.ranges = arena_alloc(&w->sets, d->n_changed * sizeof *w->set.ranges);
	if (!w->set.ranges)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < d->n_changed; i++)
		w->set.ranges[w->set.n++] = (struct imap_range){ d->changed[i], d->changed[i] };
	return OK;
}

/* What cannot be told at once. */
static int begin_news(struct command *c, const struct view_delta *d)
{
	bool flags = d->n_changed && (notify_selected(c->session) & NOTIFY_FLAG_CHANGE);
	if (!flags && !context_pending(c->session))
		return OK;
	struct news *w = calloc(1, sizeof *w);
	if (!w)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	c->news = w;
	w->lines.walk = (struct entries){ .view = c->session->view, .uids = &w->set };
	return flags ? begin_changed(c, d) : OK;
}

static void put_changed(struct command *c, const struct entry *e)
{
	if (!is_told(c, e))
		put_flags_line(c, e);
}

void put_exists(struct command *c)
{
	const struct view *v = c->session->view;
	buffer_printf(c->out, "* %u EXISTS\r\n", view_count(v));
	if (!c->session->rev2)
		buffer_printf(c->out, "* %u RECENT\r\n", view_recent(v));
}

static void put_counts(struct command *c, const struct view_delta *d)
{
	bool uids = c->session->qresync || c->session->uidonly;
	if (uids)
		put_vanished(c, d->expunged, d->n_expunged);
	for (size_t i = 0; i < d->n_expunged && !uids; i++) {
		buffer_puts(c->out, "* ");
		buffer_put_u64(c->out, d->expunged[i].number);
		buffer_puts(c->out, " EXPUNGE\r\n");
	}
	if (d->exists)
		put_exists(c);
}

static int begin(struct command *c, bool expunges)
{
	struct view_delta d;
	int rc = view_sync(c->session->view, expunges, &d);
	if (rc)
		return rc;
	context_note(c, &d);
	put_counts(c, &d);
	rc = begin_news(c, &d);
	view_delta_free(&d);
	return rc == ERR_NOT_FOUND ? ERR_UNAVAILABLE : rc;
}

static int go_on(struct command *c)
{
	int rc = lines_put(c, &c->news->lines, put_changed);
	if (!rc)
		rc = context_tell(c);
	return rc == ERR_NOT_FOUND ? ERR_UNAVAILABLE : rc;
}

int news_send(struct command *c, bool expunges)
{
	int rc = c->news ? OK : begin(c, expunges);
	if (!rc && c->news)
		rc = go_on(c);
	if (rc == NEWS_MORE)
		return rc;
	news_end(c);
	put_highest_if_ahead(c);
	if (rc && rc != ERR_NOT_FOUND)
		log_line(LOG_WARN, "imap-news", "session=%lld error=%s", (long long)c->session->conn->id, fail_name(rc));
	return rc;
}
