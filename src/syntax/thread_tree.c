#include "thread_tree.h"

#include <stdlib.h>
#include <xxhash.h>

#include "fail.h"
#include "link_forest.h"
#include "message_id.h"

/* A message, or a dummy: one that others refer to and that is not there, or that holds together what has one subject. Numbered
   from 1; NONE is no node. */
enum { NONE = 0 };

struct node {
	bool is_message, refwd;
	bool told;                /* a dummy: it stands in the list of roots */
	uint32_t number;
	uint32_t parent;
	uint32_t merged;          /* a dummy whose children are those of this one now */
	uint32_t child, next;     /* first child and next sibling; of a root: the next root */
	uint32_t children;        /* how many, before subjects are looked at */
	int64_t sent;
	size_t text, text_n;      /* the base subject */
	size_t id, id_n;          /* the message identifier */
};

/* Names, open addressing: a node's place, by the hash of its text. */
struct table {
	uint32_t *v;
	size_t cap, used;
};

struct thread_tree {
	enum thread_algorithm algorithm;
	uint64_t seed;
	size_t limit;
	struct buffer nodes;   /* struct node; place 0 is unused */
	struct buffer links;   /* struct link_node, likewise */
	struct buffer text;    /* subjects and identifiers */
	struct table ids;
	uint32_t first_root;
};

static struct node *node_at(const struct thread_tree *t, uint32_t i)
{
	return (struct node *)(void *)t->nodes.p + i;
}

static struct link_node *links_of(const struct thread_tree *t)
{
	return (void *)t->links.p;
}

static uint32_t count(const struct thread_tree *t)
{
	return (uint32_t)(t->nodes.n / sizeof(struct node));
}

static int too_large(void)
{
	return fail_with(ERR_LIMIT, "these are too many messages to be threaded");
}

static size_t memory_of(const struct thread_tree *t)
{
	return t->nodes.cap + t->links.cap + t->text.cap + t->ids.cap * sizeof *t->ids.v;
}

static int add_node(struct thread_tree *t, const struct node *n, uint32_t *out)
{
	struct link_node alone = { 0 };
	*out = count(t);
	buffer_put(&t->nodes, n, sizeof *n);
	buffer_put(&t->links, &alone, sizeof alone);
	bool ok = buffer_ok(&t->nodes) && buffer_ok(&t->links) && buffer_ok(&t->text) && memory_of(t) <= t->limit &&
	          count(t) < UINT32_MAX / 2;
	return ok ? OK : too_large();
}

int thread_tree_new(enum thread_algorithm algorithm, size_t memory, uint64_t seed, struct thread_tree **out)
{
	struct thread_tree *t = calloc(1, sizeof *t);
	if (!t)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*t = (struct thread_tree){ .algorithm = algorithm, .seed = seed, .limit = memory };
	uint32_t unused;
	int rc = add_node(t, &(struct node){ 0 }, &unused);
	if (rc)
		thread_tree_free(&t);
	else
		*out = t;
	return rc;
}

void thread_tree_free(struct thread_tree **tp)
{
	struct thread_tree *t = *tp;
	*tp = NULL;
	if (!t)
		return;
	buffer_free(&t->nodes);
	buffer_free(&t->links);
	buffer_free(&t->text);
	free(t->ids.v);
	free(t);
}

/* ---- Names */

static struct span id_of(const struct thread_tree *t, uint32_t i)
{
	const struct node *n = node_at(t, i);
	return span_sub(buffer_span(&t->text), n->id, n->id_n);
}

static struct span subject_of(const struct thread_tree *t, uint32_t i)
{
	const struct node *n = node_at(t, i);
	return span_sub(buffer_span(&t->text), n->text, n->text_n);
}

typedef struct span name_fn(const struct thread_tree *t, uint32_t i);

/* Where the name stands, or the free place for it. */
static uint32_t *find(const struct thread_tree *t, const struct table *h, struct span name, name_fn *name_of)
{
	size_t i = XXH3_64bits_withSeed(name.p, name.n, t->seed) & (h->cap - 1);
	while (h->v[i] != NONE && !span_eq(name_of(t, h->v[i]), name))
		i = (i + 1) & (h->cap - 1);
	return &h->v[i];
}

static int make_room(const struct thread_tree *t, struct table *h, name_fn *name_of)
{
	if (h->cap && h->used < h->cap / 2)
		return OK;
	struct table more = { .cap = h->cap ? h->cap * 2 : 64, .used = h->used };
	more.v = calloc(more.cap, sizeof *more.v);
	if (!more.v)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	for (size_t i = 0; i < h->cap; i++)
		if (h->v[i] != NONE)
			*find(t, &more, name_of(t, h->v[i]), name_of) = h->v[i];
	free(h->v);
	*h = more;
	return OK;
}

/* ---- (1) Links */

/* The node of the identifier that was put at the end of the text, from `id` on; a dummy where there was none. */
static int node_of_id(struct thread_tree *t, size_t id, uint32_t *out)
{
	int rc = buffer_ok(&t->text) ? make_room(t, &t->ids, id_of) : too_large();
	if (rc)
		return rc;
	struct span name = span_sub(buffer_span(&t->text), id, SIZE_MAX);
	uint32_t *place = find(t, &t->ids, name, id_of);
	if (*place != NONE) {
		t->text.n = id;
		*out = *place;
		return OK;
	}
	struct node n = { .id = id, .id_n = name.n };
	rc = add_node(t, &n, out);
	if (rc)
		return rc;
	*place = *out;
	t->ids.used++;
	return OK;
}

/* Unless child has a parent already, or is above that one. */
static void join(struct thread_tree *t, uint32_t parent, uint32_t child)
{
	if (node_at(t, child)->parent != NONE || link_root(links_of(t), parent) == child)
		return;
	link_join(links_of(t), child, parent);
	node_at(t, child)->parent = parent;
}

static void part(struct thread_tree *t, uint32_t child)
{
	if (node_at(t, child)->parent == NONE)
		return;
	link_cut(links_of(t), child);
	node_at(t, child)->parent = NONE;
}

/* (1.A): each reference is the parent of the one behind it. *last is NONE where there are none. */
static int join_references(struct thread_tree *t, struct span value, bool only_first, uint32_t *last)
{
	*last = NONE;
	for (size_t id = t->text.n; message_id_next(&value, &t->text); id = t->text.n) {
		uint32_t at;
		int rc = node_of_id(t, id, &at);
		if (rc)
			return rc;
		if (*last != NONE)
			join(t, *last, at);
		*last = at;
		if (only_first)
			break;
	}
	return OK;
}

/* A message whose identifier is missing, or another's, has none. */
static int node_of_message(struct thread_tree *t, struct span id, const struct node *n, uint32_t *out)
{
	size_t at = t->text.n;
	if (!message_id_next(&id, &t->text))
		return add_node(t, n, out);
	int rc = node_of_id(t, at, out);
	if (rc || node_at(t, *out)->is_message)
		return rc ? rc : add_node(t, n, out);
	struct node *found = node_at(t, *out);
	struct node filled = *n;
	filled.parent = found->parent;
	filled.id = found->id;
	filled.id_n = found->id_n;
	*found = filled;
	return OK;
}

int thread_tree_add(struct thread_tree *t, const struct thread_message *m)
{
	struct node n = { .is_message = true, .refwd = m->refwd, .number = m->number, .sent = m->sent,
		          .text = t->text.n, .text_n = m->subject.n };
	uint32_t at, last = NONE;
	buffer_put_span(&t->text, m->subject);
	if (t->algorithm == THREAD_ORDEREDSUBJECT)
		return add_node(t, &n, &at);
	int rc = node_of_message(t, m->id, &n, &at);
	if (!rc)
		rc = join_references(t, m->references, false, &last);
	if (!rc && last == NONE)
		rc = join_references(t, m->in_reply_to, true, &last);
	if (rc)
		return rc;
	part(t, at); /* (1.B): another's references may have been cut short, the message's own are not */
	if (last != NONE)
		join(t, last, at);
	return OK;
}

/* ---- (2) and (3) What becomes of dummies */

/* The message above, or the dummy that is the root there; NONE for a root. Dummies on the way are led there at once from now
   on, so all of it is linear. */
static uint32_t message_above(struct thread_tree *t, uint32_t i)
{
	uint32_t top = node_at(t, i)->parent;
	while (top != NONE && !node_at(t, top)->is_message && node_at(t, top)->parent != NONE)
		top = node_at(t, top)->parent;
	for (uint32_t at = node_at(t, i)->parent; at != top;) {
		uint32_t up = node_at(t, at)->parent;
		node_at(t, at)->parent = top;
		at = up;
	}
	return top;
}

static void drop_dummies(struct thread_tree *t)
{
	for (uint32_t i = 1; i < count(t); i++) {
		struct node *n = node_at(t, i);
		if (!n->is_message)
			continue;
		n->parent = message_above(t, i);
		node_at(t, n->parent)->children++;
	}
	for (uint32_t i = 1; i < count(t); i++) {
		struct node *n = node_at(t, i), *up = node_at(t, n->parent);
		if (n->is_message && n->parent != NONE && !up->is_message && up->children == 1)
			n->parent = NONE;
	}
}

/* ---- (4) to (6) */

static int by_date(const void *a, const void *b, void *arg)
{
	const struct node *x = node_at(arg, *(const uint32_t *)a), *y = node_at(arg, *(const uint32_t *)b);
	if (x->sent != y->sent)
		return x->sent < y->sent ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* All messages by the date they were sent, so that whatever is gathered from them in this order is in order. */
static int sort(struct thread_tree *t, struct buffer *order)
{
	for (uint32_t i = 1; i < count(t); i++)
		if (node_at(t, i)->is_message)
			buffer_put(order, &i, sizeof i);
	if (!buffer_ok(order))
		return too_large();
	if (order->n)
		qsort_r(order->p, order->n / sizeof(uint32_t), sizeof(uint32_t), by_date, t);
	return OK;
}

static uint32_t parent_of(const struct thread_tree *t, uint32_t i)
{
	uint32_t p = node_at(t, i)->parent;
	return p != NONE && node_at(t, p)->merged != NONE ? node_at(t, p)->merged : p;
}

/* The roots in order: a dummy stands where its first child does. */
static void list_roots(struct thread_tree *t, const uint32_t *order, size_t n, struct buffer *roots)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t at = order[i], p = parent_of(t, at);
		if (p != NONE && (node_at(t, p)->is_message || parent_of(t, p) != NONE || node_at(t, p)->told))
			continue;
		if (p != NONE) {
			node_at(t, p)->told = true;
			/* the dummy's subject is that of its first child */
			node_at(t, p)->text = node_at(t, at)->text;
			node_at(t, p)->text_n = node_at(t, at)->text_n;
			node_at(t, p)->refwd = node_at(t, at)->refwd;
			at = p;
		}
		buffer_put(roots, &at, sizeof at);
	}
}

/* (5.B): which root stands for a subject. */
static bool replaces(const struct node *now, const struct node *other)
{
	return now->is_message && (!other->is_message || (now->refwd && !other->refwd));
}

/* (5.C): one root and the one that stands for its subject become one. */
static int merge(struct thread_tree *t, uint32_t i, uint32_t *place)
{
	struct node *n = node_at(t, i), *to = node_at(t, *place);
	struct node dummy = { .text = to->text, .text_n = to->text_n };
	uint32_t made;
	if (!n->is_message && !to->is_message) {
		n->merged = *place;
	} else if (!to->is_message || (n->refwd && !to->refwd)) {
		n->parent = *place;
	} else {
		int rc = add_node(t, &dummy, &made);
		if (rc)
			return rc;
		node_at(t, i)->parent = node_at(t, *place)->parent = made;
		*place = made;
	}
	return OK;
}

static int merge_subjects(struct thread_tree *t, const uint32_t *roots, size_t n, struct table *subjects)
{
	int rc = OK;
	for (size_t i = 0; i < n && !rc; i++) {
		struct span subject = subject_of(t, roots[i]);
		rc = subject.n ? make_room(t, subjects, subject_of) : OK;
		if (rc || subject.n == 0)
			continue;
		uint32_t *place = find(t, subjects, subject, subject_of);
		if (*place == NONE)
			subjects->used++;
		if (*place == NONE || replaces(node_at(t, *place), node_at(t, roots[i])))
			*place = roots[i];
	}
	for (size_t i = 0; i < n && !rc; i++) {
		struct span subject = subject_of(t, roots[i]);
		uint32_t *place = subject.n ? find(t, subjects, subject, subject_of) : NULL;
		if (place && *place != roots[i])
			rc = merge(t, roots[i], place);
	}
	return rc;
}

/* ORDEREDSUBJECT: the first message of a subject has all others as its children. */
static int gather_subjects(struct thread_tree *t, const uint32_t *order, size_t n, struct table *subjects)
{
	for (size_t i = 0; i < n; i++) {
		int rc = make_room(t, subjects, subject_of);
		if (rc)
			return rc;
		uint32_t *place = find(t, subjects, subject_of(t, order[i]), subject_of);
		subjects->used += *place == NONE;
		if (*place == NONE)
			*place = order[i];
		else
			node_at(t, order[i])->parent = *place;
	}
	return OK;
}

/* (6): from the last to the first, each before what is there already. A dummy comes before what is there when its first
   child has come, which is the last of them to come. */
static void list_children(struct thread_tree *t, const uint32_t *order, size_t n, const uint32_t *roots, size_t n_roots)
{
	for (size_t i = n; i-- > 0;) {
		uint32_t p = parent_of(t, order[i]);
		if (p == NONE)
			continue;
		node_at(t, order[i])->next = node_at(t, p)->child;
		node_at(t, p)->child = order[i];
	}
	for (size_t i = n_roots; i-- > 0;) {
		node_at(t, roots[i])->next = t->first_root;
		t->first_root = roots[i];
	}
}

static int finish(struct thread_tree *t, struct buffer *order, struct buffer *roots, struct table *subjects)
{
	int rc = sort(t, order);
	const uint32_t *v = (const uint32_t *)(const void *)order->p;
	size_t n = order->n / sizeof *v;
	if (!rc && t->algorithm == THREAD_ORDEREDSUBJECT)
		rc = gather_subjects(t, v, n, subjects);
	if (!rc && t->algorithm == THREAD_REFERENCES) {
		list_roots(t, v, n, roots);
		rc = merge_subjects(t, (const uint32_t *)(const void *)roots->p, roots->n / sizeof *v, subjects);
		for (uint32_t i = 1; i < count(t); i++)
			node_at(t, i)->told = false;
		buffer_reset(roots);
	}
	if (rc)
		return rc;
	list_roots(t, v, n, roots);
	list_children(t, v, n, (const uint32_t *)(const void *)roots->p, roots->n / sizeof *v);
	return buffer_ok(roots) ? OK : too_large();
}

int thread_tree_finish(struct thread_tree *t)
{
	struct buffer order = { 0 }, roots = { 0 };
	struct table subjects = { 0 };
	if (t->algorithm == THREAD_REFERENCES)
		drop_dummies(t);
	int rc = finish(t, &order, &roots, &subjects);
	buffer_free(&order);
	buffer_free(&roots);
	free(subjects.v);
	return rc;
}

/* ---- The reply */

static bool is_only_child(const struct thread_tree *t, uint32_t i)
{
	return node_at(t, parent_of(t, i))->child == i && node_at(t, i)->next == NONE;
}

/* Down to a first child, else along to the next sibling of it or of what is above it. */
static uint32_t step(const struct thread_tree *t, uint32_t root, uint32_t at, struct buffer *out)
{
	const struct node *n = node_at(t, at);
	if (n->child != NONE) {
		if (n->is_message)
			buffer_putc(out, ' ');
		if (!is_only_child(t, n->child))
			buffer_putc(out, '(');
		return n->child;
	}
	for (; at != root; at = parent_of(t, at)) {
		if (node_at(t, at)->next != NONE) {
			buffer_puts(out, ")(");
			return node_at(t, at)->next;
		}
		if (!is_only_child(t, at))
			buffer_putc(out, ')');
	}
	return NONE;
}

void thread_tree_put(const struct thread_tree *t, struct buffer *out)
{
	for (uint32_t root = t->first_root; root != NONE; root = node_at(t, root)->next) {
		buffer_putc(out, '(');
		for (uint32_t at = root; at != NONE; at = step(t, root, at, out))
			if (node_at(t, at)->is_message)
				buffer_put_u64(out, node_at(t, at)->number);
		buffer_putc(out, ')');
	}
}
