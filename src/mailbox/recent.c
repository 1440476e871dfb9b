#include "recent.h"

#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "fail.h"
#include "job.h"
#include "service_private.h"

enum { MARKS_MAX = 4096 };

struct mark {
	int64_t account, collection, uid;
};

struct recent_marks {
	struct service *s;
	struct job *writer;
	pthread_mutex_t lock; /* all below */
	struct mark marks[MARKS_MAX]; /* waiting to be written */
	size_t n;
};

struct batch {
	struct mark *marks;
	size_t n;
};

static int write_marks(struct meta_txn *t, void *arg)
{
	const struct batch *b = arg;
	for (size_t i = 0; i < b->n; i++) {
		const struct mark *k = &b->marks[i];
		int e = meta_do(t, META_COLLECTION_RECENT, "iiii", k->uid, k->account, k->collection, k->uid);
		if (e)
			return e;
	}
	return OK;
}

/* Together where that saves a sync; one by one where others change these rows at the same time and may be on another node. */
static int write_batch(struct recent_marks *m, struct batch *b)
{
	struct meta *meta = m->s->store->meta;
	int e = OK;
	if (!meta_shared(meta))
		return meta_run(meta, write_marks, b, NULL);
	for (size_t i = 0; !e && i < b->n; i++)
		e = meta_run(meta, write_marks, &(struct batch){ &b->marks[i], 1 }, NULL);
	return e;
}

/* Written marks leave the list only if nobody moved them meanwhile. */
static void drop_written(struct recent_marks *m, const struct batch *b)
{
	size_t kept = 0;
	for (size_t i = 0; i < m->n; i++)
		if (i >= b->n || m->marks[i].uid != b->marks[i].uid)
			m->marks[kept++] = m->marks[i];
	m->n = kept;
}

static void flush(struct recent_marks *m)
{
	struct batch b = { .n = m->n };
	if (b.n == 0 || !(b.marks = malloc(b.n * sizeof *b.marks)))
		return;
	memcpy(b.marks, m->marks, b.n * sizeof *b.marks);
	pthread_mutex_unlock(&m->lock);
	int e = write_batch(m, &b);
	pthread_mutex_lock(&m->lock);
	if (!e)
		drop_written(m, &b);
	free(b.marks);
}

static void write_some(struct job *j, void *arg)
{
	struct recent_marks *m = arg;
	pthread_mutex_lock(&m->lock);
	flush(m);
	pthread_mutex_unlock(&m->lock);
}

int recent_marks_new(struct service *s, struct recent_marks **out)
{
	struct recent_marks *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	m->s = s;
	pthread_mutex_init(&m->lock, NULL);
	*out = m;
	return job_start(SECOND_US, SECOND_US, write_some, m, &m->writer);
}

void recent_marks_free(struct recent_marks **mp)
{
	struct recent_marks *m = *mp;
	*mp = NULL;
	if (!m)
		return;
	job_stop(&m->writer);
	write_some(NULL, m);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

static struct mark *find(struct recent_marks *m, int64_t account, int64_t collection)
{
	for (size_t i = 0; i < m->n; i++)
		if (m->marks[i].account == account && m->marks[i].collection == collection)
			return &m->marks[i];
	return NULL;
}

uint32_t recent_mark(struct recent_marks *m, int64_t account, int64_t collection, int64_t stored, int64_t uidnext, bool take)
{
	pthread_mutex_lock(&m->lock);
	struct mark *k = find(m, account, collection);
	int64_t from = k && k->uid > stored ? k->uid : stored;
	if (take && from < uidnext) {
		if (!k && m->n < MARKS_MAX)
			*(k = &m->marks[m->n++]) = (struct mark){ account, collection, 0 };
		if (k)
			k->uid = uidnext;
	}
	pthread_mutex_unlock(&m->lock);
	return from > UINT32_MAX ? UINT32_MAX : (uint32_t)from;
}
