#include "sqlite_readers.h"

#include <stdlib.h>

#include "fail.h"

void readers_init(struct readers *p, const char *path, const char *vfs)
{
	*p = (struct readers){ .path = path, .vfs = vfs };
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->change, NULL);
}

static void drop(struct conn *c)
{
	conn_close(c);
	free(c);
}

void readers_close(struct readers *p)
{
	while (p->n_idle)
		drop(p->idle[--p->n_idle]);
	pthread_cond_destroy(&p->change);
	pthread_mutex_destroy(&p->lock);
}

/* An idle connection, or NULL where a new one is to be opened. */
static struct conn *take(struct readers *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->held || p->n_busy == READERS)
		pthread_cond_wait(&p->change, &p->lock);
	p->n_busy++;
	struct conn *c = p->n_idle ? p->idle[--p->n_idle] : NULL;
	pthread_mutex_unlock(&p->lock);
	return c;
}

static void give_back(struct readers *p, struct conn *c)
{
	pthread_mutex_lock(&p->lock);
	if (c)
		p->idle[p->n_idle++] = c;
	p->n_busy--;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}

static int open_one(struct readers *p, struct conn **out)
{
	struct conn *c = malloc(sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = conn_open_reader(c, p->path, p->vfs);
	if (r)
		free(c);
	else
		*out = c;
	return r;
}

static int run_on(struct conn *c, const struct meta_driver *d, meta_fn *fn, void *arg)
{
	struct sqlite_txn t = { .conn = c };
	meta_txn_init(&t.base, d);
	int r = conn_control(c, BEGIN_READ);
	return r ? r : meta_txn_call(&t.base, fn, arg);
}

int readers_run(struct readers *p, const struct meta_driver *d, meta_fn *fn, void *arg)
{
	struct conn *c = take(p);
	int r = c ? OK : open_one(p, &c);
	if (!r)
		r = run_on(c, d, fn, arg);
	if (c && !conn_rollback(c)) {
		drop(c);
		c = NULL;
	}
	give_back(p, c);
	return r;
}

void readers_hold(struct readers *p)
{
	pthread_mutex_lock(&p->lock);
	p->held = true;
	while (p->n_busy)
		pthread_cond_wait(&p->change, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void readers_release(struct readers *p)
{
	pthread_mutex_lock(&p->lock);
	p->held = false;
	pthread_cond_broadcast(&p->change);
	pthread_mutex_unlock(&p->lock);
}
