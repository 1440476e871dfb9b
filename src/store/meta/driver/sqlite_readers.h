/* A bounded pool of read-only connections, opened as they are needed. */
#ifndef SQLITE_READERS_H
#define SQLITE_READERS_H

#include "sqlite_conn.h"

enum { READERS = 8 };

struct readers {
	const char *path, *vfs; /* not owned */
	pthread_mutex_t lock;
	pthread_cond_t change;
	struct conn *idle[READERS]; /* the one used last is taken first: its cache is warm */
	int n_idle, n_busy;
	bool held; /* nobody gets in */
};

void readers_init(struct readers *p, const char *path, const char *vfs);
/* None may be busy. */
void readers_close(struct readers *p);
/* Runs fn in a read transaction on one of them; waits while all are busy. */
int readers_run(struct readers *p, const struct meta_driver *d, meta_fn *fn, void *arg);
/* Returns when no read transaction is open, and lets none begin until released. */
void readers_hold(struct readers *p);
void readers_release(struct readers *p);

#endif
