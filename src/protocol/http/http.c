#include "http.h"

#include <time.h>

#include "clock.h"

enum { HEAD_MAX = 8192, BODY_MAX = 16 << 20 };
#define HEAD_US (10 * SECOND_US) /* for a head to come, and between requests */

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{ 200, "OK" },
	{ 400, "Bad Request" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 431, "Request Header Fields Too Large" },
	{ 501, "Not Implemented" },
	{ 503, "Service Unavailable" },
	{ 505, "HTTP Version Not Supported" },
};

static const char *reason_of(int status)
{
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Internal Server Error";
}

/* RFC 9110, 5.6.7 */
static void put_date(struct buffer *b)
{
	static const char *const days[] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	time_t now = (time_t)(clock_now() / SECOND_US);
	struct tm t;
	gmtime_r(&now, &t);
	buffer_printf(b, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
		t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static void send_reply(struct conn *c, const struct http_reply *r, bool head_only, bool keep_alive)
{
	struct buffer *out = &c->out;
	buffer_printf(out, "HTTP/1.1 %d %s\r\n", r->status, reason_of(r->status));
	put_date(out);
	buffer_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n", r->type, r->body.n);
	if (r->status == 405)
		buffer_puts(out, "Allow: GET, HEAD\r\n");
	buffer_puts(out, keep_alive ? "\r\n" : "Connection: close\r\n\r\n");
	if (!head_only)
		buffer_put_span(out, buffer_span(&r->body));
}

static void refuse(struct http_reply *r, int status)
{
	buffer_reset(&r->body);
	r->status = status;
	r->type = "text/plain; charset=utf-8";
	buffer_printf(&r->body, "%s\n", reason_of(status));
}

static const struct http_route *find_route(const struct http_node *n, struct span path)
{
	for (size_t i = 0; i < n->n; i++)
		if (span_eq(path, span_of(n->routes[i].path)))
			return &n->routes[i];
	return NULL;
}

/* Methods are case-sensitive. */
static void run_request(const struct http_node *n, const struct http_request *rq, struct http_reply *r)
{
	static const char *const known[] = { "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT" };
	const struct http_route *route = find_route(n, rq->path);
	bool get = span_eq(rq->method, SPAN("GET")) || span_eq(rq->method, SPAN("HEAD")), is_known = get;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		is_known = is_known || span_eq(rq->method, span_of(known[i]));
	if (!is_known)
		refuse(r, 501);
	else if (!route)
		refuse(r, 404);
	else if (!get)
		refuse(r, 405);
	else if (rq->length || rq->chunked)
		refuse(r, 400);
	else
		route->get(n->ctx, rq, r);
	if (!buffer_ok(&r->body))
		refuse(r, 503);
}

/* False: the connection ends. */
static bool answer(struct conn *c, const struct http_request *rq)
{
	struct http_reply r = { .status = 200, .type = "text/plain; charset=utf-8", .body.limit = BODY_MAX };
	bool keep_alive = rq->keep_alive && !rq->length && !rq->chunked;
	run_request(c->service, rq, &r);
	send_reply(c, &r, span_eq(rq->method, SPAN("HEAD")), keep_alive);
	buffer_free(&r.body);
	return keep_alive;
}

static enum conn_next end_with(struct conn *c, int status)
{
	struct http_reply r = { .body.limit = BODY_MAX };
	refuse(&r, status);
	send_reply(c, &r, false, false);
	buffer_free(&r.body);
	return CONN_CLOSE;
}

static int status_of(enum http_answer a)
{
	return a == HTTP_BAD_VERSION ? 505 : a == HTTP_TOO_MANY ? 431 : 400;
}

static enum conn_next http_input(struct conn *c)
{
	for (;;) {
		struct span head = span_sub(c->in, 0, HEAD_MAX);
		size_t before = head.n;
		struct http_request rq;
		enum http_answer a = http_request_next(&head, &rq);
		if (a == HTTP_MORE)
			return before < HEAD_MAX ? CONN_MORE : end_with(c, 431);
		if (a != HTTP_OK)
			return end_with(c, status_of(a));
		bool goes_on = answer(c, &rq);
		conn_consume(c, before - head.n);
		if (!goes_on)
			return CONN_CLOSE;
		conn_timeout(c, HEAD_US);
		if (conn_flush_if_over(c, CONN_OUTPUT_HIGH))
			return CONN_DRAIN;
	}
}

static enum conn_next http_open(struct conn *c)
{
	conn_timeout(c, HEAD_US);
	return CONN_MORE;
}

static enum conn_next http_timeout(struct conn *c)
{
	return CONN_CLOSE;
}

static void nothing(struct conn *c)
{
}

static void no_goodbye(struct conn *c, const char *why)
{
}

const struct conn_protocol http_protocol = {
	.name = "http",
	.refusal = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
	.open = http_open,
	.input = http_input,
	.resume = http_input,
	.timeout = http_timeout,
	.shutdown = no_goodbye,
	.close = nothing,
};
