#include "notify.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "clock.h"
#include "entries.h"
#include "events.h"
#include "fail.h"
#include "fetch.h"
#include "imap_quote.h"
#include "list_line.h"
#include "log.h"
#include "mailbox_name.h"
#include "modseq.h"
#include "names.h"
#include "news.h"
#include "status.h"

enum {
	OWN_MAX = 8,      /* ranges of UIDs that are remembered as its own */
	LINES_MAX = 20000, /* of LIST, told at once: a renamed folder may have as many below it */
	FOLDERS_FEW = 32,  /* are read by themselves: an account may have thousands of others, and many sessions that look */
};
#define AGAIN_US SECOND_US        /* until the next try, when the store did not answer */
#define PAUSE_US (SECOND_US / 10) /* between two looks at other mailboxes, however much happens there */
#define PAUSE_SHARE 20            /* the same, in times that the first took: there may be many folders */

struct notify {
	struct conn *conn;
	atomic_bool due;
	struct watch *of_selected, *of_others; /* the selected mailbox may be another user's */
	unsigned selected;   /* events of messages of the selected mailbox */
	bool implied;        /* by ENABLE METADATA: the selected mailbox is told of as to who never said */
	bool delayed;        /* expunges there are told when the client sends a command that allows it */
	unsigned others;     /* events of all groups */
	struct arena arena;  /* of what follows */
	struct imap_notify_group *groups;
	size_t n;
	struct span *names;  /* the groups' */
	struct span items;   /* of FETCH, as sent: "(UID FLAGS)"; empty for none */
	uint64_t next;       /* the UID from which on messages of the selected mailbox are new */
	struct imap_range own[OWN_MAX];
	size_t n_own;
	int64_t since;       /* the account's change up to which other mailboxes were told of */
	int64_t not_before;  /* the next look, clock_mono() */
};

/* A LIST line to be told. */
struct named {
	struct span name, old;
};

/* What is being told. */
struct telling {
	enum { TELL_SELECTED, TELL_NEW, TELL_OTHERS, TOLD } stage;
	struct arena words; /* of what is fetched */
	struct imap_fetch what;
	struct fetch *fetch;
	struct events events;
	struct tree tree;
	bool has_tree;
	struct arena memory;
	struct span *subscribed; /* sorted */
	size_t n_subscribed;
	struct buffer names;     /* struct named each */
	size_t i;
};

/* ---- What it asked for */

static void wake(void *notify)
{
	struct notify *n = notify;
	atomic_store(&n->due, true);
	conn_wake(n->conn);
}

static void unwatch(struct imap_session *s)
{
	if (s->notify->of_selected)
		service_unwatch(s->node->service, &s->notify->of_selected);
	if (s->notify->of_others)
		service_unwatch(s->node->service, &s->notify->of_others);
}

static bool in_present(const struct imap_session *s)
{
	return s->view && !view_info(s->view)->past;
}

static bool wants_selected(const struct imap_session *s)
{
	return s->notify->selected && in_present(s);
}

/* What happened before it watched is looked for too. */
static int add_watch(struct imap_session *s, int64_t account, int64_t folder, struct watch **out)
{
	int rc = service_watch(s->node->service, account, folder, wake, s->notify, out);
	if (!rc)
		atomic_store(&s->notify->due, true);
	return rc;
}

static int watch(struct imap_session *s)
{
	struct notify *n = s->notify;
	int rc = OK;
	if (wants_selected(s) && !n->of_selected)
		rc = add_watch(s, view_info(s->view)->account, view_info(s->view)->folder.id, &n->of_selected);
	if (!rc && n->others && !n->of_others)
		rc = add_watch(s, s->account, 0, &n->of_others);
	return rc;
}

bool notify_asked(const struct imap_session *s)
{
	return s->notify && !s->notify->implied;
}

unsigned notify_selected(const struct imap_session *s)
{
	return s->notify ? s->notify->selected : NOTIFY_MESSAGE;
}

void notify_reselect(struct imap_session *s)
{
	struct notify *n = s->notify;
	if (!n)
		return;
	unwatch(s);
	n->n_own = 0;
	n->next = s->view ? (uint64_t)view_last_uid(s->view) + 1 : 0;
	atomic_store(&n->due, true);
}

void notify_own(struct imap_session *s, int64_t account, int64_t uidvalidity, const uint32_t *uids, size_t count)
{
	struct notify *n = s->notify;
	const struct view_info *info = s->view ? view_info(s->view) : NULL;
	if (!n || !n->items.n || !info || info->account != account || info->folder.uidvalidity != uidvalidity)
		return;
	for (size_t i = 0; i < count; i++) {
		if (n->n_own && n->own[n->n_own - 1].last + 1 == uids[i])
			n->own[n->n_own - 1].last = uids[i];
		else if (n->n_own < OWN_MAX)
			n->own[n->n_own++] = (struct imap_range){ uids[i], uids[i] };
	}
}

static bool is_selected(const struct imap_notify_group *g)
{
	return g->filter.where == FILTER_SELECTED || g->filter.where == FILTER_SELECTED_DELAYED;
}

static int copy_names(struct command *c, const struct imap_notify *what, struct notify *n)
{
	n->names = arena_alloc(&n->arena, what->names.n * sizeof *n->names);
	if (!n->names)
		return ERR_LIMIT;
	for (size_t i = 0; i < what->names.n; i++) {
		struct span name;
		int rc = mailbox_arg(c, what->names.v[i], &name);
		if (rc)
			return rc;
		n->names[i] = arena_copy(&n->arena, name);
		if (!n->names[i].p)
			return ERR_LIMIT;
	}
	return OK;
}

static int copy(struct command *c, const struct imap_notify *what, struct notify *n)
{
	n->groups = arena_alloc(&n->arena, what->n * sizeof *n->groups);
	if (!n->groups)
		return ERR_LIMIT;
	for (size_t i = 0; i < what->n; i++) {
		const struct imap_notify_group *g = &what->groups[i];
		if (is_selected(g)) {
			n->selected = g->events;
			n->delayed = g->filter.where == FILTER_SELECTED_DELAYED;
		} else if (g->events) {
			n->groups[n->n++] = *g;
			n->others |= g->events;
		}
	}
	n->items = what->has_fetch ? arena_copy(&n->arena, what->items) : (struct span){ 0 };
	return what->has_fetch && !n->items.p ? ERR_LIMIT : copy_names(c, what, n);
}

static void free_choice(struct notify *n)
{
	arena_free(&n->arena);
	free(n);
}

void notify_close(struct imap_session *s)
{
	if (!s->notify)
		return;
	unwatch(s);
	free_choice(s->notify);
	s->notify = NULL;
}

int notify_set(struct command *c, const struct imap_notify *what)
{
	struct imap_session *s = c->session;
	struct notify *n = calloc(1, sizeof *n);
	if (!n)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	n->conn = s->conn;
	n->arena.limit = NOTIFY_MEMORY_MAX;
	int rc = what->set ? copy(c, what, n) : OK;
	if (!rc && n->others)
		rc = events_now(s->node->service, s->account, &n->since);
	if (rc) {
		free_choice(n);
		return rc;
	}
	notify_close(s);
	s->notify = n;
	notify_reselect(s);
	return OK;
}

static int imply(struct imap_session *s, struct notify *n)
{
	static const struct imap_notify_group personal = { .filter = { .where = FILTER_PERSONAL }, .events = NOTIFY_METADATA };
	n->conn = s->conn;
	n->implied = true;
	n->selected = NOTIFY_MESSAGE;
	n->others = NOTIFY_METADATA;
	n->groups = arena_alloc(&n->arena, sizeof personal);
	if (!n->groups)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	n->groups[n->n++] = personal;
	return events_now(s->node->service, s->account, &n->since);
}

int notify_enable_metadata(struct imap_session *s)
{
	if (s->notify)
		return OK;
	struct notify *n = calloc(1, sizeof *n);
	int rc = n ? imply(s, n) : fail_with(ERR_UNAVAILABLE, "no memory");
	if (rc) {
		if (n)
			free_choice(n);
		return rc;
	}
	s->notify = n;
	notify_reselect(s);
	return OK;
}

/* ---- Which mailboxes */

static bool is_subscribed(const struct telling *t, struct span name)
{
	return t->n_subscribed && bsearch(&name, t->subscribed, t->n_subscribed, sizeof name, compare_names);
}

/* To which mailboxes mail may be delivered is the user's affair (of addresses with a detail, of filters): INBOXES are all. */
static bool in_group(const struct notify *n, const struct imap_notify_group *g, const struct telling *t, struct span name)
{
	return imap_filter_holds(&g->filter, n->names, name) && (g->filter.where != FILTER_SUBSCRIBED || is_subscribed(t, name));
}

/* Of several groups that a mailbox is in, all count. */
static unsigned events_of(const struct notify *n, const struct telling *t, struct span name)
{
	unsigned events = 0;
	for (size_t i = 0; i < n->n; i++)
		if (in_group(n, &n->groups[i], t, name))
			events |= n->groups[i].events;
	return events;
}

static bool needs_subscribed(const struct notify *n, const struct telling *t)
{
	if (t->events.names.n)
		return true;
	for (size_t i = 0; i < n->n; i++)
		if (n->groups[i].filter.where == FILTER_SUBSCRIBED)
			return true;
	return false;
}

/* The folders that something happened in; false if they are more than a few. */
static bool gather_folders(const struct telling *t, int64_t ids[FOLDERS_FEW], size_t *n)
{
	const struct message_event *messages = (const struct message_event *)(const void *)t->events.messages.p;
	const struct annotation_event *annotations = (const struct annotation_event *)(const void *)t->events.annotations.p;
	size_t of_messages = t->events.messages.n / sizeof *messages;
	size_t of_annotations = t->events.annotations.n / sizeof *annotations;
	if (of_messages + of_annotations > FOLDERS_FEW)
		return false;
	*n = 0;
	for (size_t i = 0; i < of_messages; i++)
		ids[(*n)++] = messages[i].folder;
	for (size_t i = 0; i < of_annotations; i++)
		if (annotations[i].folder)
			ids[(*n)++] = annotations[i].folder;
	return true;
}

/* all: whatever happened; a name that changed may be that of any. */
static int read_folders(struct imap_session *s, struct telling *t, bool all)
{
	int64_t ids[FOLDERS_FEW];
	size_t n;
	if (all || t->events.names.n || !gather_folders(t, ids, &n))
		return tree_read(s->node->service, s->account, 0, &t->tree);
	return tree_read_folders(s->node->service, s->account, ids, n, &t->tree);
}

static int read_tree(struct imap_session *s, struct telling *t, bool all)
{
	if (t->has_tree)
		return OK;
	int rc = read_folders(s, t, all);
	t->has_tree = rc == OK;
	if (!rc && needs_subscribed(s->notify, t))
		rc = folder_subscriptions(s->node->service, s->account, &t->memory, &t->subscribed, &t->n_subscribed);
	return rc;
}

static void forget(struct telling *t)
{
	events_free(&t->events);
	tree_free(&t->tree);
	arena_free(&t->memory);
	buffer_free(&t->names);
	t->has_tree = false;
	t->subscribed = NULL;
	t->n_subscribed = t->i = 0;
}

static bool is_selected_now(const struct imap_session *s, const struct folder *f)
{
	return in_present(s) && view_info(s->view)->account == s->account && view_info(s->view)->folder.id == f->id;
}

static void put_status(struct command *c, const struct folder *f, unsigned events)
{
	unsigned items = STATUS_MESSAGES | STATUS_UIDNEXT | STATUS_UIDVALIDITY | STATUS_UNSEEN;
	if (c->session->condstore || (events & NOTIFY_FLAG_CHANGE))
		items |= STATUS_HIGHESTMODSEQ;
	if (!(f->attributes & FOLDER_NOSELECT) && !is_selected_now(c->session, f))
		status_put(c, f->path, f, items);
}

/* ---- The selected mailbox */

static void try_again(struct notify *n)
{
	n->not_before = clock_mono() + AGAIN_US;
	atomic_store(&n->due, true);
}

static enum imap_step failed(struct command *c, int rc)
{
	try_again(c->session->notify);
	log_line(LOG_WARN, "imap-notify", "session=%lld error=%s", (long long)c->session->conn->id, fail_name(rc));
	return IMAP_DONE;
}

static enum imap_step tell_selected(struct command *c, bool expunges)
{
	struct imap_session *s = c->session;
	if (!wants_selected(s))
		return IMAP_DONE;
	int rc = news_send(c, expunges || !s->notify->delayed);
	if (rc == NEWS_MORE)
		return IMAP_DRAIN;
	if (rc == ERR_NOT_FOUND)
		return session_mailbox_gone(s);
	return rc ? failed(c, rc) : IMAP_DONE;
}

static bool has_new(const struct imap_session *s)
{
	return s->notify->items.n && wants_selected(s) && view_last_uid(s->view) >= s->notify->next;
}

/* From the first that was not told, without its own. */
static bool find_new(struct imap_session *s, struct imap_set *out)
{
	struct notify *n = s->notify;
	uint64_t from = n->next, last = view_last_uid(s->view);
	*out = (struct imap_set){ .ranges = malloc((OWN_MAX + 1) * sizeof *out->ranges) };
	if (!out->ranges)
		return false;
	for (size_t i = 0; i < n->n_own && from <= last; i++) {
		uint64_t before = n->own[i].first - 1 < last ? n->own[i].first - 1 : last;
		if (before >= from)
			out->ranges[out->n++] = (struct imap_range){ (uint32_t)from, (uint32_t)before };
		if (n->own[i].last >= from)
			from = (uint64_t)n->own[i].last + 1;
	}
	if (from <= last)
		out->ranges[out->n++] = (struct imap_range){ (uint32_t)from, (uint32_t)last };
	return true;
}

static int begin_new(struct command *c, struct telling *t)
{
	struct notify *n = c->session->notify;
	struct imap_set uids;
	struct imap_args a = { .rest = n->items, .arena = &t->words };
	if (!imap_fetch_items(&a, &t->what) || !find_new(c->session, &uids))
		return fail_with(ERR_UNAVAILABLE, "no memory");
	n->next = (uint64_t)view_last_uid(c->session->view) + 1;
	n->n_own = 0;
	return fetch_open(c, &t->what, uids, &t->fetch);
}

/* What of it cannot be read is left out. */
static enum imap_step tell_new(struct command *c, struct telling *t)
{
	int rc = !t->fetch && has_new(c->session) ? begin_new(c, t) : OK;
	if (rc)
		return failed(c, rc);
	enum imap_step step = t->fetch ? fetch_go_on(c, t->fetch) : IMAP_DONE;
	if (step != IMAP_DONE)
		return step;
	fetch_close(&t->fetch);
	put_highest_if_ahead(c);
	buffer_reset(&c->reply);
	buffer_reset(&c->told); /* of a command that may last for a day */
	c->result = OK;
	return IMAP_DONE;
}

/* ---- The others */

static enum imap_step overflow(struct command *c)
{
	struct notify *n = c->session->notify;
	buffer_puts(c->out, "* OK [NOTIFICATIONOVERFLOW] Too much happened: ask again\r\n");
	unwatch(c->session);
	n->others = 0;
	if (!n->implied)
		n->selected = 0;
	n->n = 0;
	n->items = (struct span){ 0 };
	return IMAP_DONE;
}

static bool is_too_much(const struct telling *t)
{
	return !buffer_ok(&t->names) || t->names.n / sizeof(struct named) > LINES_MAX;
}

/* A folder's name changes those of all below it. */
static void add_names(struct telling *t, const struct name_event *e)
{
	struct named own = { e->name, e->from };
	buffer_put(&t->names, &own, sizeof own);
	for (size_t i = 0; e->kind == NAME_MOVED && i < t->tree.n && !is_too_much(t); i++) {
		struct span path = t->tree.list[i].path;
		if (!mailbox_name_below(path, e->name))
			continue;
		struct span rest = span_sub(path, e->name.n, path.n);
		char *old = arena_alloc(&t->memory, e->from.n + rest.n);
		t->names.failed = t->names.failed || !old;
		if (old) {
			memcpy(old, e->from.p, e->from.n);
			memcpy(old + e->from.n, rest.p, rest.n);
		}
		struct named below = { path, { old, old ? e->from.n + rest.n : 0 } };
		buffer_put(&t->names, &below, sizeof below);
	}
}

static void find_names(const struct notify *n, struct telling *t)
{
	const struct name_event *e = (const struct name_event *)(const void *)t->events.names.p;
	for (size_t i = 0; i < t->events.names.n / sizeof *e && !is_too_much(t); i++) {
		unsigned wanted = e[i].kind == NAME_SUBSCRIBED ? NOTIFY_SUBSCRIPTION_CHANGE : NOTIFY_MAILBOX_NAME;
		if ((events_of(n, t, e[i].name) | (e[i].from.n ? events_of(n, t, e[i].from) : 0)) & wanted)
			add_names(t, &e[i]);
	}
}

static unsigned wanted_by(unsigned what)
{
	return (what & EVENT_NEW ? NOTIFY_MESSAGE_NEW : 0u) | (what & EVENT_GONE ? NOTIFY_MESSAGE_EXPUNGE : 0u) |
	       (what & EVENT_FLAGS ? NOTIFY_FLAG_CHANGE : 0u);
}

static void put_name(struct command *c, const struct telling *t, const struct named *k)
{
	const struct folder *f = tree_find(&t->tree, k->name);
	struct list_line line = { .name = k->name, .utf8 = c->session->utf8, .exists = f, .has_children = f && f->has_children,
		                  .subscribed = is_subscribed(t, k->name), .attributes = f ? f->attributes : 0, .old = k->old };
	put_list_line(c->out, &line);
	buffer_puts(c->out, "\r\n");
}

static void put_event(struct command *c, const struct telling *t, const struct message_event *e)
{
	const struct folder *f = tree_by_id(&t->tree, e->folder);
	unsigned events = f ? events_of(c->session->notify, t, f->path) & wanted_by(e->what) : 0;
	if (events)
		put_status(c, f, events);
}

/* Of the server, whatever mailboxes were named with it. */
static void put_annotation(struct command *c, const struct telling *t, const struct annotation_event *e)
{
	const struct notify *n = c->session->notify;
	const struct folder *f = e->folder ? tree_by_id(&t->tree, e->folder) : NULL;
	unsigned wanted = e->folder ? NOTIFY_MAILBOX_METADATA_CHANGE : NOTIFY_SERVER_METADATA_CHANGE;
	if ((e->folder && !f) || !((f ? events_of(n, t, f->path) : n->others) & wanted))
		return;
	buffer_puts(c->out, "* METADATA ");
	imap_put_mailbox(c->out, f ? f->path : SPAN(""), c->session->utf8);
	buffer_putc(c->out, ' ');
	imap_put_astring(c->out, e->entry);
	buffer_puts(c->out, "\r\n");
}

static enum imap_step put_others(struct command *c, struct telling *t)
{
	const struct named *names = (const struct named *)(const void *)t->names.p;
	const struct message_event *messages = (const struct message_event *)(const void *)t->events.messages.p;
	const struct annotation_event *annotations = (const struct annotation_event *)(const void *)t->events.annotations.p;
	size_t n = t->names.n / sizeof *names, m = n + t->events.messages.n / sizeof *messages;
	size_t all = m + t->events.annotations.n / sizeof *annotations;
	for (; t->i < all; t->i++) {
		if (command_should_yield(c))
			return IMAP_DRAIN;
		if (t->i < n)
			put_name(c, t, &names[t->i]);
		else if (t->i < m)
			put_event(c, t, &messages[t->i - n]);
		else
			put_annotation(c, t, &annotations[t->i - m]);
	}
	return IMAP_DONE;
}

static bool concerns(const struct notify *n, const struct events *e)
{
	bool mail = e->names.n || e->messages.n;
	return (mail && (n->others & ~(unsigned)NOTIFY_METADATA)) || (e->annotations.n && (n->others & NOTIFY_METADATA));
}

static int look_at_others(struct command *c, struct telling *t)
{
	struct imap_session *s = c->session;
	struct notify *n = s->notify;
	int rc = events_read(s->node->service, s->account, n->since, s->conn->id, &t->events);
	if (rc || !concerns(n, &t->events))
		return rc;
	rc = read_tree(s, t, false);
	if (!rc)
		find_names(n, t);
	return !rc && is_too_much(t) ? ERR_LIMIT : rc;
}

static int begin_others(struct command *c, struct telling *t)
{
	int64_t began = clock_mono();
	int rc = look_at_others(c, t);
	int64_t now = clock_mono(), pause = PAUSE_SHARE * (now - began);
	c->session->notify->not_before = now + (pause > PAUSE_US ? pause : PAUSE_US);
	return rc;
}

/* Comes later when it was looked there a moment ago. */
static enum imap_step tell_others(struct command *c, struct telling *t)
{
	struct notify *n = c->session->notify;
	if (!n->others)
		return IMAP_DONE;
	if (!t->events.change) {
		if (clock_mono() < n->not_before) {
			atomic_store(&n->due, true);
			return IMAP_DONE;
		}
		int rc = begin_others(c, t);
		if (rc == ERR_NOT_FOUND)
			return session_bye(c->session, "The account is gone");
		if (rc)
			return rc == ERR_LIMIT ? overflow(c) : failed(c, rc);
	}
	enum imap_step step = put_others(c, t);
	if (step != IMAP_DONE)
		return step;
	n->since = t->events.change;
	if (t->events.more)
		atomic_store(&n->due, true);
	return IMAP_DONE;
}

/* ---- All of it */

enum imap_step notify_tell(struct command *c, bool expunges)
{
	struct notify *n = c->session->notify;
	struct telling *t = c->telling;
	if (!t && command_should_yield(c))
		return IMAP_DRAIN;
	if (!t) {
		t = c->telling = calloc(1, sizeof *t);
		if (!t)
			return failed(c, fail_with(ERR_UNAVAILABLE, "no memory"));
		t->stage = n->implied && c->unasked ? TELL_OTHERS : TELL_SELECTED;
		atomic_store(&n->due, false);
	}
	enum imap_step step = IMAP_DONE;
	while (step == IMAP_DONE && t->stage < TOLD) {
		switch (t->stage) {
		case TELL_SELECTED: step = tell_selected(c, expunges); break;
		case TELL_NEW: step = tell_new(c, t); break;
		default: step = tell_others(c, t); break;
		}
		t->stage += step == IMAP_DONE;
	}
	if (step == IMAP_DONE)
		notify_end(c);
	return step;
}

void notify_let_go(struct command *c)
{
	if (c->telling && c->telling->fetch)
		fetch_let_go(c->telling->fetch);
}

void notify_end(struct command *c)
{
	struct telling *t = c->telling;
	if (!t)
		return;
	fetch_close(&t->fetch);
	arena_free(&t->words);
	forget(t);
	free(t);
	c->telling = NULL;
}

static void begin_status(struct command *c)
{
	if (!c->telling)
		c->telling = calloc(1, sizeof *c->telling);
}

int notify_put_status(struct command *c)
{
	struct imap_session *s = c->session;
	begin_status(c);
	struct telling *t = c->telling;
	int rc = t ? read_tree(s, t, true) : fail_with(ERR_UNAVAILABLE, "no memory");
	for (; !rc && t->i < t->tree.n; t->i++) {
		if (command_should_yield(c))
			return NEWS_MORE;
		unsigned events = events_of(s->notify, t, t->tree.list[t->i].path);
		if (events & NOTIFY_MESSAGE)
			put_status(c, &t->tree.list[t->i], events);
	}
	notify_end(c);
	return rc;
}

void notify_watch(struct imap_session *s)
{
	if (watch(s))
		try_again(s->notify);
}

bool notify_due(struct imap_session *s)
{
	struct notify *n = s->notify;
	notify_watch(s);
	return (atomic_load(&n->due) || has_new(s)) && clock_mono() >= n->not_before;
}

int64_t notify_wait(const struct imap_session *s)
{
	const struct notify *n = s->notify;
	if (!n || !(atomic_load(&n->due) || has_new(s)))
		return 0;
	int64_t left = n->not_before - clock_mono();
	return left > 0 ? left : 1;
}
