#include "mime_summary.h"

#include <assert.h>

#include "mime_structure.h"
#include "varint.h"

enum { FLAG_ATTACHMENT = 1, FLAG_DATE = 2, FLAG_FIELDS_CUT = 4, FLAG_CUT = 8 };
enum section_index { S_FIELDS, S_ENVELOPE, S_STRUCTURE, S_CUTS, S_PARTS, SECTIONS };
enum { AT_ZONE = 2, AT_DATE = 4, AT_SIZE = 12, AT_LENGTHS = 20, FIXED_SIZE = AT_LENGTHS + 4 * SECTIONS };

static void put_le(char *p, uint64_t v, unsigned n)
{
	for (unsigned i = 0; i < n; i++, v >>= 8)
		p[i] = (char)(v & 0xff);
}

static uint64_t get_le(const char *p, unsigned n)
{
	uint64_t v = 0;
	while (n--)
		v = v << 8 | (unsigned char)p[n];
	return v;
}

static bool is_common(enum mime_field_id id)
{
	switch (id) {
	case FIELD_OTHER:
	case FIELD_CONTENT_DESCRIPTION:
	case FIELD_CONTENT_DISPOSITION:
	case FIELD_CONTENT_ID:
	case FIELD_CONTENT_LANGUAGE:
	case FIELD_CONTENT_LOCATION:
	case FIELD_CONTENT_MD5:
		return false;
	default:
		return true;
	}
}

/* One pass over the header: common fields are copied, the envelope's are remembered. False when some did not fit. */
static bool put_fields(struct span header, struct buffer *out, struct mime_envelope *e)
{
	size_t start = out->n;
	bool all = true;
	struct mime_field f;
	while (mime_header_next(&header, &f)) {
		enum mime_field_id id = mime_field_id(f.name);
		if (!is_common(id))
			continue;
		mime_envelope_field(e, id, &f);
		if (out->n - start + f.raw.n <= MIME_SUMMARY_FIELDS_MAX)
			buffer_put_span(out, f.raw);
		else
			all = false;
	}
	return all;
}

static bool is_signature(const struct mime_part *p)
{
	return span_eq(p->subtype, SPAN("pgp-signature")) || span_eq(p->subtype, SPAN("pkcs7-signature")) ||
	       span_eq(p->subtype, SPAN("x-pkcs7-signature"));
}

/* What a person would call an attachment: said to be one, or a named or non-text part that is not shown in place. */
static bool is_attachment(const struct mime_tree *tree, const struct mime_part *p)
{
	if (p->kind == MIME_MULTIPART || is_signature(p))
		return false;
	if (p->disposition.n)
		return span_eq(p->disposition, SPAN("attachment"));
	if (span_eq(p->type, SPAN("text")))
		return !p->is_message && mime_param(&p->params, SPAN("name")).n;
	const struct mime_part *up = p->parent < 0 ? NULL : &tree->parts[p->parent];
	if (!up || up->kind != MIME_MULTIPART)
		return true;
	return !span_eq(up->subtype, SPAN("related")) && !span_eq(up->subtype, SPAN("report")) &&
	       !span_eq(up->subtype, SPAN("digest")) && !span_eq(up->subtype, SPAN("encrypted"));
}

static void put_part(struct buffer *out, const struct mime_part *p)
{
	struct span charset = mime_param(&p->params, SPAN("charset"));
	varint_put(out, p->depth);
	varint_put(out, (uint64_t)p->kind | (uint64_t)p->is_message << 2 | (uint64_t)p->encoding << 3);
	varint_put(out, p->header_start);
	varint_put(out, p->body_start - p->header_start);
	varint_put(out, p->body_end - p->body_start);
	varint_put(out, p->lines);
	varint_put(out, p->type.n + 1 + p->subtype.n);
	buffer_put_span(out, p->type);
	buffer_putc(out, '/');
	buffer_put_span(out, p->subtype);
	varint_put_span(out, span_sub(charset, 0, 64));
}

/* The sections, whose ends go to end[]; returns the flags. */
static unsigned put_sections(const struct mime_tree *tree, struct buffer *out, struct mime_date *date,
			     size_t end[static SECTIONS])
{
	const struct mime_part *top = tree->parts;
	struct mime_envelope e = { .header = top->header };
	struct buffer cuts = { 0 };
	unsigned flags = tree->cut ? FLAG_CUT : 0;
	if (!put_fields(top->header, out, &e) || top->header.n < top->body_start - top->header_start)
		flags |= FLAG_FIELDS_CUT;
	if (e.date.p && mime_date_parse(e.date, date))
		flags |= FLAG_DATE;
	end[S_FIELDS] = out->n;
	mime_envelope_write(&e, out);
	end[S_ENVELOPE] = out->n;
	mime_bodystructure_write(tree, out, &cuts);
	end[S_STRUCTURE] = out->n;
	buffer_put_span(out, buffer_span(&cuts));
	end[S_CUTS] = out->n;
	buffer_free(&cuts);
	for (uint32_t i = 0; i < tree->count; i++) {
		put_part(out, &tree->parts[i]);
		if (is_attachment(tree, &tree->parts[i]))
			flags |= FLAG_ATTACHMENT;
	}
	end[S_PARTS] = out->n;
	return flags;
}

int mime_summary_build(const struct mime_tree *tree, struct buffer *out)
{
	assert(tree->count > 0);
	struct mime_date date = { 0 };
	size_t start = out->n, end[SECTIONS];
	if (buffer_reserve(out, FIXED_SIZE + 1200))
		out->n += FIXED_SIZE;
	unsigned flags = put_sections(tree, out, &date, end);
	if (!buffer_ok(out) || out->n - start > UINT32_MAX)
		return fail_with(ERR_LIMIT, "summary of a message with %u parts", tree->count);
	char *p = out->p + start;
	p[0] = MIME_SUMMARY_VERSION;
	p[1] = (char)flags;
	put_le(p + AT_ZONE, (uint16_t)date.zone, 2);
	put_le(p + AT_DATE, (uint64_t)date.seconds, 8);
	put_le(p + AT_SIZE, tree->size, 8);
	for (size_t i = 0, from = start + FIXED_SIZE; i < SECTIONS; from = end[i++])
		put_le(p + AT_LENGTHS + 4 * i, end[i] - from, 4);
	return OK;
}

int mime_summary_open(struct span bytes, struct mime_summary *view)
{
	if (bytes.n < FIXED_SIZE || bytes.p[0] != MIME_SUMMARY_VERSION)
		return fail_with(ERR_CORRUPT, "message summary of %zu bytes, version %d", bytes.n, bytes.n ? bytes.p[0] : -1);
	struct span section[SECTIONS], rest = span_sub(bytes, FIXED_SIZE, SIZE_MAX);
	for (size_t i = 0; i < SECTIONS; i++) {
		uint64_t n = get_le(bytes.p + AT_LENGTHS + 4 * i, 4);
		if (n > rest.n)
			return fail_with(ERR_CORRUPT, "message summary of %zu bytes ends early", bytes.n);
		section[i] = span_sub(rest, 0, (size_t)n);
		rest = span_sub(rest, (size_t)n, SIZE_MAX);
	}
	unsigned flags = (unsigned char)bytes.p[1];
	*view = (struct mime_summary){
		.envelope = section[S_ENVELOPE], .structure = section[S_STRUCTURE], .fields = section[S_FIELDS],
		.cuts = section[S_CUTS], .parts = section[S_PARTS], .size = get_le(bytes.p + AT_SIZE, 8),
		.date = { .seconds = (int64_t)get_le(bytes.p + AT_DATE, 8), .zone = (int16_t)get_le(bytes.p + AT_ZONE, 2) },
		.has_date = flags & FLAG_DATE, .has_attachment = flags & FLAG_ATTACHMENT,
		.fields_cut = flags & FLAG_FIELDS_CUT, .cut = flags & FLAG_CUT,
	};
	return OK;
}

int mime_summary_body(const struct mime_summary *view, struct buffer *out)
{
	struct span text = view->structure, cuts = view->cuts;
	uint64_t keep, leave;
	while (cuts.n) {
		if (!varint_get(&cuts, &keep) || !varint_get(&cuts, &leave) || keep > text.n || leave > text.n - keep)
			return fail_with(ERR_CORRUPT, "message summary: cuts beyond the structure");
		buffer_put_span(out, span_sub(text, 0, (size_t)keep));
		text = span_sub(text, (size_t)(keep + leave), SIZE_MAX);
	}
	buffer_put_span(out, text);
	return OK;
}

bool mime_summary_has_fields(const struct mime_summary *view, const struct span *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_common(mime_field_id(names[i])))
			return false;
	return !view->fields_cut;
}

bool mime_summary_next(const struct mime_summary *view, struct span *rest, struct mime_summary_part *out)
{
	uint64_t depth, bits, start, header, body, lines;
	struct mime_summary_part p = { 0 };
	if (!varint_get(rest, &depth) || !varint_get(rest, &bits) || !varint_get(rest, &start) ||
	    !varint_get(rest, &header) || !varint_get(rest, &body) || !varint_get(rest, &lines) ||
	    !varint_get_span(rest, &p.type) || !varint_get_span(rest, &p.charset))
		return false;
	if (depth > UINT16_MAX || (bits & 3) > MIME_MESSAGE || bits >> 3 > MIME_OTHER || start > view->size ||
	    header > view->size - start || body > view->size - start - header)
		return false;
	p.depth = (uint32_t)depth;
	p.kind = (enum mime_kind)(bits & 3);
	p.is_message = bits >> 2 & 1;
	p.encoding = (enum mime_encoding)(bits >> 3);
	p.header_start = start;
	p.body_start = start + header;
	p.body_end = start + header + body;
	p.lines = lines;
	*out = p;
	return true;
}

/* The k-th child (from 1) of the part that *rest stands behind; *rest then stands behind the child. */
static bool take_child(const struct mime_summary *view, struct span *rest, uint32_t k, struct mime_summary_part *part)
{
	struct mime_summary_part at;
	struct span behind = *rest;
	for (uint32_t seen = 0; mime_summary_next(view, &behind, &at) && at.depth > part->depth;)
		if (at.depth == part->depth + 1 && ++seen == k) {
			*part = at;
			*rest = behind;
			return true;
		}
	return false;
}

/* One number of a path. `whole` says that the part stands for the message it is the root of, whose parts are numbered;
   a message that is no multipart has itself as part 1. What could not be opened has its body as part 1. */
static bool take_step(const struct mime_summary *view, struct span *rest, uint32_t k, struct mime_summary_part *part,
		      bool *whole)
{
	if (!*whole && part->kind == MIME_MESSAGE)
		*whole = take_child(view, rest, 1, part);
	bool was_whole = *whole;
	*whole = false;
	if (part->kind == MIME_MULTIPART && take_child(view, rest, k, part))
		return true;
	if (k != 1)
		return false;
	if (was_whole && part->kind != MIME_MULTIPART)
		return true;
	struct mime_summary_part child = *part;
	struct span behind = *rest;
	if (part->kind == MIME_LEAF || take_child(view, &behind, 1, &child))
		return false;
	part->kind = MIME_LEAF;
	return true;
}

int mime_summary_part(const struct mime_summary *view, const uint32_t *path, size_t n, struct mime_summary_part *out)
{
	struct span rest = view->parts;
	struct mime_summary_part part;
	bool whole = true;
	if (!mime_summary_next(view, &rest, &part))
		return fail_with(ERR_CORRUPT, "message summary without parts");
	for (size_t i = 0; i < n; i++)
		if (!take_step(view, &rest, path[i], &part, &whole))
			return ERR_NOT_FOUND;
	*out = part;
	return OK;
}

static int message_within(const struct mime_summary *view, const uint32_t *path, size_t n, struct mime_summary_part *part)
{
	struct span rest = view->parts;
	struct mime_summary_part at;
	if (n == 0)
		return OK;
	if (part->kind != MIME_MESSAGE)
		return ERR_NOT_FOUND;
	while (mime_summary_next(view, &rest, &at))
		if (at.is_message && at.depth == part->depth + 1 && at.header_start == part->body_start) {
			*part = at;
			return OK;
		}
	return ERR_NOT_FOUND;
}

int mime_summary_section(const struct mime_summary *view, const uint32_t *path, size_t n, enum mime_section what,
			 uint64_t *from, uint64_t *to)
{
	struct mime_summary_part part;
	int rc = mime_summary_part(view, path, n, &part);
	if (rc == OK && (what == MIME_SECTION_HEADER || what == MIME_SECTION_TEXT))
		rc = message_within(view, path, n, &part);
	if (rc == OK && what == MIME_SECTION_MIME && n == 0)
		rc = ERR_NOT_FOUND;
	if (rc != OK)
		return rc;
	bool header = what == MIME_SECTION_HEADER || what == MIME_SECTION_MIME, all = what == MIME_SECTION_ALL && n == 0;
	*from = header || all ? part.header_start : part.body_start;
	*to = header ? part.body_start : part.body_end;
	return OK;
}
