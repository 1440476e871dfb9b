#include "search.h"

#include "fail.h"
#include "message.h"
#include "mime_header.h"
#include "mime_summary.h"
#include "mime_text.h"
#include "rfc2047.h"

enum { HEADER_MAX = 1 << 20 };

/* The bytes [from, to) of a message, handed on in pieces. */
static int each_piece(struct message *m, uint64_t from, uint64_t to, int (*fn)(void *ctx, struct span piece), void *ctx)
{
	while (from < to) {
		struct span piece;
		int e = message_at(m, from, &piece);
		if (e)
			return e;
		if (piece.n == 0)
			return fail_with(ERR_CORRUPT, "a message ends before its parts do");
		if (piece.n > to - from)
			piece.n = (size_t)(to - from);
		from += piece.n;
		e = fn(ctx, piece);
		if (e)
			return e < 0 ? e : OK;
	}
	return OK;
}

static int append_piece(void *ctx, struct span piece)
{
	buffer_put_span(ctx, piece);
	return OK;
}

static int read_header(struct message *m, uint64_t from, uint64_t to, struct buffer *out)
{
	if (to - from > HEADER_MAX)
		to = from + HEADER_MAX;
	return each_piece(m, from, to, append_piece, out);
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
		err = message_open(s, e->email, &m);
	if (err)
		return err;
	err = read_header(m, top.header_start, top.body_start, &header);
	if (!err)
		*found = header_holds(buffer_span(&header), field, needle);
	buffer_free(&header);
	message_close(&m);
	return err;
}

struct scan {
	struct mime_text text;
	struct text_find find;
	struct buffer folded;
};

static int scan_piece(void *ctx, struct span piece)
{
	struct scan *k = ctx;
	buffer_reset(&k->folded);
	mime_text_push(&k->text, piece, &k->folded);
	return text_find_push(&k->find, buffer_span(&k->folded));
}

static int scan_part(struct message *m, const struct mime_summary_part *p, struct span needle, bool *found)
{
	struct scan k = { 0 };
	mime_text_open(&k.text, p->encoding, p->charset);
	text_find_start(&k.find, needle);
	int e = each_piece(m, p->body_start, p->body_end, scan_piece, &k);
	buffer_reset(&k.folded);
	mime_text_close(&k.text, &k.folded);
	*found = text_find_push(&k.find, buffer_span(&k.folded));
	text_find_free(&k.find);
	buffer_free(&k.folded);
	return e;
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

int search_text(struct service *s, const struct entry *e, struct span needle, bool with_header, bool *found)
{
	struct mime_summary view;
	struct mime_summary_part p;
	struct message *m;
	*found = needle.n == 0;
	int err = mime_summary_open(e->summary, &view);
	if (!err && !*found)
		err = message_open(s, e->email, &m);
	if (err || *found)
		return err;
	struct span rest = view.parts;
	while (!err && !*found && mime_summary_next(&view, &rest, &p)) {
		if (with_header)
			err = scan_header(m, &p, needle, found);
		if (!err && !*found && p.kind == MIME_LEAF && span_istarts(p.type, SPAN("text/")))
			err = scan_part(m, &p, needle, found);
	}
	message_close(&m);
	return err;
}
