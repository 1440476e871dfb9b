/* SELECT and EXAMINE. */
#include "fail.h"
#include "flags.h"
#include "names.h"
#include "reply.h"

static void put_flag_lists(struct command *c, const struct view_info *info)
{
	struct imap_flags all = { .system = FLAGS_KNOWN, .keywords = info->folder.keywords };
	buffer_puts(c->out, "* FLAGS (");
	flags_put(c->out, &all, false);
	buffer_puts(c->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!info->read_only) {
		flags_put(c->out, &all, false);
		buffer_puts(c->out, " \\*");
	}
	buffer_puts(c->out, info->read_only ? ")] Nothing can be changed\r\n" : ")] Flags are kept\r\n");
}

static int put_state(struct command *c, struct view *v)
{
	const struct view_info *info = view_info(v);
	uint32_t unseen;
	int rc = view_first_unseen(v, &unseen);
	if (rc)
		return rc;
	put_flag_lists(c, info);
	buffer_printf(c->out, "* %u EXISTS\r\n* %u RECENT\r\n", view_count(v), view_recent(v));
	if (unseen)
		buffer_printf(c->out, "* OK [UNSEEN %u] The first unseen message\r\n", unseen);
	buffer_printf(c->out, "* OK [UIDVALIDITY %lld] UIDs are valid\r\n", (long long)info->folder.uidvalidity);
	buffer_printf(c->out, "* OK [UIDNEXT %lld] The next UID\r\n", (long long)info->folder.uidnext);
	if (info->past)
		buffer_puts(c->out, "* OK [NOMODSEQ] The past does not change\r\n");
	return OK;
}

static enum imap_step open_mailbox(struct command *c, int flags)
{
	struct imap_session *s = c->session;
	struct span name;
	struct view *v;
	if (!read_one_mailbox(c, &name))
		return IMAP_DONE;
	session_unselect(s);
	int rc = view_open(s->node->service, s->account, name, flags, &v);
	if (rc)
		return reply_failure(c, rc);
	rc = put_state(c, v);
	if (rc) {
		view_close(&v);
		return reply_failure(c, rc);
	}
	s->view = v;
	s->state = STATE_SELECTED;
	conn_tell(s->conn, CONN_FOLDER, name);
	reply_ok(c, view_info(v)->read_only ? "[READ-ONLY] " : "[READ-WRITE] ");
	buffer_puts(&c->reply, c->entry->word);
	buffer_puts(&c->reply, " completed");
	return IMAP_DONE;
}

enum imap_step cmd_select(struct command *c)
{
	return open_mailbox(c, 0);
}

enum imap_step cmd_examine(struct command *c)
{
	return open_mailbox(c, VIEW_READ_ONLY);
}
