/* Into a Maildir: INBOX in PATH itself, Lists/dev in PATH/.Lists.dev. A message is a file in tmp until it is whole; its name
   in cur says which message it is, so that it is never written twice. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "durable_file.h"
#include "export_private.h"
#include "fail.h"
#include "maildir_name.h"

enum { LETTERS = 26 };

struct maildir {
	char dir[PATH_MAX]; /* of the current folder */
	char tmp[PATH_MAX]; /* of the current message */
	struct buffer name; /* of it, without flags */
	int fd;
	/* dovecot-keywords of the folder: names of the letters a to z. */
	struct buffer keywords[LETTERS];
	bool keywords_new, keywords_left_out;
};

static struct maildir *of(struct export_target *t)
{
	return t->own;
}

static int make_dir(const char *path)
{
	return mkdir(path, 0700) && errno != EEXIST ? fail_errno("mkdir", path) : OK;
}

/* ---- Open */

static bool is_empty(const char *path)
{
	struct dirent *d;
	DIR *dir = opendir(path);
	bool empty = true;
	while (dir && empty && (d = readdir(dir)))
		empty = !strcmp(d->d_name, ".") || !strcmp(d->d_name, "..");
	if (dir)
		closedir(dir);
	return empty;
}

static int open_maildir(struct export_target *t, bool ours)
{
	struct maildir *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	m->fd = -1;
	t->own = m;
	if (!ours && !is_empty(t->path))
		return fail_with(ERR_INVALID, "%s: there is something else already; export to a new folder", t->path);
	return make_dir(t->path);
}

/* ---- Keywords: a file that Dovecot reads too, "0 name" for the letter a */

static void read_keywords(struct maildir *m)
{
	char path[PATH_MAX], line[512];
	unsigned number;
	int at;
	FILE *f = export_path(path, m->dir, "dovecot-keywords") ? NULL : fopen(path, "re");
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "%u %n", &number, &at) == 1 && number < LETTERS && line[at]) {
			buffer_reset(&m->keywords[number]);
			buffer_puts(&m->keywords[number], line + at);
		}
	}
	if (f)
		fclose(f);
}

static int write_keywords(struct maildir *m)
{
	char path[PATH_MAX];
	struct buffer b = { 0 };
	if (!m->keywords_new)
		return OK;
	for (int i = 0; i < LETTERS; i++)
		if (m->keywords[i].n)
			buffer_printf(&b, "%d %.*s\n", i, SPAN_ARG(buffer_span(&m->keywords[i])));
	int e = export_path(path, m->dir, "dovecot-keywords");
	if (!e)
		e = durable_file_write(path, buffer_span(&b), 0600);
	m->keywords_new = e != OK;
	buffer_free(&b);
	return e;
}

/* The keyword's letter in this folder, given one if it has none; 0 when there are no more. */
static char letter_of(struct maildir *m, struct span name)
{
	for (int i = 0; i < LETTERS; i++) {
		struct buffer *k = &m->keywords[i];
		if (!k->n) {
			buffer_put_span(k, name);
			m->keywords_new = true;
		}
		if (span_ieq(buffer_span(k), name))
			return (char)('a' + i);
	}
	m->keywords_left_out = true;
	return 0;
}

static int compare_chars(const void *a, const void *b)
{
	return *(const char *)a - *(const char *)b;
}

/* ":2,FRSab" in the order of the letters. */
static void put_flags(struct maildir *m, struct span flags, struct buffer *out)
{
	static const struct { const char *name; char letter; } known[] = { { "\\Draft", 'D' }, { "\\Flagged", 'F' },
		{ "$Forwarded", 'P' }, { "\\Answered", 'R' }, { "\\Seen", 'S' }, { "\\Deleted", 'T' } };
	buffer_puts(out, ":2,");
	size_t start = out->n;
	while ((flags = span_trim(flags)).n) {
		ssize_t blank = span_find(flags, ' ');
		struct span one = blank < 0 ? flags : span_sub(flags, 0, (size_t)blank);
		flags = span_sub(flags, one.n, flags.n);
		char letter = 0;
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if (span_ieq(one, span_of(known[i].name)))
				letter = known[i].letter;
		if (!letter)
			letter = letter_of(m, one);
		if (letter)
			buffer_putc(out, letter);
	}
	qsort(out->p + start, out->n - start, 1, compare_chars);
}

/* ---- A folder */

static int know_files(struct export_target *t, const char *part)
{
	char path[PATH_MAX];
	struct maildir_file f;
	struct stat st;
	struct dirent *d;
	int e = export_path(path, of(t)->dir, part);
	DIR *dir = e ? NULL : opendir(path);
	if (!dir)
		return e ? e : fail_errno("opendir", path);
	/* After a power cut a file may be shorter than its name says. */
	while ((d = readdir(dir)))
		if (maildir_file_get(span_of(d->d_name), &f) && f.uidvalidity == t->uidvalidity &&
		    !fstatat(dirfd(dir), d->d_name, &st, 0) && (uint64_t)st.st_size == f.size)
			export_know(t, f.uidvalidity, f.uid);
	closedir(dir);
	return OK;
}

/* What an export that broke off left in tmp. */
static void clear_tmp(struct maildir *m)
{
	char path[PATH_MAX];
	struct maildir_file f;
	struct dirent *d;
	DIR *dir = export_path(path, m->dir, "tmp") ? NULL : opendir(path);
	while (dir && (d = readdir(dir)))
		if (maildir_file_get(span_of(d->d_name), &f))
			unlinkat(dirfd(dir), d->d_name, 0);
	if (dir)
		closedir(dir);
}

static int make_folder(struct export_target *t, bool plain)
{
	static const char *const parts[] = { "", "tmp", "cur", "new" };
	char path[PATH_MAX];
	struct maildir *m = of(t);
	bool inbox = strcmp(m->dir, t->path) == 0;
	int e = OK;
	for (size_t i = 0; i < 4 && !e; i++)
		if (!(e = export_path(path, m->dir, parts[i])))
			e = make_dir(path);
	if (!e && !inbox && !(e = export_path(path, m->dir, "maildirfolder")))
		e = access(path, F_OK) ? durable_file_write(path, SPAN(""), 0600) : OK;
	if (!e && !plain && !(e = export_path(path, m->dir, "perdura-folder")))
		e = durable_file_write(path, buffer_span(&t->folder), 0600);
	return e;
}

static int folder(struct export_target *t)
{
	struct maildir *m = of(t);
	struct buffer name = { 0 };
	bool inbox = span_eq(buffer_span(&t->folder), SPAN("INBOX")), plain = true;
	buffer_putc(&name, '.');
	if (!inbox)
		plain = maildir_folder_put(&name, buffer_span(&t->folder));
	int n = inbox ? snprintf(m->dir, sizeof m->dir, "%s", t->path)
	              : snprintf(m->dir, sizeof m->dir, "%s/%.*s", t->path, SPAN_ARG(buffer_span(&name)));
	buffer_free(&name);
	int e = n < PATH_MAX - 300 ? make_folder(t, plain) : fail_with(ERR_INVALID, "%s: name too long", t->path);
	if (e)
		return e;
	for (int i = 0; i < LETTERS; i++)
		buffer_reset(&m->keywords[i]);
	m->keywords_new = false;
	read_keywords(m);
	clear_tmp(m);
	buffer_reset(&t->known);
	if (!(e = know_files(t, "cur")))
		e = know_files(t, "new");
	export_known_sort(t);
	return e;
}

/* ---- A message */

static int begin(struct export_target *t)
{
	struct maildir *m = of(t);
	const struct maildir_file f = { t->message.date, t->uidvalidity, t->message.uid, t->message.size };
	buffer_reset(&m->name);
	maildir_file_put(&m->name, &f);
	if (snprintf(m->tmp, sizeof m->tmp, "%s/tmp/%.*s", m->dir, SPAN_ARG(buffer_span(&m->name))) >= PATH_MAX)
		return fail_with(ERR_INVALID, "%s: name too long", m->dir);
	m->fd = open(m->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return m->fd < 0 ? fail_errno("create", m->tmp) : OK;
}

static int data(struct export_target *t, struct span bytes)
{
	struct maildir *m = of(t);
	return file_write_at(m->fd, bytes.p, bytes.n, (int64_t)(t->message.size - t->message.left), m->tmp);
}

static int close_file(struct export_target *t)
{
	struct maildir *m = of(t);
	int64_t s = t->message.date / SECOND_US, us = t->message.date % SECOND_US;
	struct timespec when = { .tv_sec = us < 0 ? s - 1 : s, .tv_nsec = (us < 0 ? us + SECOND_US : us) * 1000 };
	int e = futimens(m->fd, (struct timespec[]){ when, when }) ? fail_errno("utimens", m->tmp) : OK;
	if (close(m->fd) && !e)
		e = fail_errno("close", m->tmp);
	m->fd = -1;
	return e;
}

static int end(struct export_target *t)
{
	char path[PATH_MAX];
	struct maildir *m = of(t);
	put_flags(m, t->message.flags, &m->name);
	int e = close_file(t);
	if (!e)
		e = write_keywords(m);
	if (!e && snprintf(path, sizeof path, "%s/cur/%.*s", m->dir, SPAN_ARG(buffer_span(&m->name))) >= PATH_MAX)
		e = fail_with(ERR_INVALID, "%s: name too long", m->dir);
	if (!e && rename(m->tmp, path))
		e = fail_errno("rename", path);
	if (e)
		unlink(m->tmp);
	return e;
}

static void drop(struct export_target *t)
{
	struct maildir *m = of(t);
	if (m->fd < 0)
		return;
	close(m->fd);
	m->fd = -1;
	unlink(m->tmp);
}

/* One sync of the file system instead of one for each message: until then an export is simply not finished. */
static int sync_all(struct export_target *t)
{
	int fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fail_errno("open", t->path);
	int e = syncfs(fd) ? fail_errno("sync", t->path) : OK;
	close(fd);
	if (!e && of(t)->keywords_left_out)
		e = fail_with(ERR_LIMIT, "a folder has more than %d keywords, which is all that a Maildir can hold: the messages "
			"are there, some keywords are not; --format mbox keeps all", LETTERS);
	return e;
}

static void close_maildir(struct export_target *t)
{
	struct maildir *m = of(t);
	if (!m)
		return;
	for (int i = 0; i < LETTERS; i++)
		buffer_free(&m->keywords[i]);
	buffer_free(&m->name);
	free(m);
}

const struct export_format export_maildir = { open_maildir, folder, begin, data, end, drop, sync_all, close_maildir };
