#include "search.h"

#include <stdlib.h>

#include "fail.h"
#include "message.h"
#include "mime_header.h"
#include "mime_summary.h"
#include "mime_text.h"
#include "rfc2047.h"

enum {
	HEADER_MAX = 1 << 20,
	PIECE = 16 * 1024,   /* bytes of text that are looked at together; what is made of them may be some ten times that */
	STEP = 256 * 1024,   /* bytes of text in a step */
};

/* What of [from, to) is at hand together: never empty. */
static int read_piece(struct message *m, uint64_t from, uint64_t to, struct span *piece)
{
	int e = message_at(m, from, piece);
	if (!e && piece->n == 0)
		return fail_with(ERR_CORRUPT, "a message ends before its parts do");
	if (!e)
		*piece = span_sub(*piece, 0, to - from < SIZE_MAX ? (size_t)(to - from) : SIZE_MAX);
	return e;
}

static int read_header(struct message *m, uint64_t from, uint64_t to, struct buffer *out)
{
	struct span piece;
	int e = OK;
	if (to - from > HEADER_MAX)
		to = from + HEADER_MAX;
	for (; !e && from < to; from += piece.n)
		if ((e = read_piece(m, from, to, &piece)) == OK)
			buffer_put_span(out, piece);
	return e;
}

static bool field_holds(const struct mime_field *f, struct span needle)
{
	struct buffer text = { 0 };
	rfc2047_decode(f->value, &text);
	bool found = text_contains(buffer_span(&text), needle);
	buffer_free(&text);
	return found;
}

static bool header_holds(struct span header, struct span field, struct span needle)
{
	struct mime_field f;
	while (mime_header_next(&header, &f))
		if ((field.n == 0 || span_ieq(f.name, field)) && (needle.n == 0 || field_holds(&f, needle)))
			return true;
	return false;
}

int search_header(struct service *s, const struct entry *e, struct span field, struct span needle, bool *found)
{
	struct mime_summary view;
	struct mime_summary_part top;
	struct message *m;
	struct buffer header = { 0 };
	int err = mime_summary_open(e->summary, &view);
	if (err)
		return err;
	if (mime_summary_has_fields(&view, &field, 1)) {
		*found = header_holds(view.fields, field, needle);
		return OK;
	}
	err = mime_summary_part(&view, NULL, 0, &top);
	if (!err)
		err = message_open_entry(s, e, &m);
	if (err)
		return err;
	err = read_header(m, top.header_start, top.body_start, &header);
	if (!err)
		*found = header_holds(buffer_span(&header), field, needle);
	buffer_free(&header);
	message_close(&m);
	return err;
}

/* The place in the message: a part, and how far its text was looked at. */
struct text_search {
	struct service *service;
	struct entry entry;      /* its email, place and ahead */
	struct message *message; /* NULL in a pause */
	struct mime_summary view;
	struct span rest;        /* of view.parts */
	struct span needle;
	bool with_header;
	bool in_text;
	uint64_t at, end;
	struct mime_text text;
	struct text_find find;
	struct buffer folded;
};

static bool found_in_text(struct text_search *t)
{
	bool found = text_find_push(&t->find, buffer_span(&t->folded));
	buffer_reset(&t->folded);
	return found;
}

static void begin_text(struct text_search *t, const struct mime_summary_part *p)
{
	mime_text_open(&t->text, p->encoding, p->charset);
	text_find_start(&t->find, t->needle);
	t->at = p->body_start;
	t->end = p->body_end;
	t->in_text = true;
}

static bool end_text(struct text_search *t)
{
	mime_text_close(&t->text, &t->folded);
	bool found = found_in_text(t);
	text_find_free(&t->find);
	t->in_text = false;
	return found;
}

static int scan_text(struct text_search *t, bool *found)
{
	uint64_t stop = t->end - t->at > STEP ? t->at + STEP : t->end;
	while (t->at < stop && !*found) {
		struct span piece;
		int e = read_piece(t->message, t->at, t->end, &piece);
		if (e)
			return e;
		piece = span_sub(piece, 0, PIECE);
		mime_text_push(&t->text, piece, &t->folded);
		*found = found_in_text(t);
		t->at += piece.n;
	}
	if (t->at >= t->end && !*found)
		*found = end_text(t);
	return OK;
}

static int scan_header(struct message *m, const struct mime_summary_part *p, struct span needle, bool *found)
{
	struct buffer header = { 0 };
	int e = read_header(m, p->header_start, p->body_start, &header);
	if (!e)
		*found = header_holds(buffer_span(&header), (struct span){ 0 }, needle) || text_contains(buffer_span(&header), needle);
	buffer_free(&header);
	return e;
}

static int next_part(struct text_search *t, bool *done, bool *found)
{
	struct mime_summary_part p;
	if (!mime_summary_next(&t->view, &t->rest, &p)) {
		*done = true;
		return OK;
	}
	int e = t->with_header ? scan_header(t->message, &p, t->needle, found) : OK;
	if (!e && !*found && p.kind == MIME_LEAF && span_istarts(p.type, SPAN("text/")))
		begin_text(t, &p);
	return e;
}

int text_search_open(struct service *s, const struct entry *e, struct span needle, bool with_header, struct text_search **out)
{
	struct text_search *t = calloc(1, sizeof *t);
	if (!t)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	int err = mime_summary_open(e->summary, &t->view);
	if (err) {
		free(t);
		return err;
	}
	t->service = s;
	t->entry = (struct entry){ .email = e->email, .place = e->place, .ahead = e->ahead };
	t->rest = t->view.parts;
	t->needle = needle;
	t->with_header = with_header;
	*out = t;
	return OK;
}

int text_search_step(struct text_search *t, bool *done, bool *found)
{
	*found = t->needle.n == 0;
	int e = *found || t->message ? OK : message_open_entry(t->service, &t->entry, &t->message);
	if (!e && !*found)
		e = t->in_text ? scan_text(t, found) : next_part(t, done, found);
	*done = *done || *found;
	return e;
}

void text_search_pause(struct text_search *t)
{
	message_close(&t->message);
}

void text_search_close(struct text_search **tp)
{
	struct text_search *t = *tp;
	*tp = NULL;
	if (!t)
		return;
	if (t->in_text)
		end_text(t);
	message_close(&t->message);
	buffer_free(&t->folded);
	free(t);
}

int search_text(struct service *s, const struct entry *e, struct span needle, bool with_header, bool *found)
{
	struct text_search *t;
	bool done = false;
	int err = text_search_open(s, e, needle, with_header, &t);
	if (err)
		return err;
	while (!err && !done)
		err = text_search_step(t, &done, found);
	text_search_close(&t);
	return err;
}
