#include "list_line.h"

#include "fail.h"
#include "folder.h"
#include "imap_quote.h"
#include "mailbox_place.h"
#include "special_use.h"

void put_list_line(struct buffer *b, const struct list_line *l)
{
	buffer_puts(b, "* LIST (");
	if (!l->exists)
		buffer_puts(b, "\\NonExistent ");
	else if (l->attributes & FOLDER_NOSELECT)
		buffer_puts(b, "\\Noselect ");
	buffer_puts(b, l->has_children ? "\\HasChildren" : "\\HasNoChildren");
	special_use_put(b, l->attributes);
	if (l->subscribed)
		buffer_puts(b, " \\Subscribed");
	buffer_puts(b, ") \"/\" ");
	imap_put_mailbox(b, l->name, l->utf8);
	if (l->old.n) {
		buffer_puts(b, " (\"OLDNAME\" (");
		imap_put_mailbox(b, l->old, l->utf8);
		buffer_puts(b, "))");
	}
}

int put_mailbox_line(struct command *c, struct list_line line, struct span path, int64_t at)
{
	struct imap_session *s = c->session;
	struct visible seen = { 0 };
	struct place p;
	struct tree tree;
	int rc = find_place(c, line.name, &p);
	if (!rc && p.viewer)
		rc = acl_folders(s->node->service, p.account, p.viewer, &c->arena, &seen.list, &seen.n);
	if (!rc)
		rc = tree_read(s->node->service, p.account, at, &tree);
	if (rc)
		return rc;
	const struct folder *f = tree_find(&tree, p.viewer ? p.path : path);
	line.utf8 = s->utf8;
	line.exists = f;
	line.has_children = f && (p.viewer ? visible_below(&seen, &tree, (size_t)(f - tree.list)) : f->has_children);
	line.attributes = !f ? 0 : at || p.viewer ? f->attributes & FOLDER_NOSELECT : f->attributes;
	put_list_line(c->out, &line);
	buffer_puts(c->out, "\r\n");
	tree_free(&tree);
	return OK;
}

/* Without it the mailbox is found by either name all the same. */
void put_old_name(struct command *c, struct span name, struct span old)
{
	if (old.n)
		put_mailbox_line(c, (struct list_line){ .name = name, .old = old }, name, 0);
}
