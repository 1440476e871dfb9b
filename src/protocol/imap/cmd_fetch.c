/* FETCH: entries in batches, each item from the entry or its summary where it can be, bodies as they are read. The job
 * is the place in all that, so a peer that reads slowly holds no worker and little memory. */
#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "fetch_section.h"
#include "imap_date.h"
#include "news.h"
#include "reply.h"

struct fetch {
	struct imap_fetch what;
	struct imap_set uids;
	struct entries walk;
	struct arena memory; /* of the batch */
	struct entry *batch;
	size_t n, i;         /* entries of the batch, and the one under way */
	int64_t seen_change; /* the change that set \Seen in this batch */
	/* The entry under way. */
	bool begun;
	size_t item;
	struct section_source source;
	struct section_run run;
	int trouble;         /* why some message could not be sent */
};

static void let_go(struct command *c)
{
	section_source_close(&((struct fetch *)c->job)->source);
}

static void end_fetch(struct command *c)
{
	struct fetch *f = c->job;
	section_source_close(&f->source);
	arena_free(&f->memory);
}

/* ---- Batches */

static bool needs_summaries(const struct imap_fetch *what)
{
	for (size_t i = 0; i < what->n; i++)
		switch (what->items[i].kind) {
		case FETCH_FLAGS: case FETCH_INTERNALDATE: case FETCH_UID: case FETCH_RFC822_SIZE:
			break;
		default:
			return true;
		}
	return false;
}

/* Sets \Seen on those of the batch that lack it. A store that cannot write now does not keep anybody from reading. */
static bool mark_seen(struct command *c, struct fetch *f)
{
	struct actor actor = session_actor(c->session);
	struct store_result r = { 0 };
	struct arena a = { 0 };
	struct imap_set unseen = { .ranges = arena_alloc(&a, f->n * sizeof *unseen.ranges) };
	for (size_t i = 0; i < f->n && unseen.ranges; i++)
		if (!(f->batch[i].flags & FLAG_SEEN))
			unseen.ranges[unseen.n++] = (struct imap_range){ f->batch[i].uid, f->batch[i].uid };
	struct store_request q = { .uids = &unseen, .op = STORE_ADD, .flags = FLAG_SEEN };
	bool stored = unseen.n && view_store(c->session->view, &q, &actor, &r) == OK && r.first;
	if (stored)
		f->seen_change = r.last;
	free(r.modified);
	arena_free(&a);
	return stored;
}

static int next_batch(struct command *c, struct fetch *f)
{
	uint64_t place = f->walk.next;
	f->i = 0;
	f->seen_change = 0;
	int rc = entries_next(&f->walk, &f->memory, &f->batch, &f->n);
	if (rc || !f->n || !f->what.sets_seen || view_info(c->session->view)->read_only || !mark_seen(c, f))
		return rc;
	f->walk.next = place; /* read them again: the client is to be told what is there now */
	return entries_next(&f->walk, &f->memory, &f->batch, &f->n);
}

/* ---- Items of one entry */

static void put_simple(struct command *c, struct fetch *f, const struct imap_fetch_item *item, const struct entry *e)
{
	struct buffer *b = c->out;
	if (item->kind == FETCH_FLAGS) {
		put_flags(b, c->session->view, e);
		news_told(c, e);
		return;
	}
	imap_fetch_put_name(b, item);
	buffer_putc(b, ' ');
	switch (item->kind) {
	case FETCH_UID:
		buffer_put_u64(b, e->uid);
		break;
	case FETCH_RFC822_SIZE:
		buffer_put_u64(b, e->size);
		break;
	case FETCH_INTERNALDATE:
		imap_date_time_put(b, e->date);
		break;
	case FETCH_ENVELOPE:
		buffer_put_span(b, f->source.summary.envelope);
		break;
	case FETCH_BODY:
		mime_summary_body(&f->source.summary, b);
		break;
	default:
		buffer_put_span(b, f->source.summary.structure);
		break;
	}
}

/* Everything that may fail is done before the first byte of the entry is written. */
static int begin_entry(struct command *c, struct fetch *f, const struct entry *e)
{
	f->source = (struct section_source){ .service = c->session->node->service, .entry = e };
	int rc = f->walk.summaries ? mime_summary_open(e->summary, &f->source.summary) : OK;
	for (size_t i = 0; !rc && i < f->what.n; i++)
		if (fetch_item_has_bytes(&f->what.items[i]))
			rc = section_prepare(&f->source, &f->what.items[i]);
	if (rc)
		return rc;
	buffer_puts(c->out, "* ");
	buffer_put_u64(c->out, view_number(c->session->view, e->uid));
	buffer_puts(c->out, " FETCH (");
	f->begun = true;
	f->item = 0;
	return OK;
}

static bool asks_for(const struct imap_fetch *what, enum imap_fetch_kind kind)
{
	for (size_t i = 0; i < what->n; i++)
		if (what->items[i].kind == kind)
			return true;
	return false;
}

/* What the client did not ask for but is told: the UID in a UID FETCH, flags that the command itself changed. */
static void end_entry(struct command *c, struct fetch *f, const struct entry *e)
{
	if (c->uid && !asks_for(&f->what, FETCH_UID)) {
		buffer_puts(c->out, " UID ");
		buffer_put_u64(c->out, e->uid);
	}
	if (f->seen_change && f->seen_change == e->change && !asks_for(&f->what, FETCH_FLAGS)) {
		buffer_putc(c->out, ' ');
		put_flags(c->out, c->session->view, e);
		news_told(c, e);
	}
	buffer_puts(c->out, ")\r\n");
	section_source_close(&f->source);
	f->begun = false;
}

static enum imap_step put_items(struct command *c, struct fetch *f, const struct entry *e)
{
	while (f->run.active || f->item < f->what.n) {
		if (f->run.active) {
			enum imap_step step = section_pump(c, &f->source, &f->run);
			if (step != IMAP_DONE)
				return step;
			continue;
		}
		const struct imap_fetch_item *item = &f->what.items[f->item++];
		if (f->item > 1)
			buffer_putc(c->out, ' ');
		if (!fetch_item_has_bytes(item)) {
			put_simple(c, f, item, e);
			continue;
		}
		int rc = section_begin(&f->source, item, c->out, &f->run);
		if (rc)
			return section_broken(c, &f->source, rc);
	}
	end_entry(c, f, e);
	return IMAP_DONE;
}

/* A damaged message is passed over, and the reply says so in the end; a store that is down ends the command. */
static int pass_over(struct fetch *f, int rc)
{
	section_source_close(&f->source);
	f->trouble = rc;
	return rc == ERR_CORRUPT ? OK : rc;
}

static enum imap_step put_entry(struct command *c, struct fetch *f)
{
	const struct entry *e = &f->batch[f->i];
	int rc = f->begun ? OK : begin_entry(c, f, e);
	if (rc && pass_over(f, rc) != OK)
		return reply_failure(c, rc);
	enum imap_step step = rc ? IMAP_DONE : put_items(c, f, e);
	if (step == IMAP_DONE)
		f->i++;
	return step;
}

static enum imap_step go_on(struct command *c)
{
	struct fetch *f = c->job;
	for (;;) {
		int rc = f->i == f->n ? next_batch(c, f) : OK;
		if (rc)
			return reply_failure(c, rc);
		if (f->n == 0)
			return f->trouble ? reply_failure(c, f->trouble) : reply_completed(c);
		while (f->i < f->n) {
			enum imap_step step = put_entry(c, f);
			if (step != IMAP_DONE || c->reply.n)
				return step;
			if (command_should_yield(c))
				return IMAP_DRAIN;
		}
	}
}

static bool is_supported(const struct imap_fetch *what)
{
	return !what->changedsince && !what->vanished && !asks_for(what, FETCH_MODSEQ) && !asks_for(what, FETCH_EMAILID) &&
	       !asks_for(what, FETCH_THREADID);
}

enum imap_step cmd_fetch(struct command *c)
{
	struct fetch *f = command_job(c, sizeof *f);
	if (!f)
		return IMAP_DONE;
	if (!read_messages(c, &f->uids) || !imap_sp(&c->args) || !imap_fetch_parse(&c->args, &f->what))
		return reply_bad_args(c);
	if (!is_supported(&f->what))
		return reply_bad(c, "An item of FETCH is not supported");
	f->walk = (struct entries){ .view = c->session->view, .uids = &f->uids, .summaries = needs_summaries(&f->what) };
	c->cleanup = end_fetch;
	c->let_go = let_go;
	c->resume = go_on;
	return go_on(c);
}
