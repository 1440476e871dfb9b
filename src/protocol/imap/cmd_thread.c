/* THREAD (RFC 5256): what SEARCH finds, as conversations. All that is needed comes from summaries, read in one pass. */
#include <stdlib.h>
#include <sys/random.h>

#include "base_subject.h"
#include "clock.h"
#include "fail.h"
#include "imap_sort.h"
#include "lines.h"
#include "message_facts.h"
#include "reply.h"
#include "search_result.h"
#include "text_fold.h"

enum { TREE_MEMORY_MAX = 512 << 20 };

struct thread {
	struct imap_search_query query;
	struct search_run run;
	struct imap_set set; /* what was found */
	struct lines lines;
	struct thread_tree *tree;
	struct buffer subject, folded;
	uint64_t threaded;
	int failure;
};

static void end_thread(struct command *c)
{
	struct thread *t = c->job;
	search_end(&t->run);
	lines_end(&t->lines);
	thread_tree_free(&t->tree);
	buffer_free(&t->subject);
	buffer_free(&t->folded);
	free(t->set.ranges);
}

static void add_message(struct command *c, const struct entry *e)
{
	struct thread *t = c->job;
	struct message_facts f = { .sent = e->date / SECOND_US };
	struct mime_summary summary;
	if (mime_summary_open(e->summary, &summary) == OK) /* a damaged one is alone, as of its arrival */
		message_facts(&summary, e->date, &f);
	buffer_reset(&t->subject);
	buffer_reset(&t->folded);
	bool refwd = base_subject(f.subject, &t->subject);
	text_fold(buffer_span(&t->subject), &t->folded);
	struct thread_message m = { .number = c->uid ? e->uid : view_number(c->session->view, e->uid), .sent = f.sent,
		                    .subject = buffer_span(&t->folded), .refwd = refwd, .id = f.id,
		                    .references = f.references, .in_reply_to = f.in_reply_to };
	if (!t->failure)
		t->failure = thread_tree_add(t->tree, &m);
	t->threaded++;
}

static int read_messages_found(struct command *c, struct thread *t)
{
	int rc = lines_put(c, &t->lines, add_message);
	if (rc == LINES_MORE)
		put_progress(c, &t->run.spoke, "Still threading", t->threaded, t->run.found.n / sizeof(struct found));
	return t->failure ? t->failure : rc;
}

static enum imap_step put_threads(struct command *c, struct thread *t)
{
	int rc = thread_tree_finish(t->tree);
	if (rc)
		return reply_failure(c, rc);
	buffer_puts(c->out, "* THREAD");
	size_t start = c->out->n;
	buffer_putc(c->out, ' ');
	thread_tree_put(t->tree, c->out);
	if (c->out->n == start + 1)
		c->out->n = start;
	buffer_puts(c->out, "\r\n");
	return reply_completed(c);
}

static enum imap_step go_on(struct command *c)
{
	struct thread *t = c->job;
	int rc = search_set(c, &t->run, &t->set);
	if (!rc)
		rc = read_messages_found(c, t);
	if (rc > OK)
		return IMAP_DRAIN;
	return rc ? reply_failure(c, rc) : put_threads(c, t);
}

static int new_tree(enum thread_algorithm algorithm, struct thread_tree **out)
{
	uint64_t seed;
	if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
		return fail_with(ERR_UNAVAILABLE, "no random numbers");
	return thread_tree_new(algorithm, TREE_MEMORY_MAX, seed, out);
}

enum imap_step cmd_thread(struct command *c)
{
	struct thread *t = command_job(c, sizeof *t);
	enum thread_algorithm algorithm;
	if (!t)
		return IMAP_DONE;
	if (!imap_sp(&c->args) || !imap_thread_parse(&c->args, &algorithm, &t->query))
		return reply_bad_args(c);
	c->cleanup = end_thread;
	c->resume = go_on;
	int rc = new_tree(algorithm, &t->tree);
	if (rc)
		return reply_failure(c, rc);
	t->lines.walk = (struct entries){ .view = c->session->view, .uids = &t->set, .depth = VIEW_SUMMARIES };
	return search_begin(c, &t->query, &t->run) ? go_on(c) : IMAP_DONE;
}
