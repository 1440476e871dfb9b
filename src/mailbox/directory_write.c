#include "directory_write.h"

#include <stdio.h>

#include "change.h"
#include "fail.h"
#include "service_private.h"
#include "settings.h"
#include "system.h"

enum { BATCH = 100, REMOVE_TRIES = 10 };

struct request {
	struct service *s;
	const struct actor *actor;
	const struct setting_value *values;
	const struct span *domains, *targets;
	size_t n;
	struct span domain, alias;
	int64_t account;
	int64_t seen; /* the last change of the system log that was looked at */
	struct touched touched;
};

static int find_name(struct meta_txn *t, int64_t collection, struct span name, uint32_t *uid)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, collection, name);
	if (e)
		return e;
	*uid = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

/* ---- Settings */

/* Each is an item of its own. */
static int set_one(struct change *c, const struct setting_value *v)
{
	uint32_t uid = 0;
	int e = find_name(c->t, SYSTEM_SETTINGS, v->name, &uid);
	if (e && e != ERR_NOT_FOUND)
		return e;
	if (v->value.n == 0)
		return e ? OK : change_item_end(c, SYSTEM_SETTINGS, uid, v->name);
	return e ? change_item_add(c, SYSTEM_SETTINGS, 0, v->name, 0, v->value, &uid)
		 : change_item_set(c, SYSTEM_SETTINGS, uid, v->name, 0, v->value);
}

static int set_cluster(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_SETTING, q->actor, 0);
	for (size_t i = 0; !e && i < q->n; i++)
		e = set_one(&c, &q->values[i]);
	return change_end(&c, e, &q->touched);
}

int settings_set(struct service *s, const struct setting_value *v, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .values = v, .n = n, .actor = a };
	return service_commit(s, NULL, 0, set_cluster, &q, &q.touched, 1);
}

/* The lines of a domain or an account. */
static int set_lines(struct change *c, int64_t collection, uint32_t uid, const struct request *q)
{
	struct buffer now = { 0 }, next = { 0 };
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, collection, (int64_t)uid);
	if (e)
		return e;
	struct span name = arena_copy(&c->arena, meta_span(&r, 3));
	buffer_put_span(&now, meta_span(&r, 4));
	meta_done(&r);
	for (size_t i = 0; i < q->n; i++) {
		buffer_reset(&next);
		settings_lines_put(buffer_span(&now), q->values[i].name, q->values[i].value, &next);
		struct buffer swap = now;
		now = next;
		next = swap;
	}
	if (!buffer_ok(&now) || !buffer_ok(&next) || !name.p)
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = change_item_set(c, collection, uid, name, 0, buffer_span(&now));
	buffer_free(&now);
	buffer_free(&next);
	return e;
}

static int set_domain(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_SETTING, q->actor, 0);
	if (!e)
		e = find_name(t, SYSTEM_DOMAINS, q->domain, &uid);
	if (!e)
		e = set_lines(&c, SYSTEM_DOMAINS, uid, q);
	return change_end(&c, e, &q->touched);
}

int domain_set(struct service *s, struct span domain, const struct setting_value *v, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .domain = domain, .values = v, .n = n, .actor = a };
	return service_commit(s, NULL, 0, set_domain, &q, &q.touched, 1);
}

static int set_account(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_SETTING, q->actor, 0);
	if (!e)
		e = set_lines(&c, SYSTEM_ACCOUNTS, (uint32_t)q->account, q);
	return change_end(&c, e, &q->touched);
}

int account_set(struct service *s, int64_t account, const struct setting_value *v, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .account = account, .values = v, .n = n, .actor = a };
	return service_commit(s, NULL, 0, set_account, &q, &q.touched, 1);
}

/* ---- Domains */

static int add_domains(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_DOMAIN, q->actor, 0);
	for (size_t i = 0; !e && i < q->n; i++) {
		e = change_item_add(&c, SYSTEM_DOMAINS, 0, q->domains[i], 0, (struct span){ 0 }, &uid);
		if (e == ERR_EXISTS)
			e = fail_with(ERR_EXISTS, "%.*s is there already", SPAN_ARG(q->domains[i]));
	}
	return change_end(&c, e, &q->touched);
}

int domain_add(struct service *s, const struct span *domains, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .domains = domains, .n = n, .actor = a };
	return service_commit(s, NULL, 0, add_domains, &q, &q.touched, 1);
}

struct span domain_of(struct span address)
{
	const char *at = memrchr(address.p, '@', address.n);
	return at ? span_sub(address, (size_t)(at - address.p) + 1, address.n) : (struct span){ 0 };
}

int domain_ensure(struct change *c, struct span address)
{
	struct span domain = domain_of(address);
	uint32_t uid;
	if (domain.n == 0)
		return OK;
	int e = find_name(c->t, SYSTEM_DOMAINS, domain, &uid);
	return e == ERR_NOT_FOUND ? change_item_add(c, SYSTEM_DOMAINS, 0, domain, 0, (struct span){ 0 }, &uid) : e;
}

static int refuse_used(struct meta_txn *t, int64_t collection, struct span domain, const char *what)
{
	char end[ADDRESS_MAX + 1];
	struct meta_rows r;
	snprintf(end, sizeof end, "@%.*s", SPAN_ARG(domain));
	int e = meta_one(t, &r, META_NAME_END_ANY, "iiss", (int64_t)SYSTEM_ACCOUNT, collection, span_of(end), span_of(end));
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = fail_with(ERR_CANNOT, "the %s %.*s is in %.*s: remove it first", what, SPAN_ARG(meta_span(&r, 0)), SPAN_ARG(domain));
	meta_done(&r);
	return e;
}

/* Looks at every address, so it is done beside the writer; `seen` tells whether something changed since. */
static int look_for_users(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct head head;
	int e = change_head(t, SYSTEM_ACCOUNT, &head);
	q->seen = head.change;
	if (!e)
		e = refuse_used(t, SYSTEM_ACCOUNTS, q->domain, "account");
	return e ? e : refuse_used(t, SYSTEM_ALIASES, q->domain, "alias");
}

static int end_domain(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_DOMAIN, q->actor, 0);
	if (!e && c.head.change != q->seen)
		e = fail_with(ERR_CONFLICT, "the directory changed meanwhile");
	if (!e)
		e = find_name(t, SYSTEM_DOMAINS, q->domain, &uid);
	if (!e)
		e = change_item_end(&c, SYSTEM_DOMAINS, uid, q->domain);
	return change_end(&c, e, &q->touched);
}

int domain_remove(struct service *s, struct span domain, const struct actor *a)
{
	struct request q = { .s = s, .domain = domain, .actor = a };
	int e = ERR_CONFLICT;
	for (int i = 0; e == ERR_CONFLICT && i < REMOVE_TRIES; i++) {
		e = meta_read(s->store->meta, look_for_users, &q);
		if (!e)
			e = service_commit(s, NULL, 0, end_domain, &q, &q.touched, 1);
	}
	return e;
}

struct listing {
	struct arena arena;
	int64_t collection;
	struct span after, names[BATCH], data[BATCH];
	int64_t uids[BATCH];
	size_t n;
};

static int read_data(struct meta_txn *t, struct listing *l, size_t i)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, l->collection, l->uids[i]);
	if (e)
		return e;
	l->data[i] = arena_copy(&l->arena, meta_span(&r, 4));
	meta_done(&r);
	return OK;
}

static int read_batch(struct meta_txn *t, void *arg)
{
	struct listing *l = arg;
	struct meta_rows r;
	l->n = 0;
	int e = meta_query(t, &r, META_NAME_LIST, "iisi", (int64_t)SYSTEM_ACCOUNT, l->collection, l->after, (int64_t)BATCH);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		l->names[l->n] = arena_copy(&l->arena, meta_span(&r, 0));
		l->uids[l->n++] = meta_int(&r, 1);
	}
	meta_done(&r);
	for (size_t i = 0; !e && i < l->n; i++)
		e = read_data(t, l, i);
	return e;
}

/* All items of a collection, by name. */
static int list_items(struct service *s, int64_t collection, int (*fn)(void *ctx, struct span name, struct span data), void *ctx)
{
	struct listing l = { .collection = collection, .after = SPAN("") };
	char after[ADDRESS_MAX + 1];
	int e, stop = 0;
	do {
		arena_reset(&l.arena);
		e = meta_read(s->store->meta, read_batch, &l);
		for (size_t i = 0; !e && !stop && i < l.n; i++)
			stop = fn(ctx, l.names[i], l.data[i]);
		if (!e && l.n) {
			snprintf(after, sizeof after, "%.*s", SPAN_ARG(l.names[l.n - 1]));
			l.after = span_of(after);
		}
	} while (!e && !stop && l.n == BATCH);
	arena_free(&l.arena);
	return e;
}

int domain_list(struct service *s, int (*fn)(void *ctx, struct span domain, struct span settings), void *ctx)
{
	return list_items(s, SYSTEM_DOMAINS, fn, ctx);
}

/* ---- Aliases */

static bool next_line(struct span *lines, struct span *one)
{
	if (lines->n == 0)
		return false;
	ssize_t end = span_find(*lines, '\n');
	*one = end < 0 ? *lines : span_sub(*lines, 0, (size_t)end);
	*lines = span_sub(*lines, one->n + 1, lines->n);
	return true;
}

static bool among(struct span one, const struct span *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq(one, list[i]))
			return true;
	return false;
}

/* The alias as it stands; uid 0 when it is not there. */
static int read_alias(struct change *c, struct span alias, uint32_t *uid, struct span *targets)
{
	struct meta_rows r;
	*uid = 0;
	*targets = (struct span){ 0 };
	int e = find_name(c->t, SYSTEM_ALIASES, alias, uid);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	e = meta_one(c->t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ALIASES, (int64_t)*uid);
	if (e)
		return e;
	*targets = arena_copy(&c->arena, meta_span(&r, 4));
	meta_done(&r);
	return targets->p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* Those that are there without the named, or, if add, with them. *n: how many. */
static void write_targets(struct span there, const struct request *q, bool add, struct buffer *out, size_t *n)
{
	struct span one;
	*n = 0;
	while (next_line(&there, &one)) {
		if (among(one, q->targets, q->n))
			continue;
		buffer_printf(out, "%.*s\n", SPAN_ARG(one));
		++*n;
	}
	for (size_t i = 0; add && i < q->n; i++) {
		if (among(q->targets[i], q->targets, i))
			continue;
		buffer_printf(out, "%.*s\n", SPAN_ARG(q->targets[i]));
		++*n;
	}
}

static int put_alias(struct change *c, const struct request *q, bool add)
{
	struct buffer next = { 0 };
	struct span there;
	uint32_t uid;
	size_t n;
	int e = read_alias(c, q->alias, &uid, &there);
	if (e)
		return e;
	if (!uid && !add)
		return ERR_NOT_FOUND;
	write_targets(there, q, add, &next, &n);
	if (n > ALIAS_TARGETS_MAX)
		e = fail_with(ERR_LIMIT, "an alias has at most %d targets", ALIAS_TARGETS_MAX);
	else if (!buffer_ok(&next))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	else if (!add && (n == 0 || q->n == 0))
		e = change_item_end(c, SYSTEM_ALIASES, uid, q->alias);
	else if (uid)
		e = change_item_set(c, SYSTEM_ALIASES, uid, q->alias, 0, buffer_span(&next));
	else
		e = change_item_add(c, SYSTEM_ALIASES, 0, q->alias, 0, buffer_span(&next), &uid);
	buffer_free(&next);
	return e;
}

static int add_alias(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	uint32_t uid;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ALIAS, q->actor, 0);
	if (!e)
		e = find_name(t, SYSTEM_ACCOUNTS, q->alias, &uid);
	if (e != ERR_NOT_FOUND)
		return change_end(&c, e ? e : fail_with(ERR_EXISTS, "there is an account %.*s", SPAN_ARG(q->alias)), NULL);
	e = put_alias(&c, q, true);
	if (!e)
		e = domain_ensure(&c, q->alias);
	return change_end(&c, e, &q->touched);
}

int alias_add(struct service *s, struct span alias, const struct span *targets, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .alias = alias, .targets = targets, .n = n, .actor = a };
	return service_commit(s, NULL, 0, add_alias, &q, &q.touched, 1);
}

static int remove_alias(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ALIAS, q->actor, 0);
	if (!e)
		e = put_alias(&c, q, false);
	return change_end(&c, e, &q->touched);
}

int alias_remove(struct service *s, struct span alias, const struct span *targets, size_t n, const struct actor *a)
{
	struct request q = { .s = s, .alias = alias, .targets = targets, .n = n, .actor = a };
	return service_commit(s, NULL, 0, remove_alias, &q, &q.touched, 1);
}

int alias_list(struct service *s, int (*fn)(void *ctx, struct span alias, struct span targets), void *ctx)
{
	return list_items(s, SYSTEM_ALIASES, fn, ctx);
}
