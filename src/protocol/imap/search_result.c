#include "search_result.h"

#include <stdlib.h>

#include "fail.h"
#include "imap_quote.h"
#include "reply.h"

enum {
	SAVED_RANGES_MAX = 100000,
	NAMES_ALL = SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT, /* all that was found is named or counted */
};

/* ESEARCH has no UID form: it speaks of UIDs always. */
static bool tells_uids(const struct command *c)
{
	return c->uid || !(c->entry->flags & COMMAND_UID);
}

/* The number a message has in the reply. */
static uint32_t number_of(const struct command *c, const struct found *f)
{
	return tells_uids(c) ? f->uid : view_number(c->session->view, f->uid);
}

static void put_set(struct command *c, const struct found *f, size_t n)
{
	struct imap_set_writer w = { .b = c->out };
	for (size_t i = 0; i < n; i++)
		imap_set_add(&w, number_of(c, &f[i]));
	imap_set_finish(&w);
}

static size_t part_of(const struct search_result *r, size_t *from)
{
	*from = 0;
	return r->returns.what & SEARCH_RETURN_PARTIAL ? imap_partial_of(&r->returns.partial, r->n, from) : 0;
}

/* ---- The reply */

static int64_t highest(const struct found *f, size_t n)
{
	int64_t change = 0;
	for (size_t i = 0; i < n; i++)
		if (f[i].change > change)
			change = f[i].change;
	return change;
}

/* Of the messages that are named (RFC 4731, 3.2; RFC 9394, 3.1); 0 where none is. */
static int64_t named_modseq(const struct search_result *r)
{
	unsigned what = r->returns.what & ~SEARCH_RETURN_SAVE;
	size_t from, n = part_of(r, &from);
	if (what == 0 || (what & NAMES_ALL))
		return highest(r->v, r->n);
	int64_t change = highest(r->v + from, n);
	if ((what & SEARCH_RETURN_MIN) && r->v[0].change > change)
		change = r->v[0].change;
	if ((what & SEARCH_RETURN_MAX) && r->v[r->n - 1].change > change)
		change = r->v[r->n - 1].change;
	return change;
}

static void put_modseq_of(struct command *c, const struct search_result *r, const char *before, const char *after)
{
	int64_t change = r->modseq && r->n ? named_modseq(r) : 0;
	if (change)
		buffer_printf(c->out, "%s%lld%s", before, (long long)change, after);
}

static void put_plain(struct command *c, const struct search_result *r)
{
	buffer_printf(c->out, "* %s", c->entry->word);
	for (size_t i = 0; i < r->n; i++) {
		buffer_putc(c->out, ' ');
		buffer_put_u64(c->out, number_of(c, &r->v[i]));
	}
	put_modseq_of(c, r, " (MODSEQ ", ")");
	buffer_puts(c->out, "\r\n");
}

static void put_partial(struct command *c, const struct search_result *r)
{
	size_t from, n = part_of(r, &from);
	buffer_puts(c->out, " PARTIAL (");
	imap_partial_put(c->out, &r->returns.partial);
	buffer_puts(c->out, n ? " " : " NIL");
	put_set(c, r->v + from, n);
	buffer_putc(c->out, ')');
}

static void put_correlators(struct command *c, const struct search_result *r)
{
	buffer_printf(c->out, "(TAG \"%.*s\"", SPAN_ARG(c->tag));
	if (r->mailbox.p) {
		buffer_puts(c->out, " MAILBOX ");
		imap_put_mailbox(c->out, r->mailbox, c->session->utf8);
		buffer_printf(c->out, " UIDVALIDITY %lld", (long long)r->uidvalidity);
	}
	buffer_putc(c->out, ')');
}

void put_found(struct command *c, const struct search_result *r)
{
	struct buffer *b = c->out;
	unsigned what = r->returns.what;
	buffer_puts(b, "* ESEARCH ");
	put_correlators(c, r);
	if (tells_uids(c))
		buffer_puts(b, " UID");
	if (r->n && (what & SEARCH_RETURN_MIN))
		buffer_printf(b, " MIN %u", number_of(c, &r->v[0]));
	if (r->n && (what & SEARCH_RETURN_MAX))
		buffer_printf(b, " MAX %u", number_of(c, &r->v[r->n - 1]));
	if (r->n && (what & SEARCH_RETURN_ALL)) {
		buffer_puts(b, " ALL ");
		put_set(c, r->v, r->n);
	}
	if (what & SEARCH_RETURN_COUNT)
		buffer_printf(b, " COUNT %zu", r->n);
	if (what & SEARCH_RETURN_PARTIAL)
		put_partial(c, r);
	put_modseq_of(c, r, " MODSEQ ", "");
	buffer_puts(b, "\r\n");
}

/* ---- "$" */

static int by_uid(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static void add_uid(const struct view *v, struct imap_set *s, uint32_t uid)
{
	struct imap_range *last = s->n ? &s->ranges[s->n - 1] : NULL;
	if (last && last->last == uid)
		return;
	if (last && view_number(v, last->last) + 1 == view_number(v, uid))
		last->last = uid;
	else
		s->ranges[s->n++] = (struct imap_range){ uid, uid };
}

/* A set of what was found, neighbours in the view in one range. */
static int found_set(const struct view *v, const struct found *f, size_t n, struct imap_set *out)
{
	struct imap_set s = { .ranges = malloc((n + 1) * sizeof *s.ranges) };
	if (!s.ranges)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < n; i++)
		add_uid(v, &s, f[i].uid);
	*out = s;
	return OK;
}

int search_set(struct command *c, struct search_run *r, struct imap_set *out)
{
	if (out->ranges)
		return OK;
	int rc = search_go_on(c, r);
	return rc ? rc : found_set(c->session->view, (const void *)r->found.p, r->found.n / sizeof(struct found), out);
}

/* What is saved: those that are named, and all where all are counted, or nothing was said (RFC 5182, 2.1; RFC 9394, 3.1).
   They come ascending by UID. */
static int what_to_save(struct command *c, const struct search_result *r, struct imap_set *out)
{
	unsigned what = r->returns.what & ~SEARCH_RETURN_SAVE;
	bool all = what == 0 || (what & NAMES_ALL);
	size_t from, n = all ? r->n : part_of(r, &from);
	struct found *f = malloc((n + 2) * sizeof *f);
	if (!f)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (n)
		memcpy(f, r->v + (all ? 0 : from), n * sizeof *f);
	if (!all && r->n && (what & SEARCH_RETURN_MIN))
		f[n++] = r->v[0];
	if (!all && r->n && (what & SEARCH_RETURN_MAX))
		f[n++] = r->v[r->n - 1];
	qsort(f, n, sizeof *f, by_uid);
	int rc = found_set(c->session->view, f, n, out);
	free(f);
	return rc;
}

static void set_saved(struct imap_session *s, struct imap_set set)
{
	free(s->saved.ranges);
	s->saved = set;
}

static enum imap_step save(struct command *c, const struct search_result *r)
{
	struct imap_set set = { 0 };
	int rc = what_to_save(c, r, &set);
	bool too_many = set.n > SAVED_RANGES_MAX;
	if (too_many) {
		free(set.ranges);
		set = (struct imap_set){ 0 };
	} else if (set.ranges) {
		void *less = realloc(set.ranges, (set.n + 1) * sizeof *set.ranges);
		set.ranges = less ? less : set.ranges;
	}
	set_saved(c->session, set);
	if (too_many)
		return reply_no(c, "[NOTSAVED] The result is scattered too widely to be saved");
	return rc ? reply_failure(c, rc) : reply_completed(c);
}

enum imap_step nothing_saved(struct command *c, const struct imap_search_returns *r)
{
	if ((r->what & SEARCH_RETURN_SAVE) && !c->mistaken)
		set_saved(c->session, (struct imap_set){ 0 });
	return IMAP_DONE;
}

enum imap_step put_result(struct command *c, const struct search_result *r)
{
	unsigned what = r->returns.what;
	if (!what)
		put_plain(c, r);
	else if (what & ~SEARCH_RETURN_SAVE && (r->n || !r->mailbox.p)) /* ESEARCH is silent of where nothing is (RFC 7377, 2.1) */
		put_found(c, r);
	return what & SEARCH_RETURN_SAVE ? save(c, r) : reply_completed(c);
}
