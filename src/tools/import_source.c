#include "import_source.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "utf7.h"

#define MESSAGE_MAX ((size_t)1 << 30)
enum { DEPTH_MAX = 32 };

/* A walk only sums up sizes when `to` is NULL. */
struct walk {
	const struct import_sink *to;
	uint64_t bytes;
	struct buffer message;
	char *line;
	size_t line_cap;
};

static int trouble(struct walk *w, const char *path, const char *what)
{
	if (w->to)
		w->to->trouble(w->to->ctx, path, what);
	return OK;
}

static void count(struct walk *w, size_t n)
{
	w->bytes += n;
	if (w->to && w->to->read)
		w->to->read(w->to->ctx, w->bytes);
}

static int hand_over(struct walk *w, const char *path, struct import_item *item)
{
	if (!buffer_ok(&w->message))
		return trouble(w, path, "a message is too large");
	item->size = w->message.n;
	return item->size ? w->to->message(w->to->ctx, item, buffer_span(&w->message)) : OK;
}

/* The next line with its end, as it stands in the file; empty at the end. */
static struct span next_line(struct walk *w, FILE *f)
{
	ssize_t n = getline(&w->line, &w->line_cap, f);
	if (n > 0)
		count(w, (size_t)n);
	return span_from(w->line, n > 0 ? (size_t)n : 0);
}

static void put_line(struct buffer *b, struct span line)
{
	bool ends = line.p[line.n - 1] == '\n';
	if (ends)
		line.n--;
	if (ends && line.n && line.p[line.n - 1] == '\r')
		line.n--;
	buffer_put_span(b, line);
	if (ends)
		buffer_puts(b, "\r\n");
}

/* A regular file; a FIFO is not opened at all, for it would hold us. */
static int open_file(const char *path, FILE **out, struct stat *st)
{
	if (stat(path, st))
		return -1;
	errno = EINVAL;
	if (!S_ISREG(st->st_mode))
		return -1;
	*out = fopen(path, "re");
	return *out ? 0 : -1;
}

/* ---- One message in one file */

static int take_file(struct walk *w, const char *path, struct span folder, struct span flags)
{
	struct stat st;
	FILE *f;
	if (open_file(path, &f, &st))
		return trouble(w, path, strerror(errno));
	int r = OK;
	if (w->to) {
		buffer_reset(&w->message);
		for (struct span l; (l = next_line(w, f)).n;)
			put_line(&w->message, l);
		struct import_item item = { .folder = folder, .flags = flags, .date = st.st_mtime * SECOND_US };
		r = ferror(f) ? trouble(w, path, strerror(errno)) : hand_over(w, path, &item);
	} else {
		count(w, (size_t)st.st_size);
	}
	fclose(f);
	return r;
}

/* ---- mbox */

/* The date of "From someone@example.org Fri Mar  1 09:30:00 2024": the zone is UTC unless one is given. */
static bool separator_date(struct span line, int64_t *out)
{
	char text[512];
	struct tm tm;
	if (!span_istarts(line, SPAN("From ")) || memcmp(line.p, "From ", 5) || line.n >= sizeof text)
		return false;
	memcpy(text, line.p, line.n);
	text[line.n] = 0;
	for (const char *p = strchr(text, ' '); p; p = strchr(p + 1, ' ')) {
		memset(&tm, 0, sizeof tm);
		const char *end = strptime(p, " %a %b %d %H:%M:%S %Y", &tm);
		if (!end)
			end = strptime(p, " %a %b %d %H:%M:%S %z %Y", &tm);
		if (!end)
			continue;
		long zone = tm.tm_gmtoff;
		struct tm with_zone = tm;
		if (strptime(end, " %z", &with_zone))
			zone = with_zone.tm_gmtoff;
		*out = ((int64_t)timegm(&tm) - zone) * SECOND_US;
		return true;
	}
	return false;
}

/* ">From " was "From ", ">>From " was ">From " (mboxrd). */
static struct span unquote(struct span line)
{
	size_t n = 0;
	while (n < line.n && line.p[n] == '>')
		n++;
	struct span rest = span_sub(line, n, 5);
	return n && span_eq(rest, SPAN("From ")) ? span_sub(line, 1, line.n) : line;
}

static bool is_blank(struct span line)
{
	return span_eq(line, SPAN("\n")) || span_eq(line, SPAN("\r\n"));
}

/* What mail programs noted in Status and X-Status: the letters of both. */
static void collect_status(struct span head, char letters[64])
{
	size_t n = 0;
	while (head.n) {
		ssize_t end = span_find(head, '\n');
		struct span line = end < 0 ? head : span_sub(head, 0, (size_t)end);
		if (span_trim(line).n == 0)
			break;
		struct span value = { 0 };
		if (span_istarts(line, SPAN("Status:")))
			value = span_trim(span_sub(line, 7, line.n));
		else if (span_istarts(line, SPAN("X-Status:")))
			value = span_trim(span_sub(line, 9, line.n));
		for (size_t i = 0; i < value.n && n < 63; i++)
			letters[n++] = value.p[i];
		head = span_sub(head, line.n + 1, head.n);
	}
	letters[n] = 0;
}

struct flag_letter {
	char letter;
	const char *flag;
};

static const struct flag_letter mbox_letters[] = { { 'R', "\\Seen" }, { 'A', "\\Answered" }, { 'F', "\\Flagged" },
	{ 'D', "\\Deleted" }, { 'T', "\\Draft" }, { 0, NULL } };
static const struct flag_letter maildir_letters[] = { { 'S', "\\Seen" }, { 'R', "\\Answered" }, { 'F', "\\Flagged" },
	{ 'T', "\\Deleted" }, { 'D', "\\Draft" }, { 'P', "$Forwarded" }, { 0, NULL } };

static struct span flags_of(const struct flag_letter *known, const char *letters, char out[80])
{
	size_t n = 0;
	out[0] = 0;
	for (; known->letter; known++)
		if (strchr(letters, known->letter))
			n += (size_t)snprintf(out + n, 80 - n, "%s%s", n ? " " : "", known->flag);
	return span_from(out, n);
}

static int end_of_mbox_message(struct walk *w, const char *path, struct span folder, int64_t date)
{
	char letters[64], flags[80];
	struct buffer *m = &w->message;
	if (m->n >= 4 && memcmp(m->p + m->n - 4, "\r\n\r\n", 4) == 0)
		m->n -= 2; /* the blank line belongs to the next separator */
	else if (m->n == 2)
		m->n = 0;
	collect_status(buffer_span(m), letters);
	struct import_item item = { .folder = folder, .flags = flags_of(mbox_letters, letters, flags), .date = date };
	int r = hand_over(w, path, &item);
	buffer_reset(m);
	return r;
}

static int take_mbox(struct walk *w, const char *path, FILE *f, struct span folder)
{
	int64_t date = 0, next;
	bool after_blank = true, begun = false;
	int r = OK;
	buffer_reset(&w->message);
	for (struct span l; !r && (l = next_line(w, f)).n; after_blank = is_blank(l)) {
		next = 0;
		if (begun && !(after_blank && separator_date(l, &next))) {
			put_line(&w->message, unquote(l));
			continue;
		}
		if (begun)
			r = end_of_mbox_message(w, path, folder, date);
		else
			separator_date(l, &next); /* the first line is a separator, whatever date it has */
		date = next;
		begun = true;
	}
	if (ferror(f))
		return trouble(w, path, strerror(errno));
	return r || !begun ? r : end_of_mbox_message(w, path, folder, date);
}

/* A file that starts with "From " is a mailbox, else it is a message. */
static int take_mbox_or_message(struct walk *w, const char *path, struct span folder)
{
	char start[5] = "";
	struct stat st;
	FILE *f;
	if (open_file(path, &f, &st))
		return trouble(w, path, strerror(errno));
	bool mbox = fread(start, 1, 5, f) == 5 && memcmp(start, "From ", 5) == 0;
	rewind(f);
	int r = OK;
	if (mbox && w->to)
		r = take_mbox(w, path, f, folder);
	else if (mbox)
		count(w, (size_t)st.st_size);
	fclose(f);
	return mbox ? r : take_file(w, path, folder, (struct span){ 0 });
}

/* ---- Folders of files */

typedef int entry_fn(struct walk *w, const char *path, const char *name, void *arg);

static int not_hidden(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static int hidden(const struct dirent *d)
{
	return d->d_name[0] == '.' && strcmp(d->d_name, ".") && strcmp(d->d_name, "..");
}

/* Calls fn for the entries of dir in the order of their names. */
static int each_entry(struct walk *w, const char *dir, int (*filter)(const struct dirent *), entry_fn *fn, void *arg)
{
	struct dirent **list;
	char path[PATH_MAX];
	int r = OK, n = scandir(dir, &list, filter, alphasort);
	if (n < 0)
		return trouble(w, dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		const char *name = list[i]->d_name;
		if (!r && snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path)
			r = fn(w, path, name, arg);
		free(list[i]);
	}
	free(list);
	return r;
}

static bool is_dir(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool has_dir(const char *path, const char *name)
{
	char sub[PATH_MAX];
	return snprintf(sub, sizeof sub, "%s/%s", path, name) < (int)sizeof sub && is_dir(sub);
}

static int maildir_entry(struct walk *w, const char *path, const char *name, void *arg)
{
	char flags[80];
	const struct span *folder = arg;
	const char *info = strstr(name, ":2,");
	return take_file(w, path, *folder, flags_of(maildir_letters, info ? info + 3 : "", flags));
}

static int take_maildir_folder(struct walk *w, const char *path, struct span folder)
{
	static const char *const parts[] = { "cur", "new" };
	char sub[PATH_MAX];
	int r = OK;
	for (int i = 0; i < 2 && !r; i++)
		if (has_dir(path, parts[i]) && snprintf(sub, sizeof sub, "%s/%s", path, parts[i]) < (int)sizeof sub)
			r = each_entry(w, sub, not_hidden, maildir_entry, &folder);
	return r;
}

/* ".Lists.dev" is the folder Lists/dev; names are in modified UTF-7, or in UTF-8 where a server was set so. */
static int maildir_subfolder(struct walk *w, const char *path, const char *name, void *arg)
{
	struct arena a = { 0 };
	struct span decoded = span_of(name + 1);
	struct buffer folder = { 0 };
	if (!has_dir(path, "cur") && !has_dir(path, "new"))
		return OK;
	utf7_decode(&a, span_of(name + 1), &decoded);
	buffer_put_span(&folder, decoded);
	arena_free(&a);
	for (size_t i = 0; i < folder.n; i++)
		if (folder.p[i] == '.')
			folder.p[i] = '/';
	int r = take_maildir_folder(w, path, buffer_span(&folder));
	buffer_free(&folder);
	return r;
}

static int take_maildir(struct walk *w, const char *path)
{
	int r = take_maildir_folder(w, path, (struct span){ 0 });
	return r ? r : each_entry(w, path, hidden, maildir_subfolder, NULL);
}

struct place {
	struct span folder; /* below the start, / between names */
	int depth;
};

static bool ends_in(const char *name, struct span suffix)
{
	struct span n = span_of(name);
	return n.n > suffix.n && span_ieq(span_sub(n, n.n - suffix.n, suffix.n), suffix);
}

/* Messages and mailboxes are known by their names, so that a README beside them is not mail. */
static int tree_entry(struct walk *w, const char *path, const char *name, void *arg)
{
	const struct place *in = arg;
	if (!is_dir(path))
		return ends_in(name, SPAN(".eml")) || ends_in(name, SPAN(".mbox")) ? take_mbox_or_message(w, path, in->folder) : OK;
	if (in->depth == DEPTH_MAX)
		return trouble(w, path, "too deep");
	struct buffer folder = { 0 };
	buffer_printf(&folder, "%.*s%s%s", SPAN_ARG(in->folder), in->folder.n ? "/" : "", name);
	struct place below = { buffer_span(&folder), in->depth + 1 };
	int r = each_entry(w, path, not_hidden, tree_entry, &below);
	buffer_free(&folder);
	return r;
}

/* ---- What is it? */

static int walk(struct walk *w, const char *path)
{
	struct place top = { 0 };
	if (!is_dir(path))
		return take_mbox_or_message(w, path, top.folder);
	if (has_dir(path, "cur") || has_dir(path, "new"))
		return take_maildir(w, path);
	return each_entry(w, path, not_hidden, tree_entry, &top);
}

int import_walk(const char *path, const struct import_sink *to)
{
	struct walk w = { .to = to, .message.limit = MESSAGE_MAX };
	int r = walk(&w, path);
	buffer_free(&w.message);
	free(w.line);
	return r;
}

uint64_t import_size(const char *path)
{
	struct walk w = { 0 };
	walk(&w, path);
	return w.bytes;
}
