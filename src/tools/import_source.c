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
#include "maildir_name.h"
#include "mbox.h"

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

/* A folder that need not hold anything. */
static int hand_over_folder(struct walk *w, struct span folder)
{
	const struct import_item item = { .folder = folder };
	return w->to && folder.n ? w->to->message(w->to->ctx, &item, (struct span){ 0 }) : OK;
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

/* name: may say, as names in a Maildir do, that the line ends in the file are those of the message. */
static int take_file(struct walk *w, const char *path, const char *name, struct span folder, struct span flags)
{
	struct stat st;
	uint64_t wire;
	FILE *f;
	if (open_file(path, &f, &st))
		return trouble(w, path, strerror(errno));
	int r = OK;
	if (w->to) {
		bool as_is = maildir_wire_size(span_of(name), &wire) && wire == (uint64_t)st.st_size;
		buffer_reset(&w->message);
		for (struct span l; (l = next_line(w, f)).n;)
			(as_is ? buffer_put_span : put_line)(&w->message, l);
		struct import_item item = { .folder = folder, .flags = flags,
			.date = st.st_mtim.tv_sec * SECOND_US + st.st_mtim.tv_nsec / 1000 };
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
	char text[8192];
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
	return line.n && line.p[0] == '>' && mbox_is_quotable(line) ? span_sub(line, 1, line.n) : line;
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

/* A message of an mbox on its way. */
struct mbox_message {
	struct span folder; /* where nothing else is said */
	int64_t date;
	bool begun, exported; /* exported: the mark says all there is to know, and the bytes are as they were */
	struct mbox_mark mark;
	struct arena arena; /* the mark's */
};

/* The blank line belongs to the next separator. */
static void cut_blank_line(struct buffer *m)
{
	if (m->n >= 4 && memcmp(m->p + m->n - 4, "\r\n\r\n", 4) == 0)
		m->n -= 2;
	else if (m->n == 2)
		m->n = 0;
}

static int end_of_exported_message(struct walk *w, const char *path, struct mbox_message *x)
{
	struct buffer *m = &w->message;
	if (m->n < x->mark.size || m->n > x->mark.size + 2)
		trouble(w, path, "a message is not as long any more as when it was exported");
	else
		m->n = (size_t)x->mark.size;
	struct import_item item = { .folder = x->mark.folder, .flags = x->mark.flags, .date = x->date };
	return hand_over(w, path, &item);
}

static int end_of_mbox_message(struct walk *w, const char *path, struct mbox_message *x)
{
	char letters[64], flags[80];
	int r = OK;
	if (x->exported) {
		r = end_of_exported_message(w, path, x);
	} else if (x->begun) {
		cut_blank_line(&w->message);
		collect_status(buffer_span(&w->message), letters);
		struct import_item item = { .folder = x->folder, .flags = flags_of(mbox_letters, letters, flags), .date = x->date };
		r = hand_over(w, path, &item);
	}
	buffer_reset(&w->message);
	return r;
}

static void begin_mbox_message(struct mbox_message *x, struct span separator, int64_t date)
{
	struct span word = span_sub(separator, 5, separator.n);
	ssize_t blank = span_find(word, ' ');
	arena_reset(&x->arena);
	x->begun = true;
	x->date = date;
	x->exported = blank > 0 && mbox_parse_mark(&x->arena, span_sub(word, 0, (size_t)blank), &x->mark);
}

static int take_mbox_lines(struct walk *w, const char *path, FILE *f, struct mbox_message *x)
{
	bool after_blank = true;
	int r = OK;
	buffer_reset(&w->message);
	for (struct span l; !r && (l = next_line(w, f)).n; after_blank = is_blank(l)) {
		int64_t date = 0;
		bool separates = (after_blank && separator_date(l, &date)) || !x->begun; /* the first has whatever date */
		if (separates) {
			r = end_of_mbox_message(w, path, x);
			begin_mbox_message(x, l, date);
		} else if (x->exported) {
			buffer_put_span(&w->message, unquote(l));
		} else {
			put_line(&w->message, unquote(l));
		}
	}
	return r ? r : ferror(f) ? trouble(w, path, strerror(errno)) : end_of_mbox_message(w, path, x);
}

static int take_mbox(struct walk *w, const char *path, FILE *f, struct span folder)
{
	struct mbox_message x = { .folder = folder };
	int r = take_mbox_lines(w, path, f, &x);
	arena_free(&x.arena);
	return r;
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
	return mbox ? r : take_file(w, path, "", folder, (struct span){ 0 });
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

/* A Maildir's folder: its name here, and what its letters a to z stand for (dovecot-keywords). */
struct maildir_folder {
	struct span path;
	struct arena arena;
	struct span keywords[26];
};

static void read_keywords(struct maildir_folder *m, const char *dir)
{
	char path[PATH_MAX], line[512];
	struct stat st;
	unsigned number;
	int at;
	FILE *f;
	if (snprintf(path, sizeof path, "%s/dovecot-keywords", dir) >= (int)sizeof path || open_file(path, &f, &st))
		return;
	while (fgets(line, sizeof line, f))
		if (sscanf(line, "%u %n", &number, &at) == 1 && number < 26)
			m->keywords[number] = arena_copy(&m->arena, span_trim(span_of(line + at)));
	fclose(f);
}

static void put_flags(const struct maildir_folder *m, const char *letters, struct buffer *out)
{
	char known[80];
	buffer_put_span(out, flags_of(maildir_letters, letters, known));
	for (; *letters; letters++)
		if (*letters >= 'a' && *letters <= 'z' && m->keywords[*letters - 'a'].n)
			buffer_printf(out, "%s%.*s", out->n ? " " : "", SPAN_ARG(m->keywords[*letters - 'a']));
}

static int maildir_entry(struct walk *w, const char *path, const char *name, void *arg)
{
	struct buffer flags = { 0 };
	const struct maildir_folder *m = arg;
	const char *info = strstr(name, ":2,");
	put_flags(m, info ? info + 3 : "", &flags);
	int r = take_file(w, path, name, m->path, buffer_span(&flags));
	buffer_free(&flags);
	return r;
}

static int take_maildir_folder(struct walk *w, const char *path, struct span folder)
{
	static const char *const parts[] = { "cur", "new" };
	char sub[PATH_MAX];
	struct maildir_folder m = { .path = folder };
	read_keywords(&m, path);
	int r = hand_over_folder(w, folder);
	for (int i = 0; i < 2 && !r; i++)
		if (has_dir(path, parts[i]) && snprintf(sub, sizeof sub, "%s/%s", path, parts[i]) < (int)sizeof sub)
			r = each_entry(w, sub, not_hidden, maildir_entry, &m);
	arena_free(&m.arena);
	return r;
}

/* What an export noted where the name on disk does not say it. */
static bool noted_name(const char *dir, struct buffer *out)
{
	char path[PATH_MAX], text[4096];
	struct stat st;
	FILE *f;
	if (snprintf(path, sizeof path, "%s/perdura-folder", dir) >= (int)sizeof path || open_file(path, &f, &st))
		return false;
	buffer_put(out, text, fread(text, 1, sizeof text, f));
	fclose(f);
	return out->n > 0;
}

/* ".Lists.dev" is the folder Lists/dev; names are in modified UTF-7, or in UTF-8 where a server was set so. */
static int maildir_subfolder(struct walk *w, const char *path, const char *name, void *arg)
{
	struct buffer folder = { 0 };
	if (!has_dir(path, "cur") && !has_dir(path, "new"))
		return OK;
	if (!noted_name(path, &folder))
		maildir_folder_get(&folder, span_of(name + 1));
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
