#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "listener.h"
#include "log.h"
#include "loop.h"
#include "timer.h"
#include "unix_socket.h"

/* ---- The values of listen options */

static void test_listen_parse(void **state)
{
	static const struct {
		const char *value;
		int r;
		size_t n;
		const char *host, *port, *path, *group; /* of the last */
		unsigned mode;
	} cases[] = {
		{ "", OK, 0 },
		{ " , ", OK, 0 },
		{ "127.0.0.1:143", OK, 1, "127.0.0.1", "143", "", "" },
		{ "localhost:0", OK, 1, "localhost", "0", "", "" },
		{ "*:24", OK, 1, "*", "24", "", "" },
		{ "a:1, b:2 [::1]:3", OK, 3, "::1", "3", "", "" },
		{ "unix:/run/lmtp", OK, 1, "", "", "/run/lmtp", "", 0660 },
		{ "unix:lmtp?mode=0600", OK, 1, "", "", "lmtp", "", 0600 },
		{ "unix:lmtp?mode=0660&group=postfix", OK, 1, "", "", "lmtp", "postfix", 0660 },
		{ "unix:lmtp?group=mail&mode=777", OK, 1, "", "", "lmtp", "mail", 0777 },
		{ "unix:", ERR_INVALID },
		{ "unix:?mode=0600", ERR_INVALID },
		{ "unix:p?mode=888", ERR_INVALID },
		{ "unix:p?mode=7777", ERR_INVALID },
		{ "unix:p?mode=", ERR_INVALID },
		{ "unix:p?group=", ERR_INVALID },
		{ "unix:p?color=red", ERR_INVALID },
		{ "127.0.0.1", ERR_INVALID },
		{ ":143", ERR_INVALID },
		{ "127.0.0.1:", ERR_INVALID },
		{ "127.0.0.1:x", ERR_INVALID },
		{ "127.0.0.1:65536", ERR_INVALID },
		{ "::1:143", ERR_INVALID },
		{ "[::1:143", ERR_INVALID },
		{ "[]:143", ERR_INVALID },
		{ "a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1 a:1", ERR_LIMIT },
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct listen_list list = { 0 };
		print_message("listen \"%s\"\n", cases[i].value);
		assert_int_equal(listen_parse(span_of(cases[i].value), &list), cases[i].r);
		assert_int_equal(list.n, cases[i].n);
		if (list.n == 0)
			continue;
		struct listen_address *a = &list.at[list.n - 1];
		assert_string_equal(a->host, cases[i].host);
		assert_string_equal(a->port, cases[i].port);
		assert_string_equal(a->path, cases[i].path);
		assert_string_equal(a->group, cases[i].group);
		assert_int_equal(a->mode, cases[i].mode);
		assert_int_equal(a->is_unix, cases[i].path[0] != 0);
	}
}

static struct listener open_one(const char *value, const char *dir)
{
	struct listen_list list;
	struct listener l[LISTEN_MAX];
	size_t n = LISTEN_MAX;
	assert_int_equal(listen_parse(span_of(value), &list), OK);
	assert_int_equal(listener_open(&list.at[0], dir, l, &n), OK);
	for (size_t i = 1; i < n; i++)
		listener_close(&l[i]);
	return l[0];
}

static int try_open(const char *value, const char *dir)
{
	struct listen_list list;
	struct listener l[LISTEN_MAX];
	size_t n = LISTEN_MAX;
	assert_int_equal(listen_parse(span_of(value), &list), OK);
	return listener_open(&list.at[0], dir, l, &n);
}

static void test_listener_tcp(void **state)
{
	struct listener l = open_one("127.0.0.1:0", "."), any = open_one("*:0", "."), local = open_one("localhost:0", ".");
	assert_memory_equal(l.bound, "127.0.0.1:", 10);
	assert_true(atoi(l.bound + 10) > 0);
	assert_int_equal(try_open(l.bound, "."), ERR_EXISTS);
	assert_int_equal(try_open("no.such.host.invalid:1", "."), ERR_INVALID);
	assert_int_equal(try_open("203.0.113.7:0", "."), ERR_NOT_FOUND);
	listener_close(&l);
	listener_close(&any);
	listener_close(&local);
}

static void make_dir(char *dir)
{
	strcpy(dir, "/tmp/test_net.XXXXXX");
	assert_non_null(mkdtemp(dir));
}

static void check_unix(const char *dir, const char *name)
{
	char path[1024], value[1024];
	struct stat st;
	int fd;
	snprintf(path, sizeof path, "%s/%s", dir, name);
	snprintf(value, sizeof value, "unix:%s?mode=0640", name);
	assert_int_equal(unix_connect(path, &fd), ERR_NOT_FOUND);
	struct listener l = open_one(value, dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(unix_connect(path, &fd), OK);
	close(fd);
	assert_int_equal(try_open(value, dir), ERR_EXISTS);

	close(l.fd); /* as after a crash: the name stays */
	assert_int_equal(unix_connect(path, &fd), ERR_NOT_FOUND);
	l.fd = -1;
	struct listener again = open_one(value, dir);
	listener_close(&l); /* not its socket any more */
	assert_int_equal(unix_connect(path, &fd), OK);
	close(fd);
	listener_close(&again);
	assert_int_equal(stat(path, &st), -1);
}

static void test_listener_unix(void **state)
{
	char dir[32], deep[400], path[600];
	make_dir(dir);
	check_unix(dir, "sock");
	snprintf(deep, sizeof deep, "%s/%0200d", dir, 1); /* longer than a socket address */
	assert_int_equal(mkdir(deep, 0700), 0);
	check_unix(deep, "sock");
	snprintf(path, sizeof path, "%s/file", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(try_open("unix:file", dir), ERR_INVALID);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(try_open("unix:none/sock", dir), ERR_UNAVAILABLE);
	assert_int_equal(try_open("unix:sock?group=no-such-group", dir), ERR_INVALID);
	unlink(path);
	rmdir(deep);
	rmdir(dir);
}

/* ---- Timers */

struct shot {
	struct timer timer;
	int64_t at;
	int *order, place;
};

static void shoot(struct timer *t)
{
	struct shot *s = (struct shot *)t;
	s->place = ++*s->order;
}

static void test_timers(void **state)
{
	enum { N = 1000 };
	static struct shot shots[N];
	struct timers *t;
	int order = 0;
	unsigned seed = 7;
	assert_int_equal(timers_open(&t), OK);
	for (int i = 0; i < N; i++) {
		shots[i] = (struct shot){ .timer.fire = shoot, .order = &order, .at = 1 + rand_r(&seed) % 100000 };
		assert_int_equal(timers_set(t, &shots[i].timer, shots[i].at), OK);
	}
	for (int i = 0; i < N; i += 3) { /* some move, some are taken back */
		shots[i].at = i % 2 ? 0 : 1 + rand_r(&seed) % 100000;
		assert_int_equal(timers_set(t, &shots[i].timer, shots[i].at), OK);
	}
	timers_run(t, 50000);
	for (int i = 0; i < N; i++)
		assert_int_equal(shots[i].place != 0, shots[i].at && shots[i].at <= 50000);
	timers_run(t, 100000);
	for (int i = 0; i < N; i++) {
		assert_int_equal(shots[i].place != 0, shots[i].at != 0);
		for (int j = 0; j < N; j++)
			if (shots[i].at && shots[i].at < shots[j].at)
				assert_true(shots[i].place < shots[j].place);
	}
	timers_close(&t);
}

/* ---- The loop, with a protocol of one-letter lines:
   anything is echoed; B: five megabytes; W: wait for a wake-up; S: sleep 100 ms; M: meet 29 others who do the same; T: a timeout of 50 ms; Q: quit */

struct world {
	atomic_int open, closed, timeouts, shutdowns, meeting;
	atomic_int_fast64_t ids;
	pthread_mutex_t lock;
	struct conn *waiting[4096];
	size_t n_waiting;
};

struct session {
	struct world *world;
	size_t left; /* bytes of a big answer */
	bool waits;
	size_t place;
};

#define BIG (5 << 20)

static enum conn_next echo_open(struct conn *c)
{
	struct session *s = calloc(1, sizeof *s);
	c->session = s;
	s->world = c->service;
	atomic_fetch_add(&s->world->open, 1);
	buffer_puts(&c->out, "hello\n");
	conn_timeout(c, 60 * SECOND_US);
	return CONN_MORE;
}

static enum conn_next big(struct conn *c)
{
	struct session *s = c->session;
	while (s->left) {
		size_t n = s->left < 1000 ? s->left : 1000;
		memset(buffer_reserve(&c->out, n), 'b', n);
		c->out.n += n;
		s->left -= n;
		if (conn_flush_if_over(c, CONN_OUTPUT_HIGH))
			return CONN_DRAIN;
	}
	return CONN_MORE;
}

static void enlist(struct conn *c)
{
	struct session *s = c->session;
	pthread_mutex_lock(&s->world->lock);
	s->place = s->world->n_waiting;
	s->world->waiting[s->world->n_waiting++] = c;
	pthread_mutex_unlock(&s->world->lock);
	s->waits = true;
}

static void delist(struct conn *c)
{
	struct session *s = c->session;
	struct world *w = s->world;
	if (!s->waits)
		return;
	pthread_mutex_lock(&w->lock);
	struct conn *last = w->waiting[--w->n_waiting];
	w->waiting[s->place] = last;
	((struct session *)last->session)->place = s->place;
	pthread_mutex_unlock(&w->lock);
	s->waits = false;
}

static enum conn_next line(struct conn *c, struct span l)
{
	struct session *s = c->session;
	switch (l.n ? l.p[0] : 0) {
	case 'B':
		s->left = BIG;
		return big(c);
	case 'W':
		enlist(c);
		return CONN_WAKE;
	case 'S':
		usleep(100000);
		break;
	case 'M':
		atomic_fetch_add(&s->world->meeting, 1);
		for (int i = 0; i < 20000 && s->world->meeting < 30; i++)
			usleep(1000);
		break;
	case 'T':
		conn_timeout(c, 50000);
		return CONN_MORE;
	case 'Q':
		buffer_puts(&c->out, "bye\n");
		return CONN_CLOSE;
	}
	buffer_put_span(&c->out, l);
	buffer_putc(&c->out, '\n');
	return CONN_MORE;
}

static enum conn_next echo_input(struct conn *c)
{
	ssize_t n;
	while ((n = span_find(c->in, '\n')) >= 0) {
		struct span l = span_sub(c->in, 0, (size_t)n);
		conn_consume(c, (size_t)n + 1);
		enum conn_next next = line(c, l);
		if (next != CONN_MORE)
			return next;
	}
	return CONN_MORE;
}

static enum conn_next echo_resume(struct conn *c)
{
	struct session *s = c->session;
	if (s->left) {
		enum conn_next next = big(c);
		return next == CONN_MORE ? echo_input(c) : next;
	}
	delist(c);
	buffer_puts(&c->out, "woken\n");
	return echo_input(c);
}

static enum conn_next echo_timeout(struct conn *c)
{
	struct session *s = c->session;
	atomic_fetch_add(&s->world->timeouts, 1);
	buffer_puts(&c->out, "too late\n");
	return CONN_CLOSE;
}

static void echo_shutdown(struct conn *c, const char *why)
{
	struct session *s = c->session;
	atomic_fetch_add(&s->world->shutdowns, 1);
	buffer_puts(&c->out, "stopping\n");
}

static void echo_close(struct conn *c)
{
	struct session *s = c->session;
	delist(c);
	atomic_fetch_add(&s->world->closed, 1);
	free(s);
}

static const struct conn_protocol echo = { "echo", "full\n", echo_open, echo_input, echo_resume, echo_timeout,
	echo_shutdown, echo_close };

static int64_t next_id(void *ctx)
{
	return atomic_fetch_add(&((struct world *)ctx)->ids, 1) + 1;
}

struct fixture {
	struct world world;
	struct loop *loop;
	char at[128];
};

static void start(struct fixture *f, int workers, int conns)
{
	struct listener l = open_one("127.0.0.1:0", ".");
	struct loop_options o = { .workers_max = workers, .conns_max = 3000, .session_id = next_id, .ctx = &f->world };
	memset(f, 0, sizeof *f);
	pthread_mutex_init(&f->world.lock, NULL);
	strcpy(f->at, l.bound);
	assert_int_equal(loop_open(&o, &f->loop), OK);
	assert_int_equal(loop_listen(f->loop, &l, &echo, &f->world, conns, NULL), OK);
	assert_int_equal(loop_start(f->loop), OK);
}

static void stop(struct fixture *f)
{
	assert_int_equal(loop_stop(f->loop, 5 * SECOND_US), OK);
	assert_int_equal(f->world.open, f->world.closed);
	assert_int_equal(f->world.n_waiting, 0);
	loop_close(&f->loop);
	assert_null(f->loop);
	pthread_mutex_destroy(&f->world.lock);
}

static int dial(const struct fixture *f)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	a.sin_port = htons((uint16_t)atoi(strchr(f->at, ':') + 1));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *text)
{
	char got[256];
	size_t n = strlen(text), k = 0;
	while (k < n) {
		ssize_t x = recv(fd, got + k, n - k, 0);
		assert_true(x > 0);
		k += (size_t)x;
	}
	assert_memory_equal(got, text, n);
}

static void hear_end(int fd)
{
	char c;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
	close(fd);
}

static void test_echo(void **state)
{
	struct fixture f;
	start(&f, 8, 100);
	int fd = dial(&f);
	hear(fd, "hello\n");
	say(fd, "on");
	usleep(10000);
	say(fd, "e\ntwo\nthree\nfo");
	hear(fd, "one\ntwo\nthree\n");
	say(fd, "ur\nQ\nthis is not heard");
	hear(fd, "four\nbye\n");
	hear_end(fd);
	fd = dial(&f); /* all said at once, then only listening */
	say(fd, "x\ny\n");
	shutdown(fd, SHUT_WR);
	hear(fd, "hello\nx\ny\n");
	hear_end(fd);
	fd = dial(&f); /* a line over the input limit */
	char *line = malloc(CONN_INPUT_MAX + 1);
	memset(line, 'x', CONN_INPUT_MAX);
	line[CONN_INPUT_MAX] = 0;
	hear(fd, "hello\n");
	say(fd, line);
	hear_end(fd);
	free(line);
	stop(&f);
}

static size_t descriptors_left(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	return r.rlim_cur - 64;
}

static void test_many(void **state)
{
	struct fixture f;
	size_t n = descriptors_left() / 2 < 1000 ? descriptors_left() / 2 : 1000;
	int *fds = calloc(n, sizeof *fds);
	char text[32];
	start(&f, 16, 3000);
	for (size_t i = 0; i < n; i++)
		fds[i] = dial(&f);
	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < n; i++) {
			snprintf(text, sizeof text, "%d.%zu\n", round, i);
			say(fds[i], text);
		}
		for (size_t i = 0; i < n; i++) {
			snprintf(text, sizeof text, "%s%d.%zu\n", round ? "" : "hello\n", round, i);
			hear(fds[i], text);
		}
	}
	struct loop_stats st;
	loop_stats(f.loop, &st);
	assert_int_equal(st.conns, n);
	assert_int_equal(st.accepted, n);
	assert_true(st.workers <= 16);
	assert_int_equal(f.world.ids, n);
	for (size_t i = 0; i < n / 2; i++)
		close(fds[i]);
	while (f.world.closed < (int)(n / 2))
		usleep(1000);
	stop(&f);
	for (size_t i = n / 2; i < n; i++) {
		hear(fds[i], "stopping\n");
		hear_end(fds[i]);
	}
	assert_int_equal(f.world.shutdowns, n - n / 2);
	free(fds);
}

static void test_blocked_workers(void **state)
{
	struct fixture f;
	int fds[30];
	start(&f, 40, 100);
	for (size_t i = 0; i < COUNT(fds); i++)
		fds[i] = dial(&f);
	for (size_t i = 0; i < COUNT(fds); i++)
		say(fds[i], "M\n");
	for (size_t i = 0; i < COUNT(fds); i++)
		hear(fds[i], "hello\nM\n");
	assert_int_equal(f.world.meeting, 30);
	for (size_t i = 0; i < COUNT(fds); i++)
		close(fds[i]);
	stop(&f);
}

static bool beats(const struct fixture *f)
{
	loop_beat(f->loop);
	for (int i = 0; i < 50; i++) {
		usleep(2000);
		if (loop_beat(f->loop))
			return true;
	}
	return false;
}

/* All workers stuck: nobody takes up work any more. */
static void test_beat(void **state)
{
	struct fixture f;
	start(&f, 2, 100);
	int one = dial(&f), two = dial(&f);
	hear(one, "hello\n");
	hear(two, "hello\n");
	assert_true(beats(&f));
	say(one, "M\n");
	say(two, "M\n");
	while (f.world.meeting < 2)
		usleep(1000);
	loop_beat(f.loop);
	assert_false(beats(&f));
	f.world.meeting = 30;
	hear(one, "M\n");
	assert_true(beats(&f));
	close(one);
	close(two);
	stop(&f);
}

static void read_big(int fd)
{
	static char t[65536];
	for (size_t left = BIG; left;) {
		ssize_t k = recv(fd, t, left < sizeof t ? left : sizeof t, 0);
		assert_true(k > 0);
		assert_true(t[0] == 'b' && t[k - 1] == 'b');
		left -= (size_t)k;
	}
}

static void test_slow_readers(void **state)
{
	struct fixture f;
	int fds[20];
	start(&f, 4, 100);
	for (size_t i = 0; i < COUNT(fds); i++) {
		fds[i] = dial(&f);
		hear(fds[i], "hello\n");
		say(fds[i], "B\nafter\n");
	}
	usleep(100000);
	int other = dial(&f); /* twenty slow readers, four workers: none is held */
	say(other, "ping\n");
	hear(other, "hello\nping\n");
	for (size_t i = 0; i + 1 < COUNT(fds); i++) {
		read_big(fds[i]);
		hear(fds[i], "after\n");
		close(fds[i]);
	}
	close(fds[COUNT(fds) - 1]); /* gone in the middle */
	close(other);
	stop(&f);
}

static void test_timeout(void **state)
{
	struct fixture f;
	start(&f, 4, 100);
	int fd = dial(&f), other = dial(&f), late = dial(&f);
	say(fd, "T\n");
	hear(fd, "hello\ntoo late\n");
	hear_end(fd);
	hear(late, "hello\n");
	for (int i = 0; i < 5; i++) { /* each T moves the deadline on */
		say(late, "T\n");
		usleep(20000);
	}
	say(late, "x\n");
	hear(late, "x\ntoo late\n");
	hear_end(late);
	assert_int_equal(f.world.timeouts, 2);
	say(other, "y\n");
	hear(other, "hello\ny\n");
	close(other);
	stop(&f);
}

static void test_limit(void **state)
{
	struct fixture f;
	start(&f, 4, 2);
	int a = dial(&f), b = dial(&f);
	hear(a, "hello\n");
	hear(b, "hello\n");
	int c = dial(&f);
	hear(c, "full\n");
	hear_end(c);
	say(a, "Q\n");
	hear(a, "bye\n");
	hear_end(a);
	usleep(50000);
	c = dial(&f);
	hear(c, "hello\n");
	close(b);
	close(c);
	stop(&f);
}

static void test_out_of_descriptors(void **state)
{
	struct fixture f;
	struct rlimit old, tight;
	int fds[200], n = 0;
	start(&f, 4, 1000);
	getrlimit(RLIMIT_NOFILE, &old);
	for (; n < 20; n++)
		fds[n] = dial(&f);
	for (int i = 0; i < n; i++)
		hear(fds[i], "hello\n");
	int spare[5];
	for (int i = 0; i < 5; i++)
		spare[i] = socket(AF_INET, SOCK_STREAM, 0);
	int lowest = dup(0);
	close(lowest);
	tight = (struct rlimit){ (rlim_t)lowest, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	a.sin_port = htons((uint16_t)atoi(strchr(f.at, ':') + 1));
	for (int i = 0; i < 5; i++)
		assert_int_equal(connect(spare[i], (struct sockaddr *)&a, sizeof a), 0);
	for (int i = 0; i < 5; i++)
		hear(spare[i], "full\n");
	say(fds[0], "still here\n");
	hear(fds[0], "still here\n");
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	fds[n++] = dial(&f);
	hear(fds[n - 1], "hello\n");
	for (int i = 0; i < 5; i++)
		close(spare[i]);
	for (int i = 0; i < n; i++)
		close(fds[i]);
	stop(&f);
}

/* Wake-ups from two threads while connections come, wait, are woken and go. */
struct waker {
	struct world *world;
	atomic_bool stop;
	atomic_int wakes;
};

static void *wake_all(void *arg)
{
	struct waker *k = arg;
	unsigned seed = 3;
	while (!k->stop) {
		pthread_mutex_lock(&k->world->lock);
		size_t n = k->world->n_waiting;
		if (n) {
			conn_wake(k->world->waiting[(size_t)rand_r(&seed) % n]);
			k->wakes++;
		}
		pthread_mutex_unlock(&k->world->lock);
	}
	return NULL;
}

static void test_wake(void **state)
{
	struct fixture f;
	pthread_t threads[2];
	start(&f, 8, 1000);
	struct waker k = { .world = &f.world };
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_create(&threads[i], NULL, wake_all, &k);
	for (int round = 0; round < 20; round++) {
		int fds[20];
		for (size_t i = 0; i < COUNT(fds); i++) {
			fds[i] = dial(&f);
			say(fds[i], "W\nafter\n");
		}
		for (size_t i = 0; i < COUNT(fds); i++) {
			if (i % 2) {
				hear(fds[i], "hello\nwoken\nafter\n");
				say(fds[i], i % 4 == 1 ? "W\n" : "W\nQ\n");
			}
		}
		for (size_t i = 0; i < COUNT(fds); i++)
			close(fds[i]);
	}
	int fd = dial(&f);
	say(fd, "W\n");
	hear(fd, "hello\nwoken\n");
	k.stop = true;
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(k.wakes > 0);
	close(fd);
	stop(&f);
}

/* The stop reaches those who wait, work, and do not read. */
static void test_stop_at_work(void **state)
{
	struct fixture f;
	start(&f, 8, 100);
	int waits = dial(&f), busy = dial(&f), slow = dial(&f);
	say(waits, "W\n");
	say(slow, "B\n");
	hear(waits, "hello\n");
	hear(busy, "hello\n");
	usleep(50000);
	say(busy, "S\n");
	usleep(20000);
	assert_int_equal(loop_stop(f.loop, SECOND_US / 2), OK);
	hear(waits, "stopping\n");
	hear_end(waits);
	hear(busy, "S\nstopping\n");
	close(busy);
	close(slow); /* did not read: ended hard */
	assert_int_equal(f.world.open, f.world.closed);
	loop_close(&f.loop);
	pthread_mutex_destroy(&f.world.lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_parse),
		cmocka_unit_test(test_listener_tcp),
		cmocka_unit_test(test_listener_unix),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_blocked_workers),
		cmocka_unit_test(test_beat),
		cmocka_unit_test(test_slow_readers),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_stop_at_work),
	};
	log_level_set(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
