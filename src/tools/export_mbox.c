/* Into one mbox, folder after folder (mbox.h). It grows at its end only; what is not whole there is cut off. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable_file.h"
#include "export_private.h"
#include "fail.h"
#include "mbox.h"

static const char from[] = "From ";
enum { FROM = sizeof from - 1, IN_LINE = -1 };

struct mbox {
	FILE *file;
	off_t start;  /* of the current message */
	int matched;  /* how much of "From " was held back at the begin of a line, or IN_LINE */
	char last;    /* byte written */
};

static struct mbox *of(struct export_target *t)
{
	return t->own;
}

static int failed(const struct export_target *t, const char *what)
{
	return fail_errno(what, t->path);
}

/* ---- Open: which messages are there, and where the last whole one ends */

struct scan {
	struct arena arena;
	char *line;
	size_t cap;
	off_t at, whole; /* bytes read; the end of the last whole message */
	uint64_t size, got;
	struct mbox_mark mark;
	bool in_message, after_blank;
};

/* A message is whole with the blank line that ends it, before which a line end may have been added. */
static void scan_end(struct export_target *t, struct scan *s)
{
	if (!s->in_message || !s->after_blank || (s->got != s->mark.size + 1 && s->got != s->mark.size + 2))
		return;
	export_know(t, s->mark.uidvalidity, s->mark.uid);
	s->whole = s->at;
}

static void scan_line(struct export_target *t, struct scan *s, struct span line)
{
	if (span_eq(span_sub(line, 0, FROM), span_of(from))) {
		struct span word = span_sub(line, FROM, line.n);
		ssize_t blank = span_find(word, ' ');
		scan_end(t, s);
		arena_reset(&s->arena);
		s->in_message = blank > 0 && mbox_parse_mark(&s->arena, span_sub(word, 0, (size_t)blank), &s->mark);
		s->got = 0;
	} else {
		s->got += line.n - (line.p[0] == '>' && mbox_is_quotable(line));
	}
	s->after_blank = span_eq(line, SPAN("\n"));
	s->at += (off_t)line.n;
}

static int scan_file(struct export_target *t)
{
	struct mbox *m = of(t);
	struct scan s = { 0 };
	for (ssize_t n; (n = getline(&s.line, &s.cap, m->file)) > 0;)
		scan_line(t, &s, span_from(s.line, (size_t)n));
	scan_end(t, &s);
	int e = ferror(m->file) ? failed(t, "read") : OK;
	if (!e && (ftruncate(fileno(m->file), s.whole) || fseeko(m->file, s.whole, SEEK_SET)))
		e = failed(t, "truncate");
	arena_free(&s.arena);
	free(s.line);
	export_known_sort(t);
	return e;
}

static int open_mbox(struct export_target *t, bool ours)
{
	struct stat st;
	struct mbox *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	t->own = m;
	bool there = stat(t->path, &st) == 0;
	if (there && !S_ISREG(st.st_mode))
		return fail_with(ERR_INVALID, "%s is no file", t->path);
	if (there && st.st_size && !ours)
		return fail_with(ERR_INVALID, "%s: there is a file already that no export made; export to a new one", t->path);
	m->file = fopen(t->path, there ? "r+e" : "w+e");
	return m->file ? scan_file(t) : failed(t, "open");
}

static int folder(struct export_target *t)
{
	return OK; /* each message says which is its own */
}

/* ---- A message */

static int put(struct export_target *t, const char *p, size_t n)
{
	struct mbox *m = of(t);
	if (n == 0)
		return OK;
	m->last = p[n - 1];
	return fwrite(p, 1, n, m->file) == n ? OK : failed(t, "write");
}

static int begin(struct export_target *t)
{
	struct mbox *m = of(t);
	struct buffer line = { 0 };
	const struct export_message *x = &t->message;
	const struct mbox_mark mark = { t->uidvalidity, x->uid, x->size, buffer_span(&t->folder), x->flags };
	m->start = ftello(m->file);
	m->matched = 0;
	mbox_put_mark(&line, &mark, x->date);
	int e = put(t, line.p, line.n);
	buffer_free(&line);
	return e;
}

/* One more byte at the begin of a line; *used: it was taken. */
static int at_line_start(struct export_target *t, char c, bool *used)
{
	struct mbox *m = of(t);
	*used = true;
	if (m->matched == 0 && c == '>')
		return put(t, &c, 1);
	if (c == from[m->matched]) {
		if (++m->matched < FROM)
			return OK;
		m->matched = IN_LINE;
		return put(t, ">From ", FROM + 1);
	}
	int held = m->matched;
	m->matched = IN_LINE;
	*used = false;
	return put(t, from, (size_t)held);
}

static int data(struct export_target *t, struct span s)
{
	struct mbox *m = of(t);
	int e = OK;
	while (s.n && !e) {
		size_t n = 1;
		if (m->matched == IN_LINE) {
			ssize_t end = span_find(s, '\n');
			n = end < 0 ? s.n : (size_t)end + 1;
			m->matched = end < 0 ? IN_LINE : 0;
			e = put(t, s.p, n);
		} else {
			bool used;
			e = at_line_start(t, s.p[0], &used);
			n = used;
		}
		s = span_sub(s, n, s.n);
	}
	return e;
}

static int end(struct export_target *t)
{
	struct mbox *m = of(t);
	int e = m->matched > 0 ? put(t, from, (size_t)m->matched) : OK;
	if (!e && m->last != '\n')
		e = put(t, "\n", 1);
	return e ? e : put(t, "\n", 1);
}

static void drop(struct export_target *t)
{
	struct mbox *m = of(t);
	fflush(m->file);
	if (ftruncate(fileno(m->file), m->start) || fseeko(m->file, m->start, SEEK_SET))
		clearerr(m->file); /* the next run cuts it off */
}

static int sync_all(struct export_target *t)
{
	struct mbox *m = of(t);
	return fflush(m->file) || fsync(fileno(m->file)) ? failed(t, "sync") : OK;
}

static void close_mbox(struct export_target *t)
{
	struct mbox *m = of(t);
	if (m && m->file)
		fclose(m->file);
	free(m);
}

const struct export_format export_mbox = { open_mbox, folder, begin, data, end, drop, sync_all, close_mbox };
