#include "events.h"

#include "change.h"
#include "fail.h"
#include "metadata.h"
#include "service_private.h"

enum {
	ROWS = 200,           /* of the log, at once */
	NAMES = 200,          /* after so many, or as many annotations, no further row is read */
	FOLDERS_MAX = 4000,
	MEMORY_MAX = 1 << 20, /* bytes of names */
};

struct reading {
	struct service *s;
	int64_t account, since, session;
	struct events *out;
	enum change_kind kind; /* of the row under way */
};

static int too_much(void)
{
	return fail_with(ERR_LIMIT, "too much happened since then");
}

static int add_message(struct events *e, int64_t folder, unsigned what)
{
	struct message_event *all = (struct message_event *)(void *)e->messages.p;
	size_t n = e->messages.n / sizeof *all;
	for (size_t i = n; i-- > 0;)
		if (all[i].folder == folder) {
			all[i].what |= what;
			return OK;
		}
	struct message_event one = { folder, what };
	buffer_put(&e->messages, &one, sizeof one);
	return n < FOLDERS_MAX && buffer_ok(&e->messages) ? OK : too_much();
}

static int add_name(struct events *e, enum name_event_kind kind, struct span name, struct span from)
{
	struct name_event one = { kind, arena_copy(&e->arena, name), arena_copy(&e->arena, from) };
	buffer_put(&e->names, &one, sizeof one);
	return one.name.p && one.from.p && buffer_ok(&e->names) ? OK : too_much();
}

static int add_annotation(struct events *e, int64_t folder, struct span entry)
{
	const struct annotation_event *all = (const struct annotation_event *)(const void *)e->annotations.p;
	for (size_t i = 0; i < e->annotations.n / sizeof *all; i++)
		if (all[i].folder == folder && span_eq(all[i].entry, entry))
			return OK;
	struct annotation_event one = { folder, arena_copy(&e->arena, entry) };
	buffer_put(&e->annotations, &one, sizeof one);
	return one.entry.p && buffer_ok(&e->annotations) ? OK : too_much();
}

/* Subscriptions are names; of other items those of annotations tell what they are. What the user keeps of others' folders is not told. */
static int take_item(struct events *e, const struct log_operation *op)
{
	int64_t owner, folder;
	struct span entry;
	if (op->collection == SUBSCRIPTIONS)
		return op->op == LOG_ITEM_SET ? OK : add_name(e, NAME_SUBSCRIBED, op->a, SPAN(""));
	return metadata_item(op->a, &owner, &folder, &entry) && !owner ? add_annotation(e, folder, entry) : OK;
}

/* What keeps rights and annotations is no folder. */
static bool makes_folder(const struct reading *g)
{
	return g->kind != CHANGE_RIGHTS && g->kind != CHANGE_METADATA;
}

/* Where only the definition changed, it matters if a name became a folder; DELETE gives the children of what it ends
   another parent, of the same name. */
static int take_definition(const struct reading *g, const struct log_operation *op)
{
	if (!span_eq(op->a, op->b))
		return add_name(g->out, NAME_MOVED, op->b, op->a);
	if (g->kind == CHANGE_METADATA)
		return add_annotation(g->out, op->collection, SPAN(METADATA_SPECIAL_USE));
	return g->kind == CHANGE_DELETE ? OK : add_name(g->out, NAME_MADE, op->b, SPAN(""));
}

static int take_operation(const struct reading *g, const struct log_operation *op)
{
	struct events *e = g->out;
	switch (op->op) {
	case LOG_ADD:
		return add_message(e, op->collection, EVENT_NEW);
	case LOG_END:
		return add_message(e, op->collection, EVENT_GONE);
	case LOG_FLAGS:
		return add_message(e, op->collection, EVENT_FLAGS);
	case LOG_FOLDER_CREATE: case LOG_FOLDER_REVIVE:
		return makes_folder(g) ? add_name(e, NAME_MADE, op->a, SPAN("")) : OK;
	case LOG_FOLDER_DELETE:
		return add_name(e, NAME_ENDED, op->a, SPAN(""));
	case LOG_FOLDER_RENAME:
		return take_definition(g, op);
	case LOG_ITEM_ADD: case LOG_ITEM_SET: case LOG_ITEM_END:
		return take_item(e, op);
	default:
		return OK;
	}
}

static int take_row(struct reading *g, const struct meta_rows *r)
{
	struct span body = meta_span(r, 7);
	struct log_operation op;
	int e = OK, more = 1;
	g->out->change = meta_int(r, 0);
	g->kind = (enum change_kind)meta_int(r, 3);
	if (meta_int(r, 5) == g->session)
		return OK;
	while (!e && (more = log_next(&body, &op)) > 0)
		e = take_operation(g, &op);
	return more < 0 ? more : e;
}

static void begin(struct reading *g)
{
	struct events *e = g->out;
	arena_reset(&e->arena);
	e->arena.limit = MEMORY_MAX;
	buffer_reset(&e->messages);
	buffer_reset(&e->names);
	buffer_reset(&e->annotations);
	e->change = g->since;
	e->more = false;
}

static bool has_room(const struct events *e)
{
	return e->names.n / sizeof(struct name_event) < NAMES && e->annotations.n / sizeof(struct annotation_event) < NAMES;
}

static int read_rows(struct meta_txn *t, void *arg)
{
	struct reading *g = arg;
	struct events *out = g->out;
	struct meta_rows r;
	struct head head;
	size_t n = 0;
	begin(g);
	int e = change_head(t, g->account, &head), more = 0;
	if (e || head.change <= g->since)
		return e;
	if (head.floor > g->since || head.change - g->since > EVENTS_BEHIND_MAX)
		return too_much();
	e = meta_query(t, &r, META_JOURNAL_FROM, "iii", g->account, g->since + 1, (int64_t)ROWS);
	if (e)
		return e;
	while (!e && has_room(out) && (more = meta_next(&r)) > 0) {
		e = take_row(g, &r);
		n++;
	}
	meta_done(&r);
	out->more = n == ROWS || more > 0;
	if (!out->more)
		out->change = head.change;
	return more < 0 ? more : e;
}

int events_read(struct service *s, int64_t account, int64_t since, int64_t session, struct events *out)
{
	struct reading g = { .s = s, .account = account, .since = since, .session = session, .out = out };
	*out = (struct events){ 0 };
	int e = meta_read(s->store->meta, read_rows, &g);
	if (e)
		events_free(out);
	return e;
}

void events_free(struct events *e)
{
	arena_free(&e->arena);
	buffer_free(&e->messages);
	buffer_free(&e->names);
	buffer_free(&e->annotations);
}

struct now {
	int64_t account, change;
};

static int read_now(struct meta_txn *t, void *arg)
{
	struct now *n = arg;
	struct head head;
	int e = change_head(t, n->account, &head);
	n->change = head.change;
	return e;
}

int events_now(struct service *s, int64_t account, int64_t *change)
{
	struct now n = { .account = account };
	int e = meta_read(s->store->meta, read_now, &n);
	if (!e)
		*change = n.change;
	return e;
}
