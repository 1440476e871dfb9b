#include "loop.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conn_private.h"
#include "deflate.h"
#include "fail.h"
#include "log.h"
#include "peer_net.h"
#include "tally.h"
#include "tls_private.h"

enum {
	SLAB = 64,             /* slots allocated at a time */
	ROUNDS = 16,           /* handler calls before the connection queues up again behind others, unless TURN_US is over */
	STACK = 512 * 1024,    /* of a worker; only what is touched costs memory */
	OUTPUT_KEEP = 131072,  /* a worker's output buffer larger than this is given back */
	WORKER_IDLE_MS = 10000,
	WORKERS_MIN = 2,
	STRANGERS_PART = 10,   /* of a listener's connections, those that strangers of one address may hold, */
	STRANGERS_MIN = 10,    /* or so many */
};

#define TURN_US (SECOND_US / 50)
#define FLUSH_US (10 * SECOND_US)   /* for a peer to take our last words */
#define LINGER_US (2 * SECOND_US)   /* for a peer to close after us */
#define STOP_US (SECOND_US * 6 / 10) /* for either, when the node stops */
#define ARRIVE_US (SECOND_US / 100) /* between two looks whether our last words arrived, when the node stops */
#define HANDSHAKE_US (15 * SECOND_US) /* of TLS */
#define PAUSE_US (SECOND_US / 10)   /* without accepting when descriptors ran out */
#define COMPLAIN_US (60 * SECOND_US) /* between two log lines about that */

struct listen_source {
	enum source source;
	struct loop *loop;
	struct listener from;
	const struct conn_protocol *protocol;
	void *service;
	struct tls *tls; /* TLS at once; NULL: none, or when the protocol says so */
	atomic_int conns_max;
	atomic_int conns;
	struct timer pause;
	_Atomic int64_t complained;
};

struct loop {
	struct loop_options opt;
	int epoll, wakeup, reserve;
	enum source queue_source, timers_source;
	struct timers *timers;
	struct tally *strangers; /* by address */

	pthread_mutex_t lock; /* all below */
	pthread_cond_t changed;
	struct slot *queue_head, **queue_tail;
	struct slot *free;
	struct slot **slabs;
	size_t n_slabs;
	struct listen_source **listeners;
	size_t n_listeners;
	bool started;

	atomic_int workers; /* changed under the lock */
	atomic_int waiting; /* workers without work */
	atomic_int conns;
	atomic_bool stopping; /* no new connections */
	atomic_bool hurry;    /* connections end without flushing */
	atomic_bool quitting; /* workers end */
	atomic_bool heard;    /* by a worker, since loop_beat() asked */
	atomic_ullong accepted, refused;
};

/* What a worker lends to the connection it runs, so that an idle connection holds none. */
struct worker {
	struct loop *loop;
	struct buffer out;
	struct lent lent;
	char in[CONN_INPUT_MAX];
};

/* ---- The queue: owned slots that wait for a worker. Invariant: while it is not empty, an announcement is under way. */

static void announce(struct loop *l)
{
	uint64_t one = 1;
	ssize_t ignored = write(l->wakeup, &one, sizeof one);
	(void)ignored;
}

void loop_queue(struct loop *l, struct slot *s)
{
	s->next = NULL;
	pthread_mutex_lock(&l->lock);
	bool first = !l->queue_head;
	*l->queue_tail = s;
	l->queue_tail = &s->next;
	pthread_mutex_unlock(&l->lock);
	if (first)
		announce(l);
}

static struct slot *unqueue(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct slot *s = l->queue_head;
	if (s && !(l->queue_head = s->next))
		l->queue_tail = &l->queue_head;
	bool more = l->queue_head != NULL;
	pthread_mutex_unlock(&l->lock);
	if (more)
		announce(l);
	return s;
}

/* ---- Slots */

static void slot_due(struct timer *t)
{
	struct slot *s = (struct slot *)(void *)((char *)t - offsetof(struct slot, timer));
	int64_t deadline = atomic_load(&s->deadline);
	if (deadline == 0)
		return;
	if (deadline > clock_mono())
		timers_set(s->loop->timers, t, deadline);
	else if (slot_post(s, EVENT_TIMEOUT))
		loop_queue(s->loop, s);
}

static bool add_slab(struct loop *l)
{
	struct slot **slabs = realloc(l->slabs, (l->n_slabs + 1) * sizeof *slabs);
	if (!slabs)
		return false;
	l->slabs = slabs;
	struct slot *slab = calloc(SLAB, sizeof *slab);
	if (!slab)
		return false;
	slabs[l->n_slabs++] = slab;
	for (int i = SLAB; i-- > 0;) {
		slab[i] = (struct slot){ .source = SOURCE_CONN, .loop = l, .phase = PHASE_OVER, .next = l->free };
		slab[i].timer.fire = slot_due;
		atomic_init(&slab[i].events, OWNED);
		l->free = &slab[i];
	}
	return true;
}

/* An owned slot; NULL when the loop stops, is full, or memory is out. */
static struct slot *slot_take(struct loop *l)
{
	struct slot *s = NULL;
	pthread_mutex_lock(&l->lock);
	if (!l->stopping && l->conns < l->opt.conns_max && (l->free || add_slab(l))) {
		s = l->free;
		l->free = s->next;
		l->conns++;
		atomic_store(&s->events, OWNED);
	}
	pthread_mutex_unlock(&l->lock);
	return s;
}

static void slot_give(struct slot *s)
{
	struct loop *l = s->loop;
	pthread_mutex_lock(&l->lock);
	s->next = l->free;
	l->free = s;
	if (--l->conns == 0)
		pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
}

/* From now on others may see it, until unlist(). */
static void list(struct slot *s)
{
	pthread_mutex_lock(&s->loop->lock);
	s->listed = true;
	pthread_mutex_unlock(&s->loop->lock);
}

static void unlist(struct slot *s)
{
	pthread_mutex_lock(&s->loop->lock);
	s->listed = false;
	s->conn.tls = NULL;
	s->account = s->app = 0;
	for (int i = 0; i < CONN_FACTS; i++) {
		free(s->facts[i]);
		s->facts[i] = NULL;
	}
	pthread_mutex_unlock(&s->loop->lock);
}

/* ---- Strangers: who is not logged in may not take the places of those who would be */

/* This machine's own addresses are those of programs that many users share. */
static bool count_stranger(struct slot *s)
{
	struct listen_source *from = s->from;
	char net[PEER_NET];
	if (!from->protocol->strangers || s->conn.local || s->stranger)
		return true;
	unsigned max = (unsigned)from->conns_max / STRANGERS_PART;
	s->stranger = tally_add(s->loop->strangers, peer_net(conn_address(&s->conn), net), max > STRANGERS_MIN ? max : STRANGERS_MIN) == OK;
	return s->stranger;
}

static void forget_stranger(struct slot *s)
{
	char net[PEER_NET];
	if (s->stranger)
		tally_drop(s->loop->strangers, peer_net(conn_address(&s->conn), net));
	s->stranger = false;
}

/* ---- Running a connection */

static void lend(struct worker *w, struct slot *s)
{
	struct conn *c = &s->conn;
	if (s->kept.n)
		memcpy(w->in, s->kept.p, s->kept.n);
	c->in = span_from(w->in, s->kept.n);
	buffer_free(&s->kept);
	s->lent = &w->lent;
	if (!c->out.p) {
		c->out = w->out;
		w->out = (struct buffer){ .limit = CONN_OUTPUT_MAX };
	}
}

static void take_back(struct worker *w, struct slot *s)
{
	struct conn *c = &s->conn;
	deflate_rest(s);
	s->lent = NULL;
	buffer_put_span(&s->kept, c->in);
	c->in = (struct span){ 0 };
	if (!buffer_ok(&s->kept))
		s->broken = true;
	if (c->out.n)
		return;
	if (!w->out.p && c->out.cap <= OUTPUT_KEEP)
		w->out = c->out;
	else
		buffer_free(&c->out);
	c->out = (struct buffer){ .limit = CONN_OUTPUT_MAX };
}

/* Fills c->in from the socket; true if there is something new. */
static bool fill(struct worker *w, struct slot *s)
{
	struct conn *c = &s->conn;
	if (c->in.n && c->in.p != w->in)
		memmove(w->in, c->in.p, c->in.n);
	size_t n = slot_read(s, w->in + c->in.n, sizeof w->in - c->in.n);
	c->in = span_from(w->in, c->in.n + n);
	return n > 0;
}

static void say_goodbye(struct slot *s)
{
	if (s->opened)
		s->conn.protocol->close(&s->conn);
	s->opened = false;
	unlist(s);
	s->phase = PHASE_FLUSHING;
	conn_timeout(&s->conn, s->loop->stopping ? STOP_US : FLUSH_US);
}

static void handled(struct slot *s, enum conn_next next)
{
	struct conn *c = &s->conn;
	s->wait = next;
	if (!buffer_ok(&c->out)) {
		log_line(LOG_WARN, "conn-output", "session=%lld proto=%s peer=%s over=%d", (long long)c->id, c->protocol->name,
			c->peer, CONN_OUTPUT_MAX);
		s->broken = true;
	}
	if (next == CONN_TLS)
		c->in.n = 0;
	if (next == CONN_DEFLATE) {
		s->wait = CONN_MORE;
		s->broken = s->broken || !deflate_begin(s);
	}
	if (c->in.n == CONN_INPUT_MAX && next != CONN_DRAIN) /* the protocol's bug: it would never hear of more */
		s->wait = CONN_CLOSE;
	slot_flush(s);
	if (s->wait == CONN_CLOSE || s->broken)
		say_goodbye(s);
}

/* A timeout counts only if nothing moved the deadline meanwhile. */
static bool timed_out(struct slot *s, unsigned events)
{
	int64_t deadline = s->deadline;
	if (!(events & EVENT_TIMEOUT) || deadline == 0 || deadline > clock_mono())
		return false;
	s->deadline = 0;
	return true;
}

/* After a handler: is there something to do at once, without waiting? */
static bool goes_on(const struct slot *s, bool more_input)
{
	if (s->phase != PHASE_SERVING)
		return true;
	return s->wait == CONN_DRAIN || s->wait == CONN_TLS ? slot_unsent(s) == 0 : more_input || s->more;
}

static bool serve_input(struct worker *w, struct slot *s)
{
	struct conn *c = &s->conn;
	if (!fill(w, s)) {
		if (s->garbled)
			c->protocol->shutdown(c, "That is no deflated data");
		if (s->eof || s->broken || s->garbled)
			handled(s, CONN_CLOSE);
		return goes_on(s, false);
	}
	atomic_store(&s->active, clock_mono());
	bool filled = c->in.n == CONN_INPUT_MAX;
	handled(s, c->protocol->input(c));
	return goes_on(s, filled);
}

static void open_protocol(struct slot *s)
{
	s->opened = true;
	s->phase = PHASE_SERVING;
	handled(s, s->conn.protocol->open(&s->conn));
}

static void begin_securing(struct slot *s)
{
	s->phase = PHASE_SECURING;
	s->deadline_after = s->deadline;
	conn_timeout(&s->conn, HANDSHAKE_US);
}

static void give_up_securing(struct slot *s, const char *why)
{
	log_line(LOG_INFO, "tls-failed", "session=%lld proto=%s peer=%s why=\"%s\"", (long long)s->conn.id,
		s->conn.protocol->name, s->conn.peer, why);
	say_goodbye(s);
}

/* The handshake: it costs memory only once its first bytes are here. */
static bool secure(struct slot *s, unsigned events)
{
	struct conn *c = &s->conn;
	const char *why;
	if (events & (EVENT_STOP | EVENT_KICK) || s->loop->hurry) {
		say_goodbye(s);
		return true;
	}
	enum tls_answer answer = timed_out(s, events) ? (why = "too slow", TLS_FAILED) : tls_handshake(s, &why);
	if (answer == TLS_AGAIN)
		return false;
	if (answer == TLS_FAILED) {
		give_up_securing(s, why);
		return true;
	}
	pthread_mutex_lock(&s->loop->lock);
	c->tls = tls_version(s);
	pthread_mutex_unlock(&s->loop->lock);
	atomic_store(&s->deadline, s->deadline_after);
	s->phase = PHASE_SERVING;
	if (s->opened)
		handled(s, c->protocol->resume(c));
	else
		open_protocol(s);
	return true;
}

/* One handler call at most; true if another step is due at once. */
static bool serve(struct worker *w, struct slot *s, unsigned events)
{
	struct conn *c = &s->conn;
	const struct conn_protocol *p = c->protocol;
	slot_flush(s);
	if (events & (EVENT_STOP | EVENT_KICK)) {
		p->shutdown(c, events & EVENT_STOP ? "The server is going down" : s->kicked);
		handled(s, CONN_CLOSE);
	} else if (s->broken) {
		handled(s, CONN_CLOSE);
	} else if (timed_out(s, events)) {
		handled(s, p->timeout(c));
	} else if (s->wait == CONN_TLS) {
		if (slot_unsent(s))
			return false;
		begin_securing(s);
	} else if (s->wait == CONN_DRAIN) {
		if (slot_unsent(s))
			return false;
		handled(s, p->resume(c));
	} else if (s->wait == CONN_WAKE && (atomic_fetch_and(&s->events, ~EVENT_WAKE) & EVENT_WAKE)) {
		handled(s, p->resume(c));
	} else if (slot_unsent(s) <= CONN_OUTPUT_HIGH) {
		return serve_input(w, s);
	}
	return goes_on(s, false);
}

/* Has the peer's machine all we said? Then it can be read there, whatever comes after. */
static bool has_arrived(const struct slot *s)
{
	int left;
	if (strcmp(s->conn.peer, "unix") == 0)
		return true;
	return ioctl(s->conn.fd, SIOCOUTQ, &left) == 0 && left == 0;
}

/* What the peer still sends is thrown away until it closes too, so that no reset overtakes our last line. A node that
   stops waits only until that line arrived. */
static void linger(struct worker *w, struct slot *s, unsigned events)
{
	ssize_t n = conn_io_socket.read(&s->conn, w->in, sizeof w->in);
	bool dry = n < 0 && (errno == EAGAIN || errno == EINTR);
	bool over = (n <= 0 && !dry) || clock_mono() >= s->linger_until;
	if (over || s->loop->hurry || (s->loop->stopping && dry && has_arrived(s)))
		s->phase = PHASE_OVER;
	else if (s->loop->stopping)
		conn_timeout(&s->conn, ARRIVE_US);
	else if (timed_out(s, events))
		s->phase = PHASE_OVER;
}

/* The protocol is done with it: flush, tell the peer, read away what it still sends. False: nothing to do at once. */
static bool wind_up(struct worker *w, struct slot *s, unsigned events)
{
	if (events & EVENT_STOP) {
		s->linger_until = clock_mono() + STOP_US;
		conn_timeout(&s->conn, STOP_US);
	}
	if (s->phase == PHASE_FLUSHING) {
		slot_flush(s);
		if (slot_unsent(s) && !s->broken && !s->loop->hurry && !timed_out(s, events))
			return false;
		bool all = !slot_unsent(s) && !s->broken;
		if ((all && s->conn.io->finish(&s->conn)) || !all || s->eof) {
			s->phase = PHASE_OVER;
			return false;
		}
		s->phase = PHASE_LINGERING;
		s->linger_until = clock_mono() + (s->loop->stopping ? STOP_US : LINGER_US);
		conn_timeout(&s->conn, LINGER_US);
	}
	linger(w, s, events);
	return false;
}

static bool step(struct worker *w, struct slot *s, unsigned events)
{
	if (s->phase == PHASE_SERVING)
		return serve(w, s, events);
	if (s->phase == PHASE_SECURING)
		return secure(s, events);
	if (s->phase != PHASE_OPENING)
		return wind_up(w, s, events);
	if (!s->from->tls) {
		open_protocol(s);
		return true;
	}
	begin_securing(s);
	return false;
}

static unsigned wanted_events(const struct slot *s)
{
	bool full = slot_unsent(s) > CONN_OUTPUT_HIGH;
	if (s->phase == PHASE_LINGERING)
		return EPOLLIN;
	if (s->phase == PHASE_SECURING)
		return s->read_wants;
	if (s->phase == PHASE_FLUSHING || s->wait == CONN_DRAIN || s->wait == CONN_TLS || full)
		return s->write_wants;
	return s->read_wants | (slot_unsent(s) ? s->write_wants : 0);
}

/* Is there input at hand that no event will announce? */
static bool has_input(const struct slot *s)
{
	return s->more && s->phase == PHASE_SERVING && (s->wait == CONN_MORE || s->wait == CONN_WAKE) &&
	       slot_unsent(s) <= CONN_OUTPUT_HIGH;
}

/* Gives the slot up until something happens. False if something did: the caller is still the owner. */
static bool park(struct worker *w, struct slot *s)
{
	struct epoll_event e = { .events = wanted_events(s) | EPOLLONESHOT, .data.ptr = s };
	int64_t at = s->timer.at, deadline = s->deadline;
	if (deadline && (at == 0 || at > deadline))
		timers_set(s->loop->timers, &s->timer, deadline);
	unsigned parked = s->phase == PHASE_SERVING && s->wait == CONN_WAKE ? WAKEABLE : 0;
	take_back(w, s);
	if (epoll_ctl(s->loop->epoll, s->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, s->conn.fd, &e))
		s->broken = true;
	s->watched = true;
	unsigned old = OWNED, sleepy = OWNED | EVENT_WAKE;
	if (!s->broken && (atomic_compare_exchange_strong(&s->events, &old, parked) ||
	                   (!parked && atomic_compare_exchange_strong(&s->events, &sleepy, EVENT_WAKE))))
		return true;
	lend(w, s);
	return false;
}

static void end(struct worker *w, struct slot *s)
{
	struct conn *c = &s->conn;
	take_back(w, s);
	buffer_free(&s->kept);
	buffer_free(&c->out);
	s->deadline = 0;
	unlist(s);
	forget_stranger(s);
	c->io->close(c);
	atomic_fetch_sub(&s->from->conns, 1);
	slot_give(s);
}

/* The caller owns s, and does not afterwards. */
static void run(struct worker *w, struct slot *s)
{
	lend(w, s);
	while (s->phase != PHASE_OVER) {
		unsigned events = atomic_fetch_and(&s->events, OWNED | EVENT_WAKE);
		int64_t until = clock_mono() + TURN_US;
		for (int rounds = 1; step(w, s, events) && rounds < ROUNDS && clock_mono() < until; rounds++)
			;
		if (has_input(s)) { /* after the others */
			take_back(w, s);
			loop_queue(s->loop, s);
			return;
		}
		if (s->phase != PHASE_OVER && park(w, s))
			return;
	}
	end(w, s);
}

/* ---- Accepting */

static void describe_peer(struct conn *c, const struct sockaddr_storage *a)
{
	char host[INET6_ADDRSTRLEN] = "";
	const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)a;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)a;
	if (a->ss_family == AF_INET) {
		inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
		c->local = ntohl(four->sin_addr.s_addr) >> 24 == 127;
		snprintf(c->peer, sizeof c->peer, "%s:%u", host, ntohs(four->sin_port));
	} else if (a->ss_family == AF_INET6) {
		inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
		c->local = IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
		snprintf(c->peer, sizeof c->peer, "[%s]:%u", host, ntohs(six->sin6_port));
	} else {
		c->local = true;
		strcpy(c->peer, "unix");
	}
}

static void slot_init(struct slot *s, struct listen_source *from, int fd, const struct sockaddr_storage *peer)
{
	struct loop *l = from->loop;
	int on = 1;
	s->conn = (struct conn){ .protocol = from->protocol, .service = from->service, .fd = fd, .io = &conn_io_socket,
		.id = l->opt.session_id ? l->opt.session_id(l->opt.ctx) : 0, .out.limit = CONN_OUTPUT_MAX };
	s->from = from;
	s->phase = PHASE_OPENING;
	s->wait = CONN_MORE;
	s->opened = s->stranger = s->more = s->eof = s->broken = s->watched = s->garbled = false;
	s->read_wants = EPOLLIN;
	s->write_wants = EPOLLOUT;
	s->tls = from->tls;
	s->since = clock_now();
	s->active = clock_mono();
	s->secure = NULL;
	s->deflate = NULL;
	s->sent = s->held = 0;
	s->kept = (struct buffer){ 0 };
	describe_peer(&s->conn, peer);
	if (peer->ss_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* stranger: the address of which too many are there; empty: too many are there of all. */
static void refuse(struct listen_source *from, int fd, struct span stranger)
{
	const char *text = from->protocol->refusal;
	ssize_t ignored = send(fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)ignored;
	shutdown(fd, SHUT_WR);
	close(fd);
	atomic_fetch_add(&from->loop->refused, 1);
	int64_t now = clock_mono(), last = from->complained;
	if ((last == 0 || now - last > COMPLAIN_US) && atomic_compare_exchange_strong(&from->complained, &last, now))
		log_line(LOG_WARN, "conn-refused", "proto=%s listen=%s conns=%d%s%.*s", from->protocol->name, from->from.bound,
			from->conns, stranger.n ? " strangers=" : "", SPAN_ARG(stranger));
}

static void welcome(struct worker *w, struct listen_source *from, int fd, const struct sockaddr_storage *peer)
{
	struct slot *s = NULL;
	if (atomic_fetch_add(&from->conns, 1) >= from->conns_max || !(s = slot_take(from->loop))) {
		atomic_fetch_sub(&from->conns, 1);
		refuse(from, fd, (struct span){ 0 });
		return;
	}
	slot_init(s, from, fd, peer);
	if (!count_stranger(s)) {
		atomic_fetch_sub(&from->conns, 1);
		refuse(from, fd, conn_address(&s->conn));
		slot_give(s);
		return;
	}
	atomic_fetch_add(&from->loop->accepted, 1);
	list(s);
	run(w, s);
}

static int accept_one(struct listen_source *from, struct sockaddr_storage *peer)
{
	socklen_t n = sizeof *peer;
	peer->ss_family = AF_UNIX;
	return accept4(from->from.fd, (struct sockaddr *)peer, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/* Out of descriptors: a client that only waits would spin us, so it is taken on the spare one and sent away. False if
   there is none: another thread was faster, or the whole machine is out of them. */
static bool shed(struct listen_source *from)
{
	struct loop *l = from->loop;
	struct sockaddr_storage peer;
	pthread_mutex_lock(&l->lock);
	if (l->reserve >= 0)
		close(l->reserve);
	int fd = accept_one(from, &peer);
	if (fd >= 0)
		refuse(from, fd, (struct span){ 0 });
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_mutex_unlock(&l->lock);
	return fd >= 0;
}

static void listener_arm(struct listen_source *from)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = from };
	if (!from->loop->stopping)
		epoll_ctl(from->loop->epoll, EPOLL_CTL_MOD, from->from.fd, &e);
}

static void pause_over(struct timer *t)
{
	listener_arm((struct listen_source *)(void *)((char *)t - offsetof(struct listen_source, pause)));
}

/* One connection at a time, and the listener is armed again before it is run: its handler may block. */
static void accept_next(struct worker *w, struct listen_source *from)
{
	struct sockaddr_storage peer;
	int fd = accept_one(from, &peer);
	bool out = fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
	if (out && !shed(from))
		timers_set(from->loop->timers, &from->pause, clock_mono() + PAUSE_US);
	else
		listener_arm(from);
	if (fd >= 0)
		welcome(w, from, fd, &peer);
}

/* ---- Workers */

static void *work(void *arg);

static void add_worker(struct loop *l)
{
	pthread_attr_t attr;
	pthread_t id;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_mutex_lock(&l->lock);
	if (l->workers < l->opt.workers_max && !l->quitting) {
		l->workers++;
		atomic_fetch_add(&l->waiting, 1);
		if (pthread_create(&id, &attr, work, l)) {
			atomic_fetch_sub(&l->waiting, 1);
			l->workers--;
		}
	}
	pthread_mutex_unlock(&l->lock);
	pthread_attr_destroy(&attr);
}

static void dispatch(struct worker *w, void *what)
{
	struct loop *l = w->loop;
	struct slot *s = what;
	uint64_t ticks;
	switch (*(enum source *)what) {
	case SOURCE_CONN:
		if (slot_post(s, EVENT_IO))
			run(w, s);
		break;
	case SOURCE_LISTENER:
		accept_next(w, what);
		break;
	case SOURCE_QUEUE:
		l->heard = true;
		if (!l->quitting && (s = unqueue(l)))
			run(w, s);
		break;
	case SOURCE_TIMERS:
		if (read(timers_fd(l->timers), &ticks, sizeof ticks) > 0)
			timers_run(l->timers, clock_mono());
		break;
	}
}

/* True when enough others wait without this worker, which is no longer counted among them. */
static bool give_way(struct loop *l)
{
	int waiting = l->waiting;
	while (waiting > WORKERS_MIN)
		if (atomic_compare_exchange_weak(&l->waiting, &waiting, waiting - 1))
			return true;
	return false;
}

/* Waits for one event at a time: the next may be for another worker. False when the worker should end. */
static bool work_once(struct worker *w)
{
	struct loop *l = w->loop;
	struct epoll_event e;
	int n = epoll_wait(l->epoll, &e, 1, WORKER_IDLE_MS);
	if (l->quitting) {
		atomic_fetch_sub(&l->waiting, 1);
		return false;
	}
	if (n == 0)
		return !give_way(l);
	if (n < 0)
		return true;
	if (atomic_fetch_sub(&l->waiting, 1) == 1)
		add_worker(l);
	dispatch(w, e.data.ptr);
	atomic_fetch_add(&l->waiting, 1);
	return true;
}

static void *work(void *arg)
{
	struct loop *l = arg;
	struct worker *w = malloc(sizeof *w);
	if (w) {
		w->loop = l;
		w->out = (struct buffer){ .limit = CONN_OUTPUT_MAX };
		w->lent = (struct lent){ 0 };
		while (work_once(w))
			;
		buffer_free(&w->out);
		deflater_free(&w->lent.deflater);
		inflater_free(&w->lent.inflater);
	} else {
		atomic_fetch_sub(&l->waiting, 1);
	}
	free(w);
	pthread_mutex_lock(&l->lock);
	l->workers--;
	if (l->quitting)
		announce(l); /* each that ends wakes the next */
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return NULL;
}

/* ---- The loop itself */

static int watch(struct loop *l, int fd, unsigned events, void *what)
{
	struct epoll_event e = { .events = events, .data.ptr = what };
	return epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &e) ? fail_errno("epoll_ctl", "loop") : OK;
}

static int open_descriptors(struct loop *l)
{
	int r = timers_open(&l->timers);
	if (r)
		return r;
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->wakeup = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (l->epoll < 0 || l->wakeup < 0 || l->reserve < 0)
		return fail_errno("open", "loop");
	r = watch(l, l->wakeup, EPOLLIN | EPOLLET, &l->queue_source);
	return r ? r : watch(l, timers_fd(l->timers), EPOLLIN | EPOLLET, &l->timers_source);
}

int loop_open(const struct loop_options *o, struct loop **out)
{
	pthread_condattr_t attr;
	struct loop *l = calloc(1, sizeof *l);
	if (!l)
		return fail_with(ERR_LIMIT, "loop: no memory");
	l->opt = *o;
	l->epoll = l->wakeup = l->reserve = -1;
	l->queue_source = SOURCE_QUEUE;
	l->timers_source = SOURCE_TIMERS;
	l->queue_tail = &l->queue_head;
	l->strangers = tally_new();
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->changed, &attr);
	pthread_condattr_destroy(&attr);
	int r = l->strangers ? open_descriptors(l) : fail_with(ERR_LIMIT, "loop: no memory");
	if (r)
		loop_close(&l);
	else
		*out = l;
	return r;
}

int loop_listen(struct loop *l, const struct listener *from, const struct conn_protocol *p, void *service, int conns_max,
                struct tls *tls)
{
	struct listen_source **list = realloc(l->listeners, (l->n_listeners + 1) * sizeof *list);
	struct listen_source *s = calloc(1, sizeof *s);
	if (list)
		l->listeners = list;
	if (!list || !s) {
		free(s);
		return fail_with(ERR_LIMIT, "loop: no memory");
	}
	*s = (struct listen_source){ .source = SOURCE_LISTENER, .loop = l, .from = *from, .protocol = p, .service = service,
		.tls = tls, .conns_max = conns_max, .pause.fire = pause_over };
	int r = watch(l, from->fd, 0, s);
	if (r)
		free(s);
	else
		l->listeners[l->n_listeners++] = s;
	return r;
}

void loop_limit(struct loop *l, const struct conn_protocol *p, int conns_max)
{
	for (size_t i = 0; i < l->n_listeners; i++)
		if (l->listeners[i]->protocol == p)
			l->listeners[i]->conns_max = conns_max;
}

int loop_start(struct loop *l)
{
	l->started = true;
	for (int i = 0; i < WORKERS_MIN; i++)
		add_worker(l);
	if (l->workers == 0)
		return fail_with(ERR_LIMIT, "loop: no thread can be started");
	for (size_t i = 0; i < l->n_listeners; i++)
		listener_arm(l->listeners[i]);
	return OK;
}

/* Waits until none() holds, at most us. Call with the lock held. */
static bool await_none(struct loop *l, bool (*none)(const struct loop *), int64_t us)
{
	int64_t at = clock_mono() + us;
	struct timespec until = { .tv_sec = at / SECOND_US, .tv_nsec = at % SECOND_US * 1000 };
	while (!none(l))
		if (pthread_cond_timedwait(&l->changed, &l->lock, &until))
			return none(l);
	return true;
}

static bool no_conns(const struct loop *l)
{
	return l->conns == 0;
}

static bool no_workers(const struct loop *l)
{
	return l->workers == 0;
}

/* Free slots are owned, so it does not matter to them. Call with the lock held; it is let go meanwhile. */
static void post_all(struct loop *l, unsigned event)
{
	size_t n = l->n_slabs;
	for (size_t i = 0; i < n * SLAB; i++) {
		struct slot *s = &l->slabs[i / SLAB][i % SLAB];
		pthread_mutex_unlock(&l->lock);
		if (slot_post(s, event))
			loop_queue(l, s);
		pthread_mutex_lock(&l->lock);
	}
}

int loop_stop(struct loop *l, int64_t us)
{
	if (!l->started)
		return OK;
	pthread_mutex_lock(&l->lock);
	l->stopping = true;
	post_all(l, EVENT_STOP);
	bool done = await_none(l, no_conns, us);
	if (!done) {
		l->hurry = true;
		post_all(l, EVENT_STOP);
		done = await_none(l, no_conns, SECOND_US);
	}
	l->quitting = true;
	announce(l);
	done = await_none(l, no_workers, SECOND_US) && done;
	pthread_mutex_unlock(&l->lock);
	return done ? OK : fail_with(ERR_TIMEOUT, "%d connections are still at work", l->conns);
}

static void close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_close(struct loop **p)
{
	struct loop *l = *p;
	if (!l)
		return;
	for (size_t i = 0; i < l->n_listeners; i++) {
		listener_close(&l->listeners[i]->from);
		free(l->listeners[i]);
	}
	for (size_t i = 0; i < l->n_slabs; i++)
		free(l->slabs[i]);
	free(l->listeners);
	free(l->slabs);
	timers_close(&l->timers);
	tally_free(&l->strangers);
	close_fd(l->epoll);
	close_fd(l->wakeup);
	close_fd(l->reserve);
	pthread_cond_destroy(&l->changed);
	pthread_mutex_destroy(&l->lock);
	free(l);
	*p = NULL;
}

void loop_stats(const struct loop *l, struct loop_stats *out)
{
	*out = (struct loop_stats){ .accepted = l->accepted, .refused = l->refused, .conns = (uint64_t)l->conns,
		.workers = (uint64_t)l->workers, .waiting = (uint64_t)l->waiting };
}

uint64_t loop_conns(const struct loop *l, const struct conn_protocol *p)
{
	uint64_t n = 0;
	for (size_t i = 0; i < l->n_listeners; i++)
		if (l->listeners[i]->protocol == p)
			n += (uint64_t)l->listeners[i]->conns;
	return n;
}

bool loop_beat(struct loop *l)
{
	bool heard = atomic_exchange(&l->heard, false);
	announce(l);
	return heard;
}

void conn_tell(struct conn *c, enum conn_fact fact, struct span text)
{
	struct slot *s = SLOT_OF(c);
	char *copy = text.n ? strndup(text.p, text.n) : NULL;
	pthread_mutex_lock(&s->loop->lock);
	char *old = s->facts[fact];
	s->facts[fact] = copy;
	pthread_mutex_unlock(&s->loop->lock);
	free(old);
}

void conn_enter(struct conn *c, int64_t account, int64_t app)
{
	struct slot *s = SLOT_OF(c);
	pthread_mutex_lock(&s->loop->lock);
	s->account = account;
	s->app = app;
	pthread_mutex_unlock(&s->loop->lock);
	if (account)
		forget_stranger(s);
	else
		count_stranger(s);
}

static struct conn_info describe(const struct slot *s)
{
	const struct conn *c = &s->conn;
	struct conn_info info = { .id = c->id, .protocol = c->protocol->name, .peer = c->peer, .tls = c->tls,
		.since = s->since, .idle = clock_mono() - s->active, .account = s->account, .app = s->app };
	for (int i = 0; i < CONN_FACTS; i++)
		info.facts[i] = s->facts[i];
	return info;
}

int loop_each(struct loop *l, const char *(*each)(void *ctx, const struct conn_info *info), void *ctx)
{
	int ended = 0;
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->n_slabs * SLAB; i++) {
		struct slot *s = &l->slabs[i / SLAB][i % SLAB];
		struct conn_info info;
		const char *why;
		if (!s->listed || (info = describe(s), !(why = each(ctx, &info))))
			continue;
		s->kicked = why;
		ended++;
		if (slot_post(s, EVENT_KICK)) { /* it is ours now, so nobody else ends it meanwhile */
			pthread_mutex_unlock(&l->lock);
			loop_queue(l, s);
			pthread_mutex_lock(&l->lock);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return ended;
}
