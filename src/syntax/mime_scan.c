#include "mime_scan.h"

#include <assert.h>
#include <stdlib.h>

static const struct mime_limits limits_default = { .parts = 1000, .depth = 50, .fields = 10000, .header_bytes = 1 << 20 };

enum {
	LINE_MAX_HELD = 1024, /* a boundary line, its line end included, is not longer */
	PARSED_MAX = 8 << 20, /* bytes of parsed fields; several times what 1 MiB of headers can need but for abuse */
	DEPTH_MAX = 200,
};

/* A multipart that may still get parts. */
struct open_boundary {
	int32_t part;
	struct span boundary;
};

struct mime_scan {
	struct mime_limits limits;
	struct arena arena;    /* parsed fields, boundaries */
	struct buffer headers; /* raw headers of all parts, one after the other */
	struct mime_part *parts;
	uint32_t count, room;
	int32_t current; /* the innermost open part */
	bool in_header;  /* of the current part */
	bool in_line;    /* the start of this line has been judged; only its end matters now */
	bool last_cr;    /* the last byte seen was CR */
	bool frozen;     /* the limit of parts: boundaries mean nothing any more */
	bool cut;
	uint8_t eol;     /* bytes of the line end before this line: 0 (none), 1 or 2 */
	uint32_t fields;
	uint64_t at;     /* offset of the next byte to be consumed */
	uint64_t lines;  /* LFs before it */
	struct open_boundary open[DEPTH_MAX];
	uint32_t opens;
	size_t held;     /* the start of a line that came in pieces */
	char line[LINE_MAX_HELD];
};

/* While `headers` may still move, the span of a part's header holds only the offset where it starts. */
static struct span header_of(const struct mime_scan *s, const struct mime_part *p)
{
	return span_sub(buffer_span(&s->headers), p->header.n, SIZE_MAX);
}

/* A part whose header starts at `start`; it is the current one then. */
static int32_t add_part(struct mime_scan *s, int32_t parent, uint64_t start)
{
	if (s->count >= s->limits.parts) {
		s->cut = true;
		return MIME_NONE;
	}
	if (s->count == s->room) {
		uint32_t room = s->room ? s->room * 2 : 8;
		struct mime_part *parts = realloc(s->parts, room * sizeof *parts);
		if (!parts) {
			s->cut = true;
			return MIME_NONE;
		}
		s->parts = parts;
		s->room = room;
	}
	int32_t i = (int32_t)s->count++;
	struct mime_part *p = &s->parts[i];
	*p = (struct mime_part){ .parent = parent, .child = MIME_NONE, .next = MIME_NONE,
		.header_start = start, .body_start = start, .depth = parent < 0 ? 0 : (uint16_t)(s->parts[parent].depth + 1) };
	p->is_message = parent < 0 || s->parts[parent].kind == MIME_MESSAGE;
	p->header = (struct span){ NULL, s->headers.n };
	s->current = i;
	s->in_header = true;
	return i;
}

/* Links a new part behind its last sibling, which the caller knows as the part just closed. */
static void link_part(struct mime_scan *s, int32_t parent, int32_t part)
{
	int32_t *at = &s->parts[parent].child;
	if (*at >= 0) {
		int32_t last = part - 1;
		while (s->parts[last].parent != parent)
			last = s->parts[last].parent;
		at = &s->parts[last].next;
	}
	*at = part;
}

static enum mime_encoding encoding_of(struct span name)
{
	static const struct { const char *name; enum mime_encoding encoding; } table[] = {
		{ "7bit", MIME_7BIT }, { "8bit", MIME_8BIT }, { "binary", MIME_BINARY }, { "quoted-printable", MIME_QP },
		{ "base64", MIME_BASE64 }, { "x-uuencode", MIME_UUENCODE }, { "x-uue", MIME_UUENCODE },
		{ "uuencode", MIME_UUENCODE }, { "7-bit", MIME_7BIT }, { "8-bit", MIME_8BIT },
	};
	if (name.n == 0)
		return MIME_7BIT;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (span_eq(name, span_of(table[i].name)))
			return table[i].encoding;
	return MIME_OTHER;
}

/* The token at the front: up to a byte that may stand in none (RFC 2045, tspecials). */
static struct span token(struct span s)
{
	size_t n = 0;
	while (n < s.n && s.p[n] > ' ' && s.p[n] < 127 && !strchr("()<>@,;:\\\"/[]?=", s.p[n]))
		n++;
	return span_sub(s, 0, n);
}

/* RFC 2045 section 5.2: no type is text/plain; a type that makes no sense holds bytes nobody may guess at. */
static void set_type(struct mime_part *p, struct span head)
{
	ssize_t slash = span_find(head, '/');
	p->type = token(head);
	p->subtype = slash < 0 ? SPAN("") : token(span_sub(head, (size_t)slash + 1, SIZE_MAX));
	if (p->type.n && p->subtype.n)
		return;
	if (span_eq(p->type, SPAN("text")) || head.n == 0) {
		p->type = SPAN("text");
		p->subtype = SPAN("plain");
	} else if (span_eq(p->type, SPAN("multipart"))) {
		p->subtype = SPAN("mixed");
	} else {
		p->type = SPAN("application");
		p->subtype = SPAN("octet-stream");
	}
}

static void set_default_type(const struct mime_scan *s, struct mime_part *p)
{
	static const struct mime_param us_ascii = { .name = { "charset", 7 }, .value = { "us-ascii", 8 } };
	const struct mime_part *up = p->parent < 0 ? NULL : &s->parts[p->parent];
	if (up && up->kind == MIME_MULTIPART && span_eq(up->subtype, SPAN("digest"))) {
		p->type = SPAN("message");
		p->subtype = SPAN("rfc822");
		return;
	}
	p->type = SPAN("text");
	p->subtype = SPAN("plain");
	p->params = (struct mime_params){ &us_ascii, 1 };
}

static void set_field(struct mime_scan *s, struct mime_part *p, const struct mime_field *f)
{
	struct arena *a = &s->arena;
	struct span head, *value = NULL;
	switch (mime_field_id(f->name)) {
	case FIELD_CONTENT_TYPE:
		if (!p->has_type) {
			p->has_type = true;
			mime_params_parse(f->value, a, &head, &p->params);
			set_type(p, head);
		}
		return;
	case FIELD_CONTENT_DISPOSITION:
		if (!p->disposition.p)
			mime_params_parse(f->value, a, &p->disposition, &p->disposition_params);
		return;
	case FIELD_CONTENT_TRANSFER_ENCODING:
		if (!p->encoding_name.p)
			p->encoding_name = mime_token_parse(f->value, a);
		return;
	case FIELD_CONTENT_ID: value = &p->id; break;
	case FIELD_CONTENT_DESCRIPTION: value = &p->description; break;
	case FIELD_CONTENT_LANGUAGE: value = &p->language; break;
	case FIELD_CONTENT_LOCATION: value = &p->location; break;
	case FIELD_CONTENT_MD5: value = &p->md5; break;
	default: return;
	}
	if (!value->p)
		*value = mime_value_copy(f->value, a);
}

static void parse_header(struct mime_scan *s, struct mime_part *p)
{
	struct span rest = header_of(s, p);
	struct mime_field f;
	while (mime_header_next(&rest, &f))
		if (f.name.n > 8 && span_istarts(f.name, SPAN("content-")))
			set_field(s, p, &f);
	if (!p->has_type)
		set_default_type(s, p);
	p->encoding = encoding_of(p->encoding_name);
}

/* A multipart becomes one only when it has a boundary to look for and may nest that deep. */
static void open_multipart(struct mime_scan *s, struct mime_part *p)
{
	struct span b = mime_param(&p->params, SPAN("boundary"));
	p->kind = MIME_MULTIPART;
	while (b.n && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
		b.n--;
	if (b.n == 0 || b.n > MIME_BOUNDARY_MAX)
		return;
	if (p->depth >= s->limits.depth || s->opens == DEPTH_MAX) {
		s->cut = true;
		return;
	}
	s->open[s->opens++] = (struct open_boundary){ (int32_t)(p - s->parts), b };
}

/* The message within starts where the body of `part` does. One that is encoded cannot be read: it is a body of text
   in that encoding. */
static void open_message(struct mime_scan *s, int32_t part)
{
	s->parts[part].kind = MIME_MESSAGE;
	if (s->parts[part].depth >= s->limits.depth) {
		s->cut = true;
		return;
	}
	int32_t child = add_part(s, part, s->parts[part].body_start);
	if (child < 0)
		return;
	link_part(s, part, child);
	const struct mime_part *outer = &s->parts[part];
	struct mime_part *p = &s->parts[child];
	if (outer->encoding <= MIME_BINARY)
		return;
	s->in_header = false;
	p->lines = outer->lines;
	p->encoding = outer->encoding;
	p->encoding_name = outer->encoding_name;
	set_default_type(s, p);
}

/* The header of the current part ended before offset `end`, with `lines` LFs before that: the body's count starts there. */
static void header_done(struct mime_scan *s, uint64_t end, uint64_t lines)
{
	int32_t i = s->current;
	struct mime_part *p = &s->parts[i];
	s->in_header = false;
	p->body_start = end > p->header_start ? end : p->header_start;
	p->lines = end < p->header_start ? s->lines : lines;
	parse_header(s, p);
	if (span_eq(p->type, SPAN("multipart")))
		open_multipart(s, p);
	else if (span_eq(p->type, SPAN("message")) &&
		 (span_eq(p->subtype, SPAN("rfc822")) || span_eq(p->subtype, SPAN("global"))))
		open_message(s, i);
}

/* Ends the current part and those around it up to, not including, `keep`. `end` is where the line end before the
   boundary starts, `lines` the LFs before that. When that line end is the blank line of the current part's header, the
   header keeps it, and all the parts end behind it. */
static void close_until(struct mime_scan *s, int32_t keep, uint64_t end, uint64_t lines)
{
	while (s->in_header)
		header_done(s, end, lines);
	if (end < s->parts[s->current].body_start) {
		end = s->parts[s->current].body_start;
		lines = s->lines;
	}
	for (int32_t i = s->current; i != keep; i = s->parts[i].parent) {
		struct mime_part *p = &s->parts[i];
		p->body_end = end;
		p->lines = lines - p->lines;
		s->current = p->parent;
	}
	while (s->opens && keep < s->open[s->opens - 1].part)
		s->opens--;
}

static bool is_padding(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t' && s.p[i] != '\r' && s.p[i] != '\n')
			return false;
	return true;
}

/* "--boundary", perhaps "--", blanks, line end; innermost first, since an outer boundary ends all within. */
static int find_boundary(const struct mime_scan *s, struct span line, bool *closing)
{
	struct span text = span_sub(line, 2, SIZE_MAX);
	for (int i = (int)s->opens - 1; i >= 0; i--) {
		struct span b = s->open[i].boundary;
		if (text.n < b.n || memcmp(text.p, b.p, b.n) != 0)
			continue;
		struct span after = span_sub(text, b.n, SIZE_MAX);
		*closing = after.n >= 2 && after.p[0] == '-' && after.p[1] == '-';
		if (is_padding(*closing ? span_sub(after, 2, SIZE_MAX) : after))
			return i;
	}
	return -1;
}

static void next_part(struct mime_scan *s, int32_t parent)
{
	int32_t part = add_part(s, parent, s->at);
	if (part >= 0)
		link_part(s, parent, part);
}

/* True when the whole line is a boundary of an open multipart; the line is consumed then. */
static bool boundary_line(struct mime_scan *s, struct span line)
{
	if (line.n < 3 || line.p[0] != '-' || line.p[1] != '-' || s->opens == 0 || s->frozen)
		return false;
	if (line.n > LINE_MAX_HELD || (line.n == LINE_MAX_HELD && line.p[line.n - 1] != '\n'))
		return false;
	bool closing = false;
	int found = find_boundary(s, line, &closing);
	if (found < 0)
		return false;
	if (!closing && s->count >= s->limits.parts) {
		s->frozen = s->cut = true;
		return false;
	}
	int32_t multipart = s->open[found].part;
	close_until(s, multipart, s->at - s->eol, s->lines - (s->eol ? 1 : 0));
	bool ended = line.p[line.n - 1] == '\n';
	s->eol = ended ? 1 + (line.n > 1 && line.p[line.n - 2] == '\r') : 0;
	s->at += line.n;
	s->lines += ended;
	if (closing)
		s->opens = (uint32_t)found;
	else
		next_part(s, multipart);
	return true;
}

static bool is_blank_line(struct span line)
{
	return line.p[0] == '\n' || (line.n == 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

static void hold_header(struct mime_scan *s, struct span bytes)
{
	size_t room = s->fields <= s->limits.fields ? s->limits.header_bytes - s->headers.n : 0;
	buffer_put_span(&s->headers, span_sub(bytes, 0, room));
	s->cut |= room < bytes.n;
}

/* The rest of a line, or a piece of it, after its start was judged. */
static void consume(struct mime_scan *s, struct span bytes)
{
	if (s->in_header)
		hold_header(s, bytes);
	bool ended = bytes.p[bytes.n - 1] == '\n';
	bool cr = bytes.n > 1 ? bytes.p[bytes.n - 2] == '\r' : s->last_cr;
	s->at += bytes.n;
	s->lines += ended;
	s->in_line = !ended;
	s->last_cr = bytes.p[bytes.n - 1] == '\r';
	if (ended)
		s->eol = cr ? 2 : 1;
}

/* A line from its start: whole, or so much of it that it is too long for what matters here, or the message's end. */
static void line_start(struct mime_scan *s, struct span line)
{
	s->last_cr = false;
	if (boundary_line(s, line))
		return;
	if (s->in_header && !(line.p[0] == ' ' || line.p[0] == '\t'))
		s->fields++;
	bool blank = s->in_header && is_blank_line(line);
	consume(s, line);
	if (blank)
		header_done(s, s->at, s->lines);
}

/* The body of a part is mostly lines that cannot be boundaries: only their ends are looked for. */
static const char *skip_body_lines(struct mime_scan *s, const char *p, const char *end)
{
	const char *start = p, *nl = NULL;
	uint64_t lines = 0;
	while (p < end && (*p != '-' || s->opens == 0)) {
		const char *found = memchr(p, '\n', (size_t)(end - p));
		if (!found)
			break;
		nl = found;
		p = nl + 1;
		lines++;
	}
	if (!nl)
		return p;
	s->eol = nl > start && nl[-1] == '\r' ? 2 : 1;
	s->at += (uint64_t)(p - start);
	s->lines += lines;
	s->last_cr = false;
	return p;
}

static struct span next_line(struct span bytes)
{
	ssize_t nl = span_find(bytes, '\n');
	return span_sub(bytes, 0, nl < 0 ? bytes.n : (size_t)nl + 1);
}

/* Bytes of a line whose start is held back already. Returns how many were taken. */
static size_t push_held(struct mime_scan *s, struct span bytes)
{
	struct span line = next_line(span_sub(bytes, 0, LINE_MAX_HELD - s->held));
	memcpy(s->line + s->held, line.p, line.n);
	s->held += line.n;
	if (s->held == LINE_MAX_HELD || s->line[s->held - 1] == '\n') {
		struct span whole = { s->line, s->held };
		s->held = 0;
		line_start(s, whole);
	}
	return line.n;
}

/* The next step: lines of a body that are none of ours, or one line, or a piece of one. Returns how many bytes it took. */
static size_t push_some(struct mime_scan *s, struct span bytes)
{
	if (s->held)
		return push_held(s, bytes);
	if (!s->in_line && !s->in_header) {
		size_t skipped = (size_t)(skip_body_lines(s, bytes.p, bytes.p + bytes.n) - bytes.p);
		if (skipped)
			return skipped;
	}
	struct span line = next_line(bytes);
	if (s->in_line)
		consume(s, line);
	else if (line.p[line.n - 1] == '\n' || line.n >= LINE_MAX_HELD)
		line_start(s, line);
	else
		return push_held(s, line);
	return line.n;
}

void mime_scan_push(struct mime_scan *s, struct span bytes)
{
	while (bytes.n)
		bytes = span_sub(bytes, push_some(s, bytes), SIZE_MAX);
}

/* Header spans were kept as offsets while the buffer could still move; they end where the next one starts. */
static void settle_headers(struct mime_scan *s)
{
	size_t end = s->headers.n;
	for (uint32_t i = s->count; i-- > 0;) {
		struct mime_part *p = &s->parts[i];
		size_t start = p->header.n;
		p->header = (struct span){ s->headers.p ? s->headers.p + start : "", end - start };
		end = start;
	}
}

void mime_scan_end(struct mime_scan *s, struct mime_tree *tree)
{
	if (s->held) {
		struct span rest = { s->line, s->held };
		s->held = 0;
		line_start(s, rest);
	}
	close_until(s, MIME_NONE, s->at, s->lines);
	settle_headers(s);
	*tree = (struct mime_tree){ .parts = s->parts, .count = s->count, .size = s->at, .cut = s->cut };
}

struct mime_scan *mime_scan_new(const struct mime_limits *limits)
{
	struct mime_scan *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->limits = limits ? *limits : limits_default;
	s->headers.limit = s->limits.header_bytes;
	s->arena.limit = PARSED_MAX;
	assert(s->limits.parts > 0 && s->limits.header_bytes > 0);
	if (add_part(s, MIME_NONE, 0))
		mime_scan_free(&s);
	return s;
}

void mime_scan_free(struct mime_scan **scan)
{
	struct mime_scan *s = *scan;
	*scan = NULL;
	if (!s)
		return;
	arena_free(&s->arena);
	buffer_free(&s->headers);
	free(s->parts);
	free(s);
}
