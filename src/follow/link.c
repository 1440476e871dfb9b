#include "link.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "change.h"
#include "fail.h"
#include "metric.h"
#include "mint.h"
#include "service.h"

enum { QUEUE = 64, GATHER_NS = 2 * 1000 * 1000, AT_ONCE = 256 };

/* The places of the values of METRIC_NOTICES. */
enum what { SENT, RECEIVED, DROPPED, REFUSED, WHATS };

struct queue {
	size_t n; /* datagrams with something in them */
	struct datagram d[QUEUE];
};

struct link {
	struct link_options o;
	int fd, wake;
	char address[UDP_TEXT];
	struct listener_all *listening;
	pthread_t thread;
	bool running;
	atomic_bool stop;
	pthread_mutex_t lock;
	struct queue *filling; /* under the lock, and so are the peers */
	struct udp_address peers[LINK_PEERS];
	size_t n_peers;
	/* the thread's own */
	struct queue *sending;
	uint64_t sequence;
	struct datagram_window windows[MINT_NODES];
	atomic_uint_fast64_t counts[WHATS];
};

static void count(struct link *l, enum what w, uint64_t n)
{
	atomic_fetch_add(&l->counts[w], n);
	metric_add(l->o.metrics, METRIC_NOTICES, w, n);
}

/* Into the last datagram that has room. */
static bool put(struct queue *q, const struct touched *t)
{
	if (q->n && datagram_add(&q->d[q->n - 1], t))
		return true;
	if (q->n == QUEUE)
		return false;
	q->d[q->n].n = q->d[q->n].notices = 0;
	return datagram_add(&q->d[q->n++], t);
}

static void wake(struct link *l)
{
	ssize_t n = write(l->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
	(void)n; /* fails only where it is awake already */
}

/* A change is committed. */
static void tell(void *ctx, const struct touched *t, bool ours)
{
	struct link *l = ctx;
	if (!ours)
		return;
	pthread_mutex_lock(&l->lock);
	bool anybody = l->n_peers, first = l->filling->n == 0, room = !anybody || put(l->filling, t);
	pthread_mutex_unlock(&l->lock);
	if (!room)
		count(l, DROPPED, 1);
	if (anybody && first)
		wake(l);
}

static void send_to(struct link *l, const struct datagram *d, const struct udp_address *to)
{
	ssize_t n = sendto(l->fd, d->bytes, d->n, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to->at, to->n);
	count(l, n < 0 ? DROPPED : SENT, d->notices);
}

static void send_all(struct link *l)
{
	struct udp_address to[LINK_PEERS];
	pthread_mutex_lock(&l->lock);
	struct queue *q = l->filling;
	size_t n = l->n_peers;
	memcpy(to, l->peers, n * sizeof *to);
	l->filling = l->sending;
	l->sending = q;
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < q->n; i++) {
		datagram_seal(&q->d[i], &(struct datagram_sender){ l->o.node, l->o.epoch, ++l->sequence }, l->o.key);
		for (size_t k = 0; k < n; k++)
			send_to(l, &q->d[i], &to[k]);
	}
	q->n = 0;
}

static void take(struct link *l, struct span bytes)
{
	struct datagram_sender from;
	struct span notices;
	struct touched t;
	if (datagram_open(bytes, l->o.key, &from, &notices) || !datagram_fresh(&l->windows[from.node], &from)) {
		count(l, REFUSED, 1);
		return;
	}
	while (datagram_next(&notices, &t) > 0) {
		service_told(l->o.service, &t);
		count(l, RECEIVED, 1);
	}
}

/* So many at once that whoever floods us does not keep us from sending. */
static void receive(struct link *l)
{
	char bytes[DATAGRAM_MAX + 1]; /* a longer one shows as such */
	ssize_t n;
	for (int i = 0; i < AT_ONCE && (n = recv(l->fd, bytes, sizeof bytes, MSG_DONTWAIT)) >= 0; i++)
		take(l, span_from(bytes, (size_t)n));
}

static void *link_main(void *ctx)
{
	struct link *l = ctx;
	struct pollfd p[] = { { .fd = l->fd, .events = POLLIN }, { .fd = l->wake, .events = POLLIN } };
	while (!atomic_load(&l->stop)) {
		uint64_t n;
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			receive(l);
		if (p[1].revents && read(l->wake, &n, sizeof n) > 0) {
			nanosleep(&(struct timespec){ .tv_nsec = GATHER_NS }, NULL);
			send_all(l);
		}
	}
	return NULL;
}

static int start(struct link *l)
{
	l->filling = calloc(1, sizeof *l->filling);
	l->sending = calloc(1, sizeof *l->sending);
	if (!l->filling || !l->sending)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake < 0)
		return fail_errno("eventfd", "link");
	int e = udp_open(&l->o.listen, &l->fd, l->address);
	if (!e)
		e = service_listen(l->o.service, tell, l, &l->listening);
	if (e)
		return e;
	l->running = pthread_create(&l->thread, NULL, link_main, l) == 0;
	return l->running ? OK : fail_with(ERR_UNAVAILABLE, "no thread");
}

int link_open(const struct link_options *o, struct link **out)
{
	struct link *l = calloc(1, sizeof *l);
	if (!l)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	l->o = *o;
	l->fd = l->wake = -1;
	pthread_mutex_init(&l->lock, NULL);
	int e = start(l);
	if (e)
		link_close(&l);
	else
		*out = l;
	return e;
}

void link_close(struct link **lp)
{
	struct link *l = *lp;
	*lp = NULL;
	if (!l)
		return;
	service_unlisten(l->o.service, &l->listening);
	atomic_store(&l->stop, true);
	if (l->running) {
		wake(l);
		pthread_join(l->thread, NULL);
	}
	if (l->fd >= 0)
		close(l->fd);
	if (l->wake >= 0)
		close(l->wake);
	pthread_mutex_destroy(&l->lock);
	free(l->filling);
	free(l->sending);
	free(l);
}

const char *link_address(const struct link *l)
{
	return l->address;
}

void link_peers(struct link *l, const struct udp_address *peers, size_t n)
{
	pthread_mutex_lock(&l->lock);
	l->n_peers = n < LINK_PEERS ? n : LINK_PEERS;
	memcpy(l->peers, peers, l->n_peers * sizeof *peers);
	pthread_mutex_unlock(&l->lock);
}

void link_stats(struct link *l, struct link_stats *out)
{
	*out = (struct link_stats){ 0 };
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	out->peers = l->n_peers;
	pthread_mutex_unlock(&l->lock);
	out->sent = atomic_load(&l->counts[SENT]);
	out->received = atomic_load(&l->counts[RECEIVED]);
	out->dropped = atomic_load(&l->counts[DROPPED]);
	out->refused = atomic_load(&l->counts[REFUSED]);
}
