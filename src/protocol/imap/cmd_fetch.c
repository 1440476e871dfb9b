/* FETCH: entries in batches, each item from the entry or its summary where it can be, bodies as they are read. The job
 * is the place in all that, so a peer that reads slowly holds no worker and little memory. */
#include <stdlib.h>

#include "entries.h"
#include "fail.h"
#include "fetch.h"
#include "fetch_section.h"
#include "imap_date.h"
#include "imap_quote.h"
#include "modseq.h"
#include "names.h"
#include "news.h"
#include "reply.h"

enum { SHORT_LINES = 16 };

struct fetch {
	struct imap_fetch what;
	struct imap_set uids;
	struct imap_range *changed; /* with CHANGEDSINCE, and without a command: the memory of uids */
	bool unasked;               /* without a command */
	struct entries walk;
	struct arena memory; /* of the batch */
	struct ahead ahead;  /* likewise */
	struct entry *batch;
	size_t n, i;         /* entries of the batch, and the one under way */
	struct imap_set marked; /* those of it that were unread, */
	int64_t seen_change; /* and the change that set \Seen on them */
	/* The entry under way. */
	bool begun;
	size_t item;
	struct section_source source;
	struct section_run run;
	struct buffer preview;
	bool no_preview;     /* it is trouble to make one */
	int trouble;         /* why some message could not be sent */
};

void fetch_let_go(struct fetch *f)
{
	section_source_close(&f->source);
	ahead_drop(&f->ahead);
}

static void let_go(struct command *c)
{
	fetch_let_go(c->job);
}

static void end(struct fetch *f)
{
	fetch_let_go(f);
	buffer_free(&f->preview);
	arena_free(&f->memory);
	free(f->changed);
	free(f->marked.ranges);
}

static void end_fetch(struct command *c)
{
	end(c->job);
}

/* ---- Batches */

static enum view_depth depth_of(const struct imap_fetch *what)
{
	enum view_depth depth = VIEW_ENTRIES;
	for (size_t i = 0; i < what->n; i++)
		switch (what->items[i].kind) {
		case FETCH_FLAGS: case FETCH_INTERNALDATE: case FETCH_UID: case FETCH_RFC822_SIZE:
		case FETCH_MODSEQ: case FETCH_EMAILID: case FETCH_THREADID: case FETCH_SAVEDATE:
			break;
		default:
			if (fetch_item_has_bytes(&what->items[i]) || what->items[i].kind == FETCH_PREVIEW)
				return VIEW_PLACES;
			depth = VIEW_SUMMARIES;
		}
	return depth;
}

/* The last change it took; 0: none, or the store cannot write now, which keeps nobody from reading. */
static int64_t store_seen(struct command *c, struct store_request q)
{
	struct actor actor = session_actor(c->session);
	struct store_result r = { 0 };
	q.flags = FLAG_SEEN;
	if (!q.uids->n || view_store(c->session->view, &q, &actor, &r))
		r.last = 0;
	free(r.modified);
	return r.last;
}

/* Sets \Seen on those of the batch that lack it. */
static bool mark_seen(struct command *c, struct fetch *f)
{
	free(f->marked.ranges);
	f->marked = (struct imap_set){ .ranges = malloc(f->n * sizeof *f->marked.ranges) };
	for (size_t i = 0; i < f->n && f->marked.ranges; i++)
		if (!(f->batch[i].flags & FLAG_SEEN))
			f->marked.ranges[f->marked.n++] = (struct imap_range){ f->batch[i].uid, f->batch[i].uid };
	f->seen_change = store_seen(c, (struct store_request){ .uids = &f->marked, .op = STORE_ADD });
	return f->seen_change != 0;
}

/* What cannot be sent and was marked for it is unread again, unless somebody changed it meanwhile. */
static void take_back_seen(struct command *c, struct fetch *f, uint32_t first, uint32_t last)
{
	struct imap_set unsent = f->marked;
	while (unsent.n && unsent.ranges->last < first)
		unsent.ranges++, unsent.n--;
	while (unsent.n && unsent.ranges[unsent.n - 1].first > last)
		unsent.n--;
	if (f->seen_change)
		store_seen(c, (struct store_request){ .uids = &unsent, .op = STORE_REMOVE, .has_unchanged_since = true,
		                                      .unchanged_since = f->seen_change });
}

/* The next entries that changed since (all, where nothing was said of that). */
static int read_batch(struct fetch *f, uint64_t *place)
{
	int rc;
	do {
		size_t kept = 0;
		*place = f->walk.next;
		rc = entries_next(&f->walk, &f->memory, &f->batch, &f->n);
		if (rc || f->n == 0 || !f->what.changedsince)
			return rc;
		for (size_t i = 0; i < f->n; i++)
			if (f->batch[i].change > (int64_t)f->what.modseq)
				f->batch[kept++] = f->batch[i];
		f->n = kept;
	} while (f->n == 0);
	return rc;
}

static int next_batch(struct command *c, struct fetch *f)
{
	uint64_t place;
	f->i = 0;
	f->seen_change = 0;
	int rc = read_batch(f, &place);
	if (rc || !f->n || !f->what.sets_seen || view_info(c->session->view)->read_only || !mark_seen(c, f))
		return rc;
	f->walk.next = place; /* read them again: the client is to be told what is there now */
	rc = read_batch(f, &place);
	if (rc)
		take_back_seen(c, f, 1, UINT32_MAX);
	return rc;
}

/* ---- Items of one entry */

static bool tells_modseq(const struct command *c, const struct fetch *f)
{
	return !c->session->condstore || f->what.changedsince || fetch_asks_for(&f->what, FETCH_MODSEQ);
}

static void put_simple(struct command *c, struct fetch *f, const struct imap_fetch_item *item, const struct entry *e)
{
	struct buffer *b = c->out;
	if (item->kind == FETCH_FLAGS) {
		put_flags(c, e);
		if (tells_modseq(c, f)) /* or the client would never hear that of a change */
			news_told(c, e);
		return;
	}
	if (item->kind == FETCH_MODSEQ) {
		put_modseq(c, e->change);
		return;
	}
	imap_fetch_put_name(b, item);
	buffer_putc(b, ' ');
	switch (item->kind) {
	case FETCH_EMAILID:
		buffer_putc(b, '(');
		put_emailid(b, e->email);
		buffer_putc(b, ')');
		break;
	case FETCH_THREADID:
		buffer_puts(b, "NIL"); /* messages are not gathered into threads (RFC 8474, 5.2) */
		break;
	case FETCH_UID:
		buffer_put_u64(b, e->uid);
		break;
	case FETCH_RFC822_SIZE:
		buffer_put_u64(b, e->size);
		break;
	case FETCH_PREVIEW:
		if (f->no_preview)
			buffer_puts(b, "NIL");
		else
			imap_put_string(b, buffer_span(&f->preview));
		break;
	case FETCH_SAVEDATE:
		imap_date_time_put(b, e->saved);
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

/* Where it is to be no trouble and is some, there is none. */
static int make_preview(struct fetch *f, const struct imap_fetch_item *item)
{
	buffer_reset(&f->preview);
	int rc = section_preview(&f->source, &f->preview);
	f->no_preview = rc != OK;
	return item->lazy ? OK : rc;
}

static int prepare_item(struct fetch *f, const struct imap_fetch_item *item)
{
	if (item->kind == FETCH_PREVIEW)
		return make_preview(f, item);
	return fetch_item_has_bytes(item) ? section_prepare(&f->source, item) : OK;
}

/* Everything that may fail is done before the first byte of the entry is written. */
static int begin_entry(struct command *c, struct fetch *f, struct entry *e)
{
	f->source = (struct section_source){ .service = c->session->node->service, .entry = e, .n = f->n - f->i, .ahead = &f->ahead };
	int rc = f->walk.depth >= VIEW_SUMMARIES ? mime_summary_open(e->summary, &f->source.summary) : OK;
	for (size_t i = 0; !rc && i < f->what.n; i++)
		rc = prepare_item(f, &f->what.items[i]);
	if (rc)
		return rc;
	begin_fetch_line(c, e->uid);
	f->begun = true;
	f->item = 0;
	return OK;
}

bool fetch_asks_for(const struct imap_fetch *what, enum imap_fetch_kind kind)
{
	for (size_t i = 0; i < what->n; i++)
		if (what->items[i].kind == kind)
			return true;
	return false;
}

/* What the client did not ask for but is told: the UID in a UID FETCH, flags that the command itself changed, and the
   mod-sequence of those. */
static void end_entry(struct command *c, struct fetch *f, const struct entry *e)
{
	bool marked = f->seen_change && f->seen_change == e->change;
	bool modseq = f->what.changedsince || (marked && c->session->condstore);
	bool uid = c->uid || (marked && c->session->condstore) || (c->session->rev2 && (marked || f->unasked));
	if (uid && !c->session->uidonly && !fetch_asks_for(&f->what, FETCH_UID)) {
		buffer_puts(c->out, " UID ");
		buffer_put_u64(c->out, e->uid);
	}
	if (modseq && !fetch_asks_for(&f->what, FETCH_MODSEQ)) {
		buffer_putc(c->out, ' ');
		put_modseq(c, e->change);
	}
	if (marked && !fetch_asks_for(&f->what, FETCH_FLAGS)) {
		buffer_putc(c->out, ' ');
		put_flags(c, e);
		news_told(c, e);
	}
	buffer_puts(c->out, ")\r\n");
	section_source_close(&f->source);
	f->begun = false;
}

/* Each item may cost a whole message, also one that says little of it (BINARY.SIZE): others come in between. */
static bool gives_way(struct command *c, const struct fetch *f)
{
	c->in_literal = f->item > 0 && f->item < f->what.n && fetch_item_has_bytes(&f->what.items[f->item]) && command_should_yield(c);
	return c->in_literal;
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
		if (gives_way(c, f))
			return IMAP_DRAIN;
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

/* A damaged message, or one in an unknown encoding, is passed over, and the reply says so in the end; a store that is down ends the command. */
static int pass_over(struct fetch *f, int rc)
{
	section_source_close(&f->source);
	f->trouble = rc;
	return rc == ERR_CORRUPT || rc == ERR_CANNOT ? OK : rc;
}

static enum imap_step end_with(struct command *c, int trouble)
{
	if (trouble == ERR_CANNOT)
		return reply_no(c, "[UNKNOWN-CTE] A part is in an encoding that is not known here");
	return trouble ? reply_failure(c, trouble) : reply_completed(c);
}

static enum imap_step put_entry(struct command *c, struct fetch *f)
{
	struct entry *e = &f->batch[f->i];
	int rc = f->begun ? OK : begin_entry(c, f, e);
	if (rc && pass_over(f, rc) != OK) {
		enum imap_step failed = reply_failure(c, rc);
		take_back_seen(c, f, e->uid, UINT32_MAX);
		return failed;
	}
	if (rc)
		take_back_seen(c, f, e->uid, e->uid);
	enum imap_step step = rc ? IMAP_DONE : put_items(c, f, e);
	if (step == IMAP_DONE)
		f->i++;
	return step;
}

/* Short lines cost less than to ask for the time. */
static bool is_time_to_look(const struct fetch *f)
{
	return f->walk.depth > VIEW_ENTRIES || f->i % SHORT_LINES == 0;
}

enum imap_step fetch_go_on(struct command *c, struct fetch *f)
{
	for (;;) {
		int rc = f->i == f->n ? next_batch(c, f) : OK;
		if (rc)
			return reply_failure(c, rc);
		if (f->n == 0)
			return end_with(c, f->trouble);
		while (f->i < f->n) {
			enum imap_step step = put_entry(c, f);
			if (step != IMAP_DONE || c->reply.n)
				return step;
			if (is_time_to_look(f) && command_should_yield(c))
				return IMAP_DRAIN;
		}
	}
}

static enum imap_step go_on(struct command *c)
{
	return fetch_go_on(c, c->job);
}

static void begin(struct command *c, struct fetch *f)
{
	f->walk = (struct entries){ .view = c->session->view, .uids = &f->uids, .depth = depth_of(&f->what) };
}

int fetch_open(struct command *c, const struct imap_fetch *what, struct imap_set uids, struct fetch **out)
{
	struct fetch *f = calloc(1, sizeof *f);
	if (!f) {
		free(uids.ranges);
		return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	f->what = *what;
	f->unasked = true;
	f->uids = uids;
	f->changed = uids.ranges;
	begin(c, f);
	*out = f;
	return OK;
}

void fetch_close(struct fetch **fp)
{
	if (*fp)
		end(*fp);
	free(*fp);
	*fp = NULL;
}

/* The UIDs that were asked about, also those that the view does not know; '*' is the last that was given out. */
static bool read_asked(struct imap_args *a, const struct imap_session *s, struct imap_set *asked)
{
	const struct view *v = s->view;
	if (!imap_sp(a))
		return false;
	if (imap_take(a, '$')) {
		*asked = s->saved;
		return true;
	}
	if (!imap_set(a, asked))
		return false;
	int64_t next = view_info(v)->folder.uidnext;
	imap_set_resolve(asked, next > UINT32_MAX ? UINT32_MAX : (uint32_t)(next - 1));
	return true;
}

/* Leaves those messages that may have changed, and tells who is gone. */
static int narrow(struct command *c, struct fetch *f, const struct imap_set *asked)
{
	struct view_resync since = { 0 };
	struct imap_set all = f->uids;
	int rc = view_resync(c->session->view, (int64_t)f->what.modseq, asked, &since);
	if (!rc && !(f->changed = malloc((all.n + since.changed.n + 1) * sizeof *f->changed)))
		rc = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!rc) {
		f->uids = (struct imap_set){ .ranges = f->changed };
		imap_set_intersect(&all, &since.changed, &f->uids);
	}
	if (!rc && f->what.vanished)
		put_vanished_earlier(c, &since.vanished);
	view_resync_free(&since);
	return rc;
}

/* Where changes do not matter the view knows them all. */
static void list_named(const struct fetch *f, struct buffer *uids)
{
	const struct view *v = f->walk.view;
	for (uint32_t number = 1; number <= view_count(v); number++) {
		uint32_t uid = view_uid(v, number);
		if (imap_set_contains(&f->uids, uid))
			buffer_put(uids, &uid, sizeof uid);
	}
}

static int list_changed(struct fetch *f, struct buffer *uids)
{
	struct entries walk = { .view = f->walk.view, .uids = &f->uids, .depth = VIEW_ENTRIES };
	struct arena memory = { 0 };
	struct entry *e;
	size_t n;
	int rc;
	while ((rc = entries_next(&walk, &memory, &e, &n)) == OK && n)
		for (size_t i = 0; i < n; i++)
			if (e[i].change > (int64_t)f->what.modseq)
				buffer_put(uids, &e[i].uid, sizeof e[i].uid);
	arena_free(&memory);
	return rc;
}

/* The UIDs of those that would be fetched. */
static int list_entries(struct fetch *f, struct buffer *uids)
{
	int rc = OK;
	if (f->what.changedsince)
		rc = list_changed(f, uids);
	else
		list_named(f, uids);
	return !rc && !buffer_ok(uids) ? fail_with(ERR_UNAVAILABLE, "no memory") : rc;
}

/* Leaves the part of them that is asked for (RFC 9394, 3.2 and 3.3). */
static int narrow_to_part(struct command *c, struct fetch *f)
{
	struct buffer uids = { 0 };
	struct imap_set all = f->uids;
	int rc = list_entries(f, &uids);
	f->uids = (struct imap_set){ .ranges = arena_alloc(&c->arena, (all.n + 1) * sizeof *all.ranges) };
	if (!rc && !f->uids.ranges)
		rc = fail_with(ERR_LIMIT, "the set has too many ranges");
	size_t from, n = rc ? 0 : imap_partial_of(&f->what.partial, uids.n / sizeof(uint32_t), &from);
	if (n) {
		const uint32_t *v = (const uint32_t *)(const void *)uids.p + from;
		struct imap_range range = { v[0], v[n - 1] };
		imap_set_intersect(&all, &(struct imap_set){ &range, 1 }, &f->uids);
	}
	buffer_free(&uids);
	return rc;
}

/* What of RFC 7162 may not be asked here, or NULL. */
static const char *objection(const struct command *c, const struct imap_fetch *what)
{
	if ((what->changedsince || fetch_asks_for(what, FETCH_MODSEQ)) && !has_modseq(c))
		return "This mailbox has no mod-sequences";
	if (what->vanished && !c->uid)
		return "VANISHED is for UID FETCH";
	if (what->vanished && !c->session->qresync)
		return "VANISHED needs ENABLE QRESYNC";
	return NULL;
}

enum imap_step cmd_fetch(struct command *c)
{
	struct imap_args set = c->args;
	struct imap_set asked = { 0 };
	struct fetch *f = command_job(c, sizeof *f);
	if (!f)
		return IMAP_DONE;
	if (!read_messages(c, &f->uids) || !imap_sp(&c->args) || !imap_fetch_parse(&c->args, &f->what))
		return reply_bad_args(c);
	const char *why = objection(c, &f->what);
	if (why)
		return reply_bad(c, why);
	begin(c, f);
	c->cleanup = end_fetch;
	c->let_go = let_go;
	c->resume = go_on;
	if (f->what.changedsince || fetch_asks_for(&f->what, FETCH_MODSEQ))
		condstore_enable(c);
	if (f->what.vanished && !read_asked(&set, c->session, &asked))
		return reply_bad_args(c);
	int rc = f->what.changedsince ? narrow(c, f, &asked) : OK;
	if (!rc && f->what.has_partial)
		rc = narrow_to_part(c, f);
	return rc ? reply_failure(c, rc) : go_on(c);
}
