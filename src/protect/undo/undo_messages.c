/* The messages of one folder, a window of UIDs at a time: flags first, then what comes back, then what goes. */
#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "email_counts.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "restore_private.h"
#include "store.h"
#include "undo_plan.h"
#include "undo_window.h"

enum { CHUNK = 300, LOOK = 200, COUNT_PAGE = 10000, HOPS_MAX = 1000 };

enum pass { SET_BACK, BRING_BACK, TAKE_OFF, PASSES };

/* What is to be done with one entry. */
struct op {
	const struct undo_entry *k;
	enum pass pass;
	struct spot out;     /* BRING_BACK: where it was moved to, and ends; collection 0: it is nowhere */
	bool moved;          /* it went somewhere else, and comes from there */
	uint64_t flags;
	struct span keywords;
};

struct job {
	struct undo *u;
	const struct undo_folder *f;
	struct undo_window w;
	struct buffer ops; /* struct op each, by UID */
	struct email_counts counts; /* what others have put there since */
	/* looking */
	size_t looked;
	uint32_t after;
	size_t got;
	struct { int64_t collection, end; } hint; /* where the last end was found */
	/* one transaction */
	struct op *chunk[CHUNK];
	size_t n;
	struct undo_progress reached;
	uint64_t linked, removed, flagged, skipped;
	struct touched touched;
};

/* --- What is to be done --- */

/* What became of a message that an undone change moved away or expunged. */
enum fate {
	EXPUNGED,   /* by an undone change: it is nowhere */
	ELSEWHERE,  /* it lives where undone changes moved it to */
	BURIED,     /* so it was, and its folder ended by an undone change or by this undo */
	DECIDED,    /* others have moved or expunged it since, or it is back already */
};

static int end_at(struct job *j, struct meta_txn *t, enum meta_sql stmt, struct spot at, int64_t end, struct version *v)
{
	struct meta_rows r;
	int e = meta_one(t, &r, stmt, "iiii", j->u->q->account, at.collection, end, (int64_t)at.uid);
	if (e)
		return e;
	version_from_row(&r, v);
	v->keywords = arena_copy(&j->w.arena, v->keywords);
	j->hint.collection = at.collection;
	j->hint.end = stmt == META_PAST_END ? meta_int(&r, 9) : end;
	meta_done(&r);
	return OK;
}

/* The change that ended an entry, some time after `since`. Entries end in rows, so where the last one was found is looked
   first. */
static int find_end(struct job *j, struct meta_txn *t, struct spot at, int64_t since, int64_t *end, struct version *v)
{
	int e = ERR_NOT_FOUND;
	if (j->hint.collection == at.collection && j->hint.end >= since) {
		e = end_at(j, t, META_PAST_GET, at, j->hint.end, v);
		if (e == ERR_NOT_FOUND)
			e = end_at(j, t, META_PAST_END, at, j->hint.end, v);
	}
	if (e == ERR_NOT_FOUND)
		e = end_at(j, t, META_PAST_END, at, since, v);
	*end = j->hint.end;
	return e;
}

/* Does its folder live, did undone changes or this undo end it, or others? */
static int look_at_folder(struct job *j, struct meta_txn *t, int64_t collection, enum fate *fate)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_COLLECTION_GET, "ii", j->u->q->account, collection);
	*fate = ELSEWHERE;
	if (e == ERR_NOT_FOUND) {
		e = meta_one(t, &r, META_COLLECTION_LAST, "iii", j->u->q->account, (int64_t)0, collection);
		*fate = !e && changes_source(&j->u->changes, meta_int(&r, 15)) != CHANGES_OTHERS ? BURIED : DECIDED;
	}
	if (!e)
		meta_done(&r);
	return e;
}

/* Follows a message from where it ended along the undone moves. */
static int follow(struct job *j, struct meta_txn *t, const struct undo_entry *k, struct spot *at, struct version *v, enum fate *fate)
{
	struct undo *u = j->u;
	struct meta_rows r;
	int64_t change = k->end;
	*at = (struct spot){ j->f->id, k->v.uid };
	*v = k->v;
	*fate = DECIDED;
	for (int hop = 0; hop < HOPS_MAX; hop++) {
		int e = moves_onward(&u->moves, t, change, *at, at);
		if (e == ERR_NOT_FOUND)
			*fate = EXPUNGED;
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		e = meta_one(t, &r, META_LIVE_GET, "iii", u->q->account, at->collection, (int64_t)at->uid);
		if (!e) {
			version_from_row(&r, v);
			v->keywords = arena_copy(&j->w.arena, v->keywords);
			meta_done(&r);
			return look_at_folder(j, t, at->collection, fate);
		}
		if (e == ERR_NOT_FOUND)
			e = find_end(j, t, *at, change, &change, v);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e; /* it changed this very moment */
		if (!changes_undone(&u->changes, change))
			return OK;
	}
	return OK;
}

static const struct undo_folder *folder_of(const struct undo *u, int64_t id)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->folders[i].id == id)
			return &u->folders[i];
	return NULL;
}

/* Was it brought here by undone moves from where it was before them? Then it goes back when its origin's turn comes. But a
   folder that an undone change had brought back is gone again: what was in it was nowhere. */
static int has_origin(struct job *j, struct meta_txn *t, const struct undo_entry *k, bool *yes)
{
	struct undo *u = j->u;
	struct spot at = { j->f->id, k->v.uid };
	int64_t created = k->v.created;
	struct meta_rows r;
	*yes = false;
	for (int hop = 0; hop < HOPS_MAX && changes_undone(&u->changes, created); hop++) {
		int64_t change = created;
		int e = moves_back(&u->moves, t, change, at, &at);
		if (!e)
			e = meta_one(t, &r, META_PAST_GET, "iiii", u->q->account, at.collection, change, (int64_t)at.uid);
		if (e)
			return e == ERR_NOT_FOUND ? OK : e;
		created = meta_int(&r, 1);
		meta_done(&r);
	}
	const struct undo_folder *f = folder_of(u, at.collection);
	*yes = !f || !f->gone;
	return OK;
}

static void add_op(struct job *j, const struct undo_entry *k, enum pass pass, struct spot out, bool moved, const struct version *v)
{
	struct op op = { .k = k, .pass = pass, .out = out, .moved = moved };
	const struct undo_folder *other = out.collection ? folder_of(j->u, out.collection) : NULL;
	if (!j->f->in_scope && !(other && other->in_scope))
		return;
	undo_set_back(k, v, &j->w.arena, &op.flags, &op.keywords);
	if (pass == BRING_BACK)
		op.flags &= ~(uint64_t)FLAG_DELETED;
	if (pass != SET_BACK || op.flags != v->flags || !span_eq(op.keywords, v->keywords))
		buffer_put(&j->ops, &op, sizeof op);
}

static int decide_ended(struct job *j, struct meta_txn *t, const struct undo_entry *k)
{
	struct spot at, nowhere = { 0 };
	struct version v, *shown = &v;
	enum fate fate;
	int e = follow(j, t, k, &at, &v, &fate);
	if (e)
		return e;
	if (fate == DECIDED) {
		j->skipped += j->f->in_scope;
		return OK;
	}
	if (fate == EXPUNGED || v.change == v.created || changes_source(&j->u->changes, v.change) != CHANGES_OTHERS)
		shown = (struct version *)(uintptr_t)&k->v; /* else what others did to it there stays with it */
	add_op(j, k, BRING_BACK, fate == EXPUNGED ? nowhere : at, fate != EXPUNGED, shown);
	return OK;
}

/* An undone change put it here: it goes, unless it has an origin to go back to, or is gone. */
static int decide_made(struct job *j, struct meta_txn *t, const struct undo_entry *k)
{
	struct spot nowhere = { 0 };
	bool others = !k->lives && changes_source(&j->u->changes, k->end) == CHANGES_OTHERS, origin;
	if (j->f->target != j->f->id || (!k->lives && !others))
		return OK;
	int e = has_origin(j, t, k, &origin);
	if (e || origin)
		return e;
	j->skipped += others && j->f->in_scope;
	if (k->lives)
		add_op(j, k, TAKE_OFF, nowhere, false, &k->v);
	return OK;
}

static int decide(struct job *j, struct meta_txn *t, const struct undo_entry *k)
{
	struct spot nowhere = { 0 };
	bool joins = j->f->target != j->f->id;
	if (!k->lives && !k->end) /* it changes this very moment */
		return OK;
	if (k->made)
		return decide_made(j, t, k);
	enum changes_source ended = k->lives ? CHANGES_OURS : changes_source(&j->u->changes, k->end);
	bool others = ended == CHANGES_OTHERS && (k->set || k->clear || k->put.n || k->take.n);
	j->skipped += (k->skipped || others) && j->f->in_scope;
	if (k->lives)
		add_op(j, k, joins ? BRING_BACK : SET_BACK, nowhere, false, &k->v);
	return ended == CHANGES_UNDONE ? decide_ended(j, t, k) : OK;
}

static int look_at_some(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	size_t ops = j->ops.n, to = j->looked + LOOK < j->w.n ? j->looked + LOOK : j->w.n;
	uint64_t skipped = j->skipped;
	int e = OK;
	for (size_t i = j->looked; !e && i < to; i++)
		e = decide(j, t, j->w.list[i]);
	if (e) { /* it may run again */
		j->ops.n = ops;
		j->skipped = skipped;
		return e;
	}
	j->looked = to;
	return OK;
}

/* --- What is there already --- */

static int count_page(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows r;
	uint32_t after = j->after;
	j->got = 0;
	int e = meta_query(t, &r, META_LIVE_EMAILS, "iiii", j->u->q->account, j->f->target, (int64_t)j->after, (int64_t)COUNT_PAGE);
	if (e)
		return e;
	while ((e = meta_next(&r)) > 0) {
		int64_t created = meta_int(&r, 2);
		after = (uint32_t)meta_int(&r, 0);
		j->got++;
		if (created < j->u->changes.first || changes_source(&j->u->changes, created) != CHANGES_OTHERS)
			continue;
		if (email_counts_add(&j->counts, meta_int(&r, 1)))
			e = ERR_UNAVAILABLE;
		if (e < 0)
			break;
	}
	meta_done(&r);
	j->after = after;
	return e;
}

/* What others have brought back since does not come back twice. */
static int drop_what_is_there(struct job *j)
{
	struct op *op = (struct op *)(void *)j->ops.p;
	size_t n = j->ops.n / sizeof *op, kept = 0;
	bool any = false;
	int e = OK;
	for (size_t i = 0; i < n; i++)
		any = any || (op[i].pass == BRING_BACK && !op[i].moved);
	j->after = 0;
	do {
		if (any)
			e = meta_read(service_store(j->u->s)->meta, count_page, j);
	} while (!e && any && j->got == COUNT_PAGE);
	for (size_t i = 0; !e && i < n; i++) {
		if (op[i].pass == BRING_BACK && !op[i].moved && email_counts_take(&j->counts, op[i].k->v.email))
			j->skipped++;
		else
			op[kept++] = op[i];
	}
	j->ops.n = kept * sizeof *op;
	return e;
}

/* --- Doing it --- */

static int set_back(struct job *j, struct change *c, struct collection *in)
{
	int e = OK;
	for (size_t i = 0; !e && i < j->n; i++) {
		const struct op *op = j->chunk[i];
		struct version *now;
		size_t n;
		e = folder_versions(c, in->id, op->k->v.uid, op->k->v.uid, 1, &now, &n);
		if (!e && (n == 0 || now->change != op->k->v.change)) {
			j->skipped++;
			continue;
		}
		if (!e)
			e = change_entry_flags(c, in, now, op->flags, op->keywords);
		j->flagged++;
	}
	return e;
}

/* Messages that were moved leave where they are: all of them first, so that the journal tells of it in two runs. */
static int leave_places(struct job *j, struct change *c, bool stays[CHUNK])
{
	int e = OK;
	for (size_t i = 0; !e && i < j->n; i++) {
		const struct op *op = j->chunk[i];
		struct collection *out;
		struct version *now;
		size_t n = 0;
		stays[i] = false;
		if (!op->moved)
			continue;
		e = change_collection(c, op->out.collection, &out);
		if (e == ERR_NOT_FOUND) { /* with its folder */
			e = OK;
			continue;
		}
		if (!e)
			e = folder_versions(c, out->id, op->out.uid, op->out.uid, 1, &now, &n);
		stays[i] = n == 0;
		if (!e && n)
			e = change_entry_end(c, out, now);
	}
	return e;
}

static int bring_back(struct job *j, struct change *c, struct collection *to)
{
	bool stays[CHUNK];
	int e = leave_places(j, c, stays);
	if (!e && to->attributes & FOLDER_NOSELECT) /* a name alone becomes a folder */
		e = change_collection_define(c, to->id, to->parent, to->name, to->attributes & ~FOLDER_NOSELECT, j->f->path, j->f->path);
	for (size_t i = 0; !e && i < j->n; i++) {
		const struct op *op = j->chunk[i];
		const struct version *k = &op->k->v;
		struct version v = { .flags = op->flags, .keywords = op->keywords, .date = k->date, .email = k->email, .size = k->size };
		int64_t from = op->moved ? op->out.collection : j->f->target != j->f->id ? j->f->id : 0;
		if (stays[i]) {
			j->skipped++;
			continue;
		}
		e = change_entry_add(c, to, &v, from);
		j->linked++;
	}
	return e;
}

static int take_off(struct job *j, struct change *c, struct collection *in)
{
	int e = OK;
	for (size_t i = 0; !e && i < j->n; i++) {
		struct version *now;
		size_t n;
		e = folder_versions(c, in->id, j->chunk[i]->k->v.uid, j->chunk[i]->k->v.uid, 1, &now, &n);
		if (!e && n) {
			e = change_entry_end(c, in, now);
			j->removed++;
		}
	}
	return e;
}

static int do_chunk(struct job *j, struct change *c)
{
	struct collection *in;
	int e = change_collection(c, j->f->target, &in);
	if (e == ERR_NOT_FOUND) { /* it was deleted this very moment */
		j->skipped += j->n;
		return OK;
	}
	if (e)
		return e;
	switch (j->chunk[0]->pass) {
	case SET_BACK: return set_back(j, c, in);
	case BRING_BACK: return bring_back(j, c, in);
	default: return take_off(j, c, in);
	}
}

static int run_chunk(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct undo *u = j->u;
	struct change c;
	j->linked = j->removed = j->flagged = j->skipped = 0;
	int e = change_begin(&c, u->s, t, u->q->account, CHANGE_UNDO, u->q->actor, u->changeset);
	if (!e)
		e = do_chunk(j, &c);
	e = change_end(&c, e, &j->touched);
	return e ? e : undo_progress_save(t, u, &j->reached);
}

static void count_chunk(struct job *j)
{
	uint64_t *n = j->chunk[0]->pass == SET_BACK ? &j->flagged : j->chunk[0]->pass == BRING_BACK ? &j->linked : &j->removed;
	j->linked = j->removed = j->flagged = j->skipped = 0;
	*n = j->n;
}

static void add_report(struct job *j)
{
	struct undo_report *r = &j->u->report;
	r->messages += j->linked;
	r->removed += j->removed;
	r->flags += j->flagged;
	r->skipped += j->skipped;
	j->linked = j->removed = j->flagged = j->skipped = 0;
}

static int commit_chunk(struct job *j)
{
	struct undo *u = j->u;
	int e = OK;
	if (!j->n)
		return OK;
	j->reached = (struct undo_progress){ j->f->id, j->w.from, j->chunk[0]->pass, j->chunk[j->n - 1]->k->v.uid };
	if (u->q->dry_run)
		count_chunk(j);
	else
		e = changeset_step(service_store(u->s), u->q->account, u->changeset, run_chunk, j);
	if (e)
		return e;
	if (!u->q->dry_run) {
		change_publish(u->s, &j->touched);
		if (j->touched.change)
			changes_add_ours(&u->changes, j->touched.change);
	}
	add_report(j);
	u->done += j->n;
	j->n = 0;
	if (u->q->progress)
		u->q->progress(u->q->ctx, u->done, u->total);
	return OK;
}

/* Was it done by an earlier start? */
static bool is_done(const struct job *j, const struct op *op)
{
	const struct undo_progress *p = &j->u->progress;
	if (j->f->id != p->collection || j->w.from != p->from)
		return j->f->id < p->collection || (j->f->id == p->collection && j->w.from < p->from);
	return op->pass < p->pass || (op->pass == p->pass && op->k->v.uid <= p->uid);
}

static int do_window(struct job *j)
{
	struct op *op = (struct op *)(void *)j->ops.p;
	size_t n = j->ops.n / sizeof *op;
	int e = OK;
	j->u->total += n;
	for (unsigned pass = 0; pass < PASSES; pass++) {
		for (size_t i = 0; !e && i < n && !undo_cancelled(j->u); i++) {
			if (op[i].pass != pass || is_done(j, &op[i]))
				continue;
			j->chunk[j->n++] = &op[i];
			if (j->n == CHUNK)
				e = commit_chunk(j);
		}
		if (!e)
			e = commit_chunk(j);
	}
	return e;
}

static int undo_window(struct job *j, uint32_t from, uint32_t to)
{
	buffer_reset(&j->ops);
	j->looked = 0;
	j->skipped = 0;
	int e = undo_window_read(&j->w, j->u, j->f->id, from, to, j->f->target != j->f->id);
	while (!e && j->looked < j->w.n)
		e = meta_read(service_store(j->u->s)->meta, look_at_some, j);
	if (!e && !buffer_ok(&j->ops))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e)
		e = drop_what_is_there(j);
	if (!e) {
		add_report(j);
		e = do_window(j);
	}
	email_counts_free(&j->counts);
	undo_window_free(&j->w);
	return e;
}

static void tell(const struct undo *u, const struct undo_folder *f, const struct undo_report *before)
{
	const struct undo_report *r = &u->report;
	unsigned long long back = r->messages - before->messages, gone = r->removed - before->removed,
	                   flags = r->flags - before->flags, skipped = r->skipped - before->skipped;
	if (back || gone || flags)
		undo_say(u, "%.*s: %llu message%s back, %llu removed, flags of %llu set back", SPAN_ARG(f->path), back, back == 1 ? "" : "s",
		         gone, flags);
	if (skipped)
		undo_say(u, "%.*s: %llu message%s changed again since and stay%s", SPAN_ARG(f->path), skipped, skipped == 1 ? "" : "s",
		         skipped == 1 ? "s" : "");
}

int undo_messages(struct undo *u, const struct undo_folder *f)
{
	struct undo_report before = u->report;
	uint64_t last = f->uidnext > 1 ? (uint64_t)f->uidnext - 1 : 0;
	int e = OK;
	if (f->gone || f->id < u->progress.collection)
		return OK;
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*j = (struct job){ .u = u, .f = f };
	for (uint64_t from = 1; !e && from <= last && !undo_cancelled(u); from += UNDO_WINDOW)
		e = undo_window(j, (uint32_t)from, (uint32_t)(from + UNDO_WINDOW - 1 < last ? from + UNDO_WINDOW - 1 : last));
	tell(u, f, &before);
	buffer_free(&j->ops);
	free(j);
	return e;
}
