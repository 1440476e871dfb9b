/* LSUB: the subscribed names. For "%" also the parents of those, when they are not subscribed themselves (RFC 3501,
   6.3.9), so that clients can descend. */
#include "fail.h"
#include "folder.h"
#include "imap_quote.h"
#include "mailbox_name.h"
#include "patterns.h"
#include "reply.h"

struct lsub {
	struct command *c;
	struct mailbox_pattern pattern;
	const struct span *names; /* sorted */
	size_t n;
};

static void put_line(struct command *c, const char *attributes, struct span name)
{
	buffer_puts(c->out, "* LSUB (");
	buffer_puts(c->out, attributes);
	buffer_puts(c->out, ") \"/\" ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	buffer_puts(c->out, "\r\n");
}

/* Is it subscribed itself, or was it shown for a name before the i-th? */
static bool is_shown(const struct lsub *l, struct span parent, size_t i)
{
	for (size_t k = 0; k < l->n; k++)
		if (span_eq(l->names[k], parent) || (k < i && mailbox_name_below(l->names[k], parent)))
			return true;
	return false;
}

static void put_parents(struct lsub *l, size_t i)
{
	struct span parent = l->names[i];
	while ((parent = mailbox_name_parent(parent)).n)
		if (pattern_matches(&l->pattern, parent, l->c->session->utf8) && !is_shown(l, parent, i))
			put_line(l->c, "\\Noselect", parent);
}

static void put_names(struct lsub *l, bool parents)
{
	for (size_t i = 0; i < l->n; i++) {
		if (pattern_matches(&l->pattern, l->names[i], l->c->session->utf8))
			put_line(l->c, "", l->names[i]);
		else if (parents)
			put_parents(l, i);
	}
}

enum imap_step cmd_lsub(struct command *c)
{
	struct imap_session *s = c->session;
	struct lsub l = { .c = c };
	struct span reference, sent, text, *names;
	if (!imap_sp(&c->args) || !read_pattern(c, &reference, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	int rc = join_pattern(c, reference, sent, &text);
	if (!rc)
		rc = mailbox_pattern_init(&l.pattern, &c->arena, text);
	if (!rc)
		rc = folder_subscriptions(s->node->service, s->account, &c->arena, &names, &l.n);
	if (rc)
		return reply_failure(c, rc);
	l.names = names;
	put_names(&l, text.n && text.p[text.n - 1] == '%');
	return reply_completed(c);
}
