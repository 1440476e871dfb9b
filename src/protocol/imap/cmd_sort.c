/* SORT (RFC 5256, 5267, 5957): what SEARCH finds, in an order. The keys come from entries and summaries, read in one pass. */
#include <stdlib.h>

#include "context.h"
#include "fail.h"
#include "lines.h"
#include "reply.h"
#include "sort_entry.h"

enum { KEYS_MEMORY_MAX = 256 << 20 };

/* A message and its key: the first bytes are at hand, the rest is in the buffer. */
struct item {
	struct found found;
	uint64_t head;
	size_t key, n;
};

struct sort {
	struct imap_search_query query;
	struct imap_sort by;
	struct imap_args text;
	struct search_run run;
	struct imap_set set; /* what was found */
	struct lines lines;
	struct sort_scratch scratch;
	struct buffer keys, items;
};

static void end_sort(struct command *c)
{
	struct sort *s = c->job;
	search_end(&s->run);
	lines_end(&s->lines);
	sort_scratch_free(&s->scratch);
	buffer_free(&s->keys);
	buffer_free(&s->items);
	free(s->set.ranges);
}

static uint64_t head_of(const struct buffer *keys, size_t at)
{
	uint64_t head = 0;
	for (size_t i = 0; i < sizeof head; i++)
		head = head << 8 | (at + i < keys->n ? (unsigned char)keys->p[at + i] : 0);
	return head;
}

static void add_item(struct command *c, const struct entry *e)
{
	struct sort *s = c->job;
	struct item item = { .found = { e->uid, e->change }, .key = s->keys.n };
	sort_entry_key(&s->by, e, &s->scratch, &s->keys);
	item.n = s->keys.n - item.key;
	item.head = head_of(&s->keys, item.key);
	buffer_put(&s->items, &item, sizeof item);
}

/* Where all is the same, as they are numbered. */
static int by_key(const void *a, const void *b, void *arg)
{
	const struct item *x = a, *y = b;
	const struct buffer *keys = arg;
	if (x->head != y->head)
		return x->head < y->head ? -1 : 1;
	int order = memcmp(keys->p + x->key, keys->p + y->key, x->n < y->n ? x->n : y->n);
	return order ? order : (x->found.uid > y->found.uid) - (x->found.uid < y->found.uid);
}

static enum imap_step put_sorted(struct command *c, struct sort *s)
{
	struct item *v = (struct item *)(void *)s->items.p;
	size_t n = s->items.n / sizeof *v;
	struct found *f = malloc((n + 1) * sizeof *f);
	if (!f) {
		reply_failure(c, fail_with(ERR_UNAVAILABLE, "no memory"));
		return nothing_saved(c, &s->query.returns);
	}
	if (n)
		qsort_r(v, n, sizeof *v, by_key, &s->keys);
	for (size_t i = 0; i < n; i++)
		f[i] = v[i].found;
	struct search_result r = { .v = f, .n = n, .modseq = s->query.modseq, .returns = s->query.returns };
	if (s->query.returns.update)
		context_keep(c, &(struct context_request){ .text = s->text, .query = &s->query, .found = &s->set, .order = f, .n = n });
	enum imap_step step = put_result(c, &r);
	free(f);
	return step;
}

static int read_keys(struct command *c, struct sort *s)
{
	int rc = lines_put(c, &s->lines, add_item);
	if (rc == LINES_MORE)
		put_progress(c, &s->run.spoke, "Still sorting", s->items.n / sizeof(struct item), s->run.found.n / sizeof(struct found));
	if (!buffer_ok(&s->keys) || !buffer_ok(&s->items))
		return fail_with(ERR_LIMIT, "these are too many messages to be sorted");
	return rc;
}

static enum imap_step go_on(struct command *c)
{
	struct sort *s = c->job;
	int rc = search_set(c, &s->run, &s->set);
	if (!rc)
		rc = read_keys(c, s);
	if (rc > OK)
		return IMAP_DRAIN;
	if (rc == OK)
		return put_sorted(c, s);
	reply_failure(c, rc);
	return nothing_saved(c, &s->query.returns);
}

enum imap_step cmd_sort(struct command *c)
{
	struct sort *s = command_job(c, sizeof *s);
	if (!s)
		return IMAP_DONE;
	if (!imap_sp(&c->args))
		return reply_bad_args(c);
	s->text = c->args;
	if (!imap_sort_parse(&c->args, &s->by, &s->query))
		return reply_bad_args(c);
	s->keys.limit = KEYS_MEMORY_MAX;
	s->lines.walk = (struct entries){ .view = c->session->view, .uids = &s->set,
		                          .depth = sort_entry_depth(&s->by) };
	c->cleanup = end_sort;
	c->resume = go_on;
	return search_begin(c, &s->query, &s->run) ? go_on(c) : nothing_saved(c, &s->query.returns);
}
