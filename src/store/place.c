#include "place.h"

#include <stdio.h>
#include <time.h>

#include "fail.h"

enum { MARK_LOOKS = 20 };

/* What the database knows of bodies. */
struct known {
	const struct place *place;
	bool nodes, joined;   /* a node was here ever; of our name */
	char mark[BLOB_MARK]; /* "" for none */
};

static int look_for_mark(struct meta_txn *t, void *arg)
{
	struct known *k = arg;
	struct meta_rows r;
	*k->mark = 0;
	int e = meta_one(t, &r, META_FACT_GET, "s", SPAN("bodies"));
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	snprintf(k->mark, sizeof k->mark, "%.*s", SPAN_ARG(meta_span(&r, 0)));
	meta_done(&r);
	return OK;
}

static int look(struct meta_txn *t, void *arg)
{
	struct known *k = arg;
	struct meta_rows r;
	*k = (struct known){ .place = k->place };
	int e = meta_one(t, &r, META_NODE_MAX, "");
	if (e)
		return e;
	k->nodes = meta_int(&r, 0) > 0;
	meta_done(&r);
	if (k->nodes && !(e = meta_one(t, &r, META_NODE_BY_NAME, "s", span_of(k->place->node_name)))) {
		k->joined = true;
		meta_done(&r);
	}
	return e && e != ERR_NOT_FOUND ? e : look_for_mark(t, k);
}

/* Metadata that never saw a node beside bodies was lost, or is another's: nobody would ever find these bodies again. */
static int refuse_orphans(const struct place *p, const struct blob_options *o)
{
	bool bodies = false;
	int r = blob_holds_packs(p->blob_url, o, &bodies);
	if (!r && bodies)
		r = fail_with(ERR_INVALID, "the database that meta.url names is new and empty, but %s holds messages: put the lost "
			"metadata back, or name an empty folder for bodies", p->blob_url);
	return r;
}

static int claim(struct meta_txn *t, void *arg)
{
	int e = meta_try(t, META_FACT_ADD, "ss", SPAN("bodies"), span_of(arg));
	return e == ERR_EXISTS ? OK : e;
}

/* Nobody has written a body yet. The first to say where they go wins. */
static int settle(const struct place *p, struct meta *m, const struct blob_options *o, struct known *k)
{
	char mark[BLOB_MARK], ours[BLOB_MARK];
	int r = blob_mark(p->blob_url, o, NULL, mark);
	if (!r)
		return fail_with(ERR_INVALID, "%s holds the bodies of another database (its mark, .store or object 0, says so): name an empty place "
			"for bodies", p->blob_url);
	if (r != ERR_NOT_FOUND)
		return r;
	snprintf(ours, sizeof ours, "%s", p->instance);
	r = meta_run(m, claim, ours, NULL);
	return r ? r : meta_read(m, look, k);
}

/* Without a mark it is the right folder only for the node that has yet to put it there. */
static int compare(const struct place *p, const struct blob_options *o, const struct known *k)
{
	char mark[BLOB_MARK];
	bool first = !k->joined && !strcmp(k->mark, p->instance);
	int r = blob_mark(p->blob_url, o, first ? k->mark : NULL, mark);
	for (int i = 0; r == ERR_NOT_FOUND && i < MARK_LOOKS; i++) { /* the first node may just be about to put it there */
		nanosleep(&(struct timespec){ 0, 50 * 1000 * 1000 }, NULL);
		r = blob_mark(p->blob_url, o, NULL, mark);
	}
	if (r == ERR_NOT_FOUND)
		return fail_with(ERR_INVALID, "%s is not where the nodes of this store keep bodies, which has a mark (.store, or object 0) with %s: "
			"mount that folder, or name it in blob.url", p->blob_url, k->mark);
	if (!r && strcmp(mark, k->mark))
		return fail_with(ERR_INVALID, "%s holds the bodies of another store: its mark is %s, that of this store is %s",
			p->blob_url, mark, k->mark);
	return r;
}

int place_check(const struct place *p, struct meta *m, const struct blob_options *o)
{
	struct known k = { .place = p };
	int r = meta_read(m, look, &k);
	if (!r && !k.nodes)
		r = refuse_orphans(p, o);
	if (r || (!meta_shared(m) && !blob_is_far(p->blob_url)))
		return r;
	if (!*k.mark)
		r = settle(p, m, o, &k);
	if (!r)
		r = compare(p, o, &k);
	/* These bodies have no mark; or they cannot be reached now, and were the right ones before. */
	return r == ERR_CANNOT || (r == ERR_UNAVAILABLE && k.joined) ? OK : r;
}

int place_confirm(struct meta *m, struct blob_store *b)
{
	struct known k;
	char mark[BLOB_MARK] = "not there";
	int r = meta_read(m, look_for_mark, &k);
	if (r || !*k.mark)
		return r;
	r = blob_own_mark(b, mark);
	if (r == ERR_NOT_FOUND || (!r && strcmp(mark, k.mark)))
		return fail_with(ERR_INVALID, "the bodies are another store's, of which nothing is removed: their mark is %s, that of this store is %s",
			mark, k.mark);
	return r == ERR_CANNOT ? OK : r;
}
