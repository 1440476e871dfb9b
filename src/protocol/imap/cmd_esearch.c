/* ESEARCH (MULTISEARCH, RFC 7377): what matches in several mailboxes, one line for each where something does, without selecting
   them. They are gone through owner by owner in the order of the tree, one view open at a time. */
#include <stdlib.h>

#include "context.h"
#include "fail.h"
#include "imap_filter.h"
#include "mailbox_name.h"
#include "mailbox_place.h"
#include "names.h"
#include "reply.h"
#include "search_result.h"

enum { NAMES_MAX = 200, MEMORY_MAX = 1 << 20 };

struct esearch {
	struct imap_args query; /* what stands behind IN (...): read anew for each mailbox, as a search changes its keys */
	bool selected, personal, subscribed;
	struct imap_filter named[NAMES_MAX]; /* of one name each */
	struct span names[NAMES_MAX];        /* normal */
	size_t n;
	struct arena lists; /* the user's subscriptions, sorted */
	struct span *subscriptions;
	size_t n_subscriptions;

	/* Its place. The user's own mailboxes are source 0, those of the i-th name, where that is somebody else's, i + 1. */
	size_t source, i;
	bool has_tree;
	struct tree tree;
	struct place place;
	struct span root; /* of the names in the tree, where they are somebody else's: "Other Users/ADDRESS" */
	struct arena rights; /* in that tree: visible */
	struct visible visible;
	struct arena memory; /* of the mailbox */
	struct span name;
	struct view *view, *opened; /* opened: by this; else it is the session's */
	struct imap_search_query what;
	struct search_run run;
};

static void leave_mailbox(struct esearch *e)
{
	search_end(&e->run);
	e->run = (struct search_run){ 0 };
	view_close(&e->opened);
	e->view = NULL;
}

static void leave_source(struct esearch *e)
{
	tree_free(&e->tree);
	arena_reset(&e->rights);
	e->has_tree = false;
	e->i = 0;
	e->source++;
}

static void end_esearch(struct command *c)
{
	struct esearch *e = c->job;
	leave_mailbox(e);
	tree_free(&e->tree);
	arena_free(&e->rights);
	arena_free(&e->memory);
	arena_free(&e->lists);
}

/* ---- Which mailboxes */

static bool only_selected(const struct esearch *e)
{
	return e->selected && !e->personal && !e->subscribed && !e->n;
}

static bool is_subscribed(const struct esearch *e, struct span name)
{
	return e->n_subscriptions && bsearch(&name, e->subscriptions, e->n_subscriptions, sizeof name, compare_names);
}

static bool is_named(const struct esearch *e, size_t from, size_t to, struct span name)
{
	for (size_t i = from; i < to; i++)
		if (imap_filter_holds(&e->named[i], e->names, name))
			return true;
	return false;
}

/* A mailbox is searched once, however often it is named. */
static bool is_chosen(const struct esearch *e, struct span name)
{
	if (e->source > 0)
		return is_named(e, e->source - 1, e->source, name) && !is_named(e, 0, e->source - 1, name);
	return e->personal || (e->subscribed && is_subscribed(e, name)) || is_named(e, 0, e->n, name);
}

static bool is_selected(const struct command *c, const struct view *v)
{
	if (!c->session->view)
		return false;
	const struct view_info *a = view_info(v), *b = view_info(c->session->view);
	return a->account == b->account && a->folder.id == b->folder.id && !b->past;
}

static bool is_hidden(int rc)
{
	return rc == ERR_NOT_FOUND || rc == ERR_DENIED || rc == ERR_CANNOT || rc == ERR_INVALID;
}

/* "Other Users/ADDRESS" and the path in that account; .p is NULL without memory. */
static struct span full_name(struct arena *a, struct span root, struct span path)
{
	struct buffer b = { 0 };
	buffer_put_span(&b, root);
	buffer_putc(&b, '/');
	buffer_put_span(&b, path);
	struct span s = buffer_ok(&b) ? arena_copy(a, buffer_span(&b)) : (struct span){ 0 };
	buffer_free(&b);
	return s;
}

/* "Other Users/ADDRESS" of a name that begins so. */
static struct span owner_root(struct span name)
{
	struct span rest = name, part;
	mailbox_name_next(&rest, &part);
	mailbox_name_next(&rest, &part);
	return span_sub(name, 0, (size_t)(part.p + part.n - name.p));
}

/* Somebody else's: which of his folders may be read is asked once, and the name is written as his folders are. */
static int know_owner(struct command *c, struct esearch *e)
{
	struct span *name = &e->names[e->source - 1];
	int rc = name_is_others(*name) ? find_place(c, *name, &e->place) : ERR_NOT_FOUND;
	if (rc)
		return rc;
	e->root = owner_root(*name);
	*name = e->place.path.n ? full_name(&c->arena, e->root, e->place.path) : e->root;
	if (!name->p)
		return fail_with(ERR_LIMIT, "too many names");
	return acl_folders(c->session->node->service, e->place.account, e->place.viewer, &e->rights, &e->visible.list, &e->visible.n);
}

/* The tree of the next owner; what is not there, or not for him, is no mailbox to look into. */
static int open_source(struct command *c, struct esearch *e)
{
	e->place = (struct place){ .account = c->session->account };
	int rc = e->source ? know_owner(c, e) : OK;
	if (!rc)
		rc = tree_read(c->session->node->service, e->place.account, 0, &e->tree);
	e->has_tree = rc == OK;
	if (!rc || !is_hidden(rc))
		return rc;
	leave_source(e);
	return OK;
}

static bool is_readable(const struct esearch *e, const struct folder *f)
{
	return !(f->attributes & FOLDER_NOSELECT) && (!e->source || visible_rights(&e->visible, f->id) & RIGHT_READ);
}

static int open_folder(struct command *c, struct esearch *e, const struct folder *f)
{
	arena_reset(&e->memory);
	if (!is_readable(e, f))
		return OK;
	e->name = e->source ? full_name(&e->memory, e->root, f->path) : f->path;
	if (!e->name.p)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	if (!is_chosen(e, e->name))
		return OK;
	int rc = view_open_others(c->session->node->service, e->place.account, e->place.viewer, f->path, VIEW_READ_ONLY, &e->opened);
	if (rc)
		return is_hidden(rc) ? OK : rc;
	if (e->selected && is_selected(c, e->opened))
		view_close(&e->opened);
	e->view = e->opened;
	return OK;
}

/* One step towards the next mailbox; e->view is set when it is there. */
static int next_mailbox(struct command *c, struct esearch *e)
{
	if (!e->has_tree)
		return open_source(c, e);
	if (e->i < e->tree.n)
		return open_folder(c, e, &e->tree.list[e->i++]);
	leave_source(e);
	return OK;
}

/* ---- The search */

/* False: the reply is set. */
static bool begin_mailbox(struct command *c, struct esearch *e)
{
	struct imap_args query = e->query;
	query.arena = &e->memory;
	e->what = (struct imap_search_query){ 0 };
	if (!imap_search_parse(&query, &e->what)) { /* it was well before: there is no memory */
		reply_failure(c, fail_with(ERR_LIMIT, "the search is too large"));
		return false;
	}
	if (!e->what.returns.what)
		e->what.returns.what = SEARCH_RETURN_ALL;
	e->run.view = e->view;
	e->run.arena = &e->memory;
	e->run.one_is_enough = (e->what.returns.what & ~SEARCH_RETURN_SAVE) == SEARCH_RETURN_MIN;
	return search_begin(c, &e->what, &e->run);
}

/* IMAP_MORE: there are others. */
static enum imap_step end_mailbox(struct command *c, struct esearch *e)
{
	struct search_result r = { .v = (const void *)e->run.found.p, .n = e->run.found.n / sizeof(struct found), .modseq = e->what.modseq,
		                   .returns = e->what.returns, .mailbox = e->name, .uidvalidity = view_info(e->view)->folder.uidvalidity };
	if (only_selected(e))
		return put_result(c, &r);
	if (r.n)
		put_found(c, &r);
	leave_mailbox(e);
	return IMAP_MORE;
}

static enum imap_step go_on(struct command *c)
{
	struct esearch *e = c->job;
	while (e->view || e->source <= e->n) {
		bool searching = e->view;
		int rc = command_should_yield(c) ? SEARCH_MORE : searching ? search_go_on(c, &e->run) : next_mailbox(c, e);
		if (rc == SEARCH_MORE)
			return IMAP_DRAIN;
		if (rc) {
			reply_failure(c, rc);
			return nothing_saved(c, &e->what.returns);
		}
		if (searching ? end_mailbox(c, e) == IMAP_DONE : e->view && !begin_mailbox(c, e))
			return IMAP_DONE;
	}
	return reply_completed(c);
}

/* ---- What is asked for */

static bool add_filter(struct imap_args *a, struct esearch *e, const struct imap_filter *f)
{
	switch (f->where) {
	case FILTER_SELECTED: e->selected = true; break;
	case FILTER_SELECTED_DELAYED: return imap_bad(a, "a search is not delayed");
	case FILTER_INBOXES: case FILTER_PERSONAL: e->personal = true; break;
	case FILTER_SUBSCRIBED: e->subscribed = true; break;
	default:
		for (size_t i = 0; i < f->n; i++, e->n++)
			e->named[e->n] = (struct imap_filter){ .where = f->where, .first = f->first + i, .n = 1 };
	}
	return true;
}

/* "IN (personal mailboxes (a b)) "; without it, the selected mailbox. */
static bool take_scope(struct imap_args *a, struct esearch *e, struct imap_filter_names *names)
{
	struct imap_filter f;
	e->selected = !imap_take_word(a, SPAN("IN"));
	if (e->selected)
		return true;
	if (!imap_sp(a) || !imap_list_open(a))
		return false;
	bool any = false;
	while (imap_list_next(a)) {
		if (any && imap_peek(a, '('))
			return imap_bad(a, "no scope option is known");
		if (!imap_filter_take(a, &f, names) || !add_filter(a, e, &f))
			return false;
		any = true;
	}
	return any ? imap_sp(a) : imap_bad(a, "a choice of mailboxes expected");
}

/* Subscribed, but of somebody else. */
static int name_mailbox(struct esearch *e, struct span name)
{
	if (e->n == NAMES_MAX)
		return fail_with(ERR_LIMIT, "Too many mailboxes of others");
	e->names[e->n] = name;
	e->named[e->n] = (struct imap_filter){ .where = FILTER_MAILBOXES, .first = e->n, .n = 1 };
	e->n++;
	return OK;
}

static int know_mailboxes(struct command *c, struct esearch *e)
{
	int rc = OK;
	for (size_t i = 0; i < e->n && !rc; i++) {
		rc = mailbox_arg(c, e->names[i], &e->names[i]);
		if (rc == ERR_NOT_FOUND || rc == ERR_DENIED)
			rc = OK; /* nothing is there, as for any other name */
	}
	if (!rc && e->subscribed)
		rc = folder_subscriptions(c->session->node->service, c->session->account, &e->lists, &e->subscriptions, &e->n_subscriptions);
	for (size_t i = 0; i < e->n_subscriptions && !rc; i++)
		if (name_is_others(e->subscriptions[i]))
			rc = name_mailbox(e, e->subscriptions[i]);
	return rc;
}

/* What is about the selected mailbox does not go together with others (RFC 7377, 2.2). */
static const char *objection(const struct command *c, const struct esearch *e)
{
	const struct imap_search_query *q = &e->what;
	if (e->selected && !c->session->view)
		return "Select a mailbox first";
	if (!only_selected(e) && (q->numbers || q->saved || (q->returns.what & SEARCH_RETURN_SAVE)))
		return "Message numbers, $ and SAVE are of the selected mailbox alone";
	if (c->session->utf8_accept && q->charset.n)
		return "No CHARSET after ENABLE UTF8=ACCEPT";
	return NULL;
}

/* The selected mailbox has its name of now, which may be another than when it was selected. */
static int know_selected(struct command *c, struct esearch *e)
{
	const struct view_info *info = view_info(c->session->view);
	struct tree tree;
	e->view = c->session->view;
	e->name = span_of(c->session->mailbox);
	int rc = info->past ? OK : tree_read(c->session->node->service, info->account, 0, &tree);
	if (rc || info->past)
		return rc;
	const struct folder *f = tree_by_id(&tree, info->folder.id);
	if (f)
		e->name = info->viewer ? full_name(&c->arena, owner_root(e->name), f->path) : arena_copy(&c->arena, f->path);
	tree_free(&tree);
	return e->name.p ? OK : fail_with(ERR_LIMIT, "no room for a name");
}

static enum imap_step start(struct command *c, struct esearch *e)
{
	int rc = know_mailboxes(c, e);
	if (!rc && e->selected)
		rc = know_selected(c, e);
	if (rc) {
		reply_failure(c, rc);
		return nothing_saved(c, &e->what.returns);
	}
	c->resume = go_on;
	if (e->what.returns.update)
		context_refuse(c, c->tag, "Only results of SEARCH and SORT are kept up to date");
	if (!e->personal && !e->subscribed && !e->n)
		e->source = 1; /* none of the user's own but the selected one */
	return !e->view || begin_mailbox(c, e) ? go_on(c) : nothing_saved(c, &e->what.returns);
}

enum imap_step cmd_esearch(struct command *c)
{
	struct esearch *e = command_job(c, sizeof *e);
	if (!e)
		return IMAP_DONE;
	struct imap_filter_names names = { .v = e->names, .max = NAMES_MAX };
	e->memory.limit = MEMORY_MAX;
	c->cleanup = end_esearch;
	if (!imap_sp(&c->args) || !take_scope(&c->args, e, &names))
		return reply_bad_args(c);
	e->query = c->args;
	if (!imap_search_parse(&c->args, &e->what))
		return reply_bad_args(c);
	if (names.too_many)
		return reply_no(c, "[LIMIT] Too many mailboxes: name no more than 200");
	const char *why = objection(c, e);
	return why ? reply_bad(c, why) : start(c, e);
}
