#include "admin.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arguments.h"
#include "channel.h"
#include "clock.h"
#include "fail.h"
#include "log.h"
#include "unix_socket.h"

enum { REQUESTS_MAX = 16, STACK = 1 << 20, PEER_PATIENCE_S = 120 };

static const struct verb verbs[] = {
#define VERB(name, handler, ...) { name, handler, __VA_ARGS__ },
#include "verbs.def"
#undef VERB
};
enum { VERBS = sizeof verbs / sizeof *verbs };

struct task {
	struct admin *admin;
	struct request request;
	struct channel channel;
	struct task *next;
};

struct admin {
	const struct admin_node *node;
	int64_t (*session_id)(void *ctx);
	void *ctx;
	char *path;
	ino_t inode;
	int listening, stop;
	pthread_t acceptor;
	atomic_bool stopping;
	pthread_mutex_t lock; /* the tasks */
	pthread_cond_t changed;
	struct task *tasks;
	int n_tasks;
};

/* ---- One request */

static int usage(struct request *r, const struct verb *v)
{
	struct buffer b = { 0 };
	request_error(r, EXIT_USAGE, "%s", fail_detail());
	verb_usage(&b, v);
	request_error(r, EXIT_USAGE, "usage: perdura %.*s", (int)b.n, b.p);
	buffer_free(&b);
	return EXIT_USAGE;
}

static int run_words(struct request *r, const char *const *words, size_t n)
{
	size_t taken;
	const struct verb *v = verb_find(verbs, VERBS, words, n, &taken);
	if (!v)
		return request_error(r, EXIT_USAGE, "there is no such command; see perdura --help");
	if (arguments_parse(r, v, words + taken, n - taken))
		return usage(r, v);
	fail_set_detail("");
	int64_t from = clock_mono();
	int status = v->run(r);
	log_line(LOG_INFO, "admin", "session=%lld verb=\"%s\" status=%d ms=%lld", (long long)r->session, v->name, status,
		(long long)((clock_mono() - from) / 1000));
	return status;
}

static int run_json(struct request *r, const json_t *j)
{
	const json_t *args = json_object_get(j, "args"), *arg;
	size_t n = json_array_size(args), i;
	if (!json_is_array(args) || n > ARGS_MAX)
		return request_error(r, EXIT_USAGE, "a request has at most %d words", ARGS_MAX);
	const char **words = calloc(2 * n + 1, sizeof(char *)); /* the words, and room to sort them */
	if (!words)
		return request_error(r, EXIT_RETRY, "no memory");
	int bad = 0;
	json_array_foreach(args, i, arg)
		bad += !(words[i] = json_string_value(arg));
	r->args = words + n;
	r->json = json_is_true(json_object_get(j, "json"));
	r->terminal = json_is_true(json_object_get(j, "terminal"));
	r->folder = json_string_value(json_object_get(j, "folder"));
	int status = bad ? request_error(r, EXIT_USAGE, "the words of a request are texts") : run_words(r, words, n);
	free(words);
	return status;
}

static void run_request(struct request *r)
{
	enum frame_type type;
	struct span s;
	struct channel *c = r->channel;
	char status = EXIT_USAGE;
	json_error_t why;
	if (frame_receive(c->fd, &c->in, &type, &s))
		return;
	json_t *j = type == FRAME_REQUEST ? json_loadb(s.p, s.n, JSON_REJECT_DUPLICATES, &why) : NULL;
	if (j)
		status = (char)run_json(r, j);
	else
		request_error(r, EXIT_USAGE, "the request is no JSON object");
	json_decref(j);
	if (!c->gone)
		frame_send(c->fd, FRAME_EXIT, span_from(&status, 1));
}

/* ---- Tasks */

static void task_end(struct task *t)
{
	struct admin *a = t->admin;
	pthread_mutex_lock(&a->lock);
	struct task **p = &a->tasks;
	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	close(t->channel.fd);
	a->n_tasks--;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
	buffer_free(&t->channel.in);
	buffer_free(&t->channel.item);
	buffer_free(&t->channel.line);
	free(t);
}

static void *task_main(void *arg)
{
	struct task *t = arg;
	run_request(&t->request);
	task_end(t);
	return NULL;
}

/* Joins the list, unless there are enough already or the node stops. */
static bool task_begin(struct task *t)
{
	struct admin *a = t->admin;
	pthread_mutex_lock(&a->lock);
	bool may = a->n_tasks < REQUESTS_MAX && !a->stopping;
	if (may) {
		t->next = a->tasks;
		a->tasks = t;
		a->n_tasks++;
	}
	pthread_mutex_unlock(&a->lock);
	return may;
}

static void turn_away(int fd, const char *why)
{
	char status = EXIT_RETRY;
	if (frame_send(fd, FRAME_ERROR, span_of(why)) == OK)
		frame_send(fd, FRAME_EXIT, span_from(&status, 1));
	close(fd);
}

static void start_task(struct admin *a, int fd)
{
	pthread_attr_t attr;
	pthread_t id;
	struct task *t = calloc(1, sizeof *t);
	if (!t) {
		turn_away(fd, "no memory; try again later");
		return;
	}
	t->admin = a;
	t->channel = (struct channel){ .fd = fd, .stopping = &a->stopping, .in.limit = FRAME_MAX + 1 };
	t->request = (struct request){ .node = a->node, .session = a->session_id ? a->session_id(a->ctx) : 0,
		.channel = &t->channel };
	if (!task_begin(t)) {
		free(t);
		turn_away(fd, "too many commands run at once; try again later");
		return;
	}
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&id, &attr, task_main, t))
		task_end(t);
	pthread_attr_destroy(&attr);
}

/* ---- The channel */

static bool let_in(int fd)
{
	struct ucred who;
	socklen_t n = sizeof who;
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && (who.uid == 0 || who.uid == geteuid());
}

static void accept_one(struct admin *a)
{
	struct timeval patience = { .tv_sec = PEER_PATIENCE_S };
	int fd = accept4(a->listening, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			usleep(100000);
		return;
	}
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	if (let_in(fd))
		start_task(a, fd);
	else
		turn_away(fd, "only root and the node's own user may do this");
}

static void *acceptor_main(void *arg)
{
	struct admin *a = arg;
	struct pollfd p[2] = { { .fd = a->listening, .events = POLLIN }, { .fd = a->stop, .events = POLLIN } };
	while (!a->stopping)
		if (poll(p, 2, -1) > 0 && p[0].revents)
			accept_one(a);
	return NULL;
}

static void free_admin(struct admin *a)
{
	struct stat st;
	if (a->listening >= 0) {
		close(a->listening);
		if (lstat(a->path, &st) == 0 && st.st_ino == a->inode)
			unlink(a->path);
	}
	if (a->stop >= 0)
		close(a->stop);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a->path);
	free(a);
}

static int start_admin(struct admin *a)
{
	struct stat st;
	int r = unix_listen(a->path, 0600, (gid_t)-1, &a->listening);
	if (r)
		return r;
	a->inode = lstat(a->path, &st) ? 0 : st.st_ino;
	a->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (a->stop < 0)
		return fail_errno("eventfd", a->path);
	if (pthread_create(&a->acceptor, NULL, acceptor_main, a))
		return fail_with(ERR_UNAVAILABLE, "%s: no thread can be started", a->path);
	return OK;
}

int admin_open(const char *path, const struct admin_node *node, int64_t (*session_id)(void *ctx), void *ctx,
               struct admin **out)
{
	pthread_condattr_t attr;
	struct admin *a = calloc(1, sizeof *a);
	if (!a)
		return fail_with(ERR_LIMIT, "%s: no memory", path);
	*a = (struct admin){ .node = node, .session_id = session_id, .ctx = ctx, .listening = -1, .stop = -1 };
	a->path = span_dup(span_of(path));
	pthread_mutex_init(&a->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&a->changed, &attr);
	pthread_condattr_destroy(&attr);
	int r = start_admin(a);
	if (r)
		free_admin(a);
	else
		*out = a;
	return r;
}

int admin_stop(struct admin *a, int64_t us)
{
	uint64_t one = 1;
	int64_t at = clock_mono() + us;
	struct timespec until = { .tv_sec = at / SECOND_US, .tv_nsec = at % SECOND_US * 1000 };
	a->stopping = true;
	if (write(a->stop, &one, sizeof one) < 0)
		return fail_errno("write", "eventfd");
	pthread_join(a->acceptor, NULL);
	pthread_mutex_lock(&a->lock);
	for (struct task *t = a->tasks; t; t = t->next)
		shutdown(t->channel.fd, SHUT_RD); /* ends a wait for the client; it still hears the end */
	int late = 0;
	while (a->n_tasks && !late)
		late = pthread_cond_timedwait(&a->changed, &a->lock, &until);
	int n = a->n_tasks;
	pthread_mutex_unlock(&a->lock);
	return n ? fail_with(ERR_TIMEOUT, "%d commands are still at work", n) : OK;
}

void admin_close(struct admin **p)
{
	if (*p)
		free_admin(*p);
	*p = NULL;
}
