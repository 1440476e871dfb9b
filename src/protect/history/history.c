#include "history.h"

#include <stdio.h>
#include <stdlib.h>

#include "app_password.h"
#include "change.h"
#include "clock.h"
#include "fail.h"
#include "folder_names.h"
#include "mailbox_name.h"
#include "metadata.h"
#include "past.h"
#include "store.h"
#include "system.h"

enum { PAGE = 500, COUNTS_MAX = 32, FOLD_CHANGES_MAX = 100000 };
#define FOLD_US (60 * SECOND_US)

/* A journal row, copied. */
struct row {
	int64_t change, stamp, changeset, session;
	enum change_kind kind;
	struct span actor, client, body;
};

/* What an event did to how many entries of which folders. */
struct tally {
	enum log_op op;
	int64_t collection, from;
	uint64_t n;
};

struct event {
	struct row first;
	int64_t last, last_stamp;
	char actor[330], client[128];
	struct tally tally[COUNTS_MAX];
	size_t n;
	struct buffer extra; /* names: folders created, renamed, ..., senders */
	size_t envelopes;
};

struct run {
	struct service *s;
	const struct history_request *q;
	struct folder_names names;
	int (*fn)(void *ctx, const struct history_event *e);
	void *ctx;
	struct arena arena;
	struct row rows[PAGE];
	size_t n;
	int64_t next;
	struct event event;
	bool open, stop;
	int64_t floor; /* changes up to it cannot be undone */
};

static int read_page(struct meta_txn *t, void *arg)
{
	struct run *r = arg;
	struct meta_rows m;
	arena_reset(&r->arena);
	r->n = 0;
	int e = meta_query(t, &m, META_JOURNAL_FROM, "iii", r->q->account, r->next, (int64_t)PAGE);
	if (e)
		return e;
	while ((e = meta_next(&m)) > 0)
		r->rows[r->n++] = (struct row){
			.change = meta_int(&m, 0), .stamp = meta_int(&m, 1), .changeset = meta_int(&m, 2),
			.kind = (enum change_kind)meta_int(&m, 3), .actor = arena_copy(&r->arena, meta_span(&m, 4)),
			.session = meta_int(&m, 5), .client = arena_copy(&r->arena, meta_span(&m, 6)),
			.body = arena_copy(&r->arena, meta_span(&m, 7)),
		};
	meta_done(&m);
	return e;
}

static bool folds(const struct event *e, const struct row *row)
{
	if (e->first.changeset == row->changeset)
		return true;
	bool small = row->kind == CHANGE_DELIVER || row->kind == CHANGE_APPEND || row->kind == CHANGE_FLAGS ||
	             row->kind == CHANGE_EXPUNGE || row->kind == CHANGE_MOVE || row->kind == CHANGE_COPY || row->kind == CHANGE_IMPORT;
	return small && row->kind == e->first.kind && row->session == e->first.session && span_eq(row->client, span_of(e->client)) &&
	       span_eq(row->actor, span_of(e->actor)) && row->change == e->last + 1 &&
	       row->stamp - e->last_stamp < FOLD_US && row->change - e->first.change < FOLD_CHANGES_MAX;
}

static void add_tally(struct event *e, const struct log_operation *op)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->tally[i].op == op->op && e->tally[i].collection == op->collection && e->tally[i].from == op->from) {
			e->tally[i].n += log_count(op);
			return;
		}
	if (e->n < COUNTS_MAX)
		e->tally[e->n++] = (struct tally){ op->op, op->collection, op->from, log_count(op) };
}

static void add_extra(struct event *e, const char *before, struct span name)
{
	if (e->extra.n > 400)
		return;
	buffer_printf(&e->extra, "%s%s%.*s", e->extra.n ? ", " : "", before, SPAN_ARG(name));
}

/* Some have no name: credentials. */
static void add_item(struct event *e, const char *before, struct span name)
{
	if (name.n)
		add_extra(e, before, name);
}

/* A change of the system log: its items are no subscriptions. */
static bool is_system(enum change_kind kind)
{
	return (kind >= CHANGE_ACCOUNT_ADD && kind <= CHANGE_SYSTEM) || (kind >= CHANGE_SETTING && kind <= CHANGE_APP);
}

static void add_setting(struct event *e, const struct folder_names *names, int64_t owner, int64_t folder, struct span entry)
{
	struct buffer text = { 0 };
	if (owner)
		buffer_puts(&text, "a folder of somebody else");
	else if (folder)
		folder_names_put(names, folder, &text);
	else
		buffer_puts(&text, "the server");
	if (entry.n)
		buffer_printf(&text, ": %.*s", SPAN_ARG(entry));
	add_extra(e, entry.n ? "annotated " : "changed the rights to ", buffer_span(&text));
	buffer_free(&text);
}

/* The list of rights is an item that has the folder's id for a name, an annotation one that has its entry behind that. A folder
   that is made begins with its parent's rights, which says nothing. False: it is no such item. */
static bool add_beside(struct event *e, const struct folder_names *names, const struct log_operation *op, enum change_kind kind)
{
	int64_t owner = 0, folder;
	uint64_t id;
	struct span entry = { 0 };
	if (op->op < LOG_ITEM_ADD || op->op > LOG_ITEM_END || op->collection == SUBSCRIPTIONS || is_system(kind))
		return false;
	if (!metadata_item(op->a, &owner, &folder, &entry)) {
		if (!span_u64(op->a, INT64_MAX, &id))
			return false;
		folder = (int64_t)id;
	}
	if (kind != CHANGE_CREATE)
		add_setting(e, names, owner, folder, entry);
	return true;
}

/* The same of definitions: the collections of rights and annotations are made, a special use is given. */
static bool add_definition_beside(struct event *e, const struct folder_names *names, const struct log_operation *op, enum change_kind kind)
{
	if (kind == CHANGE_METADATA && op->op == LOG_FOLDER_RENAME)
		add_setting(e, names, 0, op->collection, SPAN(METADATA_SPECIAL_USE));
	return kind == CHANGE_RIGHTS || kind == CHANGE_METADATA;
}

/* Application passwords have their account's id before their name; the note says whose they are. */
static bool add_app(struct event *e, const struct log_operation *op, enum change_kind kind)
{
	if (!is_system(kind) || op->collection != SYSTEM_APPS)
		return false;
	if (op->op == LOG_ENVELOPE)
		add_extra(e, "for ", op->a);
	else
		add_extra(e, op->op == LOG_ITEM_ADD ? "added " : "ended ", app_key_name(op->a));
	return true;
}

static void add_names(struct event *e, const struct folder_names *names, const struct log_operation *op, enum change_kind kind)
{
	bool back = kind == CHANGE_RESTORE || kind == CHANGE_UNDO;
	if (add_beside(e, names, op, kind) || add_definition_beside(e, names, op, kind) || add_app(e, op, kind))
		return;
	switch (op->op) {
	case LOG_FOLDER_CREATE: add_extra(e, "created ", op->a); return;
	case LOG_FOLDER_DELETE: add_extra(e, back ? "took away " : "deleted ", op->a); return;
	case LOG_FOLDER_REVIVE: add_extra(e, "brought back ", op->a); return;
	case LOG_FOLDER_RENAME:
		if (span_eq(op->a, op->b)) { /* another parent under the same path, or a name alone that becomes a folder */
			if (kind == CHANGE_CREATE)
				add_extra(e, "created ", op->a);
			return;
		}
		add_extra(e, back ? "renamed back " : "renamed ", op->a);
		buffer_printf(&e->extra, " to %.*s", SPAN_ARG(op->b));
		return;
	case LOG_ENVELOPE:
		if (e->envelopes++ == 0) {
			add_extra(e, "from ", op->a.n ? op->a : SPAN("<>"));
			buffer_printf(&e->extra, " to %.*s", SPAN_ARG(op->b));
		}
		return;
	case LOG_ITEM_ADD: add_item(e, is_system(kind) ? "added " : "subscribed ", op->a); return;
	case LOG_ITEM_END: add_item(e, is_system(kind) ? "ended " : "unsubscribed ", op->a); return;
	case LOG_ITEM_SET: add_item(e, "changed ", op->a); return;
	default: return;
	}
}

static int add_row(struct event *e, const struct folder_names *names, const struct row *row)
{
	struct span body = row->body;
	struct log_operation op;
	int r;
	while ((r = log_next(&body, &op)) > 0) {
		if (op.op <= LOG_END)
			add_tally(e, &op);
		else
			add_names(e, names, &op, row->kind);
	}
	e->last = row->change;
	e->last_stamp = row->stamp;
	return r;
}

/* NULL: the other end of it is told. */
static const char *verb_of(const struct event *e, const struct tally *t)
{
	enum change_kind kind = e->first.kind;
	bool back = kind == CHANGE_RESTORE || kind == CHANGE_UNDO;
	if (t->op == LOG_FLAGS)
		return back ? "set flags back on" : "changed flags of";
	if (t->op == LOG_END) {
		for (size_t i = 0; i < e->n; i++) /* a move is told once */
			if (e->tally[i].op == LOG_ADD && e->tally[i].from == t->collection && kind != CHANGE_COPY && e->tally[i].n == t->n)
				return NULL;
		return back ? "took away" : "deleted";
	}
	switch (kind) {
	case CHANGE_DELIVER: return "delivered";
	case CHANGE_COPY: return "copied";
	case CHANGE_MOVE: case CHANGE_RENAME: return "moved";
	case CHANGE_IMPORT: return "imported";
	case CHANGE_RESTORE: case CHANGE_UNDO: return "brought back";
	default: return "saved";
	}
}

static void put_tally(const struct run *r, const struct event *e, const struct tally *t, struct buffer *out)
{
	const char *verb = verb_of(e, t);
	if (!verb)
		return;
	buffer_printf(out, "%s%s %llu message%s", out->n ? ", " : "", verb, (unsigned long long)t->n, t->n == 1 ? "" : "s");
	if (t->from) {
		buffer_puts(out, " from ");
		folder_names_put(&r->names, t->from, out);
	}
	buffer_puts(out, t->op == LOG_ADD ? " to " : t->op == LOG_END ? " from " : " in ");
	folder_names_put(&r->names, t->collection, out);
}

static void put_sentence(const struct run *r, const struct event *e, struct buffer *out)
{
	static const char *const kinds[] = { [CHANGE_ACCOUNT_ADD] = "made the account", [CHANGE_ACCOUNT_REMOVE] = "removed the account",
		[CHANGE_ACCOUNT_PASSWORD] = "changed the password", [CHANGE_ACCOUNT_RESTORE] = "brought the account back",
		[CHANGE_SNAPSHOT_CREATE] = "took a snapshot", [CHANGE_SNAPSHOT_REMOVE] = "removed a snapshot", [CHANGE_SYSTEM] = "system",
		[CHANGE_SETTING] = "changed settings", [CHANGE_DOMAIN] = "changed domains", [CHANGE_ALIAS] = "changed aliases",
		[CHANGE_APP] = "changed application passwords" };
	const char *kind = e->first.kind < (int)(sizeof kinds / sizeof *kinds) ? kinds[e->first.kind] : NULL;
	if (kind)
		buffer_puts(out, kind);
	if (e->first.kind == CHANGE_ACCOUNT_ADD && r->q->account != SYSTEM_ACCOUNT) /* its folders say nothing new */
		return;
	for (size_t i = 0; i < e->n; i++)
		put_tally(r, e, &e->tally[i], out);
	if (!e->extra.n)
		return;
	buffer_printf(out, "%s%.*s", !out->n ? "" : e->envelopes ? " (" : kind ? ": " : ", ", SPAN_ARG(buffer_span(&e->extra)));
	if (e->envelopes > 1)
		buffer_printf(out, " and %zu more", e->envelopes - 1);
	if (e->envelopes && e->n)
		buffer_putc(out, ')');
}

static bool touches(const struct run *r, int64_t collection)
{
	struct buffer path = { 0 };
	struct span f = r->q->folder;
	folder_names_put(&r->names, collection, &path);
	struct span p = buffer_span(&path);
	bool yes = span_eq(p, f) || mailbox_name_below(p, f) || (mailbox_name_is_inbox(f) && mailbox_name_is_inbox(p));
	buffer_free(&path);
	return yes;
}

/* Names of folders stand in the body only: look for any operation on a collection in scope. */
static bool in_scope(const struct run *r, const struct row *row)
{
	struct span body = row->body;
	struct log_operation op;
	if (!r->q->folder.n)
		return true;
	while (log_next(&body, &op) > 0)
		if (touches(r, op.collection) || (op.from && touches(r, op.from)))
			return true;
	return false;
}

static void close_event(struct run *r)
{
	struct event *e = &r->event;
	struct buffer text = { .limit = 4000 };
	if (!r->open)
		return;
	put_sentence(r, e, &text);
	struct history_event out = { e->first.change, e->last, e->first.stamp, e->first.session, e->actor, e->client,
		                     buffer_span(&text), e->first.kind != CHANGE_ACCOUNT_ADD && e->first.change > r->floor };
	r->stop = r->fn(r->ctx, &out);
	buffer_free(&text);
	buffer_free(&e->extra);
	r->open = false;
}

static int take(struct run *r, const struct row *row)
{
	if (r->open && !folds(&r->event, row))
		close_event(r);
	if (r->stop || !in_scope(r, row))
		return OK;
	if (!r->open) {
		r->event = (struct event){ .first = *row };
		snprintf(r->event.actor, sizeof r->event.actor, "%.*s", SPAN_ARG(row->actor));
		snprintf(r->event.client, sizeof r->event.client, "%.*s", SPAN_ARG(row->client));
		r->open = true;
	}
	return add_row(&r->event, &r->names, row);
}

static bool past_end(const struct run *r, const struct row *row)
{
	return (r->q->last && row->change > r->q->last) || (r->q->until && row->stamp > r->q->until);
}

static int tell_all(struct run *r)
{
	int e;
	r->next = r->q->first;
	do {
		e = meta_read(service_store(r->s)->meta, read_page, r);
		for (size_t i = 0; !e && !r->stop && i < r->n; i++) {
			if (past_end(r, &r->rows[i]))
				r->n = 0;
			else if (r->rows[i].stamp >= r->q->since)
				e = take(r, &r->rows[i]);
		}
		if (r->n)
			r->next = r->rows[r->n - 1].change + 1;
	} while (!e && !r->stop && r->n == PAGE);
	if (!e)
		close_event(r);
	return e;
}

int history_run(struct service *s, const struct history_request *q, int (*fn)(void *ctx, const struct history_event *e), void *ctx)
{
	struct run *r = calloc(1, sizeof *r);
	if (!r)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*r = (struct run){ .s = s, .q = q, .fn = fn, .ctx = ctx };
	struct past_floor floor;
	int e = past_floor(s, q->account, &floor);
	r->floor = e ? 0 : floor.change;
	if (!e)
		e = folder_names_read(s, q->account, &r->names);
	if (!e)
		e = tell_all(r);
	buffer_free(&r->event.extra);
	folder_names_free(&r->names);
	arena_free(&r->arena);
	free(r);
	return e;
}
