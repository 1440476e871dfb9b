#include <stdlib.h>

#include "context_private.h"
#include "entries.h"
#include "imap_update.h"

/* ---- What is kept */

static size_t size_of(const struct context *x)
{
	return sizeof *x + x->text.rest.n + x->tag.n + x->set.n * sizeof *x->set.ranges + x->room * sizeof *x->order;
}

static bool keeps_too_much(const struct imap_session *s)
{
	size_t n = 0;
	for (const struct context *x = s->contexts->first; x; x = x->next)
		n += size_of(x);
	return n > CONTEXTS_MEMORY_MAX;
}

static struct context **find(const struct imap_session *s, struct span tag)
{
	struct context **at = s->contexts ? &s->contexts->first : NULL;
	while (at && *at && !span_eq((*at)->tag, tag))
		at = &(*at)->next;
	return at && *at ? at : NULL;
}

bool context_has_tag(const struct imap_session *s, struct span tag)
{
	return find(s, tag) != NULL;
}

static void free_context(struct context *x)
{
	free(x->set.ranges);
	free(x->order);
	free(x);
}

bool context_cancel(struct imap_session *s, struct span tag)
{
	struct context **at = find(s, tag), *x = at ? *at : NULL;
	if (!x)
		return false;
	*at = x->next;
	free_context(x);
	if (!s->contexts->first && !s->contexts->asking)
		contexts_free(s);
	return true;
}

void contexts_free(struct imap_session *s)
{
	struct contexts *k = s->contexts;
	if (!k)
		return;
	context_rest(s);
	for (struct context *x = k->first, *next; x; x = next) {
		next = x->next;
		free_context(x);
	}
	free(k->pending.ranges);
	free(k);
	s->contexts = NULL;
}

void context_refuse(struct command *c, struct span tag, const char *why)
{
	buffer_printf(c->out, "* NO [NOUPDATE \"%.*s\"] %s\r\n", SPAN_ARG(tag), why);
}

void context_drop(struct command *c, struct context *x, const char *why)
{
	struct span tag = x->tag;
	context_refuse(c, tag, why);
	context_cancel(c->session, tag);
}

void context_bound(struct command *c, struct context *x)
{
	if (keeps_too_much(c->session))
		context_drop(c, x, "The result has grown too large to be kept");
}

/* ---- A new one */

static bool copy_order(struct context *x, const struct context_request *r)
{
	x->order = malloc((r->n + 1) * sizeof *x->order);
	if (!x->order)
		return false;
	for (size_t i = 0; i < r->n; i++)
		x->order[i] = r->order[i].uid;
	x->n = r->n;
	x->room = r->n + 1;
	return true;
}

static bool copy_set(struct context *x, const struct imap_set *found)
{
	x->set.ranges = malloc((found->n + 1) * sizeof *x->set.ranges);
	if (!x->set.ranges)
		return false;
	x->set.n = found->n;
	if (found->n)
		memcpy(x->set.ranges, found->ranges, found->n * sizeof *found->ranges);
	return true;
}

static struct context *new_context(const struct command *c, const struct context_request *r)
{
	size_t n = r->text.rest.n;
	struct context *x = malloc(sizeof *x + n + c->tag.n);
	if (!x)
		return NULL;
	*x = (struct context){ .uid = c->uid, .last = r->query->last, .sorted = r->order, .text = r->text,
		               .tag = { x->bytes + n, c->tag.n } };
	x->text.rest = (struct span){ x->bytes, n };
	memcpy(x->bytes, r->text.rest.p, n);
	memcpy(x->bytes + n, c->tag.p, c->tag.n);
	if (copy_set(x, r->found) && (!r->order || copy_order(x, r)))
		return x;
	free_context(x);
	return NULL;
}

static size_t count(const struct contexts *k)
{
	size_t n = 0;
	for (const struct context *x = k ? k->first : NULL; x; x = x->next)
		n++;
	return n;
}

/* Why no update can be promised; NULL: it can. */
static const char *objection(const struct command *c, const struct imap_search_query *q)
{
	if (count(c->session->contexts) >= CONTEXTS_MAX)
		return "Too many contexts";
	if (q->numbers || q->saved)
		return "What message numbers and $ mean changes: ask for UIDs";
	return q->ages ? "What is OLDER or YOUNGER changes as time passes" : NULL;
}

static bool begin_contexts(struct imap_session *s)
{
	if (!s->contexts && (s->contexts = calloc(1, sizeof *s->contexts)))
		s->contexts->known = view_last_uid(s->view);
	return s->contexts;
}

void context_keep(struct command *c, const struct context_request *r)
{
	struct imap_session *s = c->session;
	const char *why = objection(c, r->query);
	if (why) {
		context_refuse(c, c->tag, why);
		return;
	}
	struct context *x = begin_contexts(s) ? new_context(c, r) : NULL;
	if (!x) {
		context_refuse(c, c->tag, "There is no memory");
		return;
	}
	struct context **at = &s->contexts->first;
	while (*at)
		at = &(*at)->next;
	*at = x;
	if (keeps_too_much(s))
		context_drop(c, x, "The result is too large to be kept");
}

/* ---- What enters and leaves */

uint32_t context_number(const struct command *c, const struct context *x, uint32_t uid)
{
	return x->uid || c->session->uidonly ? uid : view_number(c->session->view, uid);
}

static int compare_leaving(const void *a, const void *b)
{
	const struct leaving *x = a, *y = b;
	return (x->uid > y->uid) - (x->uid < y->uid);
}

static const struct leaving *find_leaving(const struct leaving *v, size_t n, uint32_t uid)
{
	const struct leaving key = { .uid = uid };
	return bsearch(&key, v, n, sizeof key, compare_leaving);
}

static void remove_sorted(struct context *x, const struct leaving *v, size_t n, struct imap_update_writer *w)
{
	size_t kept = 0;
	for (size_t i = 0; i < x->n; i++) {
		const struct leaving *l = find_leaving(v, n, x->order[i]);
		if (l)
			imap_update_add(w, (uint32_t)kept + 1, l->number);
		else
			x->order[kept++] = x->order[i];
	}
	x->n = kept;
}

/* The result's ranges become those without `gone` and with `come`. */
static bool change_set(struct context *x, const uint32_t *gone, size_t n_gone, const uint32_t *come, size_t n_come)
{
	struct imap_set s = { .ranges = malloc((x->set.n + n_gone + n_come + 1) * sizeof *s.ranges) };
	if (!s.ranges)
		return false;
	imap_set_change(&x->set, gone, n_gone, come, n_come, &s);
	void *less = realloc(s.ranges, (s.n + 1) * sizeof *s.ranges);
	s.ranges = less ? less : s.ranges;
	free(x->set.ranges);
	x->set = s;
	return true;
}

bool context_remove(struct context *x, const struct leaving *v, size_t n, struct buffer *out)
{
	struct imap_update_writer w = { .set.b = out, .removes = true };
	uint32_t *gone = calloc(n + 1, sizeof *gone);
	if (!gone)
		return false;
	for (size_t i = 0; i < n; i++)
		gone[i] = v[i].uid;
	bool ok = change_set(x, gone, n, NULL, 0);
	free(gone);
	if (!ok)
		return false;
	for (size_t i = 0; i < n && !x->sorted; i++)
		imap_update_add(&w, 0, v[i].number);
	if (x->sorted && n)
		remove_sorted(x, v, n, &w);
	imap_update_finish(&w);
	return true;
}

bool context_add(struct context *x, const uint32_t *uids, size_t n)
{
	return change_set(x, NULL, 0, uids, n);
}

bool context_insert(struct context *x, size_t at, uint32_t uid)
{
	if (x->n == x->room) {
		size_t room = x->n + x->n / 8 + 16;
		uint32_t *more = realloc(x->order, room * sizeof *more);
		if (!more)
			return false;
		x->order = more;
		x->room = room;
	}
	memmove(x->order + at + 1, x->order + at, (x->n - at) * sizeof *x->order);
	x->order[at] = uid;
	x->n++;
	return true;
}

void context_put(struct command *c, const struct context *x, const struct buffer *removed, const struct buffer *added)
{
	if (!removed->n && !added->n)
		return;
	buffer_printf(c->out, "* ESEARCH (TAG \"%.*s\")%s", SPAN_ARG(x->tag), x->uid || c->session->uidonly ? " UID" : "");
	if (removed->n) {
		buffer_puts(c->out, " REMOVEFROM (");
		buffer_put_span(c->out, buffer_span(removed));
		buffer_putc(c->out, ')');
	}
	if (added->n) {
		buffer_puts(c->out, " ADDTO (");
		buffer_put_span(c->out, buffer_span(added));
		buffer_putc(c->out, ')');
	}
	buffer_puts(c->out, "\r\n");
}
