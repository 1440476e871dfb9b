#include "frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

#include "fail.h"

static void put_head(char head[FRAME_HEAD], enum frame_type type, size_t n)
{
	uint32_t length = htonl((uint32_t)n);
	memcpy(head, &length, sizeof length);
	head[4] = (char)type;
}

static uint32_t head_length(const char *head)
{
	uint32_t n;
	memcpy(&n, head, sizeof n);
	return ntohl(n);
}

int frame_parse(struct span *in, enum frame_type *type, struct span *payload)
{
	if (in->n < FRAME_HEAD)
		return ERR_NOT_FOUND;
	uint32_t n = head_length(in->p);
	if (n > FRAME_MAX)
		return fail_with(ERR_INVALID, "a frame of %u bytes", n);
	if (in->n - FRAME_HEAD < n)
		return ERR_NOT_FOUND;
	*type = (enum frame_type)(unsigned char)in->p[4];
	*payload = span_sub(*in, FRAME_HEAD, n);
	*in = span_sub(*in, FRAME_HEAD + n, in->n);
	return OK;
}

void frame_put(struct buffer *b, enum frame_type type, struct span payload)
{
	char head[FRAME_HEAD];
	put_head(head, type, payload.n);
	buffer_put(b, head, sizeof head);
	buffer_put_span(b, payload);
}

static int gone(void)
{
	return fail_with(ERR_STOPPED, "the other side is gone");
}

static int send_all(int fd, struct span s)
{
	while (s.n) {
		ssize_t k = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return gone();
		s = span_sub(s, (size_t)k, s.n);
	}
	return OK;
}

int frame_send(int fd, enum frame_type type, struct span payload)
{
	char small[4096];
	if (payload.n > FRAME_MAX)
		return fail_with(ERR_INVALID, "a frame of %zu bytes", payload.n);
	put_head(small, type, payload.n);
	size_t k = payload.n < sizeof small - FRAME_HEAD ? payload.n : sizeof small - FRAME_HEAD;
	if (k)
		memcpy(small + FRAME_HEAD, payload.p, k);
	int r = send_all(fd, span_from(small, FRAME_HEAD + k));
	return r ? r : send_all(fd, span_sub(payload, k, payload.n));
}

static int receive_exactly(int fd, char *p, size_t n)
{
	while (n) {
		ssize_t k = recv(fd, p, n, 0);
		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return gone();
		p += k, n -= (size_t)k;
	}
	return OK;
}

int frame_receive(int fd, struct buffer *b, enum frame_type *type, struct span *payload)
{
	char head[FRAME_HEAD];
	int r = receive_exactly(fd, head, sizeof head);
	if (r)
		return r;
	uint32_t n = head_length(head);
	if (n > FRAME_MAX)
		return fail_with(ERR_INVALID, "a frame of %u bytes", n);
	buffer_reset(b);
	char *to = buffer_reserve(b, n + 1);
	if (!to)
		return fail_with(ERR_LIMIT, "no memory for a frame of %u bytes", n);
	if ((r = receive_exactly(fd, to, n)))
		return r;
	b->n = n;
	*type = (enum frame_type)(unsigned char)head[4];
	*payload = buffer_span(b);
	return OK;
}
