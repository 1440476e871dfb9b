#include "http_request.h"

/* RFC 9110, 5.6.2 */
static bool is_token(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i], l = ascii_lower(c);
		if (!(l >= 'a' && l <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr("!#$%&'*+-.^_`|~", c)))
			return false;
	}
	return s.n > 0;
}

/* Bytes that a value may hold: no control bytes but the tab. */
static bool is_text(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

static bool is_visible(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static struct span trim(struct span s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s = span_sub(s, 1, s.n);
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* A line without its CRLF off the front of *in; a bare LF or CR is bad. */
static enum http_answer take_line(struct span *in, struct span *line)
{
	ssize_t lf = span_find(*in, '\n');
	if (lf < 0)
		return HTTP_MORE;
	if (lf == 0 || in->p[lf - 1] != '\r')
		return HTTP_BAD;
	*line = span_sub(*in, 0, (size_t)lf - 1);
	*in = span_sub(*in, (size_t)lf + 1, in->n);
	return span_find(*line, '\r') < 0 ? HTTP_OK : HTTP_BAD;
}

/* Up to the next c, which is skipped; false when there is none. */
static bool take_until(struct span *in, char c, struct span *out)
{
	ssize_t at = span_find(*in, c);
	if (at < 0)
		return false;
	*out = span_sub(*in, 0, (size_t)at);
	*in = span_sub(*in, (size_t)at + 1, in->n);
	return true;
}

/* "/path?query", or the absolute form, whose host a proxy has chosen by (RFC 9112, 3.2.2). */
static bool parse_target(struct span target, struct http_request *r)
{
	if (!is_visible(target) || span_find(target, '#') >= 0)
		return false;
	if (span_istarts(target, SPAN("http://"))) {
		target = span_sub(target, 7, target.n);
		ssize_t slash = span_find(target, '/');
		if (slash <= 0)
			return false;
		target = span_sub(target, (size_t)slash, target.n);
	}
	if (*target.p != '/')
		return false;
	r->path = target;
	if (take_until(&target, '?', &r->path))
		r->query = target;
	return true;
}

/* HTTP/1.1, and 1.0, which does not keep the connection. */
static enum http_answer parse_version(struct span version, struct http_request *r)
{
	if (version.n != 8 || !span_eq(span_sub(version, 0, 5), SPAN("HTTP/")) || version.p[6] != '.')
		return HTTP_BAD;
	if (version.p[5] != '1' || version.p[7] < '0' || version.p[7] > '9')
		return version.p[5] >= '0' && version.p[5] <= '9' ? HTTP_BAD_VERSION : HTTP_BAD;
	r->keep_alive = version.p[7] != '0';
	return HTTP_OK;
}

static enum http_answer parse_request_line(struct span line, struct http_request *r)
{
	struct span target;
	if (!take_until(&line, ' ', &r->method) || !take_until(&line, ' ', &target))
		return HTTP_BAD;
	if (!is_token(r->method) || !parse_target(target, r))
		return HTTP_BAD;
	return parse_version(line, r);
}

static enum http_answer add_header(struct span line, struct http_request *r)
{
	struct http_header h;
	if (!take_until(&line, ':', &h.name) || !is_token(h.name) || !is_text(line))
		return HTTP_BAD;
	if (r->n_headers == HTTP_HEADERS_MAX)
		return HTTP_TOO_MANY;
	h.value = trim(line);
	r->headers[r->n_headers++] = h;
	return HTTP_OK;
}

/* ---- What the headers mean for where the request ends */

static size_t count(const struct http_request *r, struct span name)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n_headers; i++)
		n += span_ieq(r->headers[i].name, name);
	return n;
}

struct span http_header_find(const struct http_request *r, struct span name)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (span_ieq(r->headers[i].name, name))
			return r->headers[i].value;
	return (struct span){ 0 };
}

static bool list_has(struct span list, struct span word)
{
	struct span one;
	while (take_until(&list, ',', &one))
		if (span_ieq(trim(one), word))
			return true;
	return span_ieq(trim(list), word);
}

static void read_connection(struct http_request *r)
{
	for (size_t i = 0; i < r->n_headers; i++)
		if (span_ieq(r->headers[i].name, SPAN("Connection")) && list_has(r->headers[i].value, SPAN("close")))
			r->keep_alive = false;
}

/* One length or one coding, never both or two of one: that is how requests are smuggled (RFC 9112, 6.3). */
static bool read_body(struct http_request *r)
{
	size_t lengths = count(r, SPAN("Content-Length")), codings = count(r, SPAN("Transfer-Encoding"));
	if (lengths + codings > 1)
		return false;
	if (lengths)
		return span_u64(http_header_find(r, SPAN("Content-Length")), UINT64_MAX, &r->length);
	r->chunked = codings && span_ieq(http_header_find(r, SPAN("Transfer-Encoding")), SPAN("chunked"));
	return r->chunked == (codings > 0);
}

static bool read_host(struct http_request *r, bool wanted)
{
	r->host = http_header_find(r, SPAN("Host"));
	size_t n = count(r, SPAN("Host"));
	return (n == 1 || (n == 0 && !wanted)) && span_find(r->host, ' ') < 0 && span_find(r->host, '\t') < 0;
}

static enum http_answer parse(struct span *in, struct http_request *r)
{
	struct span line;
	enum http_answer a;
	do
		a = take_line(in, &line); /* empty lines before a request are let go (RFC 9112, 2.2) */
	while (a == HTTP_OK && line.n == 0);
	if (a == HTTP_OK)
		a = parse_request_line(line, r);
	bool new = r->keep_alive;
	while (a == HTTP_OK && (a = take_line(in, &line)) == HTTP_OK && line.n)
		a = add_header(line, r);
	if (a != HTTP_OK)
		return a;
	read_connection(r);
	return read_host(r, new) && read_body(r) ? HTTP_OK : HTTP_BAD;
}

enum http_answer http_request_next(struct span *in, struct http_request *out)
{
	struct span rest = *in;
	struct http_request r = { .n_headers = 0 };
	enum http_answer a = parse(&rest, &r);
	if (a == HTTP_OK) {
		*out = r;
		*in = rest;
	}
	return a;
}
