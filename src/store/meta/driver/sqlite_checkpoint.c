#include "sqlite_checkpoint.h"

#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "metric.h"

/* Frames in the log. The longer it may get, the fewer pages are written back for the same changes; when readers stood in
   the way of the end it is tried again after AGAIN more, and from BOUND on by holding the readers, which is sure to work. */
enum {
	STEP = (512 << 10) / SQLITE_PAGE_BYTES,
	FULL = (24 << 20) / SQLITE_PAGE_BYTES,
	AGAIN = FULL / 2,
	BOUND = 4 * FULL,
};

struct checkpointer {
	struct conn *writer;
	struct readers *readers;
	struct metrics *metrics;
	struct conn keeper; /* its read transaction keeps the log from starting over */
	sqlite3_file *database; /* the keeper's */
	int step_at, full_at;
	bool syncing, hurry;
	pthread_t thread;
	sem_t begin;
	atomic_bool synced, stop;
	atomic_int holds;
	atomic_uint_fast64_t finished;
};

/* After a failed sync nobody knows what of the copied pages is on the disk, SQLite reads them from the database already, and
   the kernel says it only once. The log holds all of it: the next start replays it, as after a power cut. */
static void check_sync(int rc)
{
	if (rc != SQLITE_IOERR_FSYNC)
		return;
	log_line(LOG_ERROR, "store", "detail=\"the database could not be synced: see to its disk; what was answered is in the "
		"log and comes back when the node starts\"");
	_exit(EXIT_FAILURE);
}

static void *sync_main(void *arg)
{
	struct checkpointer *k = arg;
	for (;;) {
		while (sem_wait(&k->begin))
			;
		if (atomic_load(&k->stop))
			return NULL;
		check_sync(k->database->pMethods->xSync(k->database, SQLITE_SYNC_NORMAL));
		atomic_store(&k->synced, true);
	}
}

/* True when all of the log is in the database. */
static bool copy_log(struct checkpointer *k)
{
	int in_log = 0, done = 0;
	int64_t began = clock_mono();
	int rc = sqlite3_wal_checkpoint_v2(k->writer->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log, &done);
	check_sync(rc);
	metric_observe(k->metrics, METRIC_CHECKPOINT_SECONDS, 0, clock_mono() - began);
	return rc == SQLITE_OK && in_log == done;
}

static void let_go(struct checkpointer *k)
{
	if (conn_in_transaction(&k->keeper))
		conn_control(&k->keeper, ROLLBACK);
}

/* The keeper's transaction begins anew at the log's end: an older one would also keep what came since from being copied. */
static bool keep_log(struct checkpointer *k)
{
	let_go(k);
	return !conn_control(&k->keeper, BEGIN_READ) && !conn_execute(&k->keeper, "SELECT 1 FROM facts LIMIT 1");
}

/* Without the keeper a copy that is not synced must not be: the next commit could start the log over. */
static void step(struct checkpointer *k)
{
	k->step_at = k->writer->wal_frames + STEP;
	if (!keep_log(k) || conn_execute(k->writer, "PRAGMA synchronous=OFF"))
		return;
	copy_log(k);
	if (conn_execute(k->writer, "PRAGMA synchronous=FULL"))
		conn_close(k->writer); /* opened anew by the next commit */
}

static void finish(struct checkpointer *k)
{
	int frames = k->writer->wal_frames;
	bool hold = frames >= BOUND;
	k->hurry = false;
	let_go(k);
	if (hold)
		readers_hold(k->readers);
	bool done = copy_log(k);
	if (hold)
		readers_release(k->readers);
	atomic_fetch_add(&k->finished, 1);
	if (done)
		k->writer->wal_frames = frames = 0;
	k->step_at = frames + STEP;
	k->full_at = done ? FULL : frames + AGAIN;
}

/* No step is made while the database is synced: what finish() does not copy itself must have been synced before. */
void checkpointer_run(struct checkpointer *k)
{
	int frames = k->writer->db ? k->writer->wal_frames : 0;
	bool held = atomic_load(&k->holds) > 0;
	if (!frames)
		return;
	if (k->syncing) {
		if (!atomic_load(&k->synced))
			return;
		k->syncing = false;
		if (!held)
			finish(k);
	} else if (k->hurry && !held) {
		check_sync(k->database->pMethods->xSync(k->database, SQLITE_SYNC_NORMAL));
		finish(k);
	} else if (frames >= k->full_at && !held) {
		k->syncing = true;
		atomic_store(&k->synced, false);
		sem_post(&k->begin);
	} else if (frames >= k->step_at) {
		step(k);
	}
}

bool checkpointer_due(const struct checkpointer *k)
{
	int frames = k->writer->db ? k->writer->wal_frames : 0;
	return k->syncing ? atomic_load(&k->synced) : frames && (k->hurry || frames >= k->step_at);
}

void checkpointer_hurry(struct checkpointer *k)
{
	k->hurry = true;
}

void checkpointer_hold(struct checkpointer *k)
{
	atomic_fetch_add(&k->holds, 1);
}

void checkpointer_release(struct checkpointer *k)
{
	atomic_fetch_sub(&k->holds, 1);
}

uint64_t checkpointer_finished(struct checkpointer *k)
{
	return atomic_load(&k->finished);
}

static int open_keeper(struct checkpointer *k)
{
	int r = conn_open_keeper(&k->keeper, k->writer->path, k->readers->vfs);
	if (r)
		return r;
	int rc = sqlite3_file_control(k->keeper.db, "main", SQLITE_FCNTL_FILE_POINTER, &k->database);
	return conn_failure(&k->keeper, rc, "file pointer");
}

static void release(struct checkpointer *k)
{
	conn_close(&k->keeper);
	sem_destroy(&k->begin);
	free(k);
}

int checkpointer_start(struct conn *writer, struct readers *readers, struct metrics *metrics, struct checkpointer **out)
{
	struct checkpointer *k = calloc(1, sizeof *k);
	if (!k)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	*k = (struct checkpointer){ .writer = writer, .readers = readers, .metrics = metrics, .step_at = STEP,
		.full_at = FULL };
	sem_init(&k->begin, 0, 0);
	int r = open_keeper(k);
	if (!r && pthread_create(&k->thread, NULL, sync_main, k))
		r = fail_with(ERR_UNAVAILABLE, "no thread for the database's syncs");
	if (r)
		release(k);
	else
		*out = k;
	return r;
}

void checkpointer_stop(struct checkpointer **pk)
{
	struct checkpointer *k = *pk;
	*pk = NULL;
	if (!k)
		return;
	atomic_store(&k->stop, true);
	sem_post(&k->begin);
	pthread_join(k->thread, NULL);
	release(k);
}
