/* SELECT and EXAMINE, with what became different since the client was here last (QRESYNC; RFC 7162, 3.2.5). */
#include <stdlib.h>

#include "fail.h"
#include "flags.h"
#include "imap_select.h"
#include "lines.h"
#include "list_line.h"
#include "mailbox_place.h"
#include "modseq.h"
#include "names.h"
#include "news.h"
#include "notify.h"
#include "reply.h"

struct select {
	struct imap_select what;
	struct span name, old;   /* and what the client called it, where that is another form */
	int flags;               /* of view_open */
	int64_t since;
	struct view_resync news; /* since the client was here last */
	struct lines lines;
};

/* Flags that the user may change, and whether new ones (RFC 4314, 5.1.1). */
static void put_permanent(struct command *c, const struct view_info *info, struct imap_flags f)
{
	bool write = info->rights & RIGHT_WRITE;
	f.system &= (info->rights & RIGHT_SEEN ? FLAG_SEEN : 0) | (info->rights & RIGHT_DELETE ? FLAG_DELETED : 0) |
	            (write ? ~(uint64_t)(FLAG_SEEN | FLAG_DELETED) : 0);
	f.keywords = write ? f.keywords : (struct span){ 0 };
	flags_put(c->out, &f, false);
	if (write)
		buffer_puts(c->out, " \\*");
}

static void put_flag_lists(struct command *c, const struct view_info *info)
{
	struct imap_flags all = { .system = FLAGS_KNOWN, .keywords = info->folder.keywords };
	buffer_puts(c->out, "* FLAGS (");
	flags_put(c->out, &all, false);
	buffer_puts(c->out, ")\r\n* OK [PERMANENTFLAGS (");
	if (!info->read_only)
		put_permanent(c, info, all);
	buffer_puts(c->out, info->read_only ? ")] Nothing can be changed\r\n" : ")] Flags are kept\r\n");
}

/* What IMAP4rev2 has no more, and what it has instead. */
static int put_version(struct command *c, const struct select *s, struct view *v, uint32_t *unseen)
{
	const struct view_info *info = view_info(v);
	*unseen = 0;
	if (!c->session->rev2)
		return c->session->uidonly ? OK : view_first_unseen(v, unseen);
	return put_mailbox_line(c, (struct list_line){ .name = s->name, .old = s->old }, info->folder.path, info->at.change);
}

static int put_state(struct command *c, const struct select *s, struct view *v)
{
	const struct view_info *info = view_info(v);
	uint32_t unseen;
	int rc = put_version(c, s, v, &unseen);
	if (rc)
		return rc;
	put_flag_lists(c, info);
	put_exists(c);
	if (unseen)
		buffer_printf(c->out, "* OK [UNSEEN %u] The first unseen message\r\n", unseen);
	buffer_printf(c->out, "* OK [UIDVALIDITY %lld] UIDs are valid\r\n", (long long)info->folder.uidvalidity);
	buffer_printf(c->out, "* OK [UIDNEXT %lld] The next UID\r\n", (long long)info->folder.uidnext);
	buffer_printf(c->out, "* OK [MAILBOXID (%s)] Its name for ever\r\n", info->id);
	if (info->past)
		buffer_puts(c->out, "* OK [NOMODSEQ] The past does not change\r\n");
	else
		buffer_printf(c->out, "* OK [HIGHESTMODSEQ %lld] The last change\r\n", (long long)view_change(v));
	return OK;
}

static void end_select(struct command *c)
{
	struct select *s = c->job;
	view_resync_free(&s->news);
	lines_end(&s->lines);
}

static enum imap_step completed(struct command *c)
{
	reply_ok(c, view_info(c->session->view)->read_only ? "[READ-ONLY] " : "[READ-WRITE] ");
	buffer_puts(&c->reply, c->entry->word);
	buffer_puts(&c->reply, " completed");
	return IMAP_DONE;
}

static enum imap_step failed(struct command *c, int rc)
{
	session_unselect(c->session);
	return reply_failure(c, rc);
}

/* ---- What changed since */

static void put_line(struct command *c, const struct entry *e)
{
	const struct select *s = c->job;
	if (e->change > s->since)
		put_flags_line(c, e);
}

static enum imap_step put_lines(struct command *c)
{
	struct select *s = c->job;
	int rc = lines_put(c, &s->lines, put_line);
	if (rc == LINES_MORE)
		return IMAP_DRAIN;
	return rc ? failed(c, rc) : completed(c);
}

static uint32_t uid_of(const void *view, uint32_t number)
{
	return view_uid(view, number);
}

/* The UIDs the client speaks of, but for those it is known to be right about. */
static bool find_asked(struct command *c, const struct select *s, struct imap_set *expunges)
{
	const struct view *v = c->session->view;
	int64_t given = view_info(v)->folder.uidnext - 1;
	uint32_t matched = s->what.has_match ? imap_select_match(&s->what, view_count(v), uid_of, v) : 0;
	struct imap_range all = { 1, given > UINT32_MAX ? UINT32_MAX : (uint32_t)given }, rest = { matched + 1, UINT32_MAX };
	struct imap_set known = s->what.known, unmatched = { &rest, matched < UINT32_MAX };
	if (!s->what.has_known)
		known = (struct imap_set){ &all, given > 0 };
	expunges->ranges = arena_alloc(&c->arena, (known.n + 1) * sizeof *expunges->ranges);
	if (expunges->ranges)
		imap_set_intersect(&known, &unmatched, expunges);
	return expunges->ranges;
}

/* Flags are told of the UIDs the client asked about only. */
static bool keep_known(struct select *s)
{
	struct imap_set kept = { 0 }, *changed = &s->news.changed;
	kept.ranges = malloc((changed->n + s->what.known.n + 1) * sizeof *kept.ranges);
	if (!kept.ranges)
		return false;
	imap_set_intersect(changed, &s->what.known, &kept);
	free(changed->ranges);
	*changed = kept;
	return true;
}

/* A change number that was never given out is no ground to stand on: then everything is told. */
static enum imap_step resync(struct command *c, struct select *s)
{
	struct view *v = c->session->view;
	struct imap_set expunges = { 0 };
	s->since = s->what.modseq <= (uint64_t)view_change(v) ? (int64_t)s->what.modseq : 0;
	if (!find_asked(c, s, &expunges))
		return failed(c, fail_with(ERR_LIMIT, "too many known UIDs"));
	int rc = view_resync(v, s->since, &expunges, &s->news);
	if (rc)
		return failed(c, rc);
	put_vanished_earlier(c, &s->news.vanished);
	if (s->what.has_known && !keep_known(s))
		return failed(c, fail_with(ERR_UNAVAILABLE, "no memory"));
	s->lines.walk = (struct entries){ .view = v, .uids = &s->news.changed };
	c->resume = put_lines;
	return put_lines(c);
}

/* ---- The mailbox itself */

static enum imap_step open_mailbox(struct command *c, struct select *s)
{
	struct imap_session *session = c->session;
	struct view *v;
	struct place p;
	char *name = strndup(s->name.p, s->name.n);
	int rc = name ? find_allowed(c, s->name, RIGHT_READ, &p) : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!rc)
		rc = view_open_others(session->node->service, p.account, p.viewer, p.path, s->flags, &v);
	if (rc) {
		free(name);
		return reply_failure(c, rc);
	}
	session->view = v;
	session->mailbox = name;
	session->state = STATE_SELECTED;
	notify_reselect(session);
	conn_tell(session->conn, CONN_FOLDER, s->name);
	session->condstore = session->condstore || s->what.condstore;
	rc = put_state(c, s, v);
	if (rc)
		return failed(c, rc);
	if (s->what.qresync && has_modseq(c) && s->what.uidvalidity == view_info(v)->folder.uidvalidity)
		return resync(c, s);
	return completed(c);
}

/* A SELECT that fails leaves no mailbox selected, whatever it fails for (RFC 3501, 6.3.1). */
static void leave_other(struct command *c)
{
	if (c->session->view)
		buffer_puts(c->out, "* OK [CLOSED] The mailbox selected before is closed\r\n");
	session_unselect(c->session);
}

static enum imap_step select_with(struct command *c, int flags)
{
	struct select *s = command_job(c, sizeof *s);
	struct span sent;
	if (!s)
		return IMAP_DONE;
	if (!read_mailbox_arg(c, &sent) || !imap_select_parse(&c->args, &s->what))
		return reply_bad_args(c);
	if (s->what.qresync && !c->session->qresync)
		return reply_bad(c, "QRESYNC needs ENABLE QRESYNC");
	if (s->what.has_match && c->session->uidonly)
		return reply_uid_required(c);
	c->cleanup = end_select;
	s->flags = flags;
	leave_other(c);
	int rc = mailbox_arg(c, sent, &s->name);
	if (rc)
		return reply_failure(c, rc);
	s->old = mailbox_old_name(c, sent, s->name);
	return open_mailbox(c, s);
}

enum imap_step cmd_select(struct command *c)
{
	return select_with(c, 0);
}

enum imap_step cmd_examine(struct command *c)
{
	return select_with(c, VIEW_READ_ONLY);
}
