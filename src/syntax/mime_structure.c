#include "mime_structure.h"

#include "imap_quote.h"
#include "mime_address.h"
#include "varint.h"

enum {
	STRING_MAX = 16 * 1024,     /* bytes; a longer string is cut */
	ADDRESSES_MAX = 512 * 1024, /* bytes of the whole text; beyond them further addresses are left out */
	LANGUAGES_MAX = 100,
};

static void put_string(struct buffer *out, struct span s)
{
	imap_put_string(out, span_sub(s, 0, STRING_MAX));
}

static void put_nstring(struct buffer *out, struct span s)
{
	imap_put_nstring(out, span_sub(s, 0, STRING_MAX));
}

/* A raw field value, unfolded when it has to be. */
static void put_value(struct buffer *out, struct span value)
{
	if (!value.p || (!memchr(value.p, '\n', value.n) && !memchr(value.p, '\r', value.n))) {
		put_nstring(out, value);
		return;
	}
	struct buffer plain = { 0 };
	mime_unfold(value, &plain);
	put_string(out, buffer_span(&plain));
	buffer_free(&plain);
}

static void put_address(struct buffer *out, const struct mime_address *a)
{
	buffer_putc(out, '(');
	put_nstring(out, a->kind == ADDRESS_MAILBOX ? a->name : (struct span){ NULL, 0 });
	buffer_putc(out, ' ');
	put_nstring(out, a->route);
	buffer_putc(out, ' ');
	if (a->kind == ADDRESS_MAILBOX) {
		put_string(out, a->mailbox);
		buffer_putc(out, ' ');
		put_string(out, a->host);
	} else {
		put_nstring(out, a->kind == ADDRESS_GROUP_START ? a->name : (struct span){ NULL, 0 });
		buffer_puts(out, " NIL");
	}
	buffer_putc(out, ')');
}

static void put_addresses(struct buffer *out, struct mime_address_reader *r, struct span value)
{
	struct mime_address a;
	mime_address_start(r, value);
	while (mime_address_next(r, &a))
		if (out->n < ADDRESSES_MAX || a.kind == ADDRESS_GROUP_END)
			put_address(out, &a);
}

static void put_repeated(struct buffer *out, struct mime_address_reader *r, struct span header, enum mime_field_id id)
{
	struct mime_field f;
	while (mime_header_next(&header, &f))
		if (mime_field_id(f.name) == id)
			put_addresses(out, r, f.value);
}

/* A parenthesized list, or NIL when no address came out. False for NIL. */
static bool put_list(struct buffer *out, struct mime_address_reader *r, const struct mime_envelope *e,
		     enum mime_field_id id, struct span value)
{
	size_t start = out->n;
	buffer_putc(out, '(');
	if (e->repeated & UINT32_C(1) << id)
		put_repeated(out, r, e->header, id);
	else
		put_addresses(out, r, value);
	if (out->n == start + 1) {
		out->n = start;
		buffer_puts(out, "NIL");
		return false;
	}
	buffer_putc(out, ')');
	return true;
}

/* Sender and Reply-To are those of From when the message does not say (RFC 3501, envelope structure). */
static void put_list_or_from(struct buffer *out, struct mime_address_reader *r, const struct mime_envelope *e,
			     enum mime_field_id id, struct span value, size_t from, size_t from_n)
{
	size_t start = out->n;
	if (put_list(out, r, e, id, value))
		return;
	out->n = start;
	char *to = buffer_reserve(out, from_n);
	if (!to)
		return;
	memcpy(to, out->p + from, from_n);
	out->n += from_n;
}

void mime_envelope_write(const struct mime_envelope *e, struct buffer *out)
{
	struct mime_address_reader r = { 0 };
	buffer_putc(out, '(');
	put_value(out, e->date);
	buffer_putc(out, ' ');
	put_value(out, e->subject);
	buffer_putc(out, ' ');
	size_t from = out->n;
	put_list(out, &r, e, FIELD_FROM, e->from);
	size_t from_n = out->n - from;
	buffer_putc(out, ' ');
	put_list_or_from(out, &r, e, FIELD_SENDER, e->sender, from, from_n);
	buffer_putc(out, ' ');
	put_list_or_from(out, &r, e, FIELD_REPLY_TO, e->reply_to, from, from_n);
	buffer_putc(out, ' ');
	put_list(out, &r, e, FIELD_TO, e->to);
	buffer_putc(out, ' ');
	put_list(out, &r, e, FIELD_CC, e->cc);
	buffer_putc(out, ' ');
	put_list(out, &r, e, FIELD_BCC, e->bcc);
	buffer_putc(out, ' ');
	put_value(out, e->in_reply_to);
	buffer_putc(out, ' ');
	put_value(out, e->message_id);
	buffer_putc(out, ')');
	mime_address_free(&r);
}

void mime_envelope_field(struct mime_envelope *e, enum mime_field_id id, const struct mime_field *f)
{
	struct span *to;
	switch (id) {
	case FIELD_DATE: to = &e->date; break;
	case FIELD_SUBJECT: to = &e->subject; break;
	case FIELD_IN_REPLY_TO: to = &e->in_reply_to; break;
	case FIELD_MESSAGE_ID: to = &e->message_id; break;
	case FIELD_FROM: to = &e->from; break;
	case FIELD_SENDER: to = &e->sender; break;
	case FIELD_REPLY_TO: to = &e->reply_to; break;
	case FIELD_TO: to = &e->to; break;
	case FIELD_CC: to = &e->cc; break;
	case FIELD_BCC: to = &e->bcc; break;
	default: return;
	}
	if (to->p)
		e->repeated |= UINT32_C(1) << id;
	else
		*to = f->value;
}

static void put_envelope(struct buffer *out, struct span header)
{
	struct mime_envelope e = { .header = header };
	struct span rest = header;
	struct mime_field f;
	while (mime_header_next(&rest, &f))
		mime_envelope_field(&e, mime_field_id(f.name), &f);
	mime_envelope_write(&e, out);
}

static void put_params(struct buffer *out, const struct mime_params *params)
{
	for (uint32_t i = 0; i < params->n; i++) {
		buffer_putc(out, i ? ' ' : '(');
		put_string(out, params->p[i].name);
		buffer_putc(out, ' ');
		put_string(out, params->p[i].value);
	}
	buffer_puts(out, params->n ? ")" : "NIL");
}

static void put_disposition(struct buffer *out, const struct mime_part *p)
{
	if (p->disposition.n == 0) {
		buffer_puts(out, "NIL");
		return;
	}
	buffer_putc(out, '(');
	put_string(out, p->disposition);
	buffer_putc(out, ' ');
	put_params(out, &p->disposition_params);
	buffer_putc(out, ')');
}

/* "en, de" is a list of strings. */
static void put_language(struct buffer *out, struct span s)
{
	unsigned n = 0;
	while (s.n && n < LANGUAGES_MAX) {
		ssize_t comma = span_find(s, ',');
		struct span tag = span_trim(span_sub(s, 0, comma < 0 ? s.n : (size_t)comma));
		s = comma < 0 ? span_sub(s, s.n, 0) : span_sub(s, (size_t)comma + 1, SIZE_MAX);
		if (tag.n == 0)
			continue;
		buffer_putc(out, n++ ? ' ' : '(');
		put_string(out, tag);
	}
	buffer_puts(out, n ? ")" : "NIL");
}

struct render {
	const struct mime_tree *tree;
	struct buffer *out, *cuts;
	size_t start;  /* of the text in out */
	size_t done;   /* bytes of the text that the cuts cover so far */
};

static void put_rest_of_extension(struct render *r, const struct mime_part *p)
{
	buffer_putc(r->out, ' ');
	put_disposition(r->out, p);
	buffer_putc(r->out, ' ');
	put_language(r->out, p->language);
	buffer_putc(r->out, ' ');
	put_nstring(r->out, p->location);
}

/* What stands from `from` on is extension data. */
static void cut_from(struct render *r, size_t from)
{
	varint_put(r->cuts, from - r->start - r->done);
	varint_put(r->cuts, r->out->n - from);
	r->done = r->out->n - r->start;
}

static void put_number(struct buffer *out, uint64_t v)
{
	buffer_putc(out, ' ');
	buffer_put_u64(out, v);
}

/* The whole body as one text part: what is shown inside a multipart or message that could not be opened. */
static void put_opaque(struct buffer *out, const struct mime_part *p)
{
	buffer_puts(out, "(\"text\" \"plain\" NIL NIL NIL ");
	put_string(out, p->encoding_name.n ? p->encoding_name : SPAN("7bit"));
	put_number(out, p->body_end - p->body_start);
	put_number(out, p->lines);
	buffer_putc(out, ')');
}

static void put_part(struct render *r, const struct mime_part *p);

static void put_multipart(struct render *r, const struct mime_part *p)
{
	buffer_putc(r->out, '(');
	for (int32_t i = p->child; i >= 0; i = r->tree->parts[i].next)
		put_part(r, &r->tree->parts[i]);
	if (p->child < 0)
		put_opaque(r->out, p);
	buffer_putc(r->out, ' ');
	put_string(r->out, p->subtype);
	size_t extension = r->out->n;
	buffer_putc(r->out, ' ');
	put_params(r->out, &p->params);
	put_rest_of_extension(r, p);
	cut_from(r, extension);
	buffer_putc(r->out, ')');
}

static void put_message(struct render *r, const struct mime_part *p)
{
	const struct mime_part *inner = p->child < 0 ? NULL : &r->tree->parts[p->child];
	buffer_putc(r->out, ' ');
	put_envelope(r->out, inner ? inner->header : SPAN(""));
	buffer_putc(r->out, ' ');
	if (inner)
		put_part(r, inner);
	else
		put_opaque(r->out, p);
	put_number(r->out, p->lines);
}

static void put_leaf(struct render *r, const struct mime_part *p)
{
	struct buffer *out = r->out;
	buffer_putc(out, '(');
	put_string(out, p->type);
	buffer_putc(out, ' ');
	put_string(out, p->subtype);
	buffer_putc(out, ' ');
	put_params(out, &p->params);
	buffer_putc(out, ' ');
	put_nstring(out, p->id);
	buffer_putc(out, ' ');
	put_nstring(out, p->description);
	buffer_putc(out, ' ');
	put_string(out, p->encoding_name.n ? p->encoding_name : SPAN("7bit"));
	put_number(out, p->body_end - p->body_start);
	if (p->kind == MIME_MESSAGE)
		put_message(r, p);
	else if (span_eq(p->type, SPAN("text")))
		put_number(out, p->lines);
	size_t extension = out->n;
	buffer_putc(out, ' ');
	put_nstring(out, p->md5);
	put_rest_of_extension(r, p);
	cut_from(r, extension);
	buffer_putc(out, ')');
}

static void put_part(struct render *r, const struct mime_part *p)
{
	if (p->kind == MIME_MULTIPART)
		put_multipart(r, p);
	else
		put_leaf(r, p);
}

void mime_bodystructure_write(const struct mime_tree *tree, struct buffer *out, struct buffer *cuts)
{
	struct render r = { .tree = tree, .out = out, .cuts = cuts, .start = out->n };
	put_part(&r, tree->parts);
}
