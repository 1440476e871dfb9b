/* perdura export ADDRESS PATH: the command writes the files, so the node needs no right to them. What is sent is the account
   at one change, whatever happens to it meanwhile. */
#include <inttypes.h>
#include <stdio.h>

#include "ahead.h"
#include "export_item.h"
#include "fail.h"
#include "flags.h"
#include "imap_set.h"
#include "mailbox_name.h"
#include "message.h"
#include "verb_common.h"
#include "view.h"

enum { READ_AT_ONCE = 200 }; /* entries */

struct work {
	struct request *r;
	int64_t account;
	struct instant at;
	struct tree tree; /* the folders of then */
	struct span folder; /* this one and those below; empty: all */
	struct arena arena, uids; /* of the request; of a folder */
	struct ahead ahead;
	char address[320];
	uint64_t folders, sent, there, bytes, unreadable;
	uint64_t done, total; /* messages */
};

static bool is_wanted(const struct work *w, const struct folder *f)
{
	return !(f->attributes & FOLDER_NOSELECT) &&
	       (!w->folder.n || span_eq(f->path, w->folder) || mailbox_name_below(f->path, w->folder));
}

/* ---- One message */

/* Bytes for as long as they can be read. */
static int send_bytes(struct work *w, struct message *m)
{
	struct span piece;
	int e = OK;
	for (uint64_t at = 0; !e && at < message_size(m); at += piece.n) {
		e = message_at(m, at, &piece);
		if (!e && request_cancelled(w->r))
			e = fail_with(ERR_STOPPED, "broken off");
		if (e)
			return e;
		request_export_data(w->r, piece);
	}
	return OK;
}

static void send_head(struct work *w, const struct entry *e, uint64_t size)
{
	struct buffer flags = { 0 };
	const struct imap_flags f = { e->flags, e->keywords };
	flags_put(&flags, &f, false);
	request_export(w->r, &(struct export_item){ EXPORT_MESSAGE, buffer_span(&flags), e->uid, e->date, size });
	buffer_free(&flags);
}

/* The n - 1 entries behind it are next. */
static int send_message(struct work *w, const struct folder *f, struct entry *entry, size_t n)
{
	struct message *m;
	int e = ahead_read(w->r->node->service, &w->ahead, entry, n);
	if (!e)
		e = message_open_entry(w->r->node->service, entry, &m);
	if (!e) {
		send_head(w, entry, message_size(m));
		e = send_bytes(w, m);
		w->sent += !e;
		w->bytes += e ? 0 : message_size(m);
		message_close(&m);
	}
	if (e != ERR_CORRUPT && e != ERR_NOT_FOUND)
		return e;
	w->unreadable++; /* the others can be had */
	request_error(w->r, EXIT_FAILED, "%.*s, UID %" PRIu32 ": left out, its bytes are damaged: %s", SPAN_ARG(f->path),
		entry->uid, fail_detail());
	return OK;
}

/* ---- One folder */

static int send_entries(struct work *w, const struct folder *f, struct entry *list, size_t n,
                        const struct imap_set *there)
{
	int e = OK;
	for (size_t i = 0; i < n && !e; i++) {
		if (request_cancelled(w->r))
			return fail_with(ERR_STOPPED, "broken off");
		if (imap_set_contains(there, list[i].uid))
			w->there++;
		else
			e = send_message(w, f, &list[i], n - i);
		request_progress(w->r, ++w->done, w->total, "messages");
	}
	return e;
}

static int send_messages(struct work *w, const struct folder *f, struct view *v, const struct imap_set *there)
{
	struct arena arena = { 0 };
	struct entry *list;
	size_t n = READ_AT_ONCE;
	int e = OK;
	struct imap_range r = { 1, UINT32_MAX };
	struct imap_set all = { &r, 1 };
	for (uint64_t from = 1; !e && n == READ_AT_ONCE; arena_reset(&arena)) {
		e = view_read_set(v, &all, from, READ_AT_ONCE, VIEW_PLACES, &arena, &list, &n);
		if (!e && n) {
			from = (uint64_t)list[n - 1].uid + 1;
			e = send_entries(w, f, list, n, there);
		}
	}
	arena_free(&arena);
	return e;
}

/* Which of its messages the command has already. */
static int ask_for_uids(struct work *w, struct imap_set *there)
{
	struct span answer;
	*there = (struct imap_set){ 0 };
	int e = request_export_answer(w->r, &answer);
	if (e || !answer.n)
		return e;
	e = imap_set_parse(&w->uids, answer, there);
	if (!e)
		imap_set_resolve(there, 0);
	return e;
}

static int send_folder(struct work *w, const struct folder *f)
{
	struct buffer name = { 0 };
	struct imap_set there;
	struct view *v = NULL;
	arena_reset(&w->uids);
	buffer_printf(&name, "#at/@%lld/%.*s", (long long)w->at.change, SPAN_ARG(f->path));
	int e = view_open(w->r->node->service, w->account, buffer_span(&name), VIEW_READ_ONLY, &v);
	buffer_free(&name);
	if (e)
		return e;
	request_export(w->r, &(struct export_item){ .kind = EXPORT_FOLDER, .text = f->path, .number = f->uidvalidity });
	e = ask_for_uids(w, &there);
	if (!e)
		e = send_messages(w, f, v, &there);
	w->folders += !e;
	view_close(&v);
	return e;
}

/* ---- All of it */

static int count_all(struct work *w)
{
	int e = OK;
	for (size_t i = 0; i < w->tree.n && !e && w->r->terminal; i++) {
		if (!is_wanted(w, &w->tree.list[i]))
			continue;
		e = folder_count(w->r->node->service, w->account, w->at.change, &w->tree.list[i]);
		w->total += (uint64_t)w->tree.list[i].messages;
	}
	return e;
}

static int send_all(struct work *w)
{
	struct span answer;
	int e = count_all(w);
	request_export(w->r, &(struct export_item){ EXPORT_BEGIN, span_of(w->address), w->at.change, w->at.stamp, 0 });
	for (size_t i = 0; i < w->tree.n && !e; i++)
		if (is_wanted(w, &w->tree.list[i]))
			e = send_folder(w, &w->tree.list[i]);
	if (e)
		return e;
	request_export(w->r, &(struct export_item){ .kind = EXPORT_END });
	return request_export_answer(w->r, &answer);
}

/* The change to export, and the folders it shows. */
static int resolve(struct work *w)
{
	struct span at = verb_option(w->r, "at");
	struct service *s = w->r->node->service;
	char last[24];
	if (!at.n) {
		int e = tree_read(s, w->account, 0, &w->tree);
		if (e)
			return e;
		at = span_from(last, (size_t)snprintf(last, sizeof last, "@%lld", (long long)w->tree.change));
		tree_free(&w->tree);
	}
	int e = instant_resolve(s, w->account, at, &w->at);
	return e ? e : tree_read(s, w->account, w->at.change, &w->tree);
}

/* Is there anything of --folder? */
static int find_folder(struct work *w)
{
	bool some = false;
	int e = mailbox_name_normal(&w->arena, verb_option(w->r, "folder"), &w->folder);
	if (e || !w->folder.n)
		return e;
	for (size_t i = 0; i < w->tree.n; i++)
		some = some || is_wanted(w, &w->tree.list[i]);
	return some ? OK : fail_with(ERR_INVALID, "there is no folder %.*s then", SPAN_ARG(w->folder));
}

static int report(const struct work *w)
{
	char when[40];
	instant_write(w->at.stamp, when);
	if (w->r->json)
		request_line(w->r, "{\"at\":\"%s\",\"change\":%" PRId64 ",\"folders\":%" PRIu64 ",\"messages\":%" PRIu64
			",\"bytes\":%" PRIu64 ",\"there\":%" PRIu64 ",\"unreadable\":%" PRIu64 "}", when, w->at.change, w->folders, w->sent, w->bytes, w->there,
			w->unreadable);
	else
		request_line(w->r, "exported as of %s (change @%" PRId64 "): %" PRIu64 " messages of %" PRIu64 " folders, %" PRIu64
			" were there already", when, w->at.change, w->sent, w->folders, w->there);
	return w->unreadable ? EXIT_FAILED : EXIT_DONE;
}

int verb_export(struct request *r)
{
	struct account a;
	int status = verb_find_account(r, r->args[0], &a);
	if (status)
		return status;
	struct work w = { .r = r, .account = a.id };
	int e = identity_complete(r->node->identity, span_of(r->args[0]), w.address);
	if (!e)
		e = resolve(&w);
	if (!e)
		e = find_folder(&w);
	if (!e)
		e = send_all(&w);
	status = e ? request_failed(r, e, "export") : report(&w);
	tree_free(&w.tree);
	ahead_drop(&w.ahead);
	arena_free(&w.arena);
	arena_free(&w.uids);
	return status;
}
