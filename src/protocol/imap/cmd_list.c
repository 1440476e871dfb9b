/* LIST, with all its options (RFC 3348, 5258, 5819, 6154, 8440, 9590), of the present and of the past. All names that could be meant
   are gathered first, with what is known of them; then a line is written for each that is meant, in slices. */
#include <stdlib.h>

#include "acl.h"
#include "annotations.h"
#include "directory.h"
#include "fail.h"
#include "imap_list.h"
#include "list_line.h"
#include "mailbox_name.h"
#include "mailbox_place.h"
#include "modseq.h"
#include "names.h"
#include "patterns.h"
#include "reply.h"
#include "status.h"

enum { OTHERS_MAX = 50000 /* folders of others in one LIST */ };

struct candidate {
	struct span name;
	const struct folder *folder; /* of the present, where it is one of the user's own */
	int64_t owner, id; /* of the present, where it is one */
	int64_t attributes;
	unsigned rights;   /* of the user */
	bool exists, has_children, subscribed;
	bool matches; /* a pattern */
	bool meets;   /* the selection options */
	bool hides;   /* something below it that meets them and is not listed itself (RFC 5258, 3.5) */
};

/* An index of candidates by name. */
struct named {
	struct span name;
	size_t i;
};

struct list {
	struct imap_list what;
	struct mailbox_pattern *patterns;
	bool utf8;                /* the session's names */
	struct tree present, past;
	struct span root;         /* of the past: "#at/WHEN"; only one in a LIST */
	bool has_present, has_snapshots;
	size_t n_others;          /* folders of others among the candidates */
	struct span *subscribed;  /* sorted */
	size_t n_subscribed;
	struct arena memory;      /* of names that are in no tree, and the index */
	struct buffer candidates; /* struct candidate each */
	struct named *index;
	size_t i;
	size_t longest;           /* value of an annotation that was not told */
};

static void end_list(struct command *c)
{
	struct list *l = c->job;
	tree_free(&l->present);
	tree_free(&l->past);
	arena_free(&l->memory);
	buffer_free(&l->candidates);
}

static struct candidate *candidates(const struct list *l)
{
	return (struct candidate *)(void *)l->candidates.p;
}

static size_t count(const struct list *l)
{
	return l->candidates.n / sizeof(struct candidate);
}

/* ---- Gathering */

static bool is_subscribed(const struct list *l, struct span name)
{
	return l->n_subscribed && bsearch(&name, l->subscribed, l->n_subscribed, sizeof name, compare_names);
}

static bool matches(const struct list *l, struct span name)
{
	for (size_t i = 0; i < l->what.n; i++)
		if (l->patterns[i].n && pattern_matches(&l->patterns[i], name, l->utf8))
			return true;
	return false;
}

/* k: what is known of it. */
static void add(struct list *l, struct candidate k)
{
	k.subscribed = is_subscribed(l, k.name);
	k.matches = matches(l, k.name);
	k.meets = (!l->what.select.subscribed || k.subscribed) &&
	          (!l->what.select.special_use || (k.attributes & FOLDER_SPECIAL));
	buffer_put(&l->candidates, &k, sizeof k);
}

static struct span join(struct list *l, struct span a, struct span b)
{
	char *p = arena_alloc(&l->memory, a.n + b.n + 1);
	if (!p) {
		l->candidates.failed = true;
		return (struct span){ 0 };
	}
	memcpy(p, a.p, a.n);
	memcpy(p + a.n, b.p, b.n);
	return span_from(p, a.n + b.n);
}

/* Folders above it that the user may not see are names alone. */
static void add_unseen_parents(struct list *l, struct span root, struct span path, struct span *last)
{
	struct span up = path;
	while ((up = mailbox_name_parent(up)).n > root.n && !span_eq(up, *last) && !mailbox_name_below(*last, up))
		add(l, (struct candidate){ .name = up, .has_children = true });
}

/* What an owner lets the user see. The tree is read only where there is something. */
static int gather_owner(struct command *c, struct list *l, struct span root, int64_t owner, const struct visible *seen)
{
	struct tree tree;
	struct span above = join(l, root, SPAN("/")), last = { 0 };
	int rc = tree_read(c->session->node->service, owner, 0, &tree);
	if (rc)
		return rc;
	for (size_t i = 0; i < tree.n && l->n_others < OTHERS_MAX; i++) {
		const struct folder *k = &tree.list[i];
		unsigned rights = visible_rights(seen, k->id);
		if (!(rights & RIGHT_LOOKUP))
			continue;
		if (!last.p)
			add(l, (struct candidate){ .name = root, .attributes = FOLDER_NOSELECT, .exists = true, .has_children = true });
		struct span name = join(l, above, k->path);
		add_unseen_parents(l, root, name, &last);
		add(l, (struct candidate){ .name = name, .attributes = k->attributes & FOLDER_NOSELECT, .exists = true,
		                           .has_children = visible_below(seen, &tree, i), .rights = rights, .owner = owner, .id = k->id });
		last = name;
		l->n_others++;
	}
	tree_free(&tree);
	return OK;
}

static int gather_owner_of(struct command *c, struct list *l, int64_t owner)
{
	const struct imap_node *node = c->session->node;
	struct visible seen;
	struct account who;
	int rc = directory_find_id(node->identity, owner, &who);
	if (rc)
		return rc == ERR_NOT_FOUND ? OK : rc; /* he is no more */
	rc = acl_folders(node->service, owner, c->session->account, &l->memory, &seen.list, &seen.n);
	struct span root = others_root(&l->memory, span_of(who.address));
	if (rc || !seen.n)
		return rc;
	return root.p ? gather_owner(c, l, root, owner, &seen) : fail_with(ERR_LIMIT, "over a limit");
}

/* "Other Users" shows where there is somebody below it. */
static int gather_others(struct command *c, struct list *l)
{
	int64_t *owners;
	size_t n, before = count(l);
	int rc = acl_owners(c->session->node->service, c->session->account, &l->memory, &owners, &n);
	for (size_t i = 0; !rc && i < n; i++)
		rc = gather_owner_of(c, l, owners[i]);
	if (!rc && count(l) > before)
		add(l, (struct candidate){ .name = SPAN(OTHERS), .attributes = FOLDER_NOSELECT, .exists = true, .has_children = true });
	return rc;
}

static int gather_present(struct command *c, struct list *l)
{
	struct imap_session *s = c->session;
	if (l->has_present)
		return OK;
	l->has_present = true;
	int rc = tree_read(s->node->service, s->account, 0, &l->present);
	for (size_t i = 0; !rc && i < l->present.n; i++) {
		const struct folder *f = &l->present.list[i];
		add(l, (struct candidate){ .name = f->path, .folder = f, .attributes = f->attributes, .exists = true,
		                           .has_children = f->has_children, .rights = RIGHTS_ALL, .owner = s->account, .id = f->id });
	}
	return rc ? rc : gather_others(c, l);
}

/* "#at/%": the snapshots. They are shown, but a wildcard does not descend into them: that would list mail many times. */
static int gather_snapshot(void *list, const struct snapshot *sn)
{
	struct list *l = list;
	add(l, (struct candidate){ .name = join(l, SPAN("#at/"), span_of(sn->name)), .attributes = FOLDER_NOSELECT,
	                           .exists = true, .has_children = true });
	return 0;
}

static int gather_snapshots(struct command *c, struct list *l)
{
	if (l->has_snapshots)
		return OK;
	l->has_snapshots = true;
	add(l, (struct candidate){ .name = SPAN("#at"), .attributes = FOLDER_NOSELECT, .exists = true, .has_children = true });
	return snapshot_list(c->session->node->service, gather_snapshot, l);
}

/* "#at/WHEN/...": the tree as it was. root is "#at/WHEN/". Special uses are those of today's. */
static int gather_past(struct command *c, struct list *l, struct span root, struct span when)
{
	struct imap_session *s = c->session;
	struct instant at;
	if (l->root.n)
		return OK; /* a pattern that is not accepted is ignored (RFC 5258, 3) */
	int rc = instant_resolve(s->node->service, s->account, when, &at);
	if (rc)
		return rc;
	l->root = root;
	add(l, (struct candidate){ .name = root, .attributes = FOLDER_NOSELECT, .exists = true, .has_children = true });
	if (at.change == 0)
		return OK;
	rc = tree_read(s->node->service, s->account, at.change, &l->past);
	struct span above = rc ? root : join(l, root, SPAN("/"));
	for (size_t i = 0; !rc && i < l->past.n; i++) {
		const struct folder *f = &l->past.list[i];
		add(l, (struct candidate){ .name = join(l, above, f->path), .attributes = f->attributes & FOLDER_NOSELECT,
		                           .exists = true, .has_children = f->has_children });
	}
	return rc;
}

static bool has_wildcard(struct span s)
{
	return span_find(s, '%') >= 0 || span_find(s, '*') >= 0;
}

static int gather_for(struct command *c, struct list *l, struct span pattern)
{
	struct span rest = pattern, at, when;
	if (!name_is_past(pattern))
		return gather_present(c, l);
	mailbox_name_next(&rest, &at);
	if (!mailbox_name_next(&rest, &when) || has_wildcard(when))
		return gather_snapshots(c, l);
	return gather_past(c, l, span_from(pattern.p, (size_t)(when.p + when.n - pattern.p)), when);
}

static bool make_index(struct list *l)
{
	size_t n = count(l);
	l->index = arena_alloc(&l->memory, (n + 1) * sizeof *l->index);
	if (!l->index || !buffer_ok(&l->candidates))
		return false;
	for (size_t i = 0; i < n; i++)
		l->index[i] = (struct named){ candidates(l)[i].name, i };
	qsort(l->index, n, sizeof *l->index, compare_names);
	return true;
}

static struct candidate *find(const struct list *l, size_t n, struct span name)
{
	const struct named *at = bsearch(&name, l->index, n, sizeof *at, compare_names);
	return at ? &candidates(l)[at->i] : NULL;
}

/* Somebody may subscribe to what was. */
static void add_past_name(struct command *c, struct list *l, struct span name)
{
	struct imap_session *s = c->session;
	struct candidate k = { .name = name };
	struct span when, path;
	struct instant at;
	struct tree tree;
	if (past_split(name, &when, &path) && when.n && path.n &&
	    instant_resolve(s->node->service, s->account, when, &at) == OK && at.change &&
	    tree_read(s->node->service, s->account, at.change, &tree) == OK) {
		const struct folder *f = tree_find(&tree, path);
		k.exists = f;
		k.has_children = f && f->has_children;
		k.attributes = f ? f->attributes & FOLDER_NOSELECT : 0;
		tree_free(&tree);
	}
	add(l, k);
}

/* Subscribed names that are nobody's, and for RECURSIVEMATCH those they lie below. */
static bool gather_subscribed(struct command *c, struct list *l)
{
	size_t n = count(l);
	struct span last = { 0 };
	if (!make_index(l))
		return false;
	for (size_t i = 0; i < l->n_subscribed; i++) {
		struct span name = l->subscribed[i], up = name;
		if (find(l, n, name))
			continue;
		while (l->what.select.recursive && (up = mailbox_name_parent(up)).n)
			if (!find(l, n, up) && !is_subscribed(l, up) && !mailbox_name_below(last, up))
				add(l, (struct candidate){ .name = up });
		if (name_is_past(name))
			add_past_name(c, l, name);
		else
			add(l, (struct candidate){ .name = name });
		last = name;
	}
	return true;
}

static bool find_hidden(struct list *l)
{
	size_t n = count(l);
	if (!make_index(l))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct candidate *k = &candidates(l)[i];
		struct span up = k->name;
		while (k->meets && !k->matches && (up = mailbox_name_parent(up)).n) {
			struct candidate *above = find(l, n, up);
			if (above)
				above->hides = true;
		}
	}
	return true;
}

/* A pattern that is not accepted finds nothing (RFC 9051, 6.3.9). */
static int overlook(const struct command *c, int rc)
{
	return c->session->rev2 && (rc == ERR_INVALID || rc == ERR_LIMIT || rc == ERR_NOT_FOUND) ? OK : rc;
}

static int read_patterns(struct command *c, struct list *l, struct span *texts)
{
	int rc = OK;
	for (size_t i = 0; !rc && i < l->what.n; i++) {
		if (l->what.patterns[i].n == 0) /* matches nothing (RFC 5258, 3) */
			continue;
		rc = join_pattern(c, l->what.reference, l->what.patterns[i], &texts[i]);
		if (!rc)
			rc = mailbox_pattern_init(&l->patterns[i], &c->arena, texts[i]);
		if (rc)
			texts[i].n = 0;
		rc = overlook(c, rc);
	}
	return rc;
}

static int gather(struct command *c, struct list *l)
{
	struct imap_session *s = c->session;
	l->utf8 = s->utf8;
	struct span *texts = arena_alloc(&c->arena, l->what.n * sizeof *texts);
	l->patterns = arena_alloc(&c->arena, l->what.n * sizeof *l->patterns);
	if (!texts || !l->patterns)
		return fail_with(ERR_LIMIT, "over a limit");
	int rc = read_patterns(c, l, texts);
	if (!rc && l->what.returns.subscribed)
		rc = folder_subscriptions(s->node->service, s->account, &l->memory, &l->subscribed, &l->n_subscribed);
	for (size_t i = 0; !rc && i < l->what.n; i++)
		rc = texts[i].n ? overlook(c, gather_for(c, l, texts[i])) : OK;
	if (rc)
		return rc;
	bool whole = !l->what.select.subscribed || gather_subscribed(c, l);
	whole = whole && (!l->what.select.recursive || find_hidden(l)) && buffer_ok(&l->candidates);
	return whole ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* ---- Writing */

static void put_child_info(struct command *c, const struct list *l)
{
	const char *both = l->what.select.subscribed && l->what.select.special_use ? " " : "";
	buffer_printf(c->out, " (\"CHILDINFO\" (%s%s%s))", l->what.select.subscribed ? "\"SUBSCRIBED\"" : "", both,
	              l->what.select.special_use ? "\"SPECIAL-USE\"" : "");
}

static void put_line(struct command *c, const struct list *l, const struct candidate *k)
{
	struct list_line line = { .name = k->name, .utf8 = c->session->utf8, .exists = k->exists, .has_children = k->has_children,
		                  .subscribed = l->what.returns.subscribed && k->subscribed, .attributes = k->attributes };
	put_list_line(c->out, &line);
	if (k->hides)
		put_child_info(c, l);
	buffer_puts(c->out, "\r\n");
}

/* Those that cannot be read have no METADATA line (RFC 9590, 3). */
static void put_annotations(struct command *c, struct list *l, const struct candidate *k)
{
	struct metadata_place p = { k->owner, c->session->account, k->id };
	if (k->rights & RIGHTS_ANNOTATIONS)
		put_metadata(c, k->name, &p, k->attributes, &l->what.returns.metadata, &l->longest);
}

/* A mailbox that cannot be counted has no STATUS line (RFC 5819, 2). */
static void put_candidate(struct command *c, struct list *l, const struct candidate *k)
{
	if (!k->matches || !(k->meets || k->hides))
		return;
	put_line(c, l, k);
	if (l->what.returns.myrights && k->meets && k->rights)
		put_myrights(c, k->name, k->rights);
	if (l->what.returns.metadata.n && k->meets)
		put_annotations(c, l, k);
	if (l->what.returns.status && k->meets && k->exists && !(k->attributes & FOLDER_NOSELECT))
		status_put(c, k->name, k->folder, l->what.returns.status);
}

static enum imap_step put_candidates(struct command *c)
{
	struct list *l = c->job;
	for (; l->i < count(l); l->i++) {
		if (command_should_yield(c))
			return IMAP_DRAIN;
		put_candidate(c, l, &candidates(l)[l->i]);
	}
	return reply_metadata(c, l->longest);
}

enum imap_step cmd_list(struct command *c)
{
	struct list *l = command_job(c, sizeof *l);
	if (!l)
		return IMAP_DONE;
	if (!imap_list_parse(&c->args, &l->what))
		return reply_bad_args(c);
	if (!l->what.extended && l->what.patterns[0].n == 0) { /* only asks for the separator */
		buffer_puts(c->out, "* LIST (\\Noselect) \"/\" \"\"\r\n");
		return reply_completed(c);
	}
	c->cleanup = end_list;
	c->resume = put_candidates;
	int rc = gather(c, l);
	if (rc)
		return reply_failure(c, rc);
	if (l->what.returns.status & STATUS_HIGHESTMODSEQ)
		condstore_enable(c);
	return put_candidates(c);
}
