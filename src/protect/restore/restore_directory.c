#include "restore_directory.h"

#include "change.h"
#include "fail.h"
#include "store.h"
#include "system.h"

enum { BATCH = 100 };

static const struct part {
	int64_t collection;
	enum change_kind kind;
} parts[] = {
	{ SYSTEM_DOMAINS, CHANGE_DOMAIN }, { SYSTEM_ALIASES, CHANGE_ALIAS }, { SYSTEM_SETTINGS, CHANGE_SETTING },
};

struct lost {
	struct service *s;
	const struct part *part;
	int64_t at;
	const struct actor *actor;
	struct arena arena;
	struct buffer names; /* struct span each */
	const struct span *batch;
	size_t n;
	struct touched touched;
};

static int read_lost(struct meta_txn *t, void *arg)
{
	struct lost *l = arg;
	struct meta_rows r;
	arena_reset(&l->arena);
	buffer_reset(&l->names);
	int e = meta_query(t, &r, META_NAMES_LOST, "iiii", (int64_t)SYSTEM_ACCOUNT, l->part->collection, l->at, l->at);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct span name = arena_copy(&l->arena, meta_span(&r, 0));
		buffer_put(&l->names, &name, sizeof name);
	}
	meta_done(&r);
	return e ? e : buffer_ok(&l->names) ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

/* OK when nobody has the name. */
static int is_free(struct change *c, int64_t collection, struct span name)
{
	struct meta_rows r;
	int e = meta_one(c->t, &r, META_NAME_GET, "iis", (int64_t)SYSTEM_ACCOUNT, collection, name);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	meta_done(&r);
	return ERR_EXISTS;
}

static int revive_one(struct change *c, const struct lost *l, struct span name)
{
	struct meta_rows r;
	uint32_t uid;
	int e = is_free(c, l->part->collection, name);
	if (!e && l->part->collection == SYSTEM_ALIASES)
		e = is_free(c, SYSTEM_ACCOUNTS, name);
	if (!e)
		e = meta_one(c->t, &r, META_PAST_ITEM_AT, "iisii", (int64_t)SYSTEM_ACCOUNT, l->part->collection, name, l->at, l->at);
	if (e)
		return e == ERR_EXISTS ? OK : e;
	uid = (uint32_t)meta_int(&r, 0);
	struct span data = arena_copy(&c->arena, meta_span(&r, 1));
	meta_done(&r);
	return data.p ? change_item_add(c, l->part->collection, uid, name, 0, data, &uid) : fail_with(ERR_UNAVAILABLE, "no memory");
}

static int revive_batch(struct meta_txn *t, void *arg)
{
	struct lost *l = arg;
	struct change c;
	int e = change_begin(&c, l->s, t, SYSTEM_ACCOUNT, l->part->kind, l->actor, 0);
	for (size_t i = 0; !e && i < l->n; i++)
		e = revive_one(&c, l, l->batch[i]);
	return change_end(&c, e, &l->touched);
}

static int revive(struct lost *l, bool dry_run, uint64_t *n)
{
	struct store *store = service_store(l->s);
	int e = meta_read(store->meta, read_lost, l);
	const struct span *names = (const struct span *)(const void *)l->names.p;
	size_t count = l->names.n / sizeof *names;
	for (size_t i = 0; !e && !dry_run && i < count; i += BATCH) {
		l->batch = names + i;
		l->n = count - i < BATCH ? count - i : BATCH;
		e = store_commit(store, NULL, 0, revive_batch, l);
		if (!e)
			change_publish(l->s, &l->touched);
	}
	*n += e ? 0 : count;
	return e;
}

int restore_directory(struct service *s, int64_t at, const struct actor *a, bool dry_run, uint64_t *n)
{
	int e = OK;
	*n = 0;
	for (size_t i = 0; !e && i < sizeof parts / sizeof *parts; i++) {
		struct lost l = { .s = s, .part = &parts[i], .at = at, .actor = a };
		e = revive(&l, dry_run, n);
		buffer_free(&l.names);
		arena_free(&l.arena);
	}
	return e;
}
