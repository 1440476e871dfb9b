#include "sqlite_commit.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "metric.h"

#include "sqlite_checkpoint.h"

enum {
	GROUP_JOBS = 64,
	GROUP_US = 4000,  /* no job is begun in a group that has been running for longer */
	GATHER_US = 1000, /* the longest wait for announced jobs */
	RETURN_US = 300,  /* and for those that were answered just now */
	GATHER_SKIP = 15, /* groups at most that do not wait after waits that brought nobody */
};

/* Lives on its caller's stack until done is posted. */
struct job {
	struct job *next;
	meta_fn *fn;
	void *arg, *companion;
	int result;
	char detail[512];
	sem_t done;
};

enum sleep { AWAKE, FOR_A_JOB, FOR_ANNOUNCED };

struct committer {
	struct conn *conn;
	const struct meta_driver *driver;
	const struct meta_options *options;
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct job *first, **last;
	int queued;
	int announced; /* jobs somebody prepares */
	int stalled;   /* of these, how many the last wait did not live to see: not waited for again */
	int returning; /* who brought bodies, was answered and may be about to announce the next */
	int skip, skipped; /* groups that shall not, and that did not wait, since the last wait */
	enum sleep sleep;
	bool lent; /* a caller commits on its own thread, this one stays asleep */
	bool due;  /* a checkpoint, after such a commit */
	bool stop;

	struct checkpointer *checkpointer;
	atomic_uint_fast64_t commits, groups;
};

/* --- The queue --- */

static bool gathered(const struct committer *c)
{
	return c->queued >= GROUP_JOBS || (c->announced <= c->stalled && c->returning <= 0) || c->stop;
}

static bool wanted(const struct committer *c)
{
	return !c->lent && (c->queued || c->due || c->stop);
}

static void nudge(struct committer *c)
{
	if ((c->sleep == FOR_A_JOB && wanted(c)) || (c->sleep == FOR_ANNOUNCED && gathered(c))) {
		c->sleep = AWAKE;
		pthread_cond_signal(&c->wake);
	}
}

static void announced_by(struct committer *c, int by)
{
	c->announced += by;
	if (by > 0)
		c->returning--;
	if (c->announced < 0) /* one that was never announced: this is a hint, not an account */
		c->announced = 0;
	if (c->stalled > c->announced)
		c->stalled = c->announced;
}

void committer_announce(struct committer *c, int by)
{
	pthread_mutex_lock(&c->lock);
	announced_by(c, by);
	nudge(c);
	pthread_mutex_unlock(&c->lock);
}

/* True when all there are to wait for came in time. */
static bool wait_until(struct committer *c, int64_t us)
{
	struct timespec until = { us / 1000000, us % 1000000 * 1000 };
	int late = 0;
	while (!gathered(c) && !late) {
		c->sleep = FOR_ANNOUNCED;
		late = pthread_cond_timedwait(&c->wake, &c->lock, &until) == ETIMEDOUT;
	}
	c->sleep = AWAKE;
	return gathered(c);
}

/* Those that prepare a job get a moment to join, so that they share the group's syncs; a shorter one those that were
   answered just now. One that does not come within it is not waited for again until it has come: a client that announces and
   stalls costs the others one wait. */
static void wait_for_announced(struct committer *c)
{
	int64_t now = clock_mono();
	if (c->returning > 0 && wait_until(c, now + RETURN_US))
		return;
	c->returning = 0;
	if (!wait_until(c, now + GATHER_US))
		c->stalled = c->announced;
}

/* Waiting for clients that are slow to send pays for nobody: after a wait in vain the next groups do not wait. */
static void gather(struct committer *c)
{
	if (gathered(c))
		return;
	if (c->skipped < c->skip) {
		c->skipped++;
		return;
	}
	int before = c->queued;
	wait_for_announced(c);
	c->skipped = 0;
	c->skip = c->queued > before ? 0 : c->skip < GATHER_SKIP ? 2 * c->skip + 1 : GATHER_SKIP;
}

/* Takes at most GROUP_JOBS jobs into group, in the order they came. False when the committer is to stop. */
static bool next_group(struct committer *c, struct job **group, int *n)
{
	pthread_mutex_lock(&c->lock);
	while (!wanted(c)) {
		c->sleep = FOR_A_JOB;
		pthread_cond_wait(&c->wake, &c->lock);
	}
	c->sleep = AWAKE;
	if (c->queued)
		gather(c);
	int taken = 0;
	for (; taken < GROUP_JOBS && c->first; taken++) {
		group[taken] = c->first;
		c->first = c->first->next;
	}
	if (!c->first)
		c->last = &c->first;
	c->queued -= taken;
	bool more = taken || c->due;
	c->due = false;
	pthread_mutex_unlock(&c->lock);
	*n = taken;
	return more;
}

/* Back to the front of the queue. */
static void put_back(struct committer *c, struct job **group, int n)
{
	if (!n)
		return;
	pthread_mutex_lock(&c->lock);
	if (!c->first)
		c->last = &group[n - 1]->next;
	for (int i = n; i-- > 0; c->first = group[i])
		group[i]->next = c->first;
	c->queued += n;
	pthread_mutex_unlock(&c->lock);
}

static void answer(struct committer *c, struct job **group, int n)
{
	int bodies = 0;
	for (int i = 0; i < n; i++)
		bodies += group[i]->companion != NULL;
	pthread_mutex_lock(&c->lock);
	c->returning = bodies;
	pthread_mutex_unlock(&c->lock);
	for (int i = 0; i < n; i++)
		sem_post(&group[i]->done);
}

/* --- A group --- */

static void end_job(struct job *j, int result)
{
	j->result = result;
	if (result)
		snprintf(j->detail, sizeof j->detail, "%s", fail_detail());
}

static void call_job(struct committer *c, struct job *j)
{
	struct sqlite_txn t = { .conn = c->conn };
	meta_txn_init(&t.base, c->driver);
	fail_set_detail("");
	int r = j->companion ? c->options->companion_error(j->companion) : OK;
	if (!r)
		r = meta_txn_call(&t.base, j->fn, j->arg);
	end_job(j, r);
}

/* One job among others: what it did is undone alone when it fails. A result other than OK is the group's failure. */
static int run_in_savepoint(struct committer *c, struct job *j)
{
	int r = conn_control(c->conn, SAVEPOINT);
	if (r)
		return r;
	call_job(c, j);
	if (!conn_in_transaction(c->conn)) /* SQLite rolls back all of it after some failures */
		return j->result;
	if (j->result)
		r = conn_control(c->conn, SAVEPOINT_UNDO);
	return r ? r : conn_control(c->conn, SAVEPOINT_RELEASE);
}

/* Runs jobs until the time is up; *ran says how many. */
static int run_jobs(struct committer *c, struct job **group, int n, int *ran)
{
	if (n == 1) {
		call_job(c, group[0]);
		return group[0]->result;
	}
	int64_t start = clock_mono();
	int r = OK;
	for (*ran = 0; !r && *ran < n; ++*ran) {
		if (*ran && clock_mono() - start > GROUP_US)
			break;
		r = run_in_savepoint(c, group[*ran]);
	}
	return r;
}

/* A writer that cannot even roll back is opened anew. */
static void recover(struct committer *c)
{
	if (!c->conn->db || !conn_rollback(c->conn))
		conn_reopen(c->conn);
}

/* One transaction: OK when all of it is durable, else nothing of it happened. */
static int try_group(struct committer *c, struct job **group, int n, int *ran)
{
	*ran = n;
	int r = c->conn->db ? OK : conn_reopen(c->conn);
	if (!r)
		r = conn_control(c->conn, BEGIN_WRITE);
	if (!r)
		r = run_jobs(c, group, n, ran);
	int companions = c->options->before_commit ? c->options->before_commit(c->options->ctx) : OK;
	if (!r)
		r = companions;
	if (!r)
		r = conn_control(c->conn, COMMIT);
	if (r)
		recover(c);
	return r;
}

static void count_group(struct committer *c, struct job **group, int n, int64_t us)
{
	uint64_t good = 0;
	for (int i = 0; i < n; i++)
		good += group[i]->result == OK;
	if (good) {
		atomic_fetch_add(&c->commits, good);
		atomic_fetch_add(&c->groups, 1);
		metric_observe(c->options->metrics, METRIC_GROUP_SIZE, 0, n);
		metric_observe(c->options->metrics, METRIC_GROUP_SECONDS, 0, us);
	}
}

/* When the group as a whole failed, each job is tried alone, so that only those meet the failure that it is about. */
static void run_group(struct committer *c, struct job **group, int n)
{
	int ran;
	int64_t began = clock_mono();
	int r = try_group(c, group, n, &ran);
	if (r && n > 1) {
		for (int i = 0; i < n; i++)
			run_group(c, group + i, 1);
		return;
	}
	if (r)
		end_job(group[0], r);
	if (r == ERR_FULL)
		checkpointer_hurry(c->checkpointer);
	count_group(c, group, ran, clock_mono() - began);
	put_back(c, group + ran, n - ran);
	answer(c, group, ran);
}

static void start_companions(struct committer *c, struct job **group, int n)
{
	void *companions[GROUP_JOBS];
	size_t k = 0;
	for (int i = 0; i < n; i++)
		if (group[i]->companion)
			companions[k++] = group[i]->companion;
	if (k)
		c->options->before_group(c->options->ctx, companions, k);
}

static void commit_group(struct committer *c, struct job **group, int n)
{
	start_companions(c, group, n);
	run_group(c, group, n);
}

static void *committer_main(void *arg)
{
	struct committer *c = arg;
	struct job *group[GROUP_JOBS];
	int n;
	while (next_group(c, group, &n)) {
		if (n)
			commit_group(c, group, n);
		checkpointer_run(c->checkpointer);
	}
	return NULL;
}

/* --- The callers --- */

/* With the lock. Nobody else wants anything of the writer, and nobody is expected to. */
static bool alone(const struct committer *c)
{
	return c->sleep == FOR_A_JOB && !c->lent && !c->queued && !c->due && gathered(c);
}

/* The thread that waits for the answer does the work: two switches less. Who comes meanwhile is queued. */
static void commit_alone(struct committer *c, struct job *job)
{
	char before[sizeof job->detail];
	snprintf(before, sizeof before, "%s", fail_detail());
	commit_group(c, &job, 1);
	fail_set_detail(before); /* a job that succeeds says nothing, on whatever thread */
	pthread_mutex_lock(&c->lock);
	c->lent = false;
	c->due = checkpointer_due(c->checkpointer);
	nudge(c);
	pthread_mutex_unlock(&c->lock);
}

static void enqueue(struct committer *c, struct job *job)
{
	*c->last = job;
	c->last = &job->next;
	c->queued++;
	nudge(c);
}

int committer_run(struct committer *c, meta_fn *fn, void *arg, void *companion)
{
	struct job job = { .fn = fn, .arg = arg, .companion = companion };
	sem_init(&job.done, 0, 0);
	pthread_mutex_lock(&c->lock);
	announced_by(c, -1);
	bool mine = alone(c);
	if (mine)
		c->lent = true;
	else
		enqueue(c, &job);
	pthread_mutex_unlock(&c->lock);
	if (mine)
		commit_alone(c, &job);
	while (sem_wait(&job.done))
		;
	sem_destroy(&job.done);
	if (job.result)
		fail_set_detail(job.detail);
	return job.result;
}

static void init_sync(struct committer *c)
{
	pthread_condattr_t a;
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_cond_init(&c->wake, &a);
	pthread_condattr_destroy(&a);
	pthread_mutex_init(&c->lock, NULL);
}

static void release(struct committer *c)
{
	checkpointer_stop(&c->checkpointer);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int committer_start(struct conn *writer, struct readers *readers, const struct meta_driver *d,
	const struct meta_options *o, struct committer **out)
{
	struct committer *c = calloc(1, sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	c->conn = writer;
	c->driver = d;
	c->options = o;
	c->last = &c->first;
	init_sync(c);
	int r = checkpointer_start(writer, readers, o->metrics, &c->checkpointer);
	if (!r && pthread_create(&c->thread, NULL, committer_main, c))
		r = fail_with(ERR_UNAVAILABLE, "no thread for the committer");
	if (r)
		release(c);
	else
		*out = c;
	return r;
}

void committer_stop(struct committer **pc)
{
	struct committer *c = *pc;
	*pc = NULL;
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	nudge(c);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	release(c);
}

static int do_nothing(struct meta_txn *t, void *arg)
{
	return OK;
}

/* When this group runs, a checkpoint that may not have seen the hold is over. */
int committer_hold_log(struct committer *c)
{
	checkpointer_hold(c->checkpointer);
	int r = committer_run(c, do_nothing, NULL, NULL);
	if (r)
		checkpointer_release(c->checkpointer);
	return r;
}

void committer_release_log(struct committer *c)
{
	checkpointer_release(c->checkpointer);
}

void committer_stats(struct committer *c, struct meta_stats *out)
{
	out->commits = atomic_load(&c->commits);
	out->groups = atomic_load(&c->groups);
	out->checkpoints = checkpointer_finished(c->checkpointer);
}
