#include "app.h"

#include <openssl/crypto.h>

#include "change.h"
#include "fail.h"
#include "service_private.h"
#include "system.h"

struct request {
	struct service *s;
	int64_t account;
	struct span name;
	struct app_password password;
	const struct actor *actor;
	struct touched touched;
};

struct item {
	uint32_t uid;
	int64_t date;
	struct span key;
	unsigned protocols;
};

/* Keys are the arena's. */
static int read_items(struct meta_txn *t, struct arena *a, int64_t account, struct item list[APP_PASSWORDS_MAX], size_t *n)
{
	char from[APP_KEY_MAX], to[APP_KEY_MAX];
	struct app_password p;
	struct meta_rows r;
	*n = 0;
	int e = meta_query(t, &r, META_NAME_ITEMS, "iissi", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_APPS,
	                   app_key(account, SPAN(""), from), app_key_end(account, to), (int64_t)APP_PASSWORDS_MAX);
	if (e)
		return e;
	for (; (e = meta_next(&r)) > 0; ++*n) {
		if (!app_password_get(meta_span(&r, 4), &p)) {
			e = fail_with(ERR_CORRUPT, "application password %lld is damaged", (long long)meta_int(&r, 0));
			break;
		}
		list[*n] = (struct item){ (uint32_t)meta_int(&r, 0), meta_int(&r, 2), arena_copy(a, meta_span(&r, 3)), p.protocols };
	}
	meta_done(&r);
	return e;
}

/* Says in the journal whose change it is. ERR_NOT_FOUND: the account was removed meanwhile. */
static int note_account(struct change *c, int64_t account)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_LIVE_ITEM, "iii", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_ACCOUNTS, account);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(ERR_NOT_FOUND, "there is no such account") : e;
	change_note(c, LOG_ENVELOPE, SYSTEM_APPS, meta_span(&r, 3), (struct span){ 0 });
	meta_done(&r);
	return OK;
}

static int add_item(struct change *c, const struct request *q)
{
	char key[APP_KEY_MAX];
	struct item list[APP_PASSWORDS_MAX];
	struct buffer data = { 0 };
	uint32_t uid;
	size_t n;
	int e = read_items(c->t, &c->arena, q->account, list, &n);
	if (!e && n == APP_PASSWORDS_MAX)
		e = fail_with(ERR_LIMIT, "there are %d application passwords already: remove one first", APP_PASSWORDS_MAX);
	app_password_put(&q->password, &data);
	if (!e && !buffer_ok(&data))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = change_item_add(c, SYSTEM_APPS, 0, app_key(q->account, q->name, key), c->stamp, buffer_span(&data), &uid);
	buffer_free(&data);
	return e == ERR_EXISTS ? fail_with(ERR_EXISTS, "there is an application password '%.*s' already", SPAN_ARG(q->name)) : e;
}

static int add(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	struct change c;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_APP, q->actor, 0);
	if (!e)
		e = note_account(&c, q->account);
	if (!e)
		e = add_item(&c, q);
	return change_end(&c, e, &q->touched);
}

int app_add(struct service *s, int64_t account, struct span name, unsigned protocols, const struct actor *a, char secret[APP_TEXT])
{
	struct request q = { .s = s, .account = account, .name = name, .actor = a, .password.protocols = protocols };
	int e = app_name_check(name);
	if (!e)
		e = app_password_make(secret, q.password.hash);
	if (e)
		return e;
	e = service_commit(s, NULL, 0, add, &q, &q.touched, 1);
	if (e)
		OPENSSL_cleanse(secret, APP_TEXT);
	return e;
}

static int find_uid(struct meta_txn *t, const struct request *q, struct span key, uint32_t *uid)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, (int64_t)SYSTEM_APPS, key);
	if (e)
		return e == ERR_NOT_FOUND ? fail_with(e, "there is no application password '%.*s'", SPAN_ARG(q->name)) : e;
	*uid = (uint32_t)meta_int(&r, 0);
	meta_done(&r);
	return OK;
}

static int end(struct meta_txn *t, void *arg)
{
	struct request *q = arg;
	char room[APP_KEY_MAX];
	struct span key = app_key(q->account, q->name, room);
	struct change c;
	uint32_t uid = 0;
	int e = change_begin(&c, q->s, t, SYSTEM_ACCOUNT, CHANGE_APP, q->actor, 0);
	if (!e)
		e = note_account(&c, q->account);
	if (!e)
		e = find_uid(t, q, key, &uid);
	if (!e)
		e = change_item_end(&c, SYSTEM_APPS, uid, key);
	return change_end(&c, e, &q->touched);
}

int app_remove(struct service *s, int64_t account, struct span name, const struct actor *a)
{
	struct request q = { .s = s, .account = account, .name = name, .actor = a };
	int e = app_name_check(name);
	return e ? e : service_commit(s, NULL, 0, end, &q, &q.touched, 1);
}

int app_end_all(struct change *c, int64_t account)
{
	struct item list[APP_PASSWORDS_MAX];
	size_t n;
	int e = read_items(c->t, &c->arena, account, list, &n);
	for (size_t i = 0; !e && i < n; i++)
		e = list[i].key.p ? change_item_end(c, SYSTEM_APPS, list[i].uid, list[i].key) : fail_with(ERR_UNAVAILABLE, "no memory");
	return e;
}

struct listing {
	int64_t account;
	struct arena arena;
	struct item list[APP_PASSWORDS_MAX];
	size_t n;
};

static int read_listing(struct meta_txn *t, void *arg)
{
	struct listing *l = arg;
	arena_reset(&l->arena);
	return read_items(t, &l->arena, l->account, l->list, &l->n);
}

int app_list(struct service *s, int64_t account, struct app_info out[APP_PASSWORDS_MAX], size_t *n)
{
	struct listing l = { .account = account };
	int e = meta_read(s->store->meta, read_listing, &l);
	for (size_t i = 0; !e && i < l.n; i++) {
		struct span name = app_key_name(l.list[i].key);
		out[i] = (struct app_info){ .made = l.list[i].date, .protocols = l.list[i].protocols };
		memcpy(out[i].name, name.p, name.n < APP_NAME_MAX ? name.n : APP_NAME_MAX);
	}
	if (!e)
		*n = l.n;
	arena_free(&l.arena);
	return e;
}

/* ---- What ended */

struct look {
	int64_t since, now;
	struct app_ends *out;
};

static int read_ends(struct meta_txn *t, int64_t collection, int64_t since, struct buffer *out)
{
	struct meta_rows r;
	buffer_reset(out);
	int e = meta_query(t, &r, META_ITEM_ENDS, "iii", (int64_t)SYSTEM_ACCOUNT, collection, since);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0)
		buffer_put(out, &(int64_t){ meta_int(&r, 0) }, sizeof(int64_t));
	meta_done(&r);
	return e ? e : buffer_ok(out) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int look_for_ends(struct meta_txn *t, void *arg)
{
	struct look *l = arg;
	struct head head;
	int e = change_head(t, SYSTEM_ACCOUNT, &head);
	l->now = head.change;
	if (e || !l->since)
		return e;
	e = read_ends(t, SYSTEM_ACCOUNTS, l->since, &l->out->accounts);
	return e ? e : read_ends(t, SYSTEM_APPS, l->since, &l->out->apps);
}

int app_ends(struct service *s, int64_t *since, struct app_ends *out)
{
	struct look l = { .since = *since, .out = out };
	int e = meta_read(s->store->meta, look_for_ends, &l);
	if (!e)
		*since = l.now;
	return e;
}
