#include "fail.h"
#include "folder.h"
#include "imap_quote.h"
#include "names.h"
#include "reply.h"

enum status_item {
	STATUS_MESSAGES = 1,
	STATUS_RECENT = 2,
	STATUS_UIDNEXT = 4,
	STATUS_UIDVALIDITY = 8,
	STATUS_UNSEEN = 16,
};

static const char *const item_names[] = { "MESSAGES", "RECENT", "UIDNEXT", "UIDVALIDITY", "UNSEEN" };
enum { ITEMS = sizeof item_names / sizeof *item_names };

static bool read_items(struct imap_args *a, unsigned *items)
{
	struct span word;
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	while (imap_list_next(a)) {
		int i = 0;
		if (!imap_atom(a, &word))
			return false;
		while (i < ITEMS && !span_ieq(word, span_of(item_names[i])))
			i++;
		if (i == ITEMS)
			return imap_bad(a, "An item of STATUS is not known");
		*items |= 1u << i;
	}
	if (!*items)
		return imap_bad(a, "An item of STATUS expected");
	return !a->bad && imap_end(a);
}

/* The present without a view, from the counters that every change keeps, so that it answers the current state also of
   the selected mailbox. */
static int count_present(struct command *c, struct span name, struct folder *f)
{
	struct imap_session *s = c->session;
	struct tree tree;
	int rc = tree_read(s->node->service, s->account, 0, &tree);
	if (rc)
		return rc;
	const struct folder *found = tree_find(&tree, name);
	if (!found)
		rc = fail_with(ERR_NOT_FOUND, "no such folder");
	else if (found->attributes & FOLDER_NOSELECT)
		rc = fail_with(ERR_CANNOT, "that is only a name with folders below it");
	else
		*f = *found;
	tree_free(&tree);
	return rc;
}

static int count_with_view(struct command *c, struct span name, struct folder *f, uint32_t *recent)
{
	struct imap_session *s = c->session;
	struct view *v;
	int rc = view_open(s->node->service, s->account, name, VIEW_READ_ONLY, &v);
	if (rc)
		return rc;
	*f = view_info(v)->folder;
	if (view_info(v)->past)
		rc = folder_count(s->node->service, s->account, view_info(v)->at.change, f);
	f->messages = view_count(v);
	*recent = view_recent(v);
	view_close(&v);
	return rc;
}

static void put_status(struct command *c, struct span name, unsigned items, const struct folder *f, uint32_t recent)
{
	const int64_t values[ITEMS] = { f->messages, recent, f->uidnext, f->uidvalidity, f->unseen };
	const char *separator = "";
	buffer_puts(c->out, "* STATUS ");
	imap_put_mailbox(c->out, name);
	buffer_puts(c->out, " (");
	for (int i = 0; i < ITEMS; i++)
		if (items & 1u << i) {
			buffer_printf(c->out, "%s%s %lld", separator, item_names[i], (long long)values[i]);
			separator = " ";
		}
	buffer_puts(c->out, ")\r\n");
}

enum imap_step cmd_status(struct command *c)
{
	struct span sent, name;
	struct folder f;
	unsigned items = 0;
	uint32_t recent = 0;
	if (!read_mailbox_arg(c, &sent) || !read_items(&c->args, &items))
		return reply_bad_args(c);
	int rc = mailbox_arg(c, sent, &name);
	if (!rc && (name_is_past(name) || (items & STATUS_RECENT)))
		rc = count_with_view(c, name, &f, &recent);
	else if (!rc)
		rc = count_present(c, name, &f);
	if (rc)
		return reply_failure(c, rc);
	put_status(c, name, items, &f, recent);
	return reply_completed(c);
}
