#include "unit.h"

#include "mariadb_proxy.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"

enum { TICK_MS = 20, MORE_RESULTS = 8, COM_QUERY_BYTE = 3 };

struct proxy {
	struct sockaddr_in upstream;
	int listener;
	unsigned port;
	pthread_t thread;
	pthread_mutex_t lock;
	struct proxy_plan plan;
	int seen, spoiled, running, generation, limit, refused;
	bool stop, down, frozen;
};

struct link {
	struct proxy *p;
	int client, server, generation;
	struct buffer from_client, from_server;
	enum { PASSING, ERROR_TO_COME, CUT_TO_COME, HANGING } state;
	unsigned error;
};

/* --- The protocol, as far as it is needed --- */

static size_t packet_length(const struct buffer *b)
{
	const unsigned char *p = (const unsigned char *)b->p;
	return b->n < 4 ? 0 : 4 + (p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16);
}

static bool has(struct span s, const char *what)
{
	return s.p && memmem(s.p, s.n, what, strlen(what));
}

static enum proxy_where what_is(struct span packet)
{
	if (packet.n < 5 || packet.p[4] != COM_QUERY_BYTE)
		return PROXY_NOWHERE;
	bool end = has(packet, "commit_id") && has(packet, "COMMIT");
	if (end)
		return has(packet, "START TRANSACTION;SAVEPOINT p;INSERT INTO commit_id") ? PROXY_FENCE : PROXY_COMMIT;
	if (has(packet, "START TRANSACTION"))
		return PROXY_BEGIN;
	return has(packet, "name = 'schema'") || has(packet, "information_schema") || has(packet, "ROLLBACK") || has(packet, "SET ") ? PROXY_NOWHERE : PROXY_STATEMENT;
}

static size_t put_error(char *out, size_t n, int sequence, unsigned error)
{
	int k = snprintf(out + 4, n - 4, "%c%c%c#HY000the proxy says so", 0xff, (int)(error & 0xff), (int)(error >> 8));
	out[0] = (char)k;
	out[1] = out[2] = 0;
	out[3] = (char)sequence;
	return (size_t)k + 4;
}

static void put_length(char *packet, size_t n)
{
	for (int i = 0; i < 3; i++)
		packet[i] = (char)(n >> 8 * i);
}

static size_t lenenc(const unsigned char *p)
{
	return *p < 251 ? 1 : *p == 252 ? 3 : *p == 253 ? 4 : 9;
}

/* Of the answers to a batch that gives no rows: is this the last? */
static bool last_answer(const unsigned char *p)
{
	const unsigned char *q = p + 5;
	if (p[4])
		return true;
	q += lenenc(q);
	q += lenenc(q);
	return !(*q & MORE_RESULTS);
}

/* --- One connection --- */

static bool send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return true;
}

static bool due(struct proxy *p, enum proxy_where where, struct proxy_plan *plan)
{
	pthread_mutex_lock(&p->lock);
	bool hit = p->plan.where == PROXY_ALL || (where != PROXY_NOWHERE && p->plan.where == where);
	*plan = p->plan;
	if (hit) {
		int n = p->seen++;
		hit = n >= plan->skip && (!plan->times || n < plan->skip + plan->times);
		p->spoiled += hit;
	}
	pthread_mutex_unlock(&p->lock);
	return hit;
}

static bool answer_error(struct link *l, int sequence, unsigned error)
{
	char packet[80];
	size_t n = put_error(packet, sizeof packet, sequence, error);
	return send_all(l->client, packet, n);
}

static void rewrite(char *packet, size_t n, const char *from, const char *to)
{
	char *at = memmem(packet, n, from, strlen(from));
	if (at)
		memcpy(at, to, strlen(to));
}

/* What another node did just before is in the way of no statement, and of COMMIT. */
static void lose(char *packet, size_t n)
{
	rewrite(packet, n, "INSERT INTO commit_id", "REPLACE     commit_id");
	rewrite(packet, n, "RELEASE SAVEPOINT p", "ROLLBACK           ");
}

/* A packet of the client's; false: the connection ends. */
static bool hand_on(struct link *l, char *p, size_t n)
{
	struct proxy_plan plan;
	enum proxy_where where = what_is(span_from(p, n));
	if (n < 5 || p[3] || p[4] != COM_QUERY_BYTE || !due(l->p, where, &plan))
		return send_all(l->server, p, n);
	bool end = (where == PROXY_COMMIT || where == PROXY_FENCE) && plan.what != PROXY_LOSE;
	char *commit = end ? memmem(p, n, ";COMMIT", 7) : NULL;
	if (commit) { /* what comes behind it is of no use */
		n = (size_t)(commit + 7 - p);
		put_length(p, n - 4);
	}
	switch (plan.what) {
	case PROXY_CUT:
		return false;
	case PROXY_SILENT:
		l->state = HANGING;
		return true;
	case PROXY_HANG:
		l->state = HANGING;
		return send_all(l->server, p, n);
	case PROXY_CUT_AFTER:
		l->state = CUT_TO_COME;
		return send_all(l->server, p, n);
	case PROXY_ERROR:
		if (!end)
			return answer_error(l, 1, plan.error);
		memcpy(commit, ";DO 0  ", 7); /* the transaction stays open */
		/* fall through */
	case PROXY_ERROR_AFTER:
		l->state = ERROR_TO_COME;
		l->error = plan.error;
		return send_all(l->server, p, n);
	case PROXY_LOSE:
		lose(p, n);
		return send_all(l->server, p, n);
	}
	return false;
}

static bool to_server(struct link *l)
{
	char *room = buffer_reserve(&l->from_client, 65536);
	ssize_t k = recv(l->client, room, 65536, 0);
	if (k <= 0)
		return false;
	l->from_client.n += (size_t)k;
	for (size_t n; (n = packet_length(&l->from_client)) && n <= l->from_client.n; buffer_consume(&l->from_client, n))
		if (!hand_on(l, l->from_client.p, n))
			return false;
	return true;
}

static bool to_client(struct link *l)
{
	char *room = buffer_reserve(&l->from_server, 65536);
	ssize_t k = recv(l->server, room, 65536, 0);
	if (k <= 0)
		return false;
	l->from_server.n += (size_t)k;
	if (l->state == PASSING) {
		bool good = send_all(l->client, l->from_server.p, l->from_server.n);
		buffer_reset(&l->from_server);
		return good;
	}
	for (size_t n; (n = packet_length(&l->from_server)) && n <= l->from_server.n; buffer_consume(&l->from_server, n)) {
		bool last = last_answer((unsigned char *)l->from_server.p);
		if (last && l->state == CUT_TO_COME)
			return false;
		if (last && l->state == ERROR_TO_COME) {
			l->state = PASSING;
			if (!answer_error(l, l->from_server.p[3], l->error))
				return false;
		} else if (l->state != HANGING && !send_all(l->client, l->from_server.p, n)) {
			return false;
		}
	}
	return true;
}

static bool wanted(struct link *l, bool *frozen)
{
	pthread_mutex_lock(&l->p->lock);
	bool good = !l->p->stop && !l->p->down && l->generation == l->p->generation;
	*frozen = l->p->frozen;
	pthread_mutex_unlock(&l->p->lock);
	return good;
}

static void *serve(void *arg)
{
	struct link *l = arg;
	bool frozen, good = true;
	l->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(l->server, (struct sockaddr *)&l->p->upstream, sizeof l->p->upstream))
		good = false;
	setsockopt(l->server, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	while (good && wanted(l, &frozen)) {
		struct pollfd f[2] = { { l->client, POLLIN, 0 }, { l->server, POLLIN, 0 } };
		if (frozen)
			usleep(TICK_MS * 1000);
		else if (poll(f, 2, TICK_MS) > 0)
			good = (!f[0].revents || to_server(l)) && (!f[1].revents || to_client(l));
	}
	close(l->client);
	close(l->server);
	buffer_free(&l->from_client);
	buffer_free(&l->from_server);
	pthread_mutex_lock(&l->p->lock);
	l->p->running--;
	pthread_mutex_unlock(&l->p->lock);
	free(l);
	return NULL;
}

/* --- The proxy --- */

static void refuse(int fd)
{
	char packet[80];
	size_t n = put_error(packet, sizeof packet, 0, 1040);
	send_all(fd, packet, n);
	close(fd);
}

static void *accept_all(void *arg)
{
	struct proxy *p = arg;
	for (;;) {
		struct pollfd f = { p->listener, POLLIN, 0 };
		bool ready = poll(&f, 1, TICK_MS) > 0;
		pthread_mutex_lock(&p->lock);
		bool stop = p->stop, down = p->down;
		int generation = p->generation;
		bool full = p->limit && p->running >= p->limit;
		p->running += ready && !stop && !down && !full;
		p->refused += ready && !stop && !down && full;
		pthread_mutex_unlock(&p->lock);
		if (stop)
			return NULL;
		int fd = ready ? accept4(p->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
		if (down && fd >= 0)
			close(fd);
		else if (full && fd >= 0)
			refuse(fd);
		if (!ready || down || full)
			continue;
		struct link *l = calloc(1, sizeof *l);
		pthread_t t;
		*l = (struct link){ .p = p, .client = fd, .generation = generation };
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		assert_int_equal(pthread_create(&t, NULL, serve, l), 0);
		pthread_detach(t);
	}
}

struct proxy *proxy_start(const char *host, unsigned port)
{
	struct proxy *p = calloc(1, sizeof *p);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	p->upstream = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	assert_int_equal(inet_pton(AF_INET, host, &p->upstream.sin_addr), 1);
	pthread_mutex_init(&p->lock, NULL);
	p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(p->listener, 64), 0);
	assert_int_equal(getsockname(p->listener, (struct sockaddr *)&a, &n), 0);
	p->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&p->thread, NULL, accept_all, p), 0);
	return p;
}

void proxy_stop(struct proxy **pp)
{
	struct proxy *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_mutex_unlock(&p->lock);
	pthread_join(p->thread, NULL);
	for (int running = 1; running; usleep(1000)) {
		pthread_mutex_lock(&p->lock);
		running = p->running;
		pthread_mutex_unlock(&p->lock);
	}
	close(p->listener);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

unsigned proxy_port(const struct proxy *p)
{
	return p->port;
}

void proxy_set(struct proxy *p, struct proxy_plan plan)
{
	pthread_mutex_lock(&p->lock);
	p->plan = plan;
	p->seen = p->spoiled = 0;
	pthread_mutex_unlock(&p->lock);
}

void proxy_down(struct proxy *p, bool down)
{
	pthread_mutex_lock(&p->lock);
	p->down = down;
	p->generation++;
	pthread_mutex_unlock(&p->lock);
}

void proxy_freeze(struct proxy *p, bool frozen)
{
	pthread_mutex_lock(&p->lock);
	p->frozen = frozen;
	pthread_mutex_unlock(&p->lock);
}

int proxy_spoiled(struct proxy *p)
{
	pthread_mutex_lock(&p->lock);
	int n = p->spoiled;
	pthread_mutex_unlock(&p->lock);
	return n;
}

void proxy_limit(struct proxy *p, int n)
{
	pthread_mutex_lock(&p->lock);
	p->limit = n;
	p->refused = 0;
	pthread_mutex_unlock(&p->lock);
}

int proxy_refused(struct proxy *p)
{
	pthread_mutex_lock(&p->lock);
	int n = p->refused;
	pthread_mutex_unlock(&p->lock);
	return n;
}
