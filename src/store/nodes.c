#include "nodes.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"
#include "mint.h"

enum { JOIN_TRIES = 100, LOOK_MS = 250, TEXT_MAX = 127 };

/* A row as it was read, and when it was seen to move. */
struct peer {
	struct node_info info;
	int64_t beat, moved; /* moved: clock_mono() */
};

struct nodes {
	struct meta *meta;
	int64_t id, epoch;
	pthread_mutex_t lock; /* what follows */
	struct peer *peers;
	size_t n;
	int64_t looked; /* clock_mono() of the last look */
};

/* ---- The data folder */

static int make_instance(const char *path)
{
	unsigned char random[16];
	char hex[34];
	if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
		return fail_errno("getrandom", "");
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(hex + 2 * i, 3, "%02x", random[i]);
	return durable_file_write(path, span_of(strcat(hex, "\n")), 0600);
}

/* The file's number tells a folder from its copy. */
static int read_instance(const char *path, char out[64])
{
	char id[33] = "";
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : fail_errno("open", path);
	ssize_t n = read(fd, id, sizeof id - 1);
	int r = n < 0 || fstat(fd, &st) ? fail_errno("read", path) : OK;
	close(fd);
	if (!r)
		snprintf(out, 64, "%.32s.%llx", id, (unsigned long long)st.st_ino);
	return r;
}

int nodes_instance(const char *dir, char out[64])
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof path, "%s/instance", dir) >= (int)sizeof path)
		return fail_with(ERR_INVALID, "%s: name too long", dir);
	int r = read_instance(path, out);
	if (r == ERR_NOT_FOUND && !(r = make_instance(path)))
		r = read_instance(path, out);
	return r;
}

/* ---- To join */

struct join {
	const char *name, *instance;
	bool there, same; /* is there a row; is it of this data folder, or stopped */
	int64_t id, epoch, beat, max;
};

static int read_row(struct meta_txn *t, void *arg)
{
	struct join *j = arg;
	struct meta_rows r;
	j->there = j->same = false;
	int e = meta_one(t, &r, META_NODE_BY_NAME, "s", span_of(j->name));
	if (!e) {
		j->there = true;
		j->id = meta_int(&r, 0);
		j->epoch = meta_int(&r, 1);
		j->beat = meta_int(&r, 2);
		j->same = !j->beat || span_eq(meta_span(&r, 3), span_of(j->instance));
		meta_done(&r);
	}
	if (e && e != ERR_NOT_FOUND)
		return e;
	e = meta_one(t, &r, META_NODE_MAX, "");
	if (e)
		return e;
	j->max = meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

/* Of two that add or take the same row one hears ERR_CONFLICT, and looks again. */
static int write_row(struct meta_txn *t, void *arg)
{
	const struct join *j = arg;
	int e;
	if (j->there) {
		e = meta_try(t, META_NODE_TAKE, "sii", span_of(j->instance), j->id, j->epoch);
		return e || meta_changed(t) ? e : ERR_CONFLICT;
	}
	e = meta_try(t, META_NODE_ADD, "iss", j->max + 1, span_of(j->name), span_of(j->instance));
	return e == ERR_EXISTS ? ERR_CONFLICT : e;
}

static int check_limits(const struct join *j)
{
	if (!j->there && j->max + 1 >= MINT_NODES)
		return fail_with(ERR_LIMIT, "node %s: the store has seen %d node names, no more fit", j->name, MINT_NODES - 1);
	if (j->there && j->epoch + 1 >= MINT_EPOCHS)
		return fail_with(ERR_LIMIT, "node %s was started %d times: give it another name", j->name, MINT_EPOCHS - 1);
	return OK;
}

/* Another data folder has the name: does a node run on it? */
static int watch_other(struct meta *m, struct join *j)
{
	int64_t epoch = j->epoch, beat = j->beat, start = clock_mono();
	while (clock_mono() - start < NODES_SILENT_US) {
		struct timespec pause = { 0, LOOK_MS * 1000000 };
		nanosleep(&pause, NULL);
		int e = meta_read(m, read_row, j);
		if (e || j->same)
			return e;
		if (j->epoch != epoch || j->beat != beat)
			return fail_with(ERR_EXISTS, "a node called %s runs already, on another data folder: give this one another "
				"name (node.name), or stop that one", j->name);
	}
	return OK;
}

static int join(struct meta *m, struct join *j)
{
	int e = ERR_CONFLICT;
	for (int i = 0; i < JOIN_TRIES && e == ERR_CONFLICT; i++) {
		e = meta_read(m, read_row, j);
		if (!e && j->there && !j->same && meta_shared(m))
			e = watch_other(m, j);
		if (!e)
			e = check_limits(j);
		if (!e)
			e = meta_run(m, write_row, j, NULL);
	}
	return e == ERR_CONFLICT ? fail_with(ERR_UNAVAILABLE, "node %s: others join all the time", j->name) : e;
}

int nodes_join(struct meta *m, const char *name, const char *instance, struct nodes **out)
{
	struct join j = { .name = name, .instance = instance };
	int e = join(m, &j);
	if (e)
		return e;
	struct nodes *n = calloc(1, sizeof *n);
	if (!n)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	n->meta = m;
	n->id = j.there ? j.id : j.max + 1;
	n->epoch = j.there ? j.epoch + 1 : 1;
	pthread_mutex_init(&n->lock, NULL);
	*out = n;
	return OK;
}

static int leave(struct meta_txn *t, void *arg)
{
	const struct nodes *n = arg;
	return meta_do(t, META_NODE_LEAVE, "ii", n->id, n->epoch);
}

void nodes_leave(struct nodes **pn)
{
	struct nodes *n = *pn;
	*pn = NULL;
	if (!n)
		return;
	if (meta_shared(n->meta))
		meta_run(n->meta, leave, n, NULL); /* what fails is left to the others' patience */
	pthread_mutex_destroy(&n->lock);
	free(n->peers);
	free(n);
}

int64_t nodes_self(const struct nodes *n)
{
	return n->id;
}

int64_t nodes_epoch(const struct nodes *n)
{
	return n->epoch;
}

/* ---- Signs of life */

struct beat {
	struct nodes *n;
	const struct node_report *r;
};

static struct span text_of(const char *s)
{
	return span_sub(span_of(s ? s : ""), 0, TEXT_MAX);
}

static int write_beat(struct meta_txn *t, void *arg)
{
	const struct beat *b = arg;
	int e = meta_try(t, META_NODE_BEAT, "iiiissii", clock_now(), b->r->ahead, b->r->horizon, b->r->needs,
	                 text_of(b->r->address), text_of(b->r->version), b->n->id, b->n->epoch);
	if (e || meta_changed(t))
		return e;
	return fail_with(ERR_CONFLICT, "another start of this node has taken over");
}

static void take_text(const struct meta_rows *r, int column, char *out, size_t n)
{
	struct span s = span_sub(meta_span(r, column), 0, n - 1);
	memcpy(out, s.n ? s.p : "", s.n);
	out[s.n] = 0;
}

static void take_row(const struct meta_rows *r, const struct nodes *n, struct peer *p)
{
	*p = (struct peer){ .beat = meta_int(r, 3) };
	struct node_info *i = &p->info;
	i->id = meta_int(r, 0);
	take_text(r, 1, i->name, sizeof i->name);
	i->epoch = meta_int(r, 2);
	i->self = i->id == n->id && i->epoch == n->epoch;
	i->stopped = !p->beat;
	i->seen = meta_int(r, 4);
	i->ahead = meta_int(r, 5);
	i->horizon = meta_int(r, 6);
	i->needs = meta_int(r, 7);
	take_text(r, 8, i->address, sizeof i->address);
	take_text(r, 9, i->version, sizeof i->version);
}

struct look {
	struct nodes *n;
	struct buffer rows; /* struct peer, by id */
};

static int read_all(struct meta_txn *t, void *arg)
{
	struct look *l = arg;
	struct meta_rows r;
	struct peer p;
	buffer_reset(&l->rows);
	int e = meta_query(t, &r, META_NODE_ALL, "");
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		take_row(&r, l->n, &p);
		buffer_put(&l->rows, &p, sizeof p);
	}
	meta_done(&r);
	return e || buffer_ok(&l->rows) ? e : fail_with(ERR_UNAVAILABLE, "no memory");
}

static const struct peer *find(const struct nodes *n, int64_t id)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->peers[i].info.id == id)
			return &n->peers[i];
	return NULL;
}

/* Silence counts only while it was looked: whoever could not look for a while begins anew. */
static void note_moves(struct nodes *n, struct peer *fresh, size_t count)
{
	int64_t now = clock_mono();
	bool blind = now - n->looked > NODES_SILENT_US / 2;
	for (size_t i = 0; i < count; i++) {
		const struct peer *was = find(n, fresh[i].info.id);
		bool same = was && was->beat == fresh[i].beat && was->info.epoch == fresh[i].info.epoch;
		fresh[i].moved = same && !blind ? was->moved : now;
	}
	n->looked = now;
}

static int look(struct nodes *n)
{
	struct look l = { .n = n };
	int e = meta_read(n->meta, read_all, &l);
	if (e) {
		buffer_free(&l.rows);
		return e;
	}
	pthread_mutex_lock(&n->lock);
	note_moves(n, (struct peer *)(void *)l.rows.p, l.rows.n / sizeof *n->peers);
	free(n->peers);
	n->peers = (struct peer *)(void *)l.rows.p;
	n->n = l.rows.n / sizeof *n->peers;
	pthread_mutex_unlock(&n->lock);
	return OK;
}

int nodes_beat(struct nodes *n, const struct node_report *r)
{
	struct beat b = { n, r };
	int e = meta_run(n->meta, write_beat, &b, NULL);
	return e ? e : look(n);
}

static bool is_alive(const struct nodes *n, const struct peer *p)
{
	if (p->info.self || !meta_shared(n->meta))
		return p->info.self;
	return !p->info.stopped && clock_mono() - p->moved < NODES_SILENT_US;
}

int nodes_list(struct nodes *n, struct buffer *out)
{
	buffer_reset(out);
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->n; i++) {
		struct node_info info = n->peers[i].info;
		info.alive = is_alive(n, &n->peers[i]);
		info.horizon = info.self ? meta_horizon(n->meta) : info.horizon;
		info.silent = clock_mono() - n->peers[i].moved;
		buffer_put(out, &info, sizeof info);
	}
	pthread_mutex_unlock(&n->lock);
	return buffer_ok(out) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* One that was never seen, and a later start than the one seen, may live. */
bool nodes_alive(struct nodes *n, int64_t id, int64_t epoch)
{
	if (id == n->id || !meta_shared(n->meta))
		return id == n->id && epoch >= n->epoch;
	pthread_mutex_lock(&n->lock);
	const struct peer *p = find(n, id);
	bool alive = !p || epoch > p->info.epoch || (epoch == p->info.epoch && is_alive(n, p));
	pthread_mutex_unlock(&n->lock);
	return alive;
}

bool nodes_dead(struct nodes *n, int64_t id)
{
	pthread_mutex_lock(&n->lock);
	const struct peer *p = find(n, id);
	bool dead = p && !is_alive(n, p);
	pthread_mutex_unlock(&n->lock);
	return dead;
}

int64_t nodes_horizon(struct nodes *n)
{
	int64_t least = meta_horizon(n->meta);
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < n->n; i++)
		if (is_alive(n, &n->peers[i]) && !n->peers[i].info.self && n->peers[i].info.horizon < least)
			least = n->peers[i].info.horizon;
	pthread_mutex_unlock(&n->lock);
	return least;
}
