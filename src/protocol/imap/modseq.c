#include "modseq.h"

enum { VANISHED_LINE_MAX = 8000 /* bytes, about; what is more goes to a further line */ };

bool has_modseq(const struct command *c)
{
	const struct view *v = c->session->view;
	return v && !view_info(v)->past;
}

static void put_highest(struct command *c)
{
	buffer_printf(c->out, "* OK [HIGHESTMODSEQ %lld] All changes up to there were told\r\n",
	              (long long)view_settled(c->session->view));
}

void put_highest_if_ahead(struct command *c)
{
	if (has_modseq(c) && c->modseq_told > view_settled(c->session->view))
		put_highest(c);
	c->modseq_told = 0;
}

void condstore_enable(struct command *c)
{
	struct imap_session *s = c->session;
	if (s->condstore)
		return;
	s->condstore = true;
	if (has_modseq(c))
		put_highest(c);
}

void put_modseq(struct command *c, int64_t change)
{
	buffer_puts(c->out, "MODSEQ (");
	buffer_put_u64(c->out, (uint64_t)change);
	buffer_putc(c->out, ')');
	if (change > c->modseq_told)
		c->modseq_told = change;
}

/* Lines of bounded length: `at` is where the one being written begins. */
struct vanished {
	struct buffer *out;
	const char *head;
	size_t at;
	bool open;
	struct imap_set_writer set;
};

static void end_line(struct vanished *l)
{
	if (!l->open)
		return;
	imap_set_finish(&l->set);
	buffer_puts(l->out, "\r\n");
	l->open = false;
}

static void add_range(struct vanished *l, struct imap_range r)
{
	if (l->open && l->out->n - l->at > VANISHED_LINE_MAX)
		end_line(l);
	if (!l->open) {
		l->at = l->out->n;
		l->set = (struct imap_set_writer){ .b = l->out };
		l->open = true;
		buffer_puts(l->out, l->head);
	}
	imap_set_add_range(&l->set, r);
}

void put_vanished_earlier(struct command *c, const struct imap_set *uids)
{
	struct vanished l = { .out = c->out, .head = "* VANISHED (EARLIER) " };
	for (size_t i = 0; i < uids->n; i++)
		add_range(&l, uids->ranges[i]);
	end_line(&l);
}

void put_vanished(struct command *c, const struct view_gone *gone, size_t n)
{
	struct vanished l = { .out = c->out, .head = "* VANISHED " };
	for (size_t i = 0; i < n; i++)
		add_range(&l, (struct imap_range){ gone[i].uid, gone[i].uid });
	end_line(&l);
}
