#include "changeset.h"

#include <stdio.h>

#include "fail.h"
#include "nodes.h"
#include "store.h"

enum { PAGE = 500 };

int changeset_add(struct meta_txn *t, struct store *s, const struct changeset *c)
{
	return meta_do(t, META_CHANGESET_ADD, "iiiiibb", c->account, c->id, (int64_t)c->kind, nodes_self(s->nodes),
	               nodes_epoch(s->nodes), c->plan, c->progress);
}

int changeset_hold(struct meta_txn *t, struct store *s, int64_t account, int64_t id)
{
	static const struct meta_must one = { 1, ERR_CONFLICT, "another node has taken this operation over, and goes on with it" };
	return meta_must(t, one, META_CHANGESET_HOLD, "iiii", account, id, nodes_self(s->nodes), nodes_epoch(s->nodes));
}

int changeset_put(struct meta_txn *t, int64_t account, int64_t id, struct span progress)
{
	return meta_do(t, META_CHANGESET_PUT, "bii", progress, account, id);
}

int changeset_drop(struct meta_txn *t, struct store *s, int64_t account, int64_t id)
{
	return meta_do(t, META_CHANGESET_DROP, "iiii", account, id, nodes_self(s->nodes), nodes_epoch(s->nodes));
}

struct step {
	struct store *s;
	int64_t account, id;
	meta_fn *fn;
	void *arg;
};

static int run_step(struct meta_txn *t, void *arg)
{
	const struct step *k = arg;
	int e = changeset_hold(t, k->s, k->account, k->id);
	return e ? e : k->fn(t, k->arg);
}

int changeset_step(struct store *s, int64_t account, int64_t id, meta_fn *fn, void *arg)
{
	struct step k = { s, account, id, fn, arg };
	return store_commit(s, NULL, 0, run_step, &k);
}

static int drop(struct meta_txn *t, void *arg)
{
	const struct step *k = arg;
	return changeset_drop(t, k->s, k->account, k->id);
}

int changeset_end(struct store *s, int64_t account, int64_t id, int result)
{
	struct step k = { .s = s, .account = account, .id = id };
	char why[512];
	if (result == ERR_STOPPED)
		return result;
	snprintf(why, sizeof why, "%s", fail_detail());
	int dropped = meta_run(s->meta, drop, &k, NULL);
	if (dropped)
		changeset_leave(s, account, id);
	if (result)
		fail_set_detail(why);
	return result ? result : dropped;
}

/* In store.left. */
static int64_t *find_left(struct store *s, int64_t account, int64_t id)
{
	int64_t *l = (int64_t *)(void *)s->left.p;
	for (size_t i = 0; i < s->left.n / sizeof *l; i += 2)
		if (l[i] == account && l[i + 1] == id)
			return &l[i];
	return NULL;
}

/* What cannot be remembered is left to the next start. */
void changeset_leave(struct store *s, int64_t account, int64_t id)
{
	const int64_t entry[] = { account, id };
	pthread_mutex_lock(&s->left_lock);
	if (!find_left(s, account, id) && buffer_reserve(&s->left, sizeof entry))
		buffer_put(&s->left, entry, sizeof entry);
	pthread_mutex_unlock(&s->left_lock);
}

static void forget_left(struct store *s, int64_t account, int64_t id)
{
	pthread_mutex_lock(&s->left_lock);
	int64_t *l = find_left(s, account, id);
	if (l) { /* the last takes its place */
		memcpy(l, s->left.p + s->left.n - 2 * sizeof *l, 2 * sizeof *l);
		s->left.n -= 2 * sizeof *l;
	}
	pthread_mutex_unlock(&s->left_lock);
}

bool changeset_left(struct store *s, const struct changeset *c)
{
	pthread_mutex_lock(&s->left_lock);
	bool left = find_left(s, c->account, c->id);
	pthread_mutex_unlock(&s->left_lock);
	return left && c->owner == nodes_self(s->nodes) && c->epoch == nodes_epoch(s->nodes);
}

bool changeset_owned(struct store *s, const struct changeset *c)
{
	return nodes_alive(s->nodes, c->owner, c->epoch) && !changeset_left(s, c);
}

struct taking {
	struct store *s;
	const struct changeset *c;
};

static int take(struct meta_txn *t, void *arg)
{
	const struct taking *q = arg;
	int e = meta_try(t, META_CHANGESET_TAKE, "iiiiii", nodes_self(q->s->nodes), nodes_epoch(q->s->nodes), q->c->account, q->c->id,
	                 q->c->owner, q->c->epoch);
	return e || meta_changed(t) ? e : fail_with(ERR_CONFLICT, "another node has just taken the operation over");
}

int changeset_take(struct store *s, struct changeset *c)
{
	struct taking q = { s, c };
	int e = meta_run(s->meta, take, &q, NULL);
	if (!e || e == ERR_CONFLICT)
		forget_left(s, c->account, c->id);
	if (!e) {
		c->owner = nodes_self(s->nodes);
		c->epoch = nodes_epoch(s->nodes);
	}
	return e;
}

struct listing {
	struct buffer *out;
	size_t before; /* bytes of the pages before this one */
	struct changeset last;
};

static int read_page(struct meta_txn *t, void *arg)
{
	struct listing *l = arg;
	struct meta_rows r;
	l->out->n = l->before;
	int e = meta_query(t, &r, META_CHANGESET_LIST, "iiii", l->last.account, l->last.account, l->last.id, (int64_t)PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		struct changeset c = { .account = meta_int(&r, 0), .id = meta_int(&r, 1), .kind = (enum change_kind)meta_int(&r, 2),
			               .owner = meta_int(&r, 3), .epoch = meta_int(&r, 4) };
		buffer_put(l->out, &c, sizeof c);
	}
	meta_done(&r);
	return e;
}

int changeset_list(struct meta *m, struct buffer *out)
{
	struct listing l = { .out = out, .last = { .account = -1 } };
	int e;
	buffer_reset(out);
	do {
		l.before = out->n;
		e = meta_read(m, read_page, &l);
		if (!e && !buffer_ok(out))
			e = fail_with(ERR_UNAVAILABLE, "no memory");
		if (!e && out->n > l.before)
			l.last = ((const struct changeset *)(const void *)(out->p + out->n))[-1];
	} while (!e && out->n - l.before == PAGE * sizeof l.last);
	return e;
}

struct reading {
	struct changeset *c;
	struct arena *arena;
};

static int read_one(struct meta_txn *t, void *arg)
{
	struct reading *q = arg;
	struct meta_rows r;
	int e = meta_one(t, &r, META_CHANGESET_GET, "ii", q->c->account, q->c->id);
	if (e)
		return e;
	q->c->plan = arena_copy(q->arena, meta_span(&r, 0));
	q->c->progress = arena_copy(q->arena, meta_span(&r, 1));
	meta_done(&r);
	return q->c->plan.p && q->c->progress.p ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
}

int changeset_read(struct meta *m, struct changeset *c, struct arena *arena)
{
	struct reading q = { c, arena };
	return meta_read(m, read_one, &q);
}
