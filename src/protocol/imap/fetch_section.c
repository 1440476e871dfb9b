#include "fetch_section.h"

#include "fail.h"
#include "log.h"
#include "preview.h"

enum {
	HEADER_MAX = 1 << 20, /* bytes of a header that are looked through for selected fields */
	PIECE = 32 * 1024,    /* bytes put before the peer is looked after */
};

bool fetch_item_has_bytes(const struct imap_fetch_item *item)
{
	return item->kind >= FETCH_RFC822;
}

static bool selects_fields(const struct imap_section *s)
{
	return s->text == SECTION_FIELDS || s->text == SECTION_FIELDS_NOT;
}

static bool in_summary(const struct section_source *s, const struct imap_section *section)
{
	return section->depth == 0 && section->text == SECTION_FIELDS &&
	       mime_summary_has_fields(&s->summary, section->fields, section->n_fields);
}

static enum mime_section mime_section_of(enum imap_section_text text)
{
	switch (text) {
	case SECTION_HEADER: case SECTION_FIELDS: case SECTION_FIELDS_NOT:
		return MIME_SECTION_HEADER;
	case SECTION_MIME:
		return MIME_SECTION_MIME;
	case SECTION_TEXT:
		return MIME_SECTION_TEXT;
	default:
		return MIME_SECTION_ALL;
	}
}

static int find_range(const struct section_source *s, const struct imap_section *section, uint64_t *from, uint64_t *to)
{
	int rc = mime_summary_section(&s->summary, section->path, section->depth, mime_section_of(section->text), from, to);
	if (!rc && (*to < *from || *to > s->entry->size))
		return fail_with(ERR_CORRUPT, "summary of email %lld: a part is out of bounds", (long long)s->entry->email);
	return rc;
}

static void cut(const struct imap_fetch_item *item, uint64_t *from, uint64_t *to)
{
	if (!item->partial)
		return;
	uint64_t n = *to - *from, skip = item->offset < n ? item->offset : n;
	*from += skip;
	if (*to - *from > item->length)
		*to = *from + item->length;
}

/* A blob that is missing is trouble of ours, not an answer. */
static int open_message(struct section_source *s)
{
	if (s->message)
		return OK;
	int rc = ahead_read(s->service, s->ahead, s->entry, s->n);
	if (!rc)
		rc = message_open_entry(s->service, s->entry, &s->message);
	if (rc == ERR_NOT_FOUND)
		return fail_with(ERR_CORRUPT, "email %lld has no body", (long long)s->entry->email);
	if (!rc && message_size(s->message) != s->entry->size)
		return fail_with(ERR_CORRUPT, "email %lld: %llu bytes instead of %llu", (long long)s->entry->email,
		                 (unsigned long long)message_size(s->message), (unsigned long long)s->entry->size);
	return rc;
}

static int read_at(struct section_source *s, uint64_t at, struct span *bytes)
{
	int rc = open_message(s);
	if (!rc)
		rc = message_at(s->message, at, bytes);
	if (!rc && bytes->n == 0)
		rc = fail_with(ERR_CORRUPT, "email %lld ends early", (long long)s->entry->email);
	return rc;
}

static bool is_binary(const struct imap_fetch_item *item)
{
	return item->kind == FETCH_BINARY || item->kind == FETCH_BINARY_SIZE;
}

/* How the bytes of an item are encoded. What holds other parts has an encoding of none: it stands as it is. */
static enum mime_encoding encoding_of(const struct section_source *s, const struct imap_section *section)
{
	struct mime_summary_part part;
	if (section->depth == 0 || mime_summary_part(&s->summary, section->path, section->depth, &part) || part.kind != MIME_LEAF)
		return MIME_BINARY;
	return part.encoding;
}

static int check_encoding(const struct section_source *s, const struct imap_fetch_item *item)
{
	enum mime_encoding e = is_binary(item) ? encoding_of(s, &item->section) : MIME_BINARY;
	return e < MIME_UUENCODE ? OK : fail_with(ERR_CANNOT, "an encoding that is not known");
}

int section_prepare(struct section_source *s, const struct imap_fetch_item *item)
{
	uint64_t from, to;
	struct span bytes;
	if (in_summary(s, &item->section))
		return OK;
	int rc = find_range(s, &item->section, &from, &to);
	if (rc)
		return rc == ERR_NOT_FOUND ? OK : rc;
	if ((rc = check_encoding(s, item)))
		return rc;
	if (!selects_fields(&item->section) && !is_binary(item))
		cut(item, &from, &to);
	return from < to ? read_at(s, from, &bytes) : OK;
}

static void put_literal_head(struct buffer *out, uint64_t n)
{
	buffer_putc(out, '{');
	buffer_put_u64(out, n);
	buffer_puts(out, "}\r\n");
}

static int read_header(struct section_source *s, uint64_t from, uint64_t to, struct buffer *header)
{
	struct span bytes;
	if (s->whole && to - from > HEADER_MAX)
		return fail_with(ERR_CANNOT, "the header is too long to choose fields from");
	for (to = to - from > HEADER_MAX ? from + HEADER_MAX : to; from < to; from += bytes.n) {
		int rc = read_at(s, from, &bytes);
		if (rc)
			return rc;
		bytes = span_sub(bytes, 0, to - from);
		buffer_put_span(header, bytes);
	}
	return buffer_ok(header) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* HEADER.FIELDS, made as a whole: *out gets its text. */
static int make_fields(struct section_source *s, const struct imap_section *section, struct buffer *made)
{
	struct buffer header = { 0 };
	uint64_t from, to;
	bool except = section->text == SECTION_FIELDS_NOT;
	if (in_summary(s, section)) {
		mime_header_fields(s->summary.fields, section->fields, section->n_fields, false, made);
		return OK;
	}
	int rc = find_range(s, section, &from, &to);
	if (!rc)
		rc = read_header(s, from, to, &header);
	if (!rc)
		mime_header_fields(buffer_span(&header), section->fields, section->n_fields, except, made);
	buffer_free(&header);
	return rc;
}

int section_open(struct section_source *s, const struct imap_fetch_item *item, struct buffer *memory, struct span *made,
                 struct section_run *run)
{
	uint64_t from = 0, to;
	int rc;
	*made = (struct span){ 0 };
	if (selects_fields(&item->section)) {
		rc = make_fields(s, &item->section, memory);
		if (!rc && !buffer_ok(memory))
			rc = fail_with(ERR_UNAVAILABLE, "no memory");
		to = memory->n;
		cut(item, &from, &to);
		*made = span_sub(buffer_span(memory), from, to - from);
		return rc;
	}
	rc = find_range(s, &item->section, &from, &to);
	if (rc)
		return rc;
	cut(item, &from, &to);
	*run = (struct section_run){ .active = from < to, .at = from, .left = to - from };
	return OK;
}

static int begin_plain(struct section_source *s, const struct imap_fetch_item *item, struct buffer *out, struct section_run *run)
{
	struct buffer memory = { 0 };
	struct span made;
	int rc = section_open(s, item, &memory, &made, run);
	if (!rc) {
		buffer_putc(out, ' ');
		put_literal_head(out, run->left + made.n);
		buffer_put_span(out, made);
	}
	buffer_free(&memory);
	return rc;
}

/* The next decoded bytes; nothing is left when run->at is run->end. */
static int decode_some(struct section_source *s, struct section_run *run, struct buffer *out)
{
	struct span bytes;
	int rc = read_at(s, run->at, &bytes);
	if (rc)
		return rc;
	bytes = span_sub(bytes, 0, run->end - run->at < PIECE ? run->end - run->at : PIECE);
	run->at += bytes.n;
	mime_decode_push(&run->decode, bytes, out);
	if (run->at == run->end)
		mime_decode_end(&run->decode, out);
	return buffer_ok(out) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* Decodes all of it once: how many bytes there are, and whether one is NUL. */
static int measure(struct section_source *s, struct section_run run, uint64_t *n, bool *nul)
{
	struct buffer piece = { 0 };
	int rc = OK;
	*n = 0;
	*nul = false;
	while (!rc && run.at < run.end) {
		buffer_reset(&piece);
		rc = decode_some(s, &run, &piece);
		*n += piece.n;
		*nul = *nul || (piece.n && memchr(piece.p, 0, piece.n));
	}
	buffer_free(&piece);
	return rc;
}

static int begin_binary(struct section_source *s, const struct imap_fetch_item *item, struct buffer *out, struct section_run *run)
{
	struct section_run all = { .decodes = true, .decode.encoding = encoding_of(s, &item->section) };
	uint64_t n, to;
	bool nul;
	int rc = find_range(s, &item->section, &all.at, &all.end);
	if (!rc)
		rc = measure(s, all, &n, &nul);
	if (rc)
		return rc;
	if (item->kind == FETCH_BINARY_SIZE) {
		buffer_printf(out, " %llu", (unsigned long long)n);
		return OK;
	}
	to = n;
	cut(item, &all.skip, &to);
	all.left = to - all.skip;
	all.active = all.left > 0;
	buffer_puts(out, nul ? " ~" : " ");
	put_literal_head(out, all.left);
	*run = all;
	return OK;
}

int section_begin(struct section_source *s, const struct imap_fetch_item *item, struct buffer *out,
                  struct section_run *run)
{
	imap_fetch_put_name(out, item);
	*run = (struct section_run){ 0 };
	int rc = is_binary(item) ? begin_binary(s, item, out, run) : begin_plain(s, item, out, run);
	if (rc != ERR_NOT_FOUND)
		return rc;
	buffer_puts(out, item->kind == FETCH_BINARY_SIZE ? " 0" : " NIL");
	return OK;
}

enum imap_step section_broken(struct command *c, const struct section_source *s, int rc)
{
	char detail[512];
	log_line(LOG_ERROR, "imap-body-broken", "session=%lld account=%lld email=%lld error=%s detail=%s",
	         (long long)c->session->conn->id, (long long)c->session->account, (long long)s->entry->email, fail_name(rc),
	         log_quote(detail, sizeof detail, span_of(fail_detail())));
	return IMAP_CLOSE;
}

int section_read(struct section_source *s, struct section_run *run, struct span *bytes)
{
	int rc = read_at(s, run->at, bytes);
	if (rc)
		return rc;
	*bytes = span_sub(*bytes, 0, run->left < PIECE ? run->left : PIECE);
	run->at += bytes->n;
	run->left -= bytes->n;
	return OK;
}

static int pump_raw(struct section_source *s, struct section_run *run, struct buffer *out)
{
	struct span bytes;
	int rc = section_read(s, run, &bytes);
	if (!rc)
		buffer_put_span(out, bytes);
	return rc;
}

/* Bytes that decode otherwise than when they were measured are an error like one of reading. */
static int pump_decoded(struct section_source *s, struct section_run *run, struct buffer *out)
{
	struct buffer piece = { 0 };
	int rc = run->at < run->end ? decode_some(s, run, &piece) : fail_with(ERR_CORRUPT, "a part decodes to less than it did");
	struct span bytes = span_sub(buffer_span(&piece), run->skip < piece.n ? (size_t)run->skip : piece.n, piece.n);
	run->skip -= piece.n - bytes.n;
	bytes = span_sub(bytes, 0, run->left < bytes.n ? (size_t)run->left : bytes.n);
	run->left -= bytes.n;
	if (!rc)
		buffer_put_span(out, bytes);
	buffer_free(&piece);
	return rc;
}

enum imap_step section_pump(struct command *c, struct section_source *s, struct section_run *run)
{
	while (run->left) {
		int rc = run->decodes ? pump_decoded(s, run, c->out) : pump_raw(s, run, c->out);
		if (rc)
			return section_broken(c, s, rc);
		c->in_literal = run->left && command_should_yield(c);
		if (c->in_literal)
			return IMAP_DRAIN;
	}
	run->active = false;
	return IMAP_DONE;
}

int section_preview(struct section_source *s, struct buffer *out)
{
	struct mime_summary_part p;
	struct buffer body = { 0 };
	struct span piece;
	int rc = OK;
	if (!preview_part(&s->summary, &p))
		return OK;
	uint64_t end = p.body_end - p.body_start > PREVIEW_BYTES ? p.body_start + PREVIEW_BYTES : p.body_end;
	for (uint64_t at = p.body_start; !rc && at < end; at += piece.n)
		if ((rc = read_at(s, at, &piece)) == OK) {
			piece = span_sub(piece, 0, (size_t)(end - at));
			buffer_put_span(&body, piece);
		}
	if (!rc)
		preview_put(&p, buffer_span(&body), out);
	buffer_free(&body);
	return rc;
}

void section_source_close(struct section_source *s)
{
	if (s->message)
		message_close(&s->message);
}
