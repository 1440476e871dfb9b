#include <errno.h>
#include <stdlib.h>

#include "conn_private.h"
#include "deflate.h"

enum {
	READ_SIZE = 4096, /* bytes of deflated input that are taken at a time: what is kept of it while the reader is busy */
	READS = 16,       /* without a full buffer, until others have their turn */
};

/* Above the socket, or TLS on it. A parked one keeps what its peer may refer back to, and the inflater only where the peer
   stopped amid a block. */
struct deflate_conn {
	const struct conn_io *below;
	bool below_more;           /* it may hold input that no event will announce */
	struct buffer in;          /* deflated input that is not inflated yet */
	size_t in_used;            /* bytes of it that are */
	struct inflater *inflater; /* NULL: the stream rests */
	struct buffer past;        /* where it does: what its peer may refer to */
	bool deflating;            /* the worker's deflater has our last piece */
	struct buffer held;        /* what is to be sent: slot.held bytes at its end */
};

static ssize_t fails(int error)
{
	errno = error;
	return -1;
}

/* ---- In */

static struct inflater *inflater_of(struct slot *s)
{
	struct deflate_conn *d = s->deflate;
	if (d->inflater)
		return d->inflater;
	if (!s->lent->inflater && inflater_new(&s->lent->inflater))
		return NULL;
	if (inflater_resume(s->lent->inflater, buffer_span(&d->past)))
		return NULL;
	buffer_free(&d->past);
	d->inflater = s->lent->inflater;
	s->lent->inflater = NULL;
	return d->inflater;
}

static ssize_t read_below(struct slot *s)
{
	struct deflate_conn *d = s->deflate;
	buffer_reset(&d->in);
	d->in_used = 0;
	char *to = buffer_reserve(&d->in, READ_SIZE);
	if (!to)
		return fails(ENOMEM);
	s->more = false;
	ssize_t k = d->below->read(&s->conn, to, READ_SIZE);
	d->below_more = s->more;
	if (k > 0)
		d->in.n = (size_t)k;
	return k;
}

static enum inflate_answer inflate_some(struct slot *s, struct inflater *i, char *out, size_t *room)
{
	struct deflate_conn *d = s->deflate;
	struct span in = span_sub(buffer_span(&d->in), d->in_used, d->in.n);
	enum inflate_answer answer = inflater_get(i, &in, out, room);
	d->in_used = d->in.n - in.n;
	return answer;
}

/* What comes of an answer that is no call for more input, after `got` bytes. Failures and the end are found again. */
static ssize_t is_over(enum inflate_answer answer, size_t got)
{
	if (got)
		return (ssize_t)got;
	return answer == INFLATE_BAD ? fails(EBADMSG) : 0;
}

/* Never more than the reader takes, whatever it may become. */
static ssize_t deflate_read(struct conn *c, void *p, size_t n)
{
	struct slot *s = SLOT_OF(c);
	struct inflater *i = inflater_of(s);
	size_t got = 0;
	if (!i)
		return fails(ENOMEM);
	for (int reads = 0; reads < READS; reads++) {
		size_t room = n - got;
		enum inflate_answer answer = inflate_some(s, i, (char *)p + got, &room);
		got += room;
		s->more = true;
		if (answer != INFLATE_MORE)
			return is_over(answer, got);
		ssize_t k = read_below(s);
		if (k > 0)
			continue;
		s->more = s->deflate->below_more || (got && (k == 0 || errno != EAGAIN));
		return got ? (ssize_t)got : k;
	}
	s->more = true;
	return got ? (ssize_t)got : fails(EAGAIN);
}

/* ---- Out */

/* False: not all of it, for now or for good (errno). */
static bool send_held(struct slot *s)
{
	struct deflate_conn *d = s->deflate;
	while (s->held) {
		ssize_t k = d->below->write(&s->conn, d->held.p + d->held.n - s->held, s->held);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		s->held -= (size_t)k;
	}
	buffer_free(&d->held);
	return true;
}

static ssize_t deflate_write(struct conn *c, const void *p, size_t n)
{
	struct slot *s = SLOT_OF(c);
	struct deflate_conn *d = s->deflate;
	if (!send_held(s))
		return -1;
	if (!n)
		return 0;
	if (!s->lent->deflater && deflater_new(&s->lent->deflater))
		return fails(ENOMEM);
	if (!d->deflating)
		deflater_reset(s->lent->deflater);
	d->deflating = true;
	size_t k = n < DEFLATE_PIECE ? n : DEFLATE_PIECE;
	deflater_put(s->lent->deflater, span_from(p, k), &d->held);
	if (!buffer_ok(&d->held))
		return fails(ENOMEM);
	s->held = d->held.n;
	return send_held(s) || errno == EAGAIN ? (ssize_t)k : -1;
}

/* ---- Beginning, resting, ending */

static int deflate_finish(struct conn *c)
{
	return SLOT_OF(c)->deflate->below->finish(c);
}

static void deflate_close(struct conn *c)
{
	struct slot *s = SLOT_OF(c);
	struct deflate_conn *d = s->deflate;
	inflater_free(&d->inflater);
	buffer_free(&d->in);
	buffer_free(&d->past);
	buffer_free(&d->held);
	d->below->close(c);
	free(d);
}

static const struct conn_io deflate_io = { deflate_read, deflate_write, deflate_finish, deflate_close };

bool deflate_begin(struct slot *s)
{
	struct conn *c = &s->conn;
	struct deflate_conn *d = s->deflate ? NULL : calloc(1, sizeof *d);
	if (!d)
		return false;
	d->below = c->io;
	d->below_more = s->more;
	buffer_put_span(&d->in, c->in);
	buffer_put(&d->held, c->out.p + s->sent, slot_unsent(s));
	if (!buffer_ok(&d->in) || !buffer_ok(&d->held)) {
		buffer_free(&d->in);
		buffer_free(&d->held);
		free(d);
		return false;
	}
	c->in.n = 0;
	buffer_reset(&c->out);
	s->sent = 0;
	s->held = d->held.n;
	s->deflate = d;
	s->more = true;
	c->io = &deflate_io;
	return true;
}

void deflate_rest(struct slot *s)
{
	struct deflate_conn *d = s->deflate;
	if (!d)
		return;
	d->deflating = false;
	buffer_consume(&d->in, d->in_used);
	d->in_used = 0;
	if (!d->in.n)
		buffer_free(&d->in);
	if (!d->inflater || !inflater_leave(d->inflater, &d->past))
		return;
	if (!s->lent->inflater)
		s->lent->inflater = d->inflater;
	else
		inflater_free(&d->inflater);
	d->inflater = NULL;
}

bool conn_deflates(struct conn *c)
{
	return SLOT_OF(c)->deflate != NULL;
}
