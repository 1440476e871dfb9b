#include "socketmap.h"

#include "clock.h"
#include "directory.h"
#include "fail.h"
#include "log.h"
#include "netstring.h"
#include "route.h"
#include "smtp_command.h"

enum {
	REQUEST_MAX = 4096,
	REPLY_MAX = 100000, /* what Postfix takes */
};
#define IDLE_US (3600 * SECOND_US) /* Postfix keeps its connections */

struct map {
	struct span name;
	/* Appends the answer's data. OK, ERR_NOT_FOUND, or a failure. */
	int (*find)(struct identity *i, struct span key, struct buffer *out);
};

static int find_domain(struct identity *i, struct span key, struct buffer *out)
{
	char domain[ADDRESS_MAX];
	if (domain_complete(key, domain))
		return ERR_NOT_FOUND;
	buffer_puts(out, domain);
	return directory_find_domain(i, span_of(domain));
}

static bool needs_quotes(struct span local)
{
	for (size_t i = 0; i < local.n; i++)
		if (strchr(" \"\\(),:;<>@[]", local.p[i])) /* NUL never comes here */
			return true;
	return false;
}

/* What a stranger may have put into the detail must stay within the name. */
static void put_address(struct buffer *b, struct span address)
{
	const char *at = memrchr(address.p, '@', address.n);
	struct span local = span_sub(address, 0, at ? (size_t)(at - address.p) : address.n);
	if (b->n)
		buffer_putc(b, ',');
	if (!needs_quotes(local)) {
		buffer_put_span(b, address);
		return;
	}
	buffer_putc(b, '"');
	for (size_t i = 0; i < local.n; i++) {
		if (local.p[i] == '"' || local.p[i] == '\\')
			buffer_putc(b, '\\');
		buffer_putc(b, local.p[i]);
	}
	buffer_putc(b, '"');
	buffer_put_span(b, span_sub(address, local.n, address.n));
}

/* Postfix asks with quotes where the name needs them. out has room for the key. */
static struct span without_quotes(struct span key, char *out)
{
	const char *at = memrchr(key.p, '@', key.n);
	struct span local = span_sub(key, 0, at ? (size_t)(at - key.p) : key.n);
	if (!local.n || *local.p != '"' || local.n < 2 || local.p[local.n - 1] != '"')
		return key;
	size_t n = smtp_local_write(local, out);
	memcpy(out + n, local.p + local.n, key.n - local.n);
	return span_from(out, n + key.n - local.n);
}

static int find_route(struct identity *i, struct span key, struct span *address, char *room, struct route *out)
{
	for (size_t k = 0; k < key.n; k++)
		if ((unsigned char)key.p[k] < ' ' || key.p[k] == 0x7f)
			return ERR_NOT_FOUND;
	*address = without_quotes(key, room);
	return address->n < ADDRESS_MAX ? route_find(i, *address, out) : ERR_NOT_FOUND;
}

static int find_mailbox(struct identity *i, struct span key, struct buffer *out)
{
	char room[REQUEST_MAX];
	struct span address;
	struct route r;
	struct account a;
	int e = find_route(i, key, &address, room, &r);
	if (e)
		return e;
	for (size_t k = 0; !e && k < r.n; k++) {
		if (!r.list[k].account)
			continue;
		e = directory_find_id(i, r.list[k].account, &a);
		if (!e)
			put_address(out, span_of(a.address));
	}
	if (!e && out->n == 0) /* an alias that only leads elsewhere: to be taken, and sent on by Postfix */
		put_address(out, address);
	route_free(&r);
	return e;
}

static int find_alias(struct identity *i, struct span key, struct buffer *out)
{
	char room[REQUEST_MAX];
	struct span address;
	struct route r;
	int e = find_route(i, key, &address, room, &r);
	if (e)
		return e;
	bool itself = r.n == 1 && span_ieq(r.list[0].address, address);
	for (size_t k = 0; !itself && k < r.n; k++)
		put_address(out, r.list[k].address);
	route_free(&r);
	return itself ? ERR_NOT_FOUND : OK;
}

static const struct map maps[] = {
	{ SPAN("mailboxes"), find_mailbox },
	{ SPAN("aliases"), find_alias },
	{ SPAN("domains"), find_domain },
};

static const struct map *map_of(struct span name)
{
	for (size_t i = 0; i < sizeof maps / sizeof *maps; i++)
		if (span_eq(maps[i].name, name))
			return &maps[i];
	return NULL;
}

static void log_failure(const struct conn *c, struct span request, int error)
{
	char what[256], detail[256];
	log_line(LOG_WARN, "socketmap", "session=%lld request=%s result=%s detail=%s", (long long)c->id,
	         log_quote(what, sizeof what, request), fail_name(error), log_quote(detail, sizeof detail, span_of(fail_detail())));
}

static void put_answer(struct buffer *b, int result, struct span data)
{
	if (result == OK)
		buffer_printf(b, "OK %.*s", SPAN_ARG(data));
	else if (result == ERR_NOT_FOUND)
		buffer_puts(b, "NOTFOUND ");
	else if (result == ERR_CANNOT) /* a circle of aliases: its mail waits until somebody mends it */
		buffer_puts(b, "TEMP the aliases lead in a circle, or to too many");
	else
		buffer_puts(b, "TEMP not available");
}

static void answer(struct conn *c, struct span request)
{
	struct socketmap_node *n = c->service;
	struct buffer data = { .limit = REPLY_MAX - 16 }, reply = { 0 };
	ssize_t blank = span_find(request, ' ');
	const struct map *m = blank < 0 ? NULL : map_of(span_sub(request, 0, (size_t)blank));
	if (m) {
		int e = m->find(n->identity, span_sub(request, (size_t)blank + 1, request.n), &data);
		if (!e && !buffer_ok(&data))
			e = fail_with(ERR_CANNOT, "the answer is too long");
		if (e && e != ERR_NOT_FOUND)
			log_failure(c, request, e);
		put_answer(&reply, e, buffer_span(&data));
	} else {
		buffer_puts(&reply, "PERM the maps are: domains, mailboxes, aliases");
	}
	netstring_put(&c->out, buffer_span(&reply));
	buffer_free(&data);
	buffer_free(&reply);
}

static enum conn_next socketmap_input(struct conn *c)
{
	for (;;) {
		struct span in = c->in, request;
		enum netstring_answer a = netstring_next(&in, REQUEST_MAX, &request);
		if (a == NETSTRING_MORE)
			return CONN_MORE;
		if (a == NETSTRING_BAD) {
			log_line(LOG_WARN, "socketmap-closed", "session=%lld peer=%s why=syntax", (long long)c->id, c->peer);
			netstring_put(&c->out, SPAN("PERM that is no request"));
			return CONN_CLOSE;
		}
		answer(c, request);
		conn_consume(c, c->in.n - in.n);
		conn_timeout(c, IDLE_US);
		if (conn_flush_if_over(c, CONN_OUTPUT_HIGH))
			return CONN_DRAIN;
	}
}

static enum conn_next socketmap_open(struct conn *c)
{
	conn_timeout(c, IDLE_US);
	return CONN_MORE;
}

static enum conn_next socketmap_timeout(struct conn *c)
{
	return CONN_CLOSE;
}

/* Nothing to say: Postfix asks again over another connection. */
static void socketmap_shutdown(struct conn *c, const char *why)
{
}

static void socketmap_close(struct conn *c)
{
}

const struct conn_protocol socketmap_protocol = {
	.name = "socketmap",
	.refusal = "25:TEMP too many connections,",
	.open = socketmap_open,
	.input = socketmap_input,
	.resume = socketmap_input,
	.timeout = socketmap_timeout,
	.shutdown = socketmap_shutdown,
	.close = socketmap_close,
};
