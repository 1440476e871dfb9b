/* The VFS that loses power: it must itself be right, or power cut tests prove nothing. */
#include "unit.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "powercut_vfs.h"
#include "scratch.h"

enum { MODEL = 64 * 1024, STEPS = 20000 };

static int setup(void **state)
{
	char *dir = calloc(1, 64);
	scratch_make("powercut", dir);
	*state = dir;
	return 0;
}

static int teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

/* --- One file against a model in memory --- */

struct model {
	unsigned char bytes[MODEL], back[MODEL];
	int size;
	uint64_t seed;
};

static int draw(struct model *m, int below)
{
	m->seed = m->seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (int)((m->seed >> 33) % (uint64_t)below);
}

static void write_some(struct model *m, sqlite3_file *f)
{
	unsigned char p[3000];
	int at = draw(m, MODEL - 3000), n = 1 + draw(m, draw(m, 2) ? 3000 : 30);
	memset(p, draw(m, 256), sizeof p);
	assert_int_equal(f->pMethods->xWrite(f, p, n, at), SQLITE_OK);
	memcpy(m->bytes + at, p, (size_t)n);
	if (m->size < at + n)
		m->size = at + n;
}

static void truncate_some(struct model *m, sqlite3_file *f)
{
	int size = draw(m, m->size + 1);
	assert_int_equal(f->pMethods->xTruncate(f, size), SQLITE_OK);
	memset(m->bytes + size, 0, (size_t)(MODEL - size));
	m->size = size;
}

static void read_some(struct model *m, sqlite3_file *f)
{
	int at = draw(m, MODEL - 3000), n = 1 + draw(m, 3000);
	int rc = f->pMethods->xRead(f, m->back, n, at);
	assert_int_equal(rc, at + n > m->size ? SQLITE_IOERR_SHORT_READ : SQLITE_OK);
	assert_memory_equal(m->back, m->bytes + at, n);
}

static void sync_and_compare(struct model *m, sqlite3_file *f, const char *path)
{
	assert_int_equal(f->pMethods->xSync(f, SQLITE_SYNC_NORMAL), SQLITE_OK);
	FILE *real = fopen(path, "r");
	assert_non_null(real);
	assert_int_equal(fread(m->back, 1, MODEL, real), m->size);
	fclose(real);
	assert_memory_equal(m->back, m->bytes, m->size);
}

static void against_model(const char *dir, uint64_t seed)
{
	static struct model m;
	char path[128];
	struct powercut *p;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_WAL;
	m = (struct model){ .seed = seed + 1 };
	snprintf(path, sizeof path, "%s/%d.wal", dir, (int)seed);
	assert_int_equal(powercut_new(seed, 0, &p), 0);
	sqlite3_vfs *v = sqlite3_vfs_find(powercut_name(p));
	assert_non_null(v);
	sqlite3_file *f = calloc(1, (size_t)v->szOsFile);
	assert_int_equal(v->xOpen(v, path, f, flags, &flags), SQLITE_OK);
	for (int i = 0; i < STEPS; i++) {
		int what = draw(&m, 100);
		if (what < 45)
			write_some(&m, f);
		else if (what < 95)
			read_some(&m, f);
		else if (what < 98)
			truncate_some(&m, f);
		else
			sync_and_compare(&m, f, path);
	}
	sync_and_compare(&m, f, path);
	assert_int_equal(f->pMethods->xClose(f), SQLITE_OK);
	free(f);
	powercut_free(&p);
}

static void test_file(void **state)
{
	sqlite3_initialize();
	for (uint64_t seed = 0; seed < 6; seed++)
		against_model(*state, seed);
}

/* --- A whole database --- */

static void say_and_die(const char *path, uint64_t seed, const char *pragma)
{
	struct powercut *p;
	sqlite3 *db;
	if (powercut_new(seed, 0, &p) ||
		sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, powercut_name(p)) ||
		sqlite3_exec(db, "PRAGMA journal_mode=WAL; CREATE TABLE t (x); PRAGMA wal_checkpoint(FULL);", NULL, NULL, NULL) ||
		sqlite3_exec(db, pragma, NULL, NULL, NULL) ||
		sqlite3_exec(db, "INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);", NULL, NULL, NULL))
		_exit(1);
	kill(getpid(), SIGKILL);
}

static int rows_after_cut(const char *dir, const char *name, uint64_t seed, const char *pragma)
{
	char path[128];
	int status, n;
	sqlite3 *db;
	sqlite3_stmt *s;
	snprintf(path, sizeof path, "%s/%s%d", dir, name, (int)seed);
	pid_t child = fork();
	if (!child)
		say_and_die(path, seed, pragma);
	waitpid(child, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT COUNT(*) FROM t", -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	return n;
}

static void test_what_is_synced_stays(void **state)
{
	for (uint64_t seed = 0; seed < 10; seed++)
		assert_int_equal(rows_after_cut(*state, "full", seed, "PRAGMA synchronous=FULL"), 2);
}

static void test_what_is_not_synced_is_lost(void **state)
{
	assert_int_equal(rows_after_cut(*state, "normal", 0, "PRAGMA synchronous=NORMAL"), 0);
	assert_int_equal(rows_after_cut(*state, "off", 0, "PRAGMA synchronous=OFF"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_file),
		T(test_what_is_synced_stays),
		T(test_what_is_not_synced_is_lost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
