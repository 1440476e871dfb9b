#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "channel.h"
#include "clock.h"
#include "export_item.h"
#include "fail.h"
#include "import_item.h"
#include "verb.h"

static void send_frame(struct request *r, enum frame_type type, struct span payload)
{
	struct channel *c = r->channel;
	if (!c->gone && frame_send(c->fd, type, payload))
		c->gone = true;
}

void request_span(struct request *r, struct span line)
{
	send_frame(r, FRAME_LINE, line);
}

__attribute__((format(printf, 2, 0)))
static struct span format(struct channel *c, const char *fmt, va_list ap)
{
	char *text;
	int n = vasprintf(&text, fmt, ap);
	buffer_reset(&c->line);
	if (n >= 0) {
		buffer_put(&c->line, text, (size_t)n);
		free(text);
	}
	return buffer_span(&c->line);
}

void request_line(struct request *r, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct span line = format(r->channel, fmt, ap);
	va_end(ap);
	send_frame(r, FRAME_LINE, line);
}

int request_error(struct request *r, int status, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	struct span line = format(r->channel, fmt, ap);
	va_end(ap);
	send_frame(r, FRAME_ERROR, line);
	return status;
}

int request_failed(struct request *r, int error, const char *what)
{
	bool later = error == ERR_UNAVAILABLE || error == ERR_FULL || error == ERR_CONFLICT || error == ERR_TIMEOUT ||
	             error == ERR_STOPPED;
	const char *detail = fail_detail();
	return request_error(r, later ? EXIT_RETRY : EXIT_FAILED, "%s: %s%s", what, *detail ? detail : fail_name(error),
		later ? "; try again later" : "");
}

int request_path(const struct request *r, const char *path, char out[static PATH_MAX])
{
	int n = *path == '/' || !r->folder ? snprintf(out, PATH_MAX, "%s", path) : snprintf(out, PATH_MAX, "%s/%s", r->folder, path);
	return n < PATH_MAX ? OK : fail_with(ERR_INVALID, "%s: name too long", path);
}

static void put_u64(struct buffer *b, uint64_t v)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		buffer_putc(b, (char)(v >> shift));
}

void request_progress(struct request *r, uint64_t done, uint64_t total, const char *text)
{
	struct channel *c = r->channel;
	int64_t now = clock_mono();
	if (!r->terminal || (now - c->progress_at < SECOND_US / 10 && done != total))
		return;
	c->progress_at = now;
	buffer_reset(&c->line);
	put_u64(&c->line, done);
	put_u64(&c->line, total);
	buffer_puts(&c->line, text);
	send_frame(r, FRAME_PROGRESS, buffer_span(&c->line));
}

bool request_cancelled(struct request *r)
{
	struct channel *c = r->channel;
	char peek;
	if (!c->gone && recv(c->fd, &peek, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
		c->gone = true;
	return c->gone || *c->stopping;
}

/* The client's next frame. */
static int receive(struct request *r, enum frame_type *type, struct span *payload)
{
	struct channel *c = r->channel;
	if (c->ended)
		return ERR_NOT_FOUND;
	int e = frame_receive(c->fd, &c->in, type, payload);
	if (e == ERR_STOPPED)
		c->gone = true;
	if (!e && *type == FRAME_END) {
		c->ended = true;
		return ERR_NOT_FOUND;
	}
	return e;
}

static int out_of_turn(enum frame_type type)
{
	return fail_with(ERR_INVALID, "a frame of type %d out of turn", (int)type);
}

int request_confirm(struct request *r, const char *question)
{
	enum frame_type type;
	struct span answer;
	if (request_has(r, "yes"))
		return OK;
	if (!r->terminal)
		return request_error(r, EXIT_USAGE, "%s Say so with --yes.", question);
	send_frame(r, FRAME_QUESTION, span_of(question));
	int e = receive(r, &type, &answer);
	if (!e && type == FRAME_ANSWER && span_eq(answer, SPAN("yes")))
		return OK;
	return request_error(r, EXIT_FAILED, "Nothing was done.");
}

int request_password(struct request *r, char *out, size_t n)
{
	enum frame_type type;
	struct span line;
	int e = receive(r, &type, &line);
	if (e)
		return e;
	if (type != FRAME_DATA)
		return out_of_turn(type);
	if (line.n == 0)
		return ERR_NOT_FOUND;
	if (line.n >= n || memchr(line.p, 0, line.n))
		return fail_with(ERR_INVALID, "a password has 1 to %zu bytes and no NUL", n - 1);
	memcpy(out, line.p, line.n);
	out[line.n] = 0;
	explicit_bzero(r->channel->in.p, r->channel->in.n);
	return OK;
}

int request_item_data(struct request *r, struct span *out)
{
	struct channel *c = r->channel;
	enum frame_type type;
	struct span data;
	if (c->item_left == 0)
		return ERR_NOT_FOUND;
	int e = receive(r, &type, &data);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(ERR_INVALID, "the message ends too early") : e;
	if (type != FRAME_DATA || data.n > c->item_left)
		return out_of_turn(type);
	c->item_left -= data.n;
	*out = data;
	return OK;
}

int request_item(struct request *r, struct import_item *out)
{
	struct channel *c = r->channel;
	enum frame_type type;
	struct span s;
	int e;
	while ((e = request_item_data(r, &s)) == OK)
		; /* what the handler did not want */
	if (e != ERR_NOT_FOUND || (e = receive(r, &type, &s)))
		return e;
	if (type != FRAME_ITEM)
		return out_of_turn(type);
	buffer_reset(&c->item);
	buffer_put_span(&c->item, s);
	if (!import_item_parse(buffer_span(&c->item), out))
		return fail_with(ERR_INVALID, "a damaged head of a message");
	c->item_left = out->size;
	return OK;
}

void request_export(struct request *r, const struct export_item *i)
{
	struct channel *c = r->channel;
	buffer_reset(&c->line);
	export_item_put(&c->line, i);
	send_frame(r, FRAME_EXPORT, buffer_span(&c->line));
}

void request_export_data(struct request *r, struct span bytes)
{
	send_frame(r, FRAME_DATA, bytes);
}

int request_export_answer(struct request *r, struct span *out)
{
	enum frame_type type;
	int e = r->channel->gone ? fail_with(ERR_STOPPED, "the command is gone") : receive(r, &type, out);
	return e || type == FRAME_ANSWER ? e : out_of_turn(type);
}
