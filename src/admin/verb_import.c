/* perdura import ADDRESS PATH...: the command walks the files, so the node needs no right to them. */
#include "arena.h"
#include "verb_common.h"
#include "fail.h"
#include "flags.h"
#include "import.h"
#include "import_item.h"

struct work {
	struct request *r;
	struct import *m;
	struct arena arena;
	uint64_t refused;
};

static int read_bytes(struct request *r, struct incoming *in)
{
	struct span piece;
	int e, kept = OK;
	while ((e = request_item_data(r, &piece)) == OK) /* to its end in any case, so that the next item is found */
		kept = kept ? kept : incoming_write(in, piece);
	return e == ERR_NOT_FOUND ? (kept ? kept : incoming_finish(in)) : e;
}

static int parse_flags(struct work *w, struct span text, struct imap_flags *out)
{
	struct flags_builder b = { 0 };
	struct span name;
	while (keywords_next(&text, &name))
		flags_add(&b, name); /* what is no flag's name is left behind */
	return flags_finish(&b, &w->arena, out);
}

static struct span folder_of(const struct work *w, const struct import_item *i, struct arena *a)
{
	struct span given = verb_option(w->r, "folder");
	if (given.n && i->folder.n && !span_ieq(i->folder, SPAN("INBOX"))) {
		struct buffer b = { 0 };
		buffer_printf(&b, "%.*s/%.*s", SPAN_ARG(given), SPAN_ARG(i->folder));
		struct span both = arena_copy(a, buffer_span(&b));
		buffer_free(&b);
		return both;
	}
	return given.n ? given : i->folder.n ? i->folder : SPAN("INBOX");
}

static int take(struct work *w, const struct import_item *item)
{
	struct incoming *in;
	struct imap_flags flags;
	struct import_item i = *item;
	arena_reset(&w->arena);
	/* the item's texts live until its bytes are read */
	i.folder = arena_copy(&w->arena, folder_of(w, item, &w->arena));
	if (!item->size)
		return import_folder(w->m, i.folder);
	int e = parse_flags(w, item->flags, &flags);
	if (!e)
		e = incoming_new(w->r->node->service, &in);
	if (e)
		return e;
	e = read_bytes(w->r, in);
	if (e)
		incoming_free(&in);
	else
		e = import_add(w->m, i.folder, in, flags.system, flags.keywords, i.date);
	return e;
}

static int take_all(struct work *w)
{
	struct import_item item;
	int e;
	while ((e = request_item(w->r, &item)) == OK && !request_cancelled(w->r)) {
		e = take(w, &item);
		if (e == ERR_INVALID || e == ERR_LIMIT || e == ERR_CANNOT) { /* this one cannot be taken, the others can */
			request_error(w->r, EXIT_FAILED, "a message was left out: %s", fail_detail());
			w->refused++;
			e = OK;
		}
		if (e)
			return e;
		struct import_counts c = import_counts(w->m);
		request_progress(w->r, c.added + c.skipped, 0, "messages");
	}
	if (e == OK) /* the node stops, or the command is gone */
		return fail_with(ERR_STOPPED, "broken off");
	return e == ERR_NOT_FOUND ? import_flush(w->m) : e;
}

int verb_import(struct request *r)
{
	struct account a;
	struct actor actor = verb_actor(r);
	struct work w = { .r = r };
	int status = verb_find_account(r, r->args[0], &a);
	if (status)
		return status;
	int e = import_open(r->node->service, a.id, &actor, &w.m);
	if (!e)
		e = take_all(&w);
	struct import_counts c = w.m ? import_counts(w.m) : (struct import_counts){ 0 };
	import_close(&w.m);
	arena_free(&w.arena);
	if (e)
		return request_failed(r, e, "import (run it again to go on where it stopped)");
	if (r->json)
		request_line(r, "{\"added\":%llu,\"skipped\":%llu,\"refused\":%llu}", (unsigned long long)c.added,
		             (unsigned long long)c.skipped, (unsigned long long)w.refused);
	else
		request_line(r, "%llu imported, %llu were there already, %llu left out", (unsigned long long)c.added,
		             (unsigned long long)c.skipped, (unsigned long long)w.refused);
	return w.refused ? EXIT_FAILED : EXIT_DONE;
}
