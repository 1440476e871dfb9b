#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conn_private.h"
#include "fail.h"
#include "tls.h"

static ssize_t socket_read(struct conn *c, void *p, size_t n)
{
	return recv(c->fd, p, n, MSG_DONTWAIT);
}

static ssize_t socket_write(struct conn *c, const void *p, size_t n)
{
	return send(c->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static int socket_finish(struct conn *c)
{
	return shutdown(c->fd, SHUT_WR);
}

static void socket_close(struct conn *c)
{
	close(c->fd);
}

const struct conn_io conn_io_socket = { socket_read, socket_write, socket_finish, socket_close };

void slot_flush(struct slot *s)
{
	struct buffer *out = &s->conn.out;
	while (slot_unsent(s) && !s->broken) {
		size_t n = out->n - s->sent;
		ssize_t k = s->conn.io->write(&s->conn, out->p + s->sent, n);
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && errno == EAGAIN)
			break;
		if (k < 0 || (k == 0 && n))
			s->broken = true;
		else
			s->sent += (size_t)k;
	}
	if (s->sent >= out->n / 2) {
		buffer_consume(out, s->sent);
		s->sent = 0;
	}
}

size_t slot_read(struct slot *s, char *p, size_t n)
{
	ssize_t k;
	do
		k = s->conn.io->read(&s->conn, p, n);
	while (k < 0 && errno == EINTR);
	if (k == 0)
		s->eof = true;
	else if (k < 0 && errno == EBADMSG)
		s->garbled = true;
	else if (k < 0 && errno != EAGAIN)
		s->broken = true;
	return k > 0 ? (size_t)k : 0;
}

bool slot_post(struct slot *s, unsigned event)
{
	unsigned old = atomic_load(&s->events), new;
	do {
		bool run = event != EVENT_WAKE || (old & WAKEABLE);
		new = old | event | (run ? OWNED : 0);
	} while (!atomic_compare_exchange_weak(&s->events, &old, new));
	return !(old & OWNED) && (new & OWNED);
}

void conn_consume(struct conn *c, size_t n)
{
	c->in = span_sub(c->in, n, c->in.n);
}

void conn_timeout(struct conn *c, int64_t us)
{
	atomic_store(&SLOT_OF(c)->deadline, us ? clock_mono() + us : 0);
}

int conn_start_tls(struct conn *c, struct tls *t)
{
	if (!t || !tls_ready(t))
		return fail_with(ERR_UNAVAILABLE, "there is no certificate");
	SLOT_OF(c)->tls = t;
	return OK;
}

struct span conn_address(const struct conn *c)
{
	struct span all = span_of(c->peer);
	const char *colon = strrchr(c->peer, ':');
	if (!colon)
		return all;
	struct span host = span_sub(all, 0, (size_t)(colon - c->peer));
	return host.p[0] == '[' ? span_sub(host, 1, host.n - 2) : host;
}

void conn_acknowledge(struct conn *c)
{
	int on = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on); /* of no use, and no harm, to what is no TCP */
}

bool conn_flush_if_over(struct conn *c, size_t bytes)
{
	struct slot *s = SLOT_OF(c);
	if (slot_unsent(s) <= bytes)
		return false;
	slot_flush(s);
	return !s->broken && slot_unsent(s) > bytes;
}

void conn_wake(struct conn *c)
{
	struct slot *s = SLOT_OF(c);
	if (slot_post(s, EVENT_WAKE))
		loop_queue(s->loop, s);
}
