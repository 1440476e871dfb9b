#include <stdlib.h>

#include "changeset.h"
#include "change.h"
#include "fail.h"
#include "mailbox_name.h"
#include "replant.h"
#include "restore_private.h"
#include "store.h"
#include "tree_private.h"

enum { PER_TRANSACTION = 300, ROUNDS = 200 };

/* A folder as it would be with all wishes granted that stand so far. */
struct place {
	int64_t id, parent;
	struct span name;
	bool lives;
	bool by_path;         /* its parent is found, or made, when its turn comes */
	size_t below;
	struct wish *wish;
	const struct folder *now; /* NULL: it ended */
};

struct plan {
	struct tree tree;
	struct arena arena;
	struct place *list; /* by id */
	size_t n;
	struct place **named; /* the living, by parent and name */
	size_t n_named;
};

struct round {
	struct replant *q;
	size_t done;
	struct touched touched;
};

static int by_id(const void *a, const void *b)
{
	int64_t x = ((const struct place *)a)->id, y = ((const struct place *)b)->id;
	return (x > y) - (x < y);
}

static struct place *find(const struct plan *p, int64_t id)
{
	struct place key = { .id = id };
	return p->n ? bsearch(&key, p->list, p->n, sizeof *p->list, by_id) : NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
	if (x->parent != y->parent)
		return (x->parent > y->parent) - (x->parent < y->parent);
	size_t n = x->name.n < y->name.n ? x->name.n : y->name.n;
	int d = n ? memcmp(x->name.p, y->name.p, n) : 0;
	return d ? d : (x->name.n > y->name.n) - (x->name.n < y->name.n);
}

/* As it is without its wish. */
static void leave(struct place *k, enum wish_fate fate)
{
	k->wish->fate = fate;
	k->lives = k->now;
	k->by_path = false;
	if (k->now) {
		k->parent = k->now->parent;
		k->name = k->now->name;
	}
}

static bool stands(const struct wish *w, const struct folder *now)
{
	if (w->end || !now)
		return w->end && !now;
	return now->parent == w->parent && span_eq(now->name, w->name) && now->attributes == w->attributes;
}

static void take_wish(struct place *k, struct wish *w)
{
	bool grown = w->end && k->now && k->now->uidnext != w->uidnext;
	k->wish = w;
	if (!w->end && k->now && k->now->messages && w->attributes & FOLDER_NOSELECT) {
		w->held = true;
		w->attributes &= ~(int64_t)FOLDER_NOSELECT;
	}
	w->holder = 0;
	w->fate = stands(w, k->now) ? WISH_STANDS : grown ? WISH_STUCK : WISH_GRANTED;
	if (w->fate != WISH_GRANTED)
		return;
	k->lives = !w->end;
	if (!w->end) {
		k->parent = w->parent;
		k->name = w->name;
	}
}

static int lay_out(struct plan *p, struct replant *q)
{
	p->list = arena_alloc(&p->arena, (p->tree.n + q->n + 1) * sizeof *p->list);
	p->named = arena_alloc(&p->arena, (p->tree.n + q->n + 1) * sizeof *p->named);
	if (!p->list || !p->named)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < p->tree.n; i++) {
		const struct folder *f = &p->tree.list[i];
		p->list[p->n++] = (struct place){ .id = f->id, .parent = f->parent, .name = f->name, .lives = true, .now = f };
	}
	qsort(p->list, p->n, sizeof *p->list, by_id);
	size_t living = p->n;
	for (size_t i = 0; i < q->n; i++) {
		struct place key = { .id = q->wishes[i].id };
		struct place *k = living ? bsearch(&key, p->list, living, sizeof *p->list, by_id) : NULL;
		if (!k) {
			k = &p->list[p->n++];
			*k = key;
		}
		take_wish(k, &q->wishes[i]);
	}
	qsort(p->list, p->n, sizeof *p->list, by_id);
	return OK;
}

static void index_names(struct plan *p)
{
	p->n_named = 0;
	for (size_t i = 0; i < p->n; i++)
		p->list[i].below = 0;
	for (size_t i = 0; i < p->n; i++) {
		struct place *k = &p->list[i], *up = k->lives && !k->by_path ? find(p, k->parent) : NULL;
		if (up)
			up->below++;
		if (k->lives && !k->by_path)
			p->named[p->n_named++] = k;
	}
	qsort(p->named, p->n_named, sizeof *p->named, by_name);
}

static struct place *child(const struct plan *p, int64_t parent, struct span name, const struct place *but)
{
	struct place key = { .parent = parent, .name = name }, *k = &key;
	struct place **at = p->n_named ? bsearch(&k, p->named, p->n_named, sizeof *p->named, by_name) : NULL;
	if (!at)
		return NULL;
	while (at > p->named && by_name(at - 1, &k) == 0)
		at--;
	for (; at < p->named + p->n_named && by_name(at, &k) == 0; at++)
		if (*at != but)
			return *at;
	return NULL;
}

static struct place *at_path(const struct plan *p, struct span path)
{
	struct span component;
	struct place *k = NULL;
	int64_t parent = 0;
	while (mailbox_name_next(&path, &component)) {
		k = child(p, parent, component, NULL);
		if (!k)
			return NULL;
		parent = k->id;
	}
	return k;
}

static bool below_itself(const struct plan *p, const struct place *k)
{
	int64_t up = k->parent;
	for (size_t depth = 0; up; depth++) {
		const struct place *f = find(p, up);
		if (up == k->id || depth > p->n)
			return true;
		up = f && f->lives && !f->by_path ? f->parent : 0;
	}
	return false;
}

/* A parent that does not live: what stands at its path takes its place, or is made. */
static void find_parent(const struct plan *p, struct place *k)
{
	const struct place *up = k->parent ? find(p, k->parent) : NULL;
	if (!k->parent || (up && up->lives))
		return;
	up = at_path(p, mailbox_name_parent(k->wish->path));
	if (up)
		k->parent = up->id;
	else
		k->by_path = true;
}

/* Of two that want one place the one that is there already stays; of two that come the older. */
static bool gives_way(const struct place *k, const struct place *other)
{
	bool other_comes = other->wish && other->wish->fate == WISH_GRANTED;
	return !other_comes || other->id < k->id;
}

static bool look_at(const struct plan *p, struct place *k)
{
	struct wish *w = k->wish;
	if (w->end) {
		if (!k->below)
			return false;
		leave(k, WISH_STUCK);
		return true;
	}
	bool was_by_path = k->by_path;
	find_parent(p, k);
	if (k->by_path)
		return !was_by_path;
	if (k->now && k->now->parent == k->parent && span_eq(k->now->name, k->name) && k->now->attributes == w->attributes) {
		leave(k, WISH_STANDS);
		return true;
	}
	struct place *other = child(p, k->parent, k->name, k);
	if (other && gives_way(k, other)) {
		w->holder = other->id;
		leave(k, WISH_TAKEN);
		return true;
	}
	if (below_itself(p, k)) {
		leave(k, WISH_STUCK);
		return true;
	}
	return false;
}

static void decide(struct plan *p)
{
	bool changed = true;
	for (int round = 0; changed; round++) {
		changed = false;
		index_names(p);
		for (size_t i = 0; i < p->n; i++) {
			struct place *k = &p->list[i];
			if (!k->wish || k->wish->fate != WISH_GRANTED)
				continue;
			if (round >= ROUNDS) { /* a chain of places longer than any person makes: nobody moves */
				leave(k, WISH_STUCK);
				changed = true;
			} else if (look_at(p, k)) {
				changed = true;
			}
		}
	}
}

static int grant(struct change *c, struct place *k)
{
	struct wish *w = k->wish;
	struct collection *now;
	int64_t parent = k->parent;
	if (w->end)
		return change_collection_end(c, w->id, k->now->path);
	int e = k->by_path ? restore_ensure_path(c, mailbox_name_parent(w->path), &parent) : OK;
	if (e || k->now)
		return e ? e : change_collection_define(c, w->id, parent, w->name, w->attributes, k->now->path, w->path);
	e = change_collection_revive(c, w->id, parent, w->name, w->path);
	if (!e)
		e = change_collection(c, w->id, &now);
	if (e)
		return e;
	w->revived = true;
	w->messages = now->messages;
	return OK;
}

static int depth_of(struct span path)
{
	int n = 0;
	for (size_t i = 0; i < path.n; i++)
		n += path.p[i] == '/';
	return n;
}

/* Ends first, the deepest before; then what comes back and what moves, parents before children. */
static int in_turn(const void *a, const void *b)
{
	const struct place *x = *(struct place *const *)a, *y = *(struct place *const *)b;
	if (x->wish->end != y->wish->end)
		return x->wish->end ? -1 : 1;
	int dx = depth_of(x->wish->path), dy = depth_of(y->wish->path);
	int d = x->wish->end ? (dy > dx) - (dy < dx) : (dx > dy) - (dx < dy);
	return d ? d : by_id(x, y);
}

static int grant_some(struct change *c, struct plan *p, size_t *done)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++)
		if (p->list[i].wish && p->list[i].wish->fate == WISH_GRANTED)
			p->named[n++] = &p->list[i];
	if (n)
		qsort(p->named, n, sizeof *p->named, in_turn);
	int e = OK;
	for (*done = 0; !e && *done < n && *done < PER_TRANSACTION; ++*done)
		e = grant(c, p->named[*done]);
	for (size_t i = *done; i < n; i++)
		p->named[i]->wish->fate = WISH_STANDS; /* its turn comes in the next transaction */
	return e;
}

static int look(struct meta_txn *t, struct replant *q, struct plan *p)
{
	int e = tree_load(t, q->account, 0, &p->tree);
	if (!e)
		e = lay_out(p, q);
	if (!e)
		decide(p);
	return e;
}

static void free_plan(struct plan *p)
{
	tree_free(&p->tree);
	arena_free(&p->arena);
}

static int run_round(struct meta_txn *t, void *arg)
{
	struct round *k = arg;
	struct plan p = { 0 };
	struct change c;
	int e = change_begin(&c, k->q->s, t, k->q->account, k->q->kind, k->q->actor, k->q->changeset);
	if (!e)
		e = look(t, k->q, &p);
	if (!e)
		e = grant_some(&c, &p, &k->done);
	e = change_end(&c, e, &k->touched);
	free_plan(&p);
	return e;
}

static void count_coming(struct meta_txn *t, struct replant *q)
{
	struct meta_rows r;
	struct collection k;
	for (size_t i = 0; i < q->n; i++) {
		struct wish *w = &q->wishes[i];
		if (w->end || w->fate != WISH_GRANTED ||
		    meta_one(t, &r, META_COLLECTION_LAST, "iii", q->account, (int64_t)0, w->id))
			continue;
		collection_from_row(&r, &k);
		w->messages = k.messages;
		meta_done(&r);
	}
}

static int only_look(struct meta_txn *t, void *arg)
{
	struct round *k = arg;
	struct plan p = { 0 };
	int e = look(t, k->q, &p);
	for (size_t i = 0; !e && i < p.n; i++)
		if (p.list[i].wish)
			p.list[i].wish->revived = p.list[i].wish->fate == WISH_GRANTED && !p.list[i].wish->end && !p.list[i].now;
	if (!e)
		count_coming(t, k->q);
	free_plan(&p);
	return e;
}

int replant(struct replant *q)
{
	struct round k = { .q = q };
	struct store *store = service_store(q->s);
	enum wish_fate *fates = calloc(q->n + 1, sizeof *fates);
	int e = fates ? OK : fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && q->dry_run)
		e = meta_read(store->meta, only_look, &k);
	do {
		if (e || q->dry_run || !q->n)
			break;
		e = changeset_step(store, q->account, q->changeset, run_round, &k);
		if (!e)
			change_publish(q->s, &k.touched);
		if (!e && q->changed && k.touched.change)
			q->changed(q->ctx, k.touched.change);
		for (size_t i = 0; !e && i < q->n; i++) /* what was granted before only stands by now */
			if (fates[i] != WISH_GRANTED)
				fates[i] = q->wishes[i].fate;
	} while (!e && k.done == PER_TRANSACTION);
	for (size_t i = 0; !e && !q->dry_run && i < q->n; i++)
		q->wishes[i].fate = fates[i];
	free(fates);
	return e;
}

int replant_held(struct replant *q)
{
	struct replant some = *q;
	some.wishes = calloc(q->n + 1, sizeof *some.wishes);
	some.n = 0;
	if (!some.wishes)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < q->n; i++)
		if (q->wishes[i].held && (q->wishes[i].fate == WISH_GRANTED || q->wishes[i].fate == WISH_STANDS)) {
			some.wishes[some.n] = q->wishes[i];
			some.wishes[some.n++].attributes |= FOLDER_NOSELECT;
		}
	int e = some.n && !q->dry_run ? replant(&some) : OK;
	free(some.wishes);
	return e;
}
