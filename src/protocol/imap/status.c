#include "status.h"

#include "fail.h"
#include "imap_quote.h"
#include "mailbox_place.h"
#include "names.h"
#include "settings.h"

struct status {
	struct folder folder;
	uint32_t recent;
	int64_t append_limit, deleted, deleted_bytes;
	char id[FOLDER_OBJECTID];
};

static int find(struct command *c, const struct place *p, struct status *out)
{
	struct imap_session *s = c->session;
	struct tree tree;
	int rc = tree_read_path(s->node->service, p->account, p->path, &tree);
	if (rc)
		return rc;
	const struct folder *found = tree_find(&tree, p->path);
	if (!found)
		rc = fail_with(ERR_NOT_FOUND, "no such folder");
	else if (found->attributes & FOLDER_NOSELECT)
		rc = fail_with(ERR_CANNOT, "that is only a name with folders below it");
	else
		out->folder = *found;
	tree_free(&tree);
	return rc;
}

/* The present without a view, from the counters that every change keeps, so that it answers the current state also of
   the selected mailbox. */
static int count_present(struct command *c, struct span name, const struct folder *f, unsigned items, struct status *out)
{
	struct imap_session *s = c->session;
	struct place p;
	int rc = find_allowed(c, name, RIGHT_READ, &p);
	if (!rc && f)
		out->folder = *f;
	else if (!rc)
		rc = find(c, &p, out);
	if (!rc && p.viewer && (items & STATUS_UNSEEN))
		rc = folder_count_unseen(s->node->service, p.account, p.viewer, &out->folder);
	if (!rc && !p.viewer && (items & STATUS_RECENT))
		rc = folder_count_recent(s->node->service, p.account, &out->folder, &out->recent);
	if (!rc && (items & (STATUS_DELETED | STATUS_DELETED_STORAGE)))
		rc = folder_count_deleted(s->node->service, p.account, out->folder.id, &out->deleted, &out->deleted_bytes);
	if (!rc)
		folder_objectid(p.account, out->folder.id, out->id);
	return rc;
}

static int count_past(struct command *c, struct span name, struct status *out)
{
	struct imap_session *s = c->session;
	struct view *v;
	int rc = view_open(s->node->service, s->account, name, VIEW_READ_ONLY, &v);
	if (rc)
		return rc;
	const struct view_info *info = view_info(v);
	out->folder = info->folder;
	rc = folder_count(s->node->service, s->account, info->at.change, &out->folder);
	out->folder.messages = view_count(v);
	out->folder.change = 0; /* NOMODSEQ */
	memcpy(out->id, info->id, sizeof out->id);
	view_close(&v);
	return rc;
}

static void put_item(struct command *c, const struct status *st, unsigned item)
{
	const struct folder *f = &st->folder;
	const int64_t values[STATUS_ITEMS] = {
		f->messages, st->recent, f->uidnext, f->uidvalidity, f->unseen, f->change, f->bytes, 0,
		st->append_limit, st->deleted, st->deleted_bytes,
	};
	if (item == STATUS_MAILBOXID)
		buffer_printf(c->out, "(%s)", st->id);
	else
		buffer_put_u64(c->out, (uint64_t)values[__builtin_ctz(item)]);
}

static void put_status(struct command *c, struct span name, const struct status *st, unsigned items)
{
	const char *separator = "";
	buffer_puts(c->out, "* STATUS ");
	imap_put_mailbox(c->out, name, c->session->utf8);
	buffer_puts(c->out, " (");
	for (int i = 0; i < STATUS_ITEMS; i++) {
		if (!(items & 1u << i))
			continue;
		buffer_printf(c->out, "%s%s ", separator, imap_status_name(i));
		put_item(c, st, 1u << i);
		separator = " ";
	}
	buffer_puts(c->out, ")\r\n");
}

int status_put(struct command *c, struct span name, const struct folder *f, unsigned items)
{
	struct status st = { 0 };
	struct settings settings;
	int rc = items & STATUS_APPENDLIMIT ? settings_of(c->session->node->identity, c->session->account, &settings) : OK;
	if (rc)
		return rc;
	st.append_limit = items & STATUS_APPENDLIMIT && !name_is_past(name) ? settings.message_max : 0;
	rc = name_is_past(name) ? count_past(c, name, &st) : count_present(c, name, f, items, &st);
	if (!rc)
		put_status(c, name, &st, items);
	return rc;
}
