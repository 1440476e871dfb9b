#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "export_target.h"
#include "fail.h"
#include "unix_socket.h"

int client_open(struct client *c, const char *socket_path, bool terminal)
{
	*c = (struct client){ .fd = -1, .status = -1, .bar.terminal = terminal };
	int r = unix_connect(socket_path, &c->fd);
	if (!r)
		fcntl(c->fd, F_SETFL, O_NONBLOCK);
	return r;
}

void client_close(struct client *c)
{
	bar_clear(&c->bar);
	if (c->fd >= 0)
		close(c->fd);
	buffer_free(&c->in);
	c->fd = -1;
}

static uint64_t get_u64(const char *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)p[i];
	return v;
}

static int answer(struct client *c, struct span question)
{
	char line[64];
	bar_clear(&c->bar);
	fprintf(stderr, "%.*s [y/N] ", SPAN_ARG(question));
	fflush(stderr);
	bool yes = fgets(line, sizeof line, stdin) && (!strcasecmp(line, "y\n") || !strcasecmp(line, "yes\n"));
	return client_send(c, FRAME_ANSWER, yes ? SPAN("yes") : SPAN("no"));
}

static int say(struct client *c, FILE *to, const char *prefix, struct span line)
{
	bar_clear(&c->bar);
	fputs(prefix, to);
	fwrite(line.p, 1, line.n, to);
	return putc('\n', to) == EOF ? fail_with(ERR_STOPPED, "standard output: %s", strerror(errno)) : OK;
}

static int exported(struct client *c, struct span s)
{
	struct export_item item;
	struct buffer reply = { 0 };
	bool answered;
	if (!c->to || !export_item_parse(s, &item))
		return fail_with(ERR_INVALID, "the node sent a part of an export that nobody wants");
	int r = export_take(c->to, &item, &reply, &answered);
	if (!r && answered)
		r = client_send(c, FRAME_ANSWER, buffer_span(&reply));
	buffer_free(&reply);
	return r;
}

static int heard(struct client *c, enum frame_type type, struct span s)
{
	switch (type) {
	case FRAME_LINE:
		return say(c, stdout, "", s);
	case FRAME_ERROR:
		return say(c, stderr, "perdura: ", s);
	case FRAME_PROGRESS:
		if (s.n >= 16)
			bar_show(&c->bar, get_u64(s.p), get_u64(s.p + 8), span_sub(s, 16, s.n));
		return OK;
	case FRAME_QUESTION:
		return answer(c, s);
	case FRAME_EXPORT:
		return exported(c, s);
	case FRAME_DATA:
		return c->to ? export_data(c->to, s) : fail_with(ERR_INVALID, "the node sent bytes that nobody wants");
	case FRAME_EXIT:
		c->status = s.n ? (unsigned char)s.p[0] : 1;
		return OK;
	default:
		return fail_with(ERR_INVALID, "the node said something of type %d", (int)type);
	}
}

/* All frames that are whole; they leave c->in before they are acted on, for a question sends and so listens again. */
static int hear_all(struct client *c)
{
	int r = OK;
	while (!r && c->status < 0) {
		enum frame_type type;
		struct span rest = buffer_span(&c->in), payload;
		r = frame_parse(&rest, &type, &payload);
		if (r == ERR_NOT_FOUND)
			return OK;
		if (r)
			return r;
		struct buffer one = { 0 };
		buffer_put_span(&one, payload);
		buffer_consume(&c->in, c->in.n - rest.n);
		r = heard(c, type, buffer_span(&one));
		buffer_free(&one);
	}
	return r;
}

static int hear(struct client *c)
{
	enum { CHUNK = 65536 };
	char *to = buffer_reserve(&c->in, CHUNK);
	ssize_t n = to ? recv(c->fd, to, CHUNK, 0) : -1;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return OK;
	if (n <= 0)
		return fail_with(ERR_STOPPED, "the node went away; nothing more is known of what was asked");
	c->in.n += (size_t)n;
	return hear_all(c);
}

/* Waits until something can be heard, or sent if `sending`. */
static int wait_for(struct client *c, bool sending, bool *writable)
{
	struct pollfd p = { .fd = c->fd, .events = (short)(POLLIN | (sending ? POLLOUT : 0)) };
	*writable = false;
	if (poll(&p, 1, -1) < 0)
		return errno == EINTR ? OK : fail_errno("poll", "node");
	*writable = p.revents & POLLOUT;
	return p.revents & (POLLIN | POLLHUP | POLLERR) ? hear(c) : OK;
}

static int send_bytes(struct client *c, struct span s)
{
	while (s.n) {
		bool writable;
		int r = wait_for(c, true, &writable);
		if (r)
			return r;
		if (c->status >= 0)
			return ERR_STOPPED;
		ssize_t n = writable ? send(c->fd, s.p, s.n, MSG_NOSIGNAL) : 0;
		if (n > 0)
			s = span_sub(s, (size_t)n, s.n);
	}
	return OK;
}

int client_send(struct client *c, enum frame_type type, struct span payload)
{
	struct buffer b = { 0 };
	frame_put(&b, type, payload);
	int r = buffer_ok(&b) ? send_bytes(c, buffer_span(&b)) : fail_with(ERR_LIMIT, "no memory");
	buffer_free(&b);
	return r;
}

int client_finish(struct client *c)
{
	bool writable;
	int r = OK;
	while (!r && c->status < 0)
		r = wait_for(c, false, &writable);
	return c->status >= 0 ? OK : r;
}
