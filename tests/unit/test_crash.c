/* Walks the crash points of the store: a scenario in which everything is done once is run in a child process on stores that
 * lose power (what was not synced is forgotten, or leaks in parts), and the child is killed before or after its k-th call
 * that changes a file. Then the store is opened as after a power cut, and must be what docs/store.md says, hold what was
 * acknowledged exactly once with its flags, and nothing that never was.
 *
 * What it may hold is known from one undisturbed run: the log is deterministic, so the state of an account at a change
 * number is one and the same in every run, and time travel in the undisturbed store shows it.
 *
 * The same scenario then meets stores that answer with errors instead: a refusal must change nothing (or, where only the
 * answer was lost, everything), and the next try must work.
 *
 * PERDURA_CRASH_FULL=1 walks every point (and takes ten minutes or more); without it a sample is taken, and the output says
 * how large. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "account.h"
#include "clock.h"
#include "fail.h"
#include "failing.h"
#include "flags.h"
#include "identity.h"
#include "instant.h"
#include "message.h"
#include "meta_failing.h"
#include "packer.h"
#include "purge.h"
#include "restore.h"
#include "resume.h"
#include "scratch.h"
#include "store.h"
#include "stores.h"
#include "store_inside.h"
#include "undo.h"
#include "verify.h"
#include "view.h"

static const struct actor tester = { "tester", 7, "test" };

enum { ANNA = 1, BERT = 2, ACCOUNTS = 3 /* 0 is the system log */, BIG = 1200, CHANGES_MAX = 200, CALLS_MAX = 1 << 20 };

static const int64_t then_date = 1600000000 * SECOND_US; /* of appended mail; what is delivered is dated now */

/* --- What outlives the child: the ledger, and when it is to die --- */

struct ledger {
	atomic_int acknowledged;  /* steps */
	atomic_int failed;        /* a step that failed, + 1 */
	char why[200];
	atomic_long calls;        /* that change files */
	long die_at;              /* 0: never */
	bool after;               /* die when the call is done, not before it */
	unsigned char kind[CALLS_MAX];
};

static struct ledger *ledger;
static bool armed; /* only ever in a child */

static long enter_call(char kind)
{
	if (!armed)
		return 0;
	long n = atomic_fetch_add(&ledger->calls, 1) + 1;
	if (n < CALLS_MAX)
		ledger->kind[n] = (unsigned char)kind;
	if (n == ledger->die_at && !ledger->after)
		kill(getpid(), SIGKILL);
	return n;
}

static void leave_call(long n)
{
	int error = errno;
	if (n && n == ledger->die_at && ledger->after)
		kill(getpid(), SIGKILL);
	errno = error;
}

/* Our own code's calls are wrapped by the linker, SQLite's through its table. */
#define WRAP(type, name, kind, parameters, arguments) \
	type __real_##name parameters; \
	type __wrap_##name parameters; \
	type __wrap_##name parameters \
	{ \
		long n = enter_call(kind); \
		type r = __real_##name arguments; \
		leave_call(n); \
		return r; \
	}
WRAP(ssize_t, pwritev64, 'w', (int fd, const struct iovec *v, int n_v, off_t at), (fd, v, n_v, at))
WRAP(ssize_t, pwrite64, 'w', (int fd, const void *p, size_t size, off_t at), (fd, p, size, at))
WRAP(int, ftruncate64, 't', (int fd, off_t size), (fd, size))
WRAP(int, fdatasync, 's', (int fd), (fd))
WRAP(int, fsync, 's', (int fd), (fd))
WRAP(int, rename, 'r', (const char *from, const char *to), (from, to))
WRAP(int, unlink, 'u', (const char *path), (path))

static ssize_t sqlite_pwrite(int fd, const void *p, size_t size, off_t at)
{
	long n = enter_call('P');
	ssize_t r = __real_pwrite64(fd, p, size, at);
	leave_call(n);
	return r;
}

static int sqlite_truncate(int fd, off_t size)
{
	long n = enter_call('T');
	int r = __real_ftruncate64(fd, size);
	leave_call(n);
	return r;
}

/* Purge is told another time than it is. */
static int64_t stopped_at; /* us; 0: the clock goes */
int64_t __real_clock_now(void);
int64_t __wrap_clock_now(void);
int64_t __wrap_clock_now(void)
{
	return stopped_at ? stopped_at : __real_clock_now();
}

/* Times of files move with the clock. */
int __real_utimensat(int dir, const char *path, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec t[2], int flags);
int __wrap_utimensat(int dir, const char *path, const struct timespec t[2], int flags)
{
	int64_t us = clock_now();
	struct timespec now = { us / SECOND_US, us % SECOND_US * 1000 };
	return __real_utimensat(dir, path, (struct timespec[]){ now, now }, flags);
}

static void wrap_sqlite(void)
{
	sqlite3_vfs *v = sqlite3_vfs_find(NULL);
	assert_int_equal(v->xSetSystemCall(v, "pwrite", (sqlite3_syscall_ptr)sqlite_pwrite), SQLITE_OK);
	v->xSetSystemCall(v, "pwrite64", (sqlite3_syscall_ptr)sqlite_pwrite);
	assert_int_equal(v->xSetSystemCall(v, "ftruncate", (sqlite3_syscall_ptr)sqlite_truncate), SQLITE_OK);
}

/* --- The world --- */

struct world {
	char dir[128];
	struct store *store;
	struct service *s;
};

static char base[64]; /* folder of all stores of this test */

static int open_world_at(struct world *w, const char *meta_url, const char *blob_url)
{
	struct store_options o = { .dir = w->dir, .node_name = "n1", .meta_url = meta_url, .blob_url = blob_url };
	int e = store_open(&o, &w->store);
	return e ? e : service_open(w->store, &w->s);
}

static void open_world(struct world *w)
{
	int e = open_world_at(w, "sqlite:meta.db", test_blob_url(w->dir));
	if (e)
		print_message("%s: %s\n", w->dir, fail_detail());
	assert_int_equal(e, OK);
}

static void close_world(struct world *w)
{
	service_close(&w->s);
	store_close(&w->store);
}

static void remove_world(struct world *w)
{
	scratch_remove(w->dir);
}

static void copy_world(const char *from, struct world *w)
{
	char command[4200];
	static int copies;
	*w = (struct world){ 0 };
	snprintf(w->dir, sizeof w->dir, "%s/%d", base, ++copies);
	snprintf(command, sizeof command, "cp -r '%s' '%s'", from, w->dir);
	assert_int_equal(system(command), 0);
}

static int64_t head_of(struct world *w, int64_t account)
{
	struct tree t;
	assert_int_equal(tree_read(w->s, account, 0, &t), OK);
	int64_t change = t.change;
	tree_free(&t);
	return change;
}

/* --- The scenario --- */

static int64_t start; /* anna's change before the first step */

static int incoming(struct world *w, const char *subject, size_t body, struct incoming **out)
{
	char text[400], more[1000];
	snprintf(text, sizeof text, "From: a@example.org\r\nTo: b@example.org\r\nSubject: %s\r\n\r\nbody of %s\r\n", subject, subject);
	int e = incoming_new(w->s, out);
	if (!e)
		e = incoming_write(*out, span_of(text));
	for (uint32_t i = 0, random = 1; !e && i < body; i += sizeof more) {
		for (size_t k = 0; k < sizeof more; k++, random = random * 1664525 + 1013904223)
			more[k] = (char)(k == 999 ? '\n' : ' ' + (random >> 24) % 95);
		e = incoming_write(*out, span_from(more, sizeof more));
	}
	return e ? e : incoming_finish(*out);
}

static int put(struct world *w, const char *folder, const char *subject, uint64_t flags, struct span keywords)
{
	struct append_result r;
	struct incoming *in = NULL;
	int e = incoming(w, subject, 0, &in);
	if (!e)
		e = append(w->s, ANNA, span_of(folder),
		           &(struct append_message){ in, flags, keywords, then_date }, 1, &tester, &r);
	incoming_free(&in);
	return e;
}

static int deliver_to(struct world *w, const char *subject, size_t body, struct recipient *r, size_t n)
{
	struct incoming *in = NULL;
	int e = incoming(w, subject, body, &in);
	if (!e)
		e = deliver(w->s, in, SPAN("s@example.org"), r, n, &tester);
	for (size_t i = 0; !e && i < n; i++)
		e = r[i].result;
	incoming_free(&in);
	return e;
}

static int deliver_to_both(struct world *w)
{
	struct recipient r[] = { { .account = ANNA, .address = SPAN("anna@example.org") },
		                 { .account = BERT, .address = SPAN("bert@example.org") } };
	return deliver_to(w, "to both", 0, r, 2);
}

static int deliver_large(struct world *w)
{
	struct recipient r = { .account = ANNA, .address = SPAN("anna+archive@example.org"), .folder = SPAN("Archive") };
	return deliver_to(w, "large", 600000, &r, 1);
}

static int append_one(struct world *w)
{
	return put(w, "Drafts", "a draft", FLAG_SEEN | FLAG_DRAFT, SPAN("project"));
}

/* A large one, two small ones and one with the bytes of another. */
static int append_several(struct world *w)
{
	struct append_message m[4] = { 0 };
	struct append_result r;
	int e = OK;
	for (size_t i = 0; !e && i < COUNT(m); i++) {
		m[i].flags = i & 1 ? FLAG_SEEN : 0;
		e = incoming(w, i == 0 ? "large of several" : "of several", i == 0 ? 300000 : i == 1 ? 5000 : 0, &m[i].in);
	}
	if (!e)
		e = append(w->s, ANNA, SPAN("Archive"), m, COUNT(m), &tester, &r);
	for (size_t i = 0; i < COUNT(m); i++)
		incoming_free(&m[i].in);
	return e;
}

static int look(struct world *w, const char *path, struct view **v)
{
	return view_open(w->s, ANNA, span_of(path), 0, v);
}

/* The last draft gets another text. */
static int replace_one(struct world *w)
{
	struct append_message m = { .flags = FLAG_DRAFT, .date = then_date };
	struct append_result r;
	struct view *v = NULL;
	int e = incoming(w, "a better draft", 0, &m.in);
	if (!e)
		e = look(w, "Drafts", &v);
	if (!e)
		e = replace(v, view_uid(v, view_count(v)), SPAN("Drafts"), &m, &tester, &r);
	view_close(&v);
	incoming_free(&m.in);
	return e;
}

static int store(struct world *w, const char *path, uint32_t first, uint32_t last, uint64_t flags, struct span keywords)
{
	struct view *v = NULL;
	struct imap_range range = { first, last };
	struct imap_set set = { &range, 1 };
	struct store_request q = { .uids = &set, .op = STORE_ADD, .flags = flags, .keywords = keywords };
	struct store_result r = { 0 };
	int e = look(w, path, &v);
	if (!e)
		e = view_store(v, &q, &tester, &r);
	free(r.modified);
	view_close(&v);
	return e;
}

static int flag_few(struct world *w)
{
	return store(w, "big", 10, 30, FLAG_FLAGGED, SPAN("later urgent"));
}

static int flag_many(struct world *w)
{
	return store(w, "big", 1, 700, FLAG_SEEN, (struct span){ 0 });
}

static int copy(struct world *w, const char *from, uint32_t first, uint32_t last, const char *to, bool move)
{
	struct view *v = NULL;
	struct imap_range range = { first, last };
	struct imap_set set = { &range, 1 };
	struct copy_result r = { 0 };
	int e = look(w, from, &v);
	if (!e)
		e = view_copy(v, &set, span_of(to), move, &tester, &r);
	free(r.from);
	free(r.to);
	view_close(&v);
	return e;
}

static int copy_few(struct world *w)
{
	return copy(w, "big", 5, 40, "Archive", false);
}

static int move_many(struct world *w)
{
	return copy(w, "big", 1, 600, "Trash", true);
}

static int mark_deleted(struct world *w)
{
	return store(w, "Trash", 1, 300, FLAG_DELETED, (struct span){ 0 });
}

static int expunge(struct world *w)
{
	struct view *v = NULL;
	int e = look(w, "Trash", &v);
	if (!e)
		e = view_expunge(v, NULL, &tester);
	view_close(&v);
	return e;
}

static int take_snapshot(struct world *w)
{
	struct snapshot sn;
	return snapshot_create(w->s, SPAN("monday"), 0, &tester, &sn);
}

static int create_folder(struct world *w)
{
	return folder_create(w->s, ANNA, SPAN("a/b/c"), &tester);
}

static int rename_folder(struct world *w)
{
	return folder_rename(w->s, ANNA, SPAN("a"), SPAN("work"), &tester);
}

static int delete_folder(struct world *w)
{
	return folder_delete(w->s, ANNA, SPAN("big"), &tester);
}

static int restore(struct world *w, struct span folder, struct span into, bool exact)
{
	struct restore_report r;
	struct restore_request q = { .account = ANNA, .folder = folder, .into = into, .exact = exact, .actor = &tester };
	char when[32];
	snprintf(when, sizeof when, "@%lld", (long long)start);
	int e = instant_resolve(w->s, ANNA, span_of(when), &q.at);
	return e ? e : restore_run(w->s, &q, &r);
}

static int restore_all(struct world *w)
{
	return restore(w, (struct span){ 0 }, (struct span){ 0 }, false);
}

static int restore_into(struct world *w)
{
	return restore(w, SPAN("big"), SPAN("again"), false);
}

static int restore_exactly(struct world *w)
{
	return restore(w, (struct span){ 0 }, (struct span){ 0 }, true);
}

/* Where nothing can be appended to a pack: what waits in the database goes into one. Elsewhere there is nothing to do. */
static int gather(struct world *w)
{
	struct packer *p;
	struct packer_report r;
	int e = packer_open(&(struct packer_options){ w->store, 64 * 1024, SECOND_US }, &p);
	if (e)
		return e;
	e = packer_run(p, true, NULL, NULL, &r);
	packer_close(&p);
	return e;
}

static int undo_losses(struct world *w);
static int undo_the_undo(struct world *w);
static int undo_exact(struct world *w);

enum { WHOLE = 1, RESUMES = 2, REPEATS = 4 };

/* WHOLE: one transaction. RESUMES: several, that a start finishes. REPEATS: a second time changes nothing. */
static const struct step {
	const char *name;
	int (*run)(struct world *w);
	int how;
} steps[] = {
	{ "deliver to two", deliver_to_both, WHOLE | REPEATS },
	{ "deliver a large one", deliver_large, WHOLE | REPEATS },
	{ "append", append_one, WHOLE },
	{ "append several", append_several, WHOLE },
	{ "replace", replace_one, WHOLE },
	{ "flag 20", flag_few, WHOLE | REPEATS },
	{ "flag 700", flag_many, REPEATS },
	{ "copy 36", copy_few, WHOLE },
	{ "move 600", move_many, 0 },
	{ "mark 300 deleted", mark_deleted, WHOLE | REPEATS },
	{ "expunge 300", expunge, WHOLE | REPEATS },
	{ "snapshot", take_snapshot, WHOLE },
	{ "create folders", create_folder, WHOLE },
	{ "rename a folder", rename_folder, WHOLE },
	{ "delete a folder", delete_folder, WHOLE },
	{ "gather staged bodies", gather, WHOLE | REPEATS },
	{ "restore all", restore_all, RESUMES },
	{ "restore 1,200 elsewhere", restore_into, RESUMES },
	{ "undo", undo_losses, RESUMES },
	{ "undo the undo", undo_the_undo, RESUMES },
	{ "restore exactly", restore_exactly, RESUMES },
	{ "undo that", undo_exact, RESUMES },
	{ "deliver again", deliver_to_both, WHOLE | REPEATS },
};

static int64_t ends[COUNT(steps) + 1][ACCOUNTS]; /* change numbers after so many steps */

/* From one step to another, both included. */
static int undo_steps(struct world *w, int (*from)(struct world *w), int (*to)(struct world *w))
{
	struct undo_report r;
	struct undo_request q = { .account = ANNA, .actor = &tester };
	for (size_t i = 0; i < COUNT(steps); i++) {
		if (steps[i].run == from)
			q.first = ends[i][ANNA] + 1;
		if (steps[i].run == to)
			q.last = ends[i + 1][ANNA];
	}
	return undo_run(w->s, &q, &r);
}

static int undo_losses(struct world *w)
{
	return undo_steps(w, flag_few, restore_into);
}

static int undo_the_undo(struct world *w)
{
	return undo_steps(w, undo_losses, undo_losses);
}

static int undo_exact(struct world *w)
{
	return undo_steps(w, restore_exactly, restore_exactly);
}

static void note_failure(void *ctx, const struct changeset *c, int error, bool again)
{
	*(int *)ctx = error;
}

static int resume(struct world *w)
{
	int failed = OK;
	int e = resume_run(w->s, &(struct resume_request){ .failed = note_failure, .ctx = &failed });
	return e ? e : failed;
}

/* --- The state of an account, in one number --- */

static void mix(uint64_t *h, const void *p, size_t n)
{
	const unsigned char *c = p;
	for (size_t i = 0; i < n; i++)
		*h = (*h ^ c[i]) * UINT64_C(0x100000001b3);
}

static void mix_number(uint64_t *h, int64_t v)
{
	mix(h, &v, sizeof v);
}

static void mix_span(uint64_t *h, struct span s)
{
	mix_number(h, (int64_t)s.n);
	mix(h, s.p, s.n);
}

static void mix_entry(uint64_t *h, const struct entry *e)
{
	mix_number(h, e->uid);
	mix_number(h, e->created);
	mix_number(h, e->change);
	mix_number(h, (int64_t)e->flags);
	mix_number(h, e->date == then_date);
	mix_number(h, (int64_t)e->size);
	mix_span(h, e->keywords);
	mix_span(h, e->summary); /* every message has a subject of its own */
}

static void mix_folder(uint64_t *h, struct world *w, int64_t account, int64_t at, const struct folder *f)
{
	char path[200];
	struct view *v = NULL;
	struct arena a = { 0 };
	struct entry *e;
	size_t n = 0;
	if (at)
		snprintf(path, sizeof path, "#at/@%lld/%.*s", (long long)at, SPAN_ARG(f->path));
	else
		snprintf(path, sizeof path, "%.*s", SPAN_ARG(f->path));
	mix_span(h, f->path);
	mix_number(h, f->id);
	mix_number(h, f->uidvalidity);
	mix_number(h, f->attributes);
	if (f->attributes & FOLDER_NOSELECT)
		return;
	assert_int_equal(view_open(w->s, account, span_of(path), VIEW_READ_ONLY, &v), OK);
	assert_int_equal(view_read(v, 1, UINT32_MAX, SIZE_MAX / 2, true, &a, &e, &n), OK);
	assert_int_equal(n, view_count(v));
	for (size_t i = 0; i < n; i++)
		mix_entry(h, &e[i]);
	arena_free(&a);
	view_close(&v);
}

static uint64_t state_of(struct world *w, int64_t account, int64_t at)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	struct tree t;
	assert_int_equal(tree_read(w->s, account, at, &t), OK);
	for (size_t i = 0; i < t.n; i++)
		mix_folder(&h, w, account, at, &t.list[i]);
	tree_free(&t);
	return h;
}

/* --- The undisturbed run --- */

static char template[128];
static char stations[COUNT(steps)][128]; /* the store as each step finds it */
static char finished[128];               /* the store after the last of them */
static uint64_t known[ACCOUNTS][CHANGES_MAX];    /* states by change number; the system log has none */

static void make_template(void)
{
	struct world w = { 0 };
	struct span names[] = { SPAN("anna@example.org"), SPAN("bert@example.org") };
	char subject[32];
	snprintf(w.dir, sizeof w.dir, "%s/template", base);
	assert_int_equal(mkdir(w.dir, 0700), 0);
	open_world(&w);
	assert_int_equal(account_add(w.s, names, 2, SPAN("none"), &tester), OK);
	assert_int_equal(folder_create(w.s, ANNA, SPAN("big"), &tester), OK);
	for (int i = 0; i < BIG; i++) {
		snprintf(subject, sizeof subject, "number %d", i);
		assert_int_equal(put(&w, "big", subject, i % 3 ? 0 : FLAG_ANSWERED, i % 5 ? (struct span){ 0 } : SPAN("five")), OK);
	}
	close_world(&w);
	snprintf(template, sizeof template, "%s", w.dir);
}

static void note_ends(struct world *w, int64_t *out)
{
	for (int64_t a = 0; a < ACCOUNTS; a++)
		out[a] = head_of(w, a);
}

/* Runs the scenario with a stop before each step; what is known of it comes from time travel at its end. */
static void run_undisturbed(void)
{
	struct world w;
	uint64_t live[COUNT(steps) + 1];
	copy_world(template, &w);
	open_world(&w);
	start = head_of(&w, ANNA);
	for (size_t i = 0; i <= COUNT(steps); i++) {
		note_ends(&w, ends[i]);
		live[i] = state_of(&w, ANNA, 0);
		if (i == COUNT(steps))
			break;
		close_world(&w);
		struct world station;
		copy_world(w.dir, &station);
		strcpy(stations[i], station.dir);
		open_world(&w);
		int e = steps[i].run(&w);
		if (e)
			print_message("%s: %s\n", steps[i].name, fail_detail());
		assert_int_equal(e, OK);
	}
	for (int64_t a = ANNA; a < ACCOUNTS; a++)
		for (int64_t n = ends[0][a]; n <= ends[COUNT(steps)][a]; n++) {
			assert_true(n - ends[0][a] < CHANGES_MAX);
			known[a][n - ends[0][a]] = state_of(&w, a, n);
		}
	for (size_t i = 0; i <= COUNT(steps); i++) /* what was is what is seen of it later */
		assert_int_equal(live[i], known[ANNA][ends[i][ANNA] - start]);
	close_world(&w);
	strcpy(finished, w.dir);
}

static int set_up(void **state)
{
	ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(ledger != MAP_FAILED);
	scratch_make("crash", base); /* the power is cut in our drivers: a disk would only cost time */
	wrap_sqlite();
	make_template();
	run_undisturbed();
	return 0;
}

static int tear_down(void **state)
{
	scratch_remove(base);
	munmap(ledger, sizeof *ledger);
	return 0;
}

/* --- Looking at what is left --- */

static void take_line(void *ctx, const char *line)
{
	print_message("  verify: %s\n", line);
}

static void assert_sound(struct world *w, const char *when)
{
	struct verify_request q = { .say = take_line };
	struct verify_report r;
	assert_int_equal(verify_run(w->s, &q, &r), OK);
	if (r.troubles)
		print_message("%s\n", when);
	assert_int_equal(r.troubles, 0);
}

/* The state of each account is one that the undisturbed run went through. */
static void assert_known(struct world *w, const int64_t *now, const char *when)
{
	for (int64_t a = ANNA; a < ACCOUNTS; a++) {
		uint64_t is = state_of(w, a, 0);
		if (now[a] > ends[COUNT(steps)][a] || is != known[a][now[a] - ends[0][a]]) {
			print_message("%s: account %d at @%lld is in no state it ever was\n", when, (int)a, (long long)now[a]);
			assert_true(false);
		}
	}
}

/* Between the step that was acknowledged last and the next one; whole: all of that or nothing. */
static void assert_between(const int64_t *now, size_t done, bool whole, const char *when)
{
	bool before = true, after = true, within = true;
	size_t next = done < COUNT(steps) ? done + 1 : done;
	for (int64_t a = 0; a < ACCOUNTS; a++) {
		before = before && now[a] == ends[done][a];
		after = after && now[a] == ends[next][a];
		within = within && now[a] >= ends[done][a] && now[a] <= ends[next][a];
	}
	if (before || after || (within && !whole))
		return;
	print_message("%s: @%lld @%lld @%lld, from @%lld @%lld @%lld to @%lld @%lld @%lld\n", when, (long long)now[0],
	              (long long)now[1], (long long)now[2], (long long)ends[done][0], (long long)ends[done][1], (long long)ends[done][2],
	              (long long)ends[next][0], (long long)ends[next][1], (long long)ends[next][2]);
	assert_true(false);
}

/* A delivery whose answer was lost comes again, and is there once. */
static void repeat_delivery(struct world *w, size_t done, const char *when)
{
	int64_t now[ACCOUNTS];
	if (done >= COUNT(steps) || (steps[done].run != deliver_to_both && steps[done].run != deliver_large))
		return;
	assert_int_equal(steps[done].run(w), OK);
	note_ends(w, now);
	assert_memory_equal(now, ends[done + 1], sizeof now);
	assert_known(w, now, when);
}

/* New mail comes in, at a UID that nothing had before. */
static void assert_usable(struct world *w)
{
	struct recipient r = { .account = ANNA, .address = SPAN("anna@example.org") };
	struct tree t;
	assert_int_equal(tree_read(w->s, ANNA, 0, &t), OK);
	int64_t next = t.list[0].uidnext;
	tree_free(&t);
	assert_int_equal(deliver_to(w, "afterwards", 0, &r, 1), OK);
	assert_false(r.duplicate);
	assert_int_equal(r.uid, next);
}

static void look_after_death(struct world *w, const char *when)
{
	int64_t now[ACCOUNTS];
	size_t done = (size_t)atomic_load(&ledger->acknowledged);
	open_world(w);
	assert_int_equal(resume(w), OK);
	assert_sound(w, when);
	note_ends(w, now);
	assert_between(now, done, done == COUNT(steps) || steps[done].how & (WHOLE | RESUMES), when);
	assert_known(w, now, when);
	repeat_delivery(w, done, when);
	assert_usable(w);
	close_world(w);
}

/* --- Power cuts --- */

static void fall(int step)
{
	snprintf(ledger->why, sizeof ledger->why, "%s", fail_detail());
	atomic_store(&ledger->failed, step + 1);
	_exit(1);
}

static void powercut_url(const char *dir, unsigned seed, char out[200])
{
	const char *url = test_blob_url(dir);
	snprintf(out, 200, "%s%cpowercut=1&seed=%u", url, strchr(url, '?') ? '&' : '?', seed);
}

static void live_and_die(struct world *w, unsigned seed)
{
	char meta[64], blob[200];
	snprintf(meta, sizeof meta, "sqlite:meta.db?powercut=1&seed=%u", seed);
	powercut_url(w->dir, seed, blob);
	armed = true;
	if (open_world_at(w, meta, blob))
		fall(0);
	for (size_t i = 0; i < COUNT(steps); i++) {
		if (steps[i].run(w))
			fall((int)i);
		atomic_store(&ledger->acknowledged, (int)i + 1);
	}
	_exit(0);
}

/* True when it came to its death rather than to the end of the scenario. */
static bool run_child(struct world *w, long die_at, bool after, unsigned seed)
{
	int status;
	atomic_store(&ledger->acknowledged, 0);
	atomic_store(&ledger->failed, 0);
	atomic_store(&ledger->calls, 0);
	ledger->die_at = die_at;
	ledger->after = after;
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child)
		live_and_die(w, seed);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (atomic_load(&ledger->failed))
		print_message("call %ld: step %d: %s\n", die_at, ledger->failed - 1, ledger->why);
	assert_int_equal(atomic_load(&ledger->failed), 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void die_at(long call, bool after, unsigned seed)
{
	struct world w;
	char when[100];
	copy_world(template, &w);
	run_child(&w, call, after, seed);
	size_t done = (size_t)atomic_load(&ledger->acknowledged);
	snprintf(when, sizeof when, "killed %s call %ld (%c), seed %u, in \"%s\"", after ? "after" : "before", call, ledger->kind[call],
	         seed, done < COUNT(steps) ? steps[done].name : "the end");
	look_after_death(&w, when);
	remove_world(&w);
}

/* The next call worth dying at: the first, the middle and the last of a run of writes, and everything else. */
static bool worth(const unsigned char *kind, long at, long n)
{
	long first = at, last = at;
	if (kind[at] != 'P')
		return true;
	while (first > 1 && kind[first - 1] == 'P')
		first--;
	while (last < n && kind[last + 1] == 'P')
		last++;
	return at == first || at == last || at == (first + last) / 2;
}

static void power_cuts(void **state)
{
	bool full = getenv("PERDURA_CRASH_FULL");
	struct world w;
	long tried = 0, worthy = 0, most = full ? LONG_MAX : 150;
	copy_world(template, &w);
	assert_false(run_child(&w, 0, false, 1));
	assert_int_equal(atomic_load(&ledger->acknowledged), COUNT(steps));
	look_after_death(&w, "killed after the end");
	remove_world(&w);
	long n = atomic_load(&ledger->calls);
	assert_true(n < CALLS_MAX);
	unsigned char *kind = malloc((size_t)n + 2);
	memcpy(kind, ledger->kind, (size_t)n + 1);
	for (long i = 1; i <= n; i++)
		worthy += full || worth(kind, i, n);
	long stride = full ? 1 : worthy / most + 1;
	long at = 0;
	for (long i = 1; i <= n; i++) {
		if (!full && !worth(kind, i, n))
			continue;
		if (at++ % stride)
			continue;
		bool after = full ? i & 1 : tried & 1;
		die_at(i, after, tried % 3 ? (unsigned)i : 0);
		if (full)
			die_at(i, !after, tried % 3 ? 0 : (unsigned)i);
		tried++;
	}
	print_message("%ld calls change files; killed at %ld of them%s\n", n, tried, full ? ", before and after each" : "");
	free(kind);
}

/* --- Purge --- */

#define WINDOW_US (30 * 86400 * SECOND_US)

static int64_t stamp_at(struct world *w, int64_t change)
{
	struct instant at;
	char when[32];
	snprintf(when, sizeof when, "@%lld", (long long)change);
	assert_int_equal(instant_resolve(w->s, ANNA, span_of(when), &at), OK);
	return at.stamp;
}

/* As if it were run when the window ends right after that time. */
static int purge_up_to(struct world *w, int64_t stamp, struct purge_report *out)
{
	struct identity_options io = { .meta = w->store->meta };
	struct identity *identity = NULL;
	struct purge *p = NULL;
	struct purge_request q = { .clock_is_right = true };
	int e = identity_open(&io, &identity);
	struct purge_options o = { w->s, identity, 0 };
	if (!e)
		e = purge_open(&o, &p);
	stopped_at = stamp + WINDOW_US;
	if (!e)
		e = purge_run(p, &q, out);
	stopped_at = 0;
	purge_close(&p);
	identity_close(&identity);
	return e;
}

/* What there is to purge, in stages: up to the deletion of a folder, with a snapshot before it; all the rest of the past,
   without; then folders with most messages, whose bodies leave a pack mostly dead; and that pack. */
static int64_t floor_stamp, cut; /* of the first purge */

static int purge_some(struct world *w)
{
	struct purge_report r;
	return purge_up_to(w, floor_stamp, &r);
}

static int forget_snapshot(struct world *w)
{
	int e = snapshot_remove(w->s, SPAN("monday"), &tester);
	return e == ERR_NOT_FOUND ? OK : e;
}

static int lose_most(struct world *w)
{
	static const char *const folders[] = { "big", "again", "Trash" };
	int e = OK;
	for (size_t i = 0; !e && i < COUNT(folders); i++) {
		e = folder_delete(w->s, ANNA, span_of(folders[i]), &tester);
		e = e == ERR_NOT_FOUND ? OK : e;
	}
	return e;
}

static int64_t head_stamp(struct world *w)
{
	struct account_info i = { 0 };
	account_show(w->s, ANNA, &i);
	return i.stamp; /* 0 when the store fails: then nothing is old enough */
}

static int purge_all(struct world *w)
{
	struct purge_report r;
	return purge_up_to(w, head_stamp(w), &r);
}

static int (*const stages[])(struct world *w) = { gather, purge_some, forget_snapshot, purge_some, lose_most, purge_all, gather,
	purge_all };

/* What the store holds of all that purge removes, in rows. */
static uint64_t rows_of(struct world *w)
{
	static const char *const tables[] = { "past", "collection_past", "journal", "email", "body", "body_use", "delivery", "doomed", "staged" };
	char path[200], sql[100];
	sqlite3 *db;
	sqlite3_stmt *s;
	uint64_t digest = 0;
	snprintf(path, sizeof path, "%s/meta.db", w->dir);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	for (size_t i = 0; i < COUNT(tables); i++) {
		snprintf(sql, sizeof sql, "SELECT COUNT(*) FROM %s", tables[i]);
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
		assert_int_equal(sqlite3_step(s), SQLITE_ROW);
		digest = digest * 10007 + (uint64_t)sqlite3_column_int64(s, 0);
		sqlite3_finalize(s);
	}
	sqlite3_close(db);
	return digest;
}

/* Whatever purge was at: nothing above the floor looks different, nor what the snapshot shows while there is one. */
static void assert_kept(struct world *w, const char *when)
{
	struct instant at;
	size_t all = COUNT(steps);
	for (int64_t n = cut; n <= ends[all][ANNA]; n++) {
		char number[32];
		snprintf(number, sizeof number, "@%lld", (long long)n);
		if (instant_resolve(w->s, ANNA, span_of(number), &at)) /* the later purge has gone past it */
			continue;
		if (state_of(w, ANNA, n) != known[ANNA][n - start]) {
			print_message("%s: @%lld looks different\n", when, (long long)n);
			assert_true(false);
		}
	}
	if (instant_resolve(w->s, ANNA, SPAN("monday"), &at) == OK)
		assert_int_equal(state_of(w, ANNA, at.change), known[ANNA][at.change - start]);
}

static void run_stages(struct world *w, size_t from, const char *when)
{
	for (size_t i = from; i < COUNT(stages); i++) {
		int e = stages[i](w);
		if (e)
			print_message("%s: stage %zu: %s\n", when, i, fail_detail());
		assert_int_equal(e, OK);
	}
}

static uint64_t purged_rows; /* what is left of an undisturbed one */

static void prepare_purge(void)
{
	struct world w;
	copy_world(finished, &w);
	open_world(&w);
	cut = ends[13][ANNA];
	floor_stamp = stamp_at(&w, cut);
	struct purge_report r;
	assert_int_equal(gather(&w), OK);
	assert_int_equal(purge_some(&w), OK);
	assert_kept(&w, "undisturbed");
	assert_sound(&w, "undisturbed");
	for (size_t i = 2; stages[i] != purge_all; i++)
		assert_int_equal(stages[i](&w), OK);
	assert_int_equal(purge_up_to(&w, head_stamp(&w), &r), OK);
	assert_true(r.counts.versions && r.counts.folders && r.counts.changes && r.counts.emails && r.counts.bodies && r.counts.rewritten);
	assert_int_equal(gather(&w), OK);
	assert_int_equal(purge_up_to(&w, head_stamp(&w), &r), OK);
	assert_true(r.counts.packs);
	assert_sound(&w, "undisturbed");
	assert_int_equal(purge_up_to(&w, floor_stamp, &r), OK); /* nothing is left to do */
	assert_int_equal(r.counts.versions + r.counts.emails + r.counts.bodies + r.counts.packs + r.counts.rewritten, 0);
	purged_rows = rows_of(&w);
	close_world(&w);
	remove_world(&w);
}

static void die_while_purging(long call, bool after, unsigned seed)
{
	struct world w;
	int status;
	char when[100], meta[64], blob[200];
	copy_world(finished, &w);
	atomic_store(&ledger->acknowledged, 0);
	atomic_store(&ledger->failed, 0);
	atomic_store(&ledger->calls, 0);
	ledger->die_at = call;
	ledger->after = after;
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		snprintf(meta, sizeof meta, "sqlite:meta.db?powercut=1&seed=%u", seed);
		powercut_url(w.dir, seed, blob);
		armed = true;
		if (open_world_at(&w, meta, blob))
			fall(0);
		for (size_t i = 0; i < COUNT(stages); i++) {
			if (stages[i](&w))
				fall((int)i);
			atomic_store(&ledger->acknowledged, (int)i + 1);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	snprintf(when, sizeof when, "killed %s call %ld, seed %u, in stage %d of purge", after ? "after" : "before", call, seed,
	         atomic_load(&ledger->acknowledged));
	if (atomic_load(&ledger->failed))
		print_message("%s: %s\n", when, ledger->why);
	assert_int_equal(atomic_load(&ledger->failed), 0);
	open_world(&w);
	assert_sound(&w, when);
	assert_kept(&w, when);
	run_stages(&w, 0, when);
	assert_sound(&w, when);
	if (rows_of(&w) != purged_rows)
		print_message("%s: something else is left\n", when);
	assert_int_equal(rows_of(&w), purged_rows);
	assert_usable(&w);
	close_world(&w);
	remove_world(&w);
}

static void purge_cuts(void **state)
{
	bool full = getenv("PERDURA_CRASH_FULL");
	prepare_purge();
	die_while_purging(0, false, 0);
	long n = atomic_load(&ledger->calls), tried = 0, stride = full ? 1 : n / 100 + 1;
	for (long i = 1; i <= n; i += stride, tried++)
		die_while_purging(i, i & 1, tried % 3 ? (unsigned)i : 0);
	print_message("%ld calls change files; killed at %ld of them\n", n, tried);
}

/* --- Errors instead of death --- */

/* A way in which a store fails once: which call, and what is said. */
struct fault {
	const char *name;
	enum meta_failing_call meta;
	enum fault_op blob;
	int code;
	bool cut; /* meta: the commit happened; blob: half of it did */
};

static const struct fault faults[] = {
	{ "statement: full", META_FAILING_STATEMENT, FAULT_NONE, ERR_FULL, false },
	{ "statement: unavailable", META_FAILING_STATEMENT, FAULT_NONE, ERR_UNAVAILABLE, false },
	{ "commit: full", META_FAILING_COMMIT, FAULT_NONE, ERR_FULL, false },
	{ "commit: unavailable", META_FAILING_COMMIT, FAULT_NONE, ERR_UNAVAILABLE, false },
	{ "pack created: full", META_FAILING_NONE, FAULT_CREATE, ERR_FULL, false },
	{ "pack written: full, half of it", META_FAILING_NONE, FAULT_WRITE, ERR_FULL, true },
	{ "pack written: unavailable", META_FAILING_NONE, FAULT_WRITE, ERR_UNAVAILABLE, false },
	{ "pack synced: unavailable", META_FAILING_NONE, FAULT_SYNC, ERR_UNAVAILABLE, false },
	{ "pack synced: unavailable, yet done", META_FAILING_NONE, FAULT_SYNC, ERR_UNAVAILABLE, true },
};
static const struct fault answer_lost = { "commit: answer lost", META_FAILING_COMMIT, FAULT_NONE, ERR_UNAVAILABLE, true };
static const struct fault conflict = { "commit: conflict", META_FAILING_COMMIT, FAULT_NONE, ERR_CONFLICT, false };
static const struct fault none = { "none", META_FAILING_NONE, FAULT_ANY, OK, false };

static struct fault planned;
static long planned_at;

static void plan(struct world *w, const struct fault *f, long at)
{
	planned = *f;
	planned_at = at;
	struct meta_failing_plan m = { f->meta, (uint64_t)at, 1, f->code, f->cut };
	struct fault_plan b = { f->blob, f->blob == FAULT_ANY ? LONG_MAX : at, 1, f->code == ERR_FULL, f->cut };
	meta_failing_set(w->store->meta, &m);
	blob_failing_set(w->store->blob->backend, &b);
}

/* How often a step makes each fault's call. */
static long calls_of(struct world *w, const struct fault *f)
{
	uint64_t statements, commits;
	meta_failing_seen(w->store->meta, &statements, &commits);
	if (f->meta == META_FAILING_NONE)
		return (long)blob_failing_calls(w->store->blob->backend);
	return (long)(f->meta == META_FAILING_COMMIT ? commits : statements);
}

static bool struck(struct world *w)
{
	return calls_of(w, &planned) >= planned_at;
}

static void open_station(struct world *w, size_t i)
{
	copy_world(stations[i], w);
	assert_int_equal(open_world_at(w, "failing:sqlite:meta.db", "failing:file:blobs"), OK);
}

static void leave_station(struct world *w)
{
	close_world(w);
	remove_world(w);
}

static void assert_at(struct world *w, const int64_t *wanted, const char *when)
{
	int64_t now[ACCOUNTS];
	note_ends(w, now);
	if (memcmp(now, wanted, sizeof now))
		print_message("%s: @%lld @%lld @%lld, not @%lld @%lld @%lld\n", when, (long long)now[0], (long long)now[1], (long long)now[2],
		              (long long)wanted[0], (long long)wanted[1], (long long)wanted[2]);
	assert_memory_equal(now, wanted, sizeof now);
}

/* True when the step was done; where it should have failed only because its turn never came: what earlier tries left in
   caches needs no statement. */
static bool run_step(struct world *w, size_t i, int wanted, const char *when)
{
	int e = steps[i].run(w);
	if (!e && wanted && !struck(w))
		return true;
	if (e != wanted)
		print_message("%s: %s, not %s: %s\n", when, fail_name(e), fail_name(wanted), fail_detail());
	assert_int_equal(e, wanted);
	return !e;
}

/* How often the step makes the call of each fault. */
static void count_calls(size_t i, long calls[static COUNT(faults)])
{
	struct world w;
	open_station(&w, i);
	plan(&w, &none, LONG_MAX);
	run_step(&w, i, OK, steps[i].name);
	bool packs = calls_of(&w, &none);
	for (size_t k = 0; k < COUNT(faults); k++)
		if (faults[k].meta != META_FAILING_NONE)
			calls[k] = calls_of(&w, &faults[k]);
		else
			calls[k] = packs ? 3 : 0; /* more than there are: the step is done before */
	leave_station(&w);
}

/* Numbers from 1 to n: all when they are few, else the first and the last and some between. */
static long next_of(long at, long n, long most)
{
	long stride = n / (getenv("PERDURA_CRASH_FULL") ? most * 20 : most) + 1;
	return at + stride < n || at == n ? at + stride : n;
}

/* One transaction: a refusal changes nothing, whichever of its calls was the cause, and the next try is as good as the first. */
static size_t fail_whole_step(size_t i)
{
	struct world w;
	size_t tried = 0;
	char when[160];
	long calls[COUNT(faults)];
	count_calls(i, calls);
	for (size_t k = 0; k < COUNT(faults); k++) {
		long n = calls[k];
		if (!n)
			continue;
		open_station(&w, i);
		bool done = false;
		for (long at = 1; !done && at <= n; at = next_of(at, n, 25)) {
			snprintf(when, sizeof when, "\"%s\", %s at %ld", steps[i].name, faults[k].name, at);
			plan(&w, &faults[k], at);
			done = run_step(&w, i, faults[k].code, when);
			plan(&w, &none, 1);
			assert_at(&w, ends[i + done], when);
			tried += !done;
		}
		if (!done)
			run_step(&w, i, OK, when);
		assert_at(&w, ends[i + 1], when);
		assert_known(&w, ends[i + 1], when);
		assert_sound(&w, when);
		leave_station(&w);
	}
	return tried;
}

/* Several transactions: what is done is whole, and either trying again or (a restore) the next start does the rest. */
static size_t fail_long_step(size_t i)
{
	struct world w;
	int64_t now[ACCOUNTS];
	size_t tried = 0;
	char when[160];
	long calls[COUNT(faults)];
	count_calls(i, calls);
	for (size_t k = 0; k < 4; k++) {
		long n = calls[k];
		for (long at = 1; at <= n; at = next_of(at, n, 4), tried++) {
			snprintf(when, sizeof when, "\"%s\", %s at %ld", steps[i].name, faults[k].name, at);
			open_station(&w, i);
			plan(&w, &faults[k], at);
			run_step(&w, i, faults[k].code, when);
			plan(&w, &none, 1);
			note_ends(&w, now);
			assert_between(now, i, false, when);
			assert_known(&w, now, when);
			if (tried & 1)
				assert_int_equal(resume(&w), OK);
			run_step(&w, i, OK, when);
			assert_int_equal(resume(&w), OK);
			assert_at(&w, ends[i + 1], when);
			assert_known(&w, ends[i + 1], when);
			assert_sound(&w, when);
			leave_station(&w);
		}
	}
	return tried;
}

/* The commit happened and nobody heard of it: once more is once all the same, where that can be told. */
static void lose_answer(size_t i)
{
	struct world w;
	open_station(&w, i);
	plan(&w, &answer_lost, 1);
	run_step(&w, i, ERR_UNAVAILABLE, steps[i].name);
	plan(&w, &none, 1);
	assert_at(&w, ends[i + 1], steps[i].name);
	if (steps[i].how & REPEATS) {
		run_step(&w, i, OK, steps[i].name);
		assert_at(&w, ends[i + 1], steps[i].name);
	}
	assert_known(&w, ends[i + 1], steps[i].name);
	assert_sound(&w, steps[i].name);
	leave_station(&w);
}

/* The database wants the transaction again: nobody notices. */
static void meet_conflict(size_t i)
{
	struct world w;
	open_station(&w, i);
	plan(&w, &conflict, 1);
	run_step(&w, i, OK, steps[i].name);
	plan(&w, &none, 1);
	assert_at(&w, ends[i + 1], steps[i].name);
	assert_known(&w, ends[i + 1], steps[i].name);
	leave_station(&w);
}

static void errors(void **state)
{
	size_t tried = 0;
	for (size_t i = 0; i < COUNT(steps); i++) {
		if (!memcmp(ends[i], ends[i + 1], sizeof ends[i])) /* a repeat: nothing is written */
			continue;
		if (steps[i].how & WHOLE) {
			tried += fail_whole_step(i);
			lose_answer(i);
		} else {
			tried += fail_long_step(i);
		}
		meet_conflict(i);
	}
	print_message("%zu calls failed\n", tried);
}

/* A purge that a store cut short leaves everything sound; the next one does the rest. */
static void purge_errors(void **state)
{
	struct world w;
	char when[160];
	size_t tried = 0;
	prepare_purge();
	for (size_t k = 0; k < COUNT(faults); k++) {
		bool struck_once = true;
		for (long at = 1; struck_once; at += at / 3 + (faults[k].meta == META_FAILING_NONE ? 1 : 40)) {
			snprintf(when, sizeof when, "purge, %s at %ld", faults[k].name, at);
			copy_world(finished, &w);
			assert_int_equal(open_world_at(&w, "failing:sqlite:meta.db", "failing:file:blobs"), OK);
			plan(&w, &faults[k], at);
			int e = OK;
			for (size_t i = 0; !e && i < COUNT(stages); i++)
				e = stages[i](&w);
			struck_once = e;
			tried += struck_once;
			plan(&w, &none, 1);
			assert_sound(&w, when);
			assert_kept(&w, when);
			run_stages(&w, 0, when);
			assert_sound(&w, when);
			assert_int_equal(rows_of(&w), purged_rows);
			leave_station(&w);
		}
	}
	print_message("%zu purges failed\n", tried);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors),
		cmocka_unit_test(power_cuts),
		cmocka_unit_test(purge_cuts),
		cmocka_unit_test(purge_errors),
	};
	if (argc > 1) /* "power_cuts" alone */
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
