/* Messages: the versions of then that are not there now, linked again. */
#include <stdio.h>
#include <stdlib.h>

#include "changeset.h"
#include "email_counts.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "restore_private.h"
#include "store.h"

enum {
	CHUNK = 500,
	READ_CHUNK = 10000,
	LOOK_CHUNK = 2000,
	GAP_MAX = 16, /* UIDs between two that are looked at, which are read along with them */
	PROBES = 4,
};

/* A version of then. */
struct candidate {
	struct version v;
	bool ended; /* its entry ended with it, or lived in another collection: to be linked anew */
};

struct job {
	struct run *r;
	struct target *t;
	int64_t source;
	struct buffer candidates;
	struct arena arena; /* keywords of candidates */
	struct email_counts counts; /* of what is in the target already, beyond what then knew */
	/* reading */
	uint32_t after;
	size_t keep, got;
	/* one transaction */
	struct candidate *chunk[CHUNK];
	size_t n;
	int64_t target;
	struct progress reached;
	uint64_t linked, flagged;
	struct touched touched;
};

static int keep_candidate(struct job *j, const struct meta_rows *row, bool ended)
{
	struct candidate k = { .ended = ended };
	version_from_row(row, &k.v);
	k.v.keywords = k.v.keywords.n ? arena_copy(&j->arena, k.v.keywords) : (struct span){ 0 };
	buffer_put(&j->candidates, &k, sizeof k);
	j->after = k.v.uid;
	j->got++;
	return OK;
}

/* What ended since, or got another version. */
static int read_replaced(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows row;
	int64_t at = j->r->q->at.change;
	bool elsewhere = j->t->id != j->source;
	j->candidates.n = j->keep;
	int e = meta_query(t, &row, META_PAST_VERSIONS_AT, "iiii", j->r->q->account, j->source, at, at);
	if (e)
		return e;
	while ((e = meta_next(&row)) > 0)
		keep_candidate(j, &row, elsewhere || meta_int(&row, 9));
	meta_done(&row);
	return e;
}

/* What lives on unchanged in the source; wanted only when the target is another folder. */
static int read_unchanged(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows row;
	uint32_t after = j->after;
	j->candidates.n = j->keep;
	j->got = 0;
	int e = meta_query(t, &row, META_LIVE_VERSIONS_AT, "iiiii", j->r->q->account, j->source, (int64_t)after,
	                   j->r->q->at.change, (int64_t)READ_CHUNK);
	if (e)
		return e;
	while ((e = meta_next(&row)) > 0)
		keep_candidate(j, &row, true);
	meta_done(&row);
	return e;
}

static int by_uid(const void *a, const void *b)
{
	uint32_t x = ((const struct candidate *)a)->v.uid, y = ((const struct candidate *)b)->v.uid;
	return (x > y) - (x < y);
}

/* By UID. A version that was read as living and again after it was replaced counts once. */
static void sort_candidates(struct buffer *b)
{
	struct candidate *k = (struct candidate *)(void *)b->p;
	size_t n = b->n / sizeof *k, kept = 0;
	qsort(k, n, sizeof *k, by_uid);
	for (size_t i = 0; i < n; i++)
		if (!kept || k[kept - 1].v.uid != k[i].v.uid)
			k[kept++] = k[i];
	b->n = kept * sizeof *k;
}

static int read_candidates(struct job *j)
{
	struct meta *m = service_store(j->r->s)->meta;
	int e = OK;
	if (j->t->id != j->source)
		do {
			e = meta_read(m, read_unchanged, j);
			j->keep = j->candidates.n;
		} while (!e && j->got == READ_CHUNK);
	if (!e)
		e = meta_read(m, read_replaced, j);
	if (!e && !buffer_ok(&j->candidates))
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	if (!e && j->candidates.n)
		sort_candidates(&j->candidates);
	return e;
}

/* Did all that lives from this UID on come after then? *uid: the first that lives there. */
static int came_later(struct meta_txn *t, const struct run *r, int64_t collection, uint64_t from, bool *later, uint64_t *uid)
{
	struct meta_rows row;
	int e = meta_one(t, &row, META_LIVE_FIRST_AFTER, "iii", r->q->account, collection, (int64_t)from);
	*later = true;
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*uid = (uint64_t)meta_int(&row, 0);
	*later = meta_int(&row, 1) > r->q->at.change;
	meta_done(&row);
	return OK;
}

/* The UIDs that the collection has given out end here. */
static int end_of_uids(struct meta_txn *t, int64_t account, int64_t collection, uint64_t *end)
{
	struct meta_rows row;
	*end = (uint64_t)UINT32_MAX + 1;
	int e = meta_one(t, &row, META_COLLECTION_GET, "ii", account, collection);
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	*end = (uint64_t)meta_int(&row, 8);
	meta_done(&row);
	return OK;
}

/* The first UID that came into the target after then: created numbers grow with UIDs, so cutting what is left into pieces
   finds it. */
int restore_first_since(struct meta_txn *t, struct run *r, int64_t collection, uint32_t *uid)
{
	uint64_t low = 1, high, at[PROBES], there = 0;
	int e = end_of_uids(t, r->q->account, collection, &high);
	while (!e && low < high) {
		bool later = false;
		for (size_t i = 0; i < PROBES; i++) {
			at[i] = low + (high - low) * (i + 1) / (PROBES + 1);
			if (i == 0 || at[i] != at[i - 1])
				meta_expect(t, META_LIVE_FIRST_AFTER, "iii", r->q->account, collection, (int64_t)at[i]);
		}
		for (size_t i = 0; !e && !later && i < PROBES; i++) {
			if (at[i] < low)
				continue;
			e = came_later(t, r, collection, at[i], &later, &there);
			if (later)
				high = at[i];
			else
				low = there + 1;
		}
	}
	*uid = low > UINT32_MAX ? UINT32_MAX : (uint32_t)low;
	return e;
}

static int read_present(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows row;
	j->got = 0;
	int e = meta_query(t, &row, META_LIVE_EMAILS, "iiii", j->r->q->account, j->t->id, (int64_t)j->after, (int64_t)READ_CHUNK);
	if (e)
		return e;
	uint32_t after = j->after;
	while ((e = meta_next(&row)) > 0) {
		after = (uint32_t)meta_int(&row, 0);
		j->got++;
		if (email_counts_add(&j->counts, meta_int(&row, 1)))
			e = ERR_UNAVAILABLE;
		if (e < 0)
			break;
	}
	meta_done(&row);
	j->after = after;
	return e;
}

static int find_first(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	uint32_t uid;
	int e = restore_first_since(t, j->r, j->t->id, &uid);
	if (!e)
		j->after = uid - 1;
	return e;
}

static int read_counts(struct job *j)
{
	struct meta *m = service_store(j->r->s)->meta;
	int e = OK;
	j->after = 0;
	if (!j->t->id) /* not made yet: nothing is in it */
		return OK;
	if (j->t->id == j->source)
		e = meta_read(m, find_first, j);
	do {
		if (!e)
			e = meta_read(m, read_present, j);
	} while (!e && j->got == READ_CHUNK);
	return e;
}

/* Flags and keywords of then that are missing now, joined to those of now. \Deleted does not come back. Exact: those of
   then. */
static bool lost_flags(const struct run *r, const struct version *then, const struct version *now, struct arena *a, uint64_t *flags,
                       struct span *keywords)
{
	struct buffer all = { 0 };
	if (r->q->exact) {
		*flags = then->flags;
		*keywords = then->keywords;
		return *flags != now->flags || !span_eq(*keywords, now->keywords);
	}
	*flags = now->flags | (then->flags & ~(uint64_t)FLAG_DELETED);
	bool joined = keywords_union(&all, now->keywords, then->keywords) == OK; /* over the limit those of now stay */
	*keywords = joined ? arena_copy(a, buffer_span(&all)) : now->keywords;
	buffer_free(&all);
	return *flags != now->flags || !span_eq(*keywords, now->keywords);
}

static int give_back_flags(const struct run *r, struct change *c, struct collection *to, const struct version *then, uint64_t *flagged)
{
	struct version *now;
	struct span keywords;
	uint64_t flags;
	size_t n;
	int e = folder_versions(c, to->id, then->uid, then->uid, 1, &now, &n);
	if (e || n == 0 || !lost_flags(r, then, now, &c->arena, &flags, &keywords))
		return e;
	*flagged += 1;
	return change_entry_flags(c, to, now, flags, keywords);
}

/* A dry run's look at what a chunk would do. */
static int count_chunk(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct meta_rows row;
	j->linked = j->flagged = 0;
	for (size_t i = 0; i < j->n; i++)
		if (!j->chunk[i]->ended)
			meta_expect(t, META_LIVE_GET, "iii", j->r->q->account, j->source, (int64_t)j->chunk[i]->v.uid);
	for (size_t i = 0; i < j->n; i++) {
		const struct version *then = &j->chunk[i]->v;
		struct version now;
		struct span keywords;
		uint64_t flags;
		if (j->chunk[i]->ended) {
			j->linked++;
			continue;
		}
		int e = meta_one(t, &row, META_LIVE_GET, "iii", j->r->q->account, j->source, (int64_t)then->uid);
		if (e && e != ERR_NOT_FOUND)
			return e;
		if (e)
			continue;
		version_from_row(&row, &now);
		j->flagged += lost_flags(j->r, then, &now, &j->arena, &flags, &keywords);
		meta_done(&row);
	}
	return OK;
}

static int save_progress(struct job *j, struct meta_txn *t)
{
	struct buffer b = { 0 };
	progress_write(&j->reached, &b);
	int e = changeset_put(t, j->r->q->account, j->r->changeset, buffer_span(&b));
	buffer_free(&b);
	return e;
}

static int restore_chunk(struct job *j, struct change *c)
{
	struct collection *to;
	int e = j->t->id ? OK : restore_ensure_path(c, j->t->path, &j->target);
	if (!e)
		e = change_collection(c, j->target, &to);
	if (!e && to->attributes & FOLDER_NOSELECT) /* a name alone becomes a folder */
		e = change_collection_define(c, to->id, to->parent, to->name, to->attributes & ~FOLDER_NOSELECT, j->t->path, j->t->path);
	for (size_t i = 0; !e && i < j->n; i++) {
		struct version v = j->chunk[i]->v;
		if (!j->chunk[i]->ended) {
			e = give_back_flags(j->r, c, to, &v, &j->flagged);
			continue;
		}
		if (!j->r->q->exact)
			v.flags &= ~(uint64_t)FLAG_DELETED;
		e = change_entry_add(c, to, &v, j->source == j->target ? 0 : j->source);
		j->linked++;
	}
	return e;
}

/* Its target, if that is there, and those that are to get flags back. */
static void expect_chunk(struct meta_txn *t, const struct job *j)
{
	int64_t account = j->r->q->account;
	change_expect(t, account);
	if (!j->t->id)
		return;
	meta_expect(t, META_COLLECTION_GET, "ii", account, j->t->id);
	for (size_t i = 0; i < j->n; i++)
		if (!j->chunk[i]->ended)
			folder_expect_versions(t, account, j->t->id, j->chunk[i]->v.uid, j->chunk[i]->v.uid, 1);
}

static int run_chunk(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	struct change c;
	j->linked = j->flagged = 0;
	j->target = j->t->id;
	expect_chunk(t, j);
	int e = change_begin(&c, j->r->s, t, j->r->q->account, CHANGE_RESTORE, j->r->q->actor, j->r->changeset);
	if (!e)
		e = restore_chunk(j, &c);
	e = change_end(&c, e, &j->touched);
	return e ? e : save_progress(j, t);
}

static int commit_chunk(struct job *j)
{
	struct run *r = j->r;
	if (!j->n)
		return OK;
	j->reached = (struct progress){ j->source, j->chunk[j->n - 1]->v.uid };
	struct store *store = service_store(r->s);
	int e = r->q->dry_run ? meta_read(store->meta, count_chunk, j)
	                      : changeset_step(store, r->q->account, r->changeset, run_chunk, j);
	if (e)
		return e;
	if (!r->q->dry_run) {
		change_publish(r->s, &j->touched);
		j->t->id = j->target;
	}
	r->report.messages += j->linked;
	r->report.flags += j->flagged;
	r->done += j->n;
	j->n = 0;
	if (r->q->progress)
		r->q->progress(r->q->ctx, r->done, r->total);
	return OK;
}

struct summary_read {
	int64_t email;
	struct arena arena;
	struct span summary;
};

static int read_summary(struct meta_txn *t, void *arg)
{
	struct summary_read *q = arg;
	struct meta_rows row;
	int e = meta_one(t, &row, META_EMAIL_SUMMARY, "i", q->email);
	if (e)
		return e;
	arena_reset(&q->arena);
	q->summary = arena_copy(&q->arena, meta_span(&row, 0));
	meta_done(&row);
	return OK;
}

static int matches(struct job *j, const struct candidate *k, bool *yes)
{
	struct run *r = j->r;
	struct summary_read q = { .email = k->v.email };
	*yes = true;
	if (match_all(&r->match))
		return OK;
	int e = meta_read(service_store(r->s)->meta, read_summary, &q);
	if (!e) {
		struct entry entry = { .uid = k->v.uid, .flags = k->v.flags, .keywords = k->v.keywords, .date = k->v.date,
			               .email = k->v.email, .size = k->v.size, .summary = q.summary };
		e = match_entry(&r->match, r->s, &entry, j->t->then->path, yes);
	}
	arena_free(&q.arena);
	return e;
}

struct liveness {
	int64_t account, collection;
	struct candidate **list; /* by UID */
	size_t n;
};

/* The end of the run that begins at i: one query reads who lives there, over small gaps. */
static size_t run_end(const struct liveness *q, size_t i)
{
	while (i + 1 < q->n && q->list[i + 1]->v.uid - q->list[i]->v.uid <= GAP_MAX)
		i++;
	return i + 1;
}

static int64_t run_width(const struct liveness *q, size_t from, size_t end)
{
	return (int64_t)q->list[end - 1]->v.uid - q->list[from]->v.uid + 1;
}

static int look_at_run(struct meta_txn *t, const struct liveness *q, size_t from, size_t end)
{
	struct meta_rows row;
	int more, e = meta_query(t, &row, META_LIVE_UIDS, "iiii", q->account, q->collection, (int64_t)q->list[from]->v.uid - 1,
	                         run_width(q, from, end));
	if (e)
		return e;
	for (size_t i = from; i < end; i++)
		q->list[i]->ended = true;
	while ((more = meta_next(&row)) > 0) {
		uint32_t uid = (uint32_t)meta_int(&row, 0);
		while (from < end && q->list[from]->v.uid < uid)
			from++;
		if (from < end && q->list[from]->v.uid == uid)
			q->list[from]->ended = false;
	}
	meta_done(&row);
	return more;
}

static int look_who_lives(struct meta_txn *t, void *arg)
{
	const struct liveness *q = arg;
	int e = OK;
	for (size_t i = 0, end; i < q->n; i = end) {
		end = run_end(q, i);
		meta_expect(t, META_LIVE_UIDS, "iiii", q->account, q->collection, (int64_t)q->list[i]->v.uid - 1, run_width(q, i, end));
	}
	for (size_t i = 0; !e && i < q->n; i = run_end(q, i))
		e = look_at_run(t, q, i, run_end(q, i));
	return e;
}

/* A version that another one followed says nothing of its entry's end: look. */
static int decide_lives(struct job *j)
{
	struct candidate *k = (struct candidate *)(void *)j->candidates.p;
	size_t n = j->candidates.n / sizeof *k;
	struct candidate *list[LOOK_CHUNK];
	struct liveness q = { j->r->q->account, j->source, list, 0 };
	int e = OK;
	for (size_t i = 0; !e && i < n; i++) {
		if (!k[i].ended)
			list[q.n++] = &k[i];
		if (q.n == LOOK_CHUNK || (q.n && i + 1 == n)) {
			e = meta_read(service_store(j->r->s)->meta, look_who_lives, &q);
			q.n = 0;
		}
	}
	return e;
}

static bool is_done(const struct progress *p, int64_t source, uint32_t uid)
{
	return source < p->collection || (source == p->collection && uid <= p->uid);
}

static int restore_all(struct job *j)
{
	struct run *r = j->r;
	struct candidate *k = (struct candidate *)(void *)j->candidates.p;
	size_t n = j->candidates.n / sizeof *k;
	r->total += n;
	int e = OK;
	for (size_t i = 0; !e && i < n && !restore_cancelled(r); i++) {
		bool yes;
		bool there = k[i].ended && email_counts_take(&j->counts, k[i].v.email); /* also what an earlier start has linked */
		if (there || is_done(&r->progress, j->source, k[i].v.uid))
			continue;
		e = matches(j, &k[i], &yes);
		if (!e && yes)
			j->chunk[j->n++] = &k[i];
		if (!e && j->n == CHUNK)
			e = commit_chunk(j);
	}
	return e ? e : commit_chunk(j);
}

static int find_target(struct meta_txn *t, void *arg)
{
	struct job *j = arg;
	return restore_find_path(t, j->r->q->account, j->t->path, &j->t->id);
}

static void tell(const struct run *r, const struct target *t, const struct restore_report *before)
{
	char line[1200];
	uint64_t messages = r->report.messages - before->messages, flags = r->report.flags - before->flags;
	if (!r->q->say || (!messages && !flags))
		return;
	snprintf(line, sizeof line, "%.*s: %llu message%s %s back, %llu %s flags back", SPAN_ARG(t->path),
	         (unsigned long long)messages, messages == 1 ? "" : "s", messages == 1 ? "comes" : "come", (unsigned long long)flags,
	         flags == 1 ? "gets" : "get");
	r->q->say(r->q->ctx, line);
}

int restore_ended(struct run *r, struct target *t, struct arena *keywords, struct version **out, size_t *n)
{
	struct job j = { .r = r, .t = t, .source = t->then->id };
	int e = read_candidates(&j);
	if (!e)
		e = decide_lives(&j);
	struct candidate *k = (struct candidate *)(void *)j.candidates.p;
	size_t all = j.candidates.n / sizeof *k;
	*n = 0;
	*out = calloc(all + 1, sizeof **out);
	if (!e && !*out)
		e = fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; !e && i < all; i++)
		if (k[i].ended)
			(*out)[(*n)++] = k[i].v;
	buffer_free(&j.candidates);
	*keywords = j.arena;
	return e;
}

int restore_messages(struct run *r, struct target *t)
{
	struct job *j = calloc(1, sizeof *j);
	struct restore_report before = r->report;
	if (!j)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*j = (struct job){ .r = r, .t = t, .source = t->then->id };
	int e = t->id ? OK : meta_read(service_store(r->s)->meta, find_target, j);
	if (!e)
		e = read_candidates(j);
	if (!e)
		e = decide_lives(j);
	if (!e && j->candidates.n)
		e = read_counts(j);
	if (!e)
		e = restore_all(j);
	tell(r, t, &before);
	buffer_free(&j->candidates);
	arena_free(&j->arena);
	email_counts_free(&j->counts);
	free(j);
	return e;
}
