#include "mime_header.h"

static struct span take_line(struct span *rest)
{
	ssize_t nl = span_find(*rest, '\n');
	struct span line = span_sub(*rest, 0, nl < 0 ? rest->n : (size_t)nl + 1);
	*rest = span_sub(*rest, line.n, SIZE_MAX);
	return line;
}

static bool starts_blank_line(struct span s)
{
	return s.p[0] == '\n' || (s.n >= 2 && s.p[0] == '\r' && s.p[1] == '\n');
}

static bool is_folded(struct span rest)
{
	return rest.n && (rest.p[0] == ' ' || rest.p[0] == '\t');
}

/* Printable ASCII but the colon; blanks before the colon are the obsolete form and accepted. */
static size_t name_length(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] > ' ' && line.p[n] < 127 && line.p[n] != ':')
		n++;
	size_t colon = n;
	while (colon < line.n && (line.p[colon] == ' ' || line.p[colon] == '\t'))
		colon++;
	return colon < line.n && line.p[colon] == ':' ? n : 0;
}

bool mime_header_next(struct span *rest, struct mime_field *f)
{
	if (rest->n == 0 || starts_blank_line(*rest))
		return false;
	struct span start = *rest, line = take_line(rest);
	while (is_folded(*rest))
		take_line(rest);
	struct span raw = { start.p, (size_t)(rest->p - start.p) };
	size_t n = name_length(line);
	struct span value = raw;
	if (n)
		value = span_sub(raw, n + (size_t)span_find(span_sub(raw, n, SIZE_MAX), ':') + 1, SIZE_MAX);
	*f = (struct mime_field){ .name = { raw.p, n }, .value = span_trim(value), .raw = raw };
	return true;
}

/* Lengths tell most names apart, so one or two comparisons are enough. */
static const struct {
	const char *name;
	uint8_t length, id;
} known_fields[] = {
#define KNOWN(name, id) { name, sizeof(name) - 1, id }
	KNOWN("to", FIELD_TO), KNOWN("cc", FIELD_CC), KNOWN("bcc", FIELD_BCC), KNOWN("from", FIELD_FROM),
	KNOWN("date", FIELD_DATE), KNOWN("sender", FIELD_SENDER), KNOWN("subject", FIELD_SUBJECT),
	KNOWN("list-id", FIELD_LIST_ID), KNOWN("reply-to", FIELD_REPLY_TO), KNOWN("priority", FIELD_PRIORITY),
	KNOWN("list-post", FIELD_LIST_POST), KNOWN("message-id", FIELD_MESSAGE_ID), KNOWN("references", FIELD_REFERENCES),
	KNOWN("importance", FIELD_IMPORTANCE), KNOWN("x-priority", FIELD_X_PRIORITY), KNOWN("content-id", FIELD_CONTENT_ID),
	KNOWN("in-reply-to", FIELD_IN_REPLY_TO), KNOWN("content-md5", FIELD_CONTENT_MD5),
	KNOWN("mime-version", FIELD_MIME_VERSION), KNOWN("content-type", FIELD_CONTENT_TYPE),
	KNOWN("list-unsubscribe", FIELD_LIST_UNSUBSCRIBE), KNOWN("content-language", FIELD_CONTENT_LANGUAGE),
	KNOWN("content-location", FIELD_CONTENT_LOCATION), KNOWN("return-receipt-to", FIELD_RETURN_RECEIPT_TO),
	KNOWN("content-description", FIELD_CONTENT_DESCRIPTION), KNOWN("content-disposition", FIELD_CONTENT_DISPOSITION),
	KNOWN("content-transfer-encoding", FIELD_CONTENT_TRANSFER_ENCODING),
	KNOWN("disposition-notification-to", FIELD_DISPOSITION_NOTIFICATION_TO),
#undef KNOWN
};

enum mime_field_id mime_field_id(struct span name)
{
	if (name.n < 2 || name.n > 27)
		return FIELD_OTHER;
	char first = ascii_lower(name.p[0]);
	for (size_t i = 0; i < sizeof known_fields / sizeof *known_fields; i++)
		if (known_fields[i].length == name.n && known_fields[i].name[0] == first &&
		    span_ieq(name, (struct span){ known_fields[i].name, name.n }))
			return known_fields[i].id;
	return FIELD_OTHER;
}

void mime_unfold(struct span value, struct buffer *out)
{
	char *to = buffer_reserve(out, value.n);
	if (!to)
		return;
	size_t n = 0;
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\r' && i + 1 < value.n && value.p[i + 1] == '\n')
			c = value.p[++i];
		if (c == '\n' && i + 1 < value.n && (value.p[i + 1] == ' ' || value.p[i + 1] == '\t'))
			continue;
		to[n++] = c == '\n' || c == '\r' || c == 0 ? ' ' : c;
	}
	out->n += n;
}

static bool is_named(struct span name, const struct span *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_ieq(name, names[i]))
			return true;
	return false;
}

void mime_header_fields(struct span header, const struct span *names, size_t n, bool except, struct buffer *out)
{
	struct mime_field f;
	while (mime_header_next(&header, &f)) {
		bool named = f.name.n && is_named(f.name, names, n);
		if (named == except)
			continue;
		buffer_put_span(out, f.raw);
		if (f.raw.p[f.raw.n - 1] != '\n')
			buffer_puts(out, "\r\n");
	}
	buffer_puts(out, "\r\n");
}

static void skip_comment(struct span *s)
{
	unsigned depth = 0;
	while (s->n) {
		char c = s->p[0];
		if (c == '\\' && s->n > 1)
			*s = span_sub(*s, 1, SIZE_MAX);
		else if (c == '(')
			depth++;
		else if (c == ')')
			depth--;
		*s = span_sub(*s, 1, SIZE_MAX);
		if (depth == 0)
			return;
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct span *s)
{
	while (s->n) {
		if (s->p[0] == '(')
			skip_comment(s);
		else if (is_space(s->p[0]))
			s->p++, s->n--;
		else
			return;
	}
}

static struct span copy_lower(struct span s, struct arena *a)
{
	char *p = arena_alloc(a, s.n + 1);
	if (!p)
		return (struct span){ NULL, 0 };
	for (size_t i = 0; i < s.n; i++)
		p[i] = ascii_lower(s.p[i]);
	return (struct span){ p, s.n };
}

struct span mime_value_copy(struct span value, struct arena *a)
{
	value = span_trim(value);
	char *p = arena_alloc(a, value.n + 1);
	if (!p)
		return (struct span){ NULL, 0 };
	struct buffer b = { .p = p, .cap = value.n, .limit = value.n };
	mime_unfold(value, &b);
	return buffer_span(&b);
}

/* A quoted string after its opening quote, unescaped; one that is never closed ends with the value. */
static struct span take_quoted(struct span *s, struct arena *a)
{
	size_t end = 0;
	while (end < s->n && s->p[end] != '"')
		end += s->p[end] == '\\' && end + 1 < s->n ? 2 : 1;
	struct span in = span_sub(*s, 0, end);
	*s = span_sub(*s, end + 1, SIZE_MAX);
	struct span out = mime_value_copy(in, a);
	if (!out.p || !memchr(out.p, '\\', out.n))
		return out;
	char *to = arena_alloc(a, out.n + 1);
	if (!to)
		return (struct span){ NULL, 0 };
	size_t n = 0;
	for (size_t i = 0; i < out.n; i++) {
		if (out.p[i] == '\\' && i + 1 < out.n)
			i++;
		to[n++] = out.p[i];
	}
	return (struct span){ to, n };
}

/* An unquoted value: up to the semicolon (blanks inside are wrong but common in file names), or to a comment. */
static struct span take_plain(struct span *s, struct arena *a)
{
	size_t end = 0;
	while (end < s->n && s->p[end] != ';' && !(s->p[end] == '(' && end && is_space(s->p[end - 1])))
		end++;
	struct span in = span_sub(*s, 0, end);
	*s = span_sub(*s, end, SIZE_MAX);
	return mime_value_copy(in, a);
}

/* Up to a blank, a comment or one of the two stops. */
static struct span take_word(struct span *s, char stop, char stop2)
{
	size_t n = 0;
	while (n < s->n && !is_space(s->p[n]) && s->p[n] != '(' && s->p[n] != stop && s->p[n] != stop2)
		n++;
	struct span word = span_sub(*s, 0, n);
	*s = span_sub(*s, n, SIZE_MAX);
	return word;
}

static void skip_to_semicolon(struct span *s)
{
	ssize_t at = span_find(*s, ';');
	*s = span_sub(*s, at < 0 ? s->n : (size_t)at, SIZE_MAX);
}

static bool take_param(struct span *s, struct arena *a, struct mime_param *out)
{
	while (s->n && (is_space(s->p[0]) || s->p[0] == ';' || s->p[0] == '('))
		s->p[0] == '(' ? skip_comment(s) : (void)(s->p++, s->n--);
	struct span name = take_word(s, '=', ';');
	skip_blanks(s);
	if (s->n == 0 || s->p[0] != '=') {
		skip_to_semicolon(s);
		return false;
	}
	*s = span_sub(*s, 1, SIZE_MAX);
	skip_blanks(s);
	bool quoted = s->n && s->p[0] == '"';
	if (quoted)
		*s = span_sub(*s, 1, SIZE_MAX);
	struct span value = quoted ? take_quoted(s, a) : take_plain(s, a);
	*out = (struct mime_param){ .name = copy_lower(name, a), .value = value };
	return name.n && out->name.p && value.p;
}

static uint32_t count_semicolons(struct span s)
{
	uint32_t n = 0;
	while (n < MIME_PARAMS_MAX) {
		ssize_t at = span_find(s, ';');
		if (at < 0)
			break;
		s = span_sub(s, (size_t)at + 1, SIZE_MAX);
		n++;
	}
	return n;
}

/* "text / plain (comment)" becomes "text/plain". */
static struct span take_head(struct span *s, struct arena *a)
{
	char *to = arena_alloc(a, s->n + 1);
	size_t n = 0;
	if (!to)
		return (struct span){ NULL, 0 };
	skip_blanks(s);
	while (s->n && s->p[0] != ';') {
		struct span word = take_word(s, ';', ';');
		if (n && word.n && to[n - 1] != '/' && word.p[0] != '/')
			break;
		for (size_t i = 0; i < word.n; i++)
			to[n++] = ascii_lower(word.p[i]);
		skip_blanks(s);
	}
	return (struct span){ to, n };
}

void mime_params_parse(struct span value, struct arena *a, struct span *head, struct mime_params *out)
{
	*head = take_head(&value, a);
	uint32_t max = count_semicolons(value) + 1;
	struct mime_param *p = value.n ? arena_alloc(a, max * sizeof *p) : NULL;
	*out = (struct mime_params){ .p = p };
	while (p && value.n && out->n < max)
		if (take_param(&value, a, &p[out->n]))
			out->n++;
}

struct span mime_token_parse(struct span value, struct arena *a)
{
	skip_blanks(&value);
	return copy_lower(take_word(&value, ';', ';'), a);
}

struct span mime_param(const struct mime_params *params, struct span name)
{
	for (uint32_t i = 0; i < params->n; i++)
		if (span_eq(params->p[i].name, name))
			return params->p[i].value;
	return (struct span){ NULL, 0 };
}
