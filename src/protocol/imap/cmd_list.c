/* LIST, with children and special uses (RFC 3348, 6154), of the present and of the past. */
#include "fail.h"
#include "folder.h"
#include "imap_quote.h"
#include "instant.h"
#include "mailbox_name.h"
#include "names.h"
#include "patterns.h"
#include "reply.h"

static const struct {
	int64_t attribute;
	const char *name;
} special_uses[] = {
	{ FOLDER_DRAFTS, " \\Drafts" }, { FOLDER_SENT, " \\Sent" }, { FOLDER_JUNK, " \\Junk" },
	{ FOLDER_TRASH, " \\Trash" }, { FOLDER_ARCHIVE, " \\Archive" },
};

static void put_line(struct command *c, const char *attributes, struct span name)
{
	buffer_puts(c->out, "* LIST (");
	buffer_puts(c->out, attributes);
	buffer_puts(c->out, ") \"/\" ");
	imap_put_mailbox(c->out, name);
	buffer_puts(c->out, "\r\n");
}

static void put_folder(struct command *c, const struct folder *f, struct span name, bool special)
{
	buffer_puts(c->out, "* LIST (");
	if (f->attributes & FOLDER_NOSELECT)
		buffer_puts(c->out, "\\Noselect ");
	buffer_puts(c->out, f->has_children ? "\\HasChildren" : "\\HasNoChildren");
	for (size_t i = 0; special && i < sizeof special_uses / sizeof *special_uses; i++)
		if (f->attributes & special_uses[i].attribute)
			buffer_puts(c->out, special_uses[i].name);
	buffer_puts(c->out, ") \"/\" ");
	imap_put_mailbox(c->out, name);
	buffer_puts(c->out, "\r\n");
}

static int list_present(struct command *c, struct mailbox_pattern *pattern)
{
	struct imap_session *s = c->session;
	struct tree tree;
	int rc = tree_read(s->node->service, s->account, 0, &tree);
	if (rc)
		return rc;
	for (size_t i = 0; i < tree.n; i++)
		if (mailbox_pattern_match(pattern, tree.list[i].path))
			put_folder(c, &tree.list[i], tree.list[i].path, true);
	tree_free(&tree);
	return OK;
}

/* "#at/%": the snapshots. They are shown, but a wildcard does not descend into them: that would list mail many times. */
struct snapshots {
	struct command *c;
	struct mailbox_pattern *pattern;
};

static int list_snapshot(void *ctx, const struct snapshot *sn)
{
	struct snapshots *l = ctx;
	struct buffer name = { 0 };
	buffer_printf(&name, "#at/%s", sn->name);
	if (mailbox_pattern_match(l->pattern, buffer_span(&name)))
		put_line(l->c, "\\Noselect \\HasChildren", buffer_span(&name));
	buffer_free(&name);
	return 0;
}

static int list_snapshots(struct command *c, struct mailbox_pattern *pattern)
{
	struct snapshots l = { c, pattern };
	if (mailbox_pattern_match(pattern, SPAN("#at")))
		put_line(c, "\\Noselect \\HasChildren", SPAN("#at"));
	return snapshot_list(c->session->node->service, list_snapshot, &l);
}

static void put_past_folder(struct command *c, struct mailbox_pattern *pattern, struct span root, const struct folder *f)
{
	struct buffer name = { 0 };
	buffer_put_span(&name, root);
	buffer_putc(&name, '/');
	buffer_put_span(&name, f->path);
	if (mailbox_pattern_match(pattern, buffer_span(&name)))
		put_folder(c, f, buffer_span(&name), false);
	buffer_free(&name);
}

/* "#at/WHEN/...": the tree as it was. root is "#at/WHEN". */
static int list_past(struct command *c, struct mailbox_pattern *pattern, struct span root, struct span when)
{
	struct imap_session *s = c->session;
	struct instant at;
	struct tree tree;
	int rc = instant_resolve(s->node->service, s->account, when, &at);
	if (rc)
		return rc;
	if (mailbox_pattern_match(pattern, root))
		put_line(c, "\\Noselect \\HasChildren", root);
	if (at.change == 0)
		return OK;
	rc = tree_read(s->node->service, s->account, at.change, &tree);
	if (rc)
		return rc;
	for (size_t i = 0; i < tree.n; i++)
		put_past_folder(c, pattern, root, &tree.list[i]);
	tree_free(&tree);
	return OK;
}

static bool has_wildcard(struct span s)
{
	return span_find(s, '%') >= 0 || span_find(s, '*') >= 0;
}

static int list(struct command *c, struct span text)
{
	struct mailbox_pattern pattern;
	struct span rest = text, at, when;
	int rc = mailbox_pattern_init(&pattern, &c->arena, text);
	if (rc)
		return rc;
	if (!name_is_past(text))
		return list_present(c, &pattern);
	mailbox_name_next(&rest, &at);
	if (!mailbox_name_next(&rest, &when) || has_wildcard(when))
		return list_snapshots(c, &pattern);
	return list_past(c, &pattern, span_from(text.p, (size_t)(when.p + when.n - text.p)), when);
}

enum imap_step cmd_list(struct command *c)
{
	struct span reference, sent, text;
	if (!imap_sp(&c->args))
		return reply_bad_args(c);
	if (imap_peek(&c->args, '('))
		return reply_bad(c, "Options of LIST are not supported");
	if (!read_pattern(c, &reference, &sent) || !imap_end(&c->args))
		return reply_bad_args(c);
	if (sent.n == 0) { /* only asks for the separator */
		put_line(c, "\\Noselect", SPAN(""));
		return reply_completed(c);
	}
	int rc = join_pattern(c, reference, sent, &text);
	if (!rc)
		rc = list(c, text);
	return rc ? reply_failure(c, rc) : reply_completed(c);
}
