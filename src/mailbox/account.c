#include "account.h"

#include <stdlib.h>

#include "app.h"
#include "change.h"
#include "clock.h"
#include "directory_write.h"
#include "fail.h"
#include "flags.h"
#include "service_private.h"
#include "system.h"

enum { BATCH = 100 };

/* What a new account begins with; subscribed, with their special use (RFC 6154). */
static const struct { struct span name; int64_t attributes; } usual_folders[] = {
	{ { "Drafts", 6 }, FOLDER_DRAFTS }, { { "Sent", 4 }, FOLDER_SENT }, { { "Junk", 4 }, FOLDER_JUNK },
	{ { "Trash", 5 }, FOLDER_TRASH }, { { "Archive", 7 }, FOLDER_ARCHIVE },
};

struct account_request {
	struct service *s;
	const struct span *addresses;
	const int64_t *accounts;
	size_t n;
	struct span verifiers;
	const struct actor *actor;
	struct touched touched;
};

/* The system log and its collections, at the first start of all; those of a later release that a log made before it has not. */
static int ensure_system(struct service *s, struct meta_txn *t, const struct actor *actor)
{
	static const char *const names[SYSTEM_COLLECTIONS] = { "accounts", "credentials", "snapshots", "settings", "domains", "aliases",
		                                                "apps" };
	struct change c;
	int64_t id;
	int e = change_begin(&c, s, t, SYSTEM_ACCOUNT, CHANGE_SYSTEM, actor, 0);
	if (e == ERR_NOT_FOUND) {
		change_end(&c, e, NULL);
		e = change_begin_account(&c, s, t, SYSTEM_ACCOUNT, CHANGE_SYSTEM, actor);
	}
	for (int64_t i = c.head.next_collection - 1; !e && i < SYSTEM_COLLECTIONS; i++)
		e = change_collection_add(&c, COLLECTION_SYSTEM, 0, span_of(names[i]), 0, span_of(names[i]), &id);
	return change_end(&c, e, NULL);
}

static int ensure_system_fn(struct meta_txn *t, void *arg)
{
	static const struct actor boot = { "", 0, "perdurad" };
	return ensure_system(arg, t, &boot);
}

int account_boot(struct service *s)
{
	int e = meta_run(s->store->meta, ensure_system_fn, s, NULL);
	return e == ERR_EXISTS ? OK : e; /* another node was faster */
}

/* The new account's own log: its folders. */
static int begin_log(struct account_request *q, struct meta_txn *t, int64_t account)
{
	struct change c;
	int64_t id;
	uint32_t uid;
	int e = change_begin_account(&c, q->s, t, account, CHANGE_ACCOUNT_ADD, q->actor);
	if (!e)
		e = change_collection_add(&c, COLLECTION_MAIL, 0, SPAN("INBOX"), 0, SPAN("INBOX"), &id);
	if (!e)
		e = change_collection_add(&c, COLLECTION_SUBSCRIPTIONS, 0, SPAN("subscriptions"), 0, SPAN("subscriptions"), &id);
	if (!e)
		e = change_item_add(&c, SUBSCRIPTIONS, 0, SPAN("INBOX"), 0, (struct span){ 0 }, &uid);
	for (size_t i = 0; !e && i < sizeof usual_folders / sizeof *usual_folders; i++) {
		struct span name = usual_folders[i].name;
		e = change_collection_add(&c, COLLECTION_MAIL, 0, name, usual_folders[i].attributes, name, &id);
		if (!e)
			e = change_item_add(&c, SUBSCRIPTIONS, 0, name, 0, (struct span){ 0 }, &uid);
	}
	return change_end(&c, e, NULL);
}

static int add_address(struct change *c, struct span address, uint32_t *id)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ALIASES, address);
	if (e == OK) {
		meta_done(&r);
		return fail_with(ERR_EXISTS, "there is an alias %.*s", SPAN_ARG(address));
	}
	if (e == ERR_NOT_FOUND)
		e = change_item_add(c, SYSTEM_ACCOUNTS, 0, address, 0, (struct span){ 0 }, id);
	return e == ERR_EXISTS ? fail_with(ERR_EXISTS, "%.*s is there already", SPAN_ARG(address)) : e;
}

static bool is_in_domain_of(struct span a, struct span b)
{
	return span_eq(domain_of(a), domain_of(b));
}

/* Of an address that comes twice only the first: it changes what is read for the second. */
static void expect_addresses(struct meta_txn *t, const struct account_request *q)
{
	change_expect(t, SYSTEM_ACCOUNT);
	meta_expect(t, META_COLLECTION_GET, "ii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS);
	meta_expect(t, META_COLLECTION_GET, "ii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_CREDENTIALS);
	change_expect_item(t, SYSTEM_ACCOUNT, SYSTEM_DOMAINS, domain_of(q->addresses[0]));
	for (size_t i = 0, k; i < q->n; i++) {
		for (k = 0; k < i && !span_eq(q->addresses[k], q->addresses[i]); k++)
			;
		if (k < i)
			continue;
		meta_expect(t, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ALIASES, q->addresses[i]);
		meta_expect(t, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, q->addresses[i]);
	}
}

static int add_accounts(struct meta_txn *t, void *arg)
{
	struct account_request *q = arg;
	struct change c;
	uint32_t ids[BATCH], uid;
	expect_addresses(t, q);
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ACCOUNT_ADD, q->actor, 0);
	for (size_t i = 0; !e && i < q->n; i++) {
		e = add_address(&c, q->addresses[i], &ids[i]);
		if (!e)
			e = change_item_add(&c, SYSTEM_CREDENTIALS, ids[i], (struct span){ 0 }, 0, q->verifiers, &uid);
		if (!e && (i == 0 || !is_in_domain_of(q->addresses[i], q->addresses[i - 1])))
			e = domain_ensure(&c, q->addresses[i]);
	}
	size_t n = q->n;
	e = change_end(&c, e, &q->touched);
	for (size_t i = 0; !e && i < n; i++)
		e = begin_log(q, t, ids[i]);
	return e;
}

/* ERR_EXISTS when one is there, so that a long list is refused before its first part is written. */
static int none_exists(struct meta_txn *t, void *arg)
{
	struct account_request *q = arg;
	struct meta_rows r;
	for (size_t i = 0; i < q->n; i++)
		meta_expect(t, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, q->addresses[i]);
	for (size_t i = 0; i < q->n; i++) {
		int e = meta_one(t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, q->addresses[i]);
		if (!e) {
			meta_done(&r);
			return fail_with(ERR_EXISTS, "%.*s is there already", SPAN_ARG(q->addresses[i]));
		}
		if (e != ERR_NOT_FOUND)
			return e;
	}
	return OK;
}

int account_add(struct service *s, const struct span *addresses, size_t n, struct span verifiers, const struct actor *a)
{
	struct account_request all = { .s = s, .addresses = addresses, .n = n };
	int e = meta_read(s->store->meta, none_exists, &all);
	for (size_t i = 0; !e && i < n; i += BATCH) {
		struct account_request q = { .s = s, .addresses = addresses + i, .n = n - i < BATCH ? n - i : BATCH,
			                     .verifiers = verifiers, .actor = a };
		e = service_commit(s, NULL, 0, add_accounts, &q, &q.touched, 1);
	}
	return e;
}

static int set_passwords(struct meta_txn *t, void *arg)
{
	struct account_request *q = arg;
	struct change c;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ACCOUNT_PASSWORD, q->actor, 0);
	for (size_t i = 0; !e && i < q->n; i++)
		e = change_item_set(&c, SYSTEM_CREDENTIALS, (uint32_t)q->accounts[i], (struct span){ 0 }, 0, q->verifiers);
	return change_end(&c, e, &q->touched);
}

int account_password(struct service *s, const int64_t *accounts, size_t n, struct span verifiers, const struct actor *a)
{
	struct account_request q = { .s = s, .accounts = accounts, .n = n, .verifiers = verifiers, .actor = a };
	return service_commit(s, NULL, 0, set_passwords, &q, &q.touched, 1);
}

static int remove_account(struct meta_txn *t, void *arg)
{
	struct account_request *q = arg;
	struct change c;
	struct meta_rows r;
	int64_t id = q->accounts[0];
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_ACCOUNT_REMOVE, q->actor, 0);
	if (!e)
		e = meta_one(t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, id);
	if (!e) {
		struct span address = arena_copy(&c.arena, meta_span(&r, 3));
		meta_done(&r);
		e = change_item_end(&c, SYSTEM_ACCOUNTS, (uint32_t)id, address);
	}
	if (!e)
		e = app_end_all(&c, id);
	return change_end(&c, e, &q->touched);
}

int account_remove(struct service *s, int64_t account, const struct actor *a)
{
	struct account_request q = { .s = s, .accounts = &account, .n = 1, .actor = a };
	return service_commit(s, NULL, 0, remove_account, &q, &q.touched, 1);
}

struct listed {
	struct arena arena;
	struct span after;
	struct account_info list[BATCH];
	size_t n;
};

static int read_counts(struct meta_txn *t, struct account_info *i)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_HEAD_GET, "i", i->id);
	if (e)
		return e;
	i->change = meta_int(&r, 2);
	i->stamp = meta_int(&r, 3);
	i->messages = meta_int(&r, 8);
	i->bytes = meta_int(&r, 9);
	meta_done(&r);
	e = meta_one(t, &r, META_JOURNAL_FIRST, "i", i->id);
	if (e)
		return e;
	i->created_stamp = meta_int(&r, 1);
	meta_done(&r);
	return OK;
}

static int read_batch(struct meta_txn *t, void *arg)
{
	struct listed *l = arg;
	struct meta_rows r;
	l->n = 0;
	int e = meta_query(t, &r, META_NAME_LIST, "iisi", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, l->after, (int64_t)BATCH);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		l->list[l->n++] = (struct account_info){ .address = arena_copy(&l->arena, meta_span(&r, 0)), .id = meta_int(&r, 1) };
	meta_done(&r);
	for (size_t i = 0; !e && i < l->n; i++)
		e = read_counts(t, &l->list[i]);
	return e;
}

int account_list(struct service *s, int (*fn)(void *ctx, const struct account_info *i), void *ctx)
{
	struct listed l = { .after = SPAN("") };
	int e, stop = 0;
	do {
		e = meta_read(s->store->meta, read_batch, &l);
		for (size_t i = 0; !e && !stop && i < l.n; i++)
			stop = fn(ctx, &l.list[i]);
		if (l.n)
			l.after = l.list[l.n - 1].address;
	} while (!e && !stop && l.n == BATCH);
	arena_free(&l.arena);
	return e;
}

static int read_one(struct meta_txn *t, void *arg)
{
	return read_counts(t, arg);
}

int account_show(struct service *s, int64_t account, struct account_info *out)
{
	struct account_info i = { .id = account };
	int e = meta_read(s->store->meta, read_one, &i);
	if (!e)
		*out = i;
	return e;
}
