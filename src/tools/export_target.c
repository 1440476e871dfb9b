#include "export_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"
#include "imap_set.h"

enum { STATE_MOST = 65536 };

int export_path(char out[static PATH_MAX], const char *dir, const char *name)
{
	return snprintf(out, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? OK : fail_with(ERR_INVALID, "%s: name too long", dir);
}

/* ---- What is there already */

void export_know(struct export_target *t, int64_t uidvalidity, uint32_t uid)
{
	struct export_known k = { uidvalidity, uid };
	buffer_put(&t->known, &k, sizeof k);
}

static int compare_known(const void *a, const void *b)
{
	const struct export_known *x = a, *y = b;
	if (x->uidvalidity != y->uidvalidity)
		return x->uidvalidity < y->uidvalidity ? -1 : 1;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

void export_known_sort(struct export_target *t)
{
	if (t->known.n)
		qsort(t->known.p, t->known.n / sizeof(struct export_known), sizeof(struct export_known), compare_known);
}

static bool is_known(const struct export_target *t, uint32_t uid)
{
	struct export_known k = { t->uidvalidity, uid };
	return t->known.n &&
	       bsearch(&k, t->known.p, t->known.n / sizeof k, sizeof k, compare_known);
}

/* Those of the current folder, as a set. Too many runs for one answer: the node sends all, what is known is passed over. */
static void put_known(const struct export_target *t, struct buffer *answer)
{
	struct imap_set_writer w = { .b = answer };
	const struct export_known *k = (const void *)t->known.p;
	size_t n = t->known.n / sizeof *k, runs = 0;
	uint32_t last = 0;
	for (size_t i = 0; i < n && runs <= IMAP_SET_RANGES_MAX; i++) {
		if (k[i].uidvalidity != t->uidvalidity)
			continue;
		runs += k[i].uid != last + 1;
		last = k[i].uid;
		imap_set_add(&w, last);
	}
	imap_set_finish(&w);
	if (runs > IMAP_SET_RANGES_MAX)
		buffer_reset(answer);
}

/* ---- The state file: lines of a name, a blank and a text */

static struct span line_of(struct span text, const char *name)
{
	size_t n = strlen(name);
	while (text.n) {
		ssize_t end = span_find(text, '\n');
		struct span line = end < 0 ? text : span_sub(text, 0, (size_t)end);
		if (span_eq(span_sub(line, 0, n), span_of(name)) && line.n > n && line.p[n] == ' ')
			return span_sub(line, n + 1, line.n);
		text = span_sub(text, line.n + 1, text.n);
	}
	return (struct span){ 0 };
}

/* "at 2h folder Lists": what must be asked for again to go on. */
static void put_asked(const struct export_target *t, struct buffer *b)
{
	buffer_printf(b, "%s%s%s%s", t->at ? " --at " : "", t->at ? t->at : "", t->folder_asked ? " --folder " : "",
		t->folder_asked ? t->folder_asked : "");
}

static int state_write(struct export_target *t, int64_t change)
{
	struct buffer b = { 0 };
	buffer_printf(&b, "account %.*s\n", SPAN_ARG(buffer_span(&t->address)));
	if (change) {
		buffer_printf(&b, "change @%" PRId64 "\nasked export", change);
		put_asked(t, &b);
		buffer_putc(&b, '\n');
	}
	int e = durable_file_write(t->state, buffer_span(&b), 0600);
	buffer_free(&b);
	return e;
}

static int state_check(struct export_target *t, struct span text)
{
	struct buffer asked = { 0 };
	struct span account = line_of(text, "account"), change = line_of(text, "change"), before = line_of(text, "asked");
	buffer_put_span(&t->address, account);
	if (!account.n)
		return fail_with(ERR_INVALID, "%s is damaged: remove it and what was exported, or export to another place", t->state);
	if (!change.n)
		return OK;
	buffer_puts(&asked, "export");
	put_asked(t, &asked);
	bool same = span_eq(before, buffer_span(&asked));
	buffer_free(&asked);
	if (!same)
		return fail_with(ERR_INVALID, "%s: the export that broke off here was '%.*s': finish that first, or export to "
			"another place", t->path, SPAN_ARG(before));
	snprintf(t->resume, sizeof t->resume, "%.*s", SPAN_ARG(change));
	return OK;
}

/* *ours: there is one. */
static int state_read(struct export_target *t, bool *ours)
{
	char text[STATE_MOST];
	FILE *f = fopen(t->state, "re");
	*ours = f != NULL;
	if (!f)
		return errno == ENOENT || errno == ENOTDIR ? OK : fail_errno("open", t->state);
	size_t n = fread(text, 1, sizeof text, f);
	bool failed = ferror(f);
	fclose(f);
	return failed ? fail_with(ERR_UNAVAILABLE, "%s: cannot be read", t->state) : state_check(t, span_from(text, n));
}

/* ---- Open and close */

static bool is_mbox(const struct export_options *o)
{
	struct span path = span_of(o->path);
	if (o->format)
		return strcmp(o->format, "mbox") == 0;
	return path.n > 5 && span_ieq(span_sub(path, path.n - 5, 5), SPAN(".mbox"));
}

int export_open(const struct export_options *o, struct export_target **out)
{
	bool ours, mbox = is_mbox(o);
	int e = OK;
	if (o->format && !mbox && strcmp(o->format, "maildir"))
		return fail_with(ERR_INVALID, "--format is maildir or mbox");
	struct export_target *t = calloc(1, sizeof *t);
	if (!t)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	t->path = o->path;
	t->at = o->at;
	t->folder_asked = o->folder;
	t->format = mbox ? &export_mbox : &export_maildir;
	if (snprintf(t->state, sizeof t->state, mbox ? "%s.export" : "%s/perdura-export", o->path) >= (int)sizeof t->state)
		e = fail_with(ERR_INVALID, "%s: name too long", o->path);
	if (!e)
		e = state_read(t, &ours);
	if (!e)
		e = t->format->open(t, ours);
	if (e)
		export_close(&t);
	else
		*out = t;
	return e;
}

const char *export_resume(const struct export_target *t)
{
	return *t->resume ? t->resume : NULL;
}

static void drop_message(struct export_target *t)
{
	if (t->message.open && !t->skip)
		t->format->drop(t);
	t->message.open = false;
}

void export_close(struct export_target **tp)
{
	struct export_target *t = *tp;
	*tp = NULL;
	if (!t)
		return;
	drop_message(t);
	t->format->close(t);
	buffer_free(&t->address);
	buffer_free(&t->folder);
	buffer_free(&t->flags);
	buffer_free(&t->known);
	free(t);
}

/* ---- What comes */

static int take_begin(struct export_target *t, const struct export_item *i)
{
	if (t->address.n && !span_eq(buffer_span(&t->address), i->text))
		return fail_with(ERR_INVALID, "%s holds mail of %.*s: export %.*s to another place", t->path,
			SPAN_ARG(buffer_span(&t->address)), SPAN_ARG(i->text));
	buffer_reset(&t->address);
	buffer_put_span(&t->address, i->text);
	return state_write(t, i->number);
}

static int take_folder(struct export_target *t, const struct export_item *i, struct buffer *answer)
{
	buffer_reset(&t->folder);
	buffer_put_span(&t->folder, i->text);
	t->uidvalidity = i->number;
	int e = t->format->folder(t);
	if (!e)
		put_known(t, answer);
	return e;
}

static int end_message(struct export_target *t)
{
	t->message.open = false;
	return t->skip ? OK : t->format->end(t);
}

static int take_message(struct export_target *t, const struct export_item *i)
{
	if (i->number < 1 || i->number > UINT32_MAX)
		return fail_with(ERR_INVALID, "a message without a UID");
	buffer_reset(&t->flags);
	buffer_put_span(&t->flags, i->text);
	t->message = (struct export_message){ (uint32_t)i->number, i->date, i->size, i->size, buffer_span(&t->flags), true };
	t->skip = is_known(t, t->message.uid);
	int e = t->skip ? OK : t->format->begin(t);
	return e || i->size ? e : end_message(t);
}

int export_take(struct export_target *t, const struct export_item *i, struct buffer *answer, bool *answered)
{
	int e;
	drop_message(t); /* one that was cut short */
	*answered = i->kind == EXPORT_FOLDER || i->kind == EXPORT_END;
	switch (i->kind) {
	case EXPORT_BEGIN:
		return take_begin(t, i);
	case EXPORT_FOLDER:
		return take_folder(t, i, answer);
	case EXPORT_MESSAGE:
		return take_message(t, i);
	default:
		e = t->format->sync(t);
		if (!e)
			e = state_write(t, 0);
		buffer_puts(answer, "yes");
		return e;
	}
}

int export_data(struct export_target *t, struct span bytes)
{
	if (!t->message.open || bytes.n > t->message.left)
		return fail_with(ERR_INVALID, "bytes of no message");
	int e = t->skip ? OK : t->format->data(t, bytes);
	t->message.left -= bytes.n;
	return e || t->message.left ? e : end_message(t);
}
