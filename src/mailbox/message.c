/* Message bytes in: staged in the blob store while they are scanned, then linked to by a change. */
#include "message.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "acl_private.h"
#include "ahead.h"
#include "blob.h"
#include "change.h"
#include "clock.h"
#include "fail.h"
#include "flags.h"
#include "folder_private.h"
#include "incoming.h"
#include "mailbox_name.h"
#include "mime_summary.h"
#include "service_private.h"
#include "settings.h"
#include "staged.h"
#include "tree_private.h"
#include "varint.h"
#include "view_private.h"

enum { DELIVER_BATCH = 20, SUMMARY_MAX = 1 << 20 };

struct incoming {
	struct service *s;
	struct blob_stage *stage;
	struct mime_scan *scan;
	struct buffer summary;
	int64_t sent;
	int result;     /* the first failure */
	bool announced; /* the committer knows that a transaction is coming */
	int64_t blob;   /* the blob these bytes have already, or are to get */
	bool known;     /* it was there before */
	bool linked;    /* the running transaction has made sure of the blob's row */
};

int incoming_new(struct service *s, struct incoming **out)
{
	int e = service_room(s);
	if (e)
		return e;
	struct incoming *in = calloc(1, sizeof *in);
	if (!in || !(in->scan = mime_scan_new(NULL))) {
		free(in);
		return fail_with(ERR_UNAVAILABLE, "no memory");
	}
	in->s = s;
	in->summary.limit = SUMMARY_MAX;
	e = blob_stage_new(s->store->blob, &in->stage);
	if (e) {
		incoming_free(&in);
		return e;
	}
	meta_announce(s->store->meta);
	in->announced = true;
	*out = in;
	return OK;
}

int incoming_write(struct incoming *in, struct span bytes)
{
	if (in->result)
		return in->result;
	mime_scan_push(in->scan, bytes);
	return in->result = blob_stage_write(in->stage, bytes);
}

static int64_t hash_prefix(const void *sha256)
{
	int64_t h;
	memcpy(&h, sha256, sizeof h);
	return h;
}

static int find_blob(struct meta_txn *t, void *arg)
{
	struct incoming *in = arg;
	struct meta_rows r;
	const unsigned char *sha = blob_stage_sha256(in->stage);
	in->known = false;
	int e = meta_query(t, &r, META_BLOB_FIND, "ii", hash_prefix(sha), (int64_t)0);
	if (e)
		return e;
	while (!in->known && (e = meta_next(&r)) > 0) {
		if (span_eq(meta_span(&r, 1), span_from(sha, SHA256_DIGEST_LENGTH))) {
			in->known = true;
			in->blob = meta_int(&r, 0);
		}
	}
	meta_done(&r);
	return e < 0 ? e : OK;
}

static int summarize(struct incoming *in)
{
	struct mime_tree tree;
	struct mime_summary view;
	mime_scan_end(in->scan, &tree);
	int e = mime_summary_build(&tree, &in->summary);
	if (!e)
		e = mime_summary_open(buffer_span(&in->summary), &view);
	if (!e)
		in->sent = view.has_date ? view.date.seconds : INT64_MIN;
	mime_scan_free(&in->scan);
	return e;
}

int incoming_find(struct incoming *in)
{
	if (!in->result && !in->known)
		in->result = meta_read(in->s->store->meta, find_blob, in);
	return in->result;
}

/* Did the same content come in lately? A hint that spares most deliveries a look into the store: what it misses is stored
   once more. */
static bool seen_lately(struct incoming *in)
{
	int64_t hash = hash_prefix(blob_stage_sha256(in->stage));
	return atomic_exchange(&in->s->seen[(uint64_t)hash % SEEN_HASHES], hash) == hash;
}

int incoming_finish(struct incoming *in)
{
	if (!in->result)
		in->result = summarize(in);
	if (!in->result)
		in->result = blob_stage_finish(in->stage);
	if (!in->result)
		in->blob = mint_id(&in->s->store->mint);
	return in->result;
}

const unsigned char *incoming_sha256(const struct incoming *in)
{
	return blob_stage_sha256(in->stage);
}

uint64_t incoming_size(const struct incoming *in)
{
	return blob_stage_size(in->stage);
}

void incoming_free(struct incoming **inp)
{
	struct incoming *in = *inp;
	*inp = NULL;
	if (!in)
		return;
	if (in->announced)
		meta_unannounce(in->s->store->meta);
	mime_scan_free(&in->scan);
	blob_stage_free(&in->stage);
	buffer_free(&in->summary);
	free(in);
}

/* Looked at again although it was known: purge may have condemned it meanwhile. The row is written, not just read, so that
   a purge on another database node that condemns it at the same moment and this link cannot both be committed. */
static int link_known(struct incoming *in, struct meta_txn *t)
{
	struct meta_rows r;
	int e = meta_one(t, &r, META_BLOB_LOCK, "i", in->blob);
	if (e && e != ERR_NOT_FOUND)
		return e;
	int64_t state = e ? 1 : meta_int(&r, 0);
	if (!e)
		meta_done(&r);
	return state == 0 ? meta_do(t, META_BLOB_LINK, "ii", clock_now(), in->blob) : fail_with(ERR_CONFLICT, "the blob went away");
}

static int link_new(struct incoming *in, struct meta_txn *t)
{
	struct blob_location at;
	const unsigned char *sha = blob_stage_sha256(in->stage);
	int e = store_put_body(t, in->stage, in->blob, &at);
	if (e)
		return e;
	return meta_do(t, META_BLOB_ADD, "iiibiiiii", in->blob, (int64_t)0, hash_prefix(sha),
	               span_from(sha, SHA256_DIGEST_LENGTH), (int64_t)blob_stage_size(in->stage), at.pack, at.offset, at.stored,
	               clock_now());
}

/* The stages of those whose bytes are not in the store yet. */
static size_t new_stages(struct incoming *const *in, size_t n, struct blob_stage **out)
{
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (!in[i]->known)
			out[k++] = in[i]->stage;
	return k;
}

/* A blob that was known is being removed: all bytes are written anew. */
static void forget_known(struct incoming *const *in, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (in[i]->known) {
			in[i]->known = false;
			in[i]->blob = mint_id(&in[i]->s->store->mint);
		}
}

int incoming_commit(struct incoming *const *in, size_t n, meta_fn *fn, void *arg, const struct touched *touched, size_t n_touched)
{
	struct blob_stage *stages[INCOMING_BATCH] = { NULL };
	struct service *s = in[0]->s;
	int e = OK;
	for (size_t i = 0; !e && i < n; i++)
		e = in[i]->result;
	if (e)
		return e;
	for (size_t i = 0; i < n; i++) {
		if (in[i]->announced && i)
			meta_unannounce(s->store->meta);
		in[i]->announced = false; /* the first one's is taken back by running the transaction */
	}
	e = service_commit(s, stages, new_stages(in, n, stages), fn, arg, touched, n_touched);
	if (e == ERR_CONFLICT) {
		forget_known(in, n);
		e = service_commit(s, stages, new_stages(in, n, stages), fn, arg, touched, n_touched);
	}
	for (size_t i = 0; !e && i < n; i++)
		in[i]->known = true;
	return e;
}

void incoming_expect(struct meta_txn *t, const struct incoming *in)
{
	if (in->known)
		meta_expect(t, META_BLOB_LOCK, "i", in->blob);
}

void incoming_begin(struct incoming *in)
{
	in->linked = false;
}

int incoming_add(struct incoming *in, struct change *c, struct collection *to, struct version *v)
{
	int e = in->linked ? OK : in->known ? link_known(in, c->t) : link_new(in, c->t);
	in->linked = !e;
	if (!e)
		e = change_email_add(c, in->blob, blob_stage_size(in->stage), in->sent, buffer_span(&in->summary), &v->email);
	v->size = blob_stage_size(in->stage);
	return e ? e : change_entry_add(c, to, v, 0);
}

/* One of the recipients, what counts for its account, and what makes a delivery of the same bytes to it the same one. */
struct target {
	struct recipient *r;
	int64_t quota, window;
	unsigned char hash[16]; /* over folder and sender */
};

struct delivery {
	struct incoming *in;
	struct span sender;
	struct target to[DELIVER_BATCH];
	size_t n;
	const struct actor *actor;
	struct touched touched[DELIVER_BATCH];
};

static void delivery_hash(const struct delivery *d, const struct recipient *r, unsigned char hash[16])
{
	unsigned char full[SHA256_DIGEST_LENGTH];
	struct buffer b = { 0 };
	varint_put_span(&b, r->folder);
	varint_put_span(&b, d->sender);
	SHA256((const unsigned char *)b.p, b.n, full);
	memcpy(hash, full, 16);
	buffer_free(&b);
}

static struct span sha256_of(const struct incoming *in)
{
	return span_from(blob_stage_sha256(in->stage), SHA256_DIGEST_LENGTH);
}

static struct span hash_of(const struct target *k)
{
	return span_from(k->hash, sizeof k->hash);
}

static int is_duplicate(struct change *c, const struct incoming *in, const struct target *k, bool *duplicate)
{
	struct meta_rows r;
	struct span sha = sha256_of(in);
	int e = meta_one(c->t, &r, META_DELIVERY_GET, "iibib", hash_prefix(sha.p), (int64_t)0, sha, c->account, hash_of(k));
	if (e)
		return e == ERR_NOT_FOUND ? OK : e;
	int64_t blob = meta_int(&r, 0);
	*duplicate = meta_int(&r, 1) + k->window > c->stamp;
	meta_done(&r);
	return *duplicate ? OK : meta_do(c->t, META_DELIVERY_DROP, "iib", blob, c->account, hash_of(k));
}

/* INBOX, if the folder that was asked for is not there. */
static int find_folder(struct change *c, struct span path, struct collection **to)
{
	int e = path.n ? folder_selectable(c, path, to) : ERR_NOT_FOUND;
	return e == ERR_NOT_FOUND ? change_collection(c, INBOX, to) : e;
}

static int deliver_into(struct change *c, struct delivery *d, struct target *k)
{
	struct collection *to;
	struct version v = { .date = c->stamp };
	struct recipient *r = k->r;
	int e = is_duplicate(c, d->in, k, &r->duplicate);
	if (e || r->duplicate)
		return e;
	e = change_room(c, k->quota, incoming_size(d->in));
	if (!e)
		e = find_folder(c, r->folder, &to);
	if (!e)
		e = incoming_add(d->in, c, to, &v);
	if (!e)
		e = meta_do(c->t, META_DELIVERY_ADD, "iibii", d->in->blob, c->account, hash_of(k), c->stamp, c->number);
	if (e)
		return e;
	change_note(c, LOG_ENVELOPE, to->id, d->sender, r->address);
	r->uid = v.uid;
	return OK;
}

static int deliver_one(struct meta_txn *t, struct delivery *d, struct target *k, struct touched *touched)
{
	struct change c;
	k->r->duplicate = false;
	int e = change_begin(&c, d->in->s, t, k->r->account, CHANGE_DELIVER, d->actor, 0);
	if (!e)
		e = deliver_into(&c, d, k);
	return change_end(&c, e, touched);
}

static bool begins_with_inbox(struct span path)
{
	struct span first;
	return mailbox_name_next(&path, &first) && mailbox_name_is_inbox(first);
}

/* What the delivery to one of them will read. INBOX is not named twice: the second answer would be left for whoever comes next
   to the same account, and by then that row has changed. */
static void expect_target(struct meta_txn *t, const struct delivery *d, const struct target *k)
{
	struct span sha = sha256_of(d->in);
	int64_t account = k->r->account;
	change_expect(t, account);
	meta_expect(t, META_DELIVERY_GET, "iibib", hash_prefix(sha.p), (int64_t)0, sha, account, hash_of(k));
	tree_expect_path(t, account, k->r->folder);
	if (!begins_with_inbox(k->r->folder))
		meta_expect(t, META_COLLECTION_GET, "ii", account, (int64_t)INBOX);
}

/* All of it at once, but for an account that comes again: what is read for it then, its first delivery has changed. */
static void expect_delivery(struct meta_txn *t, const struct delivery *d)
{
	for (size_t i = 0; i < d->n; i++)
		if (i == 0 || d->to[i].r->account != d->to[i - 1].r->account)
			expect_target(t, d, &d->to[i]);
	incoming_expect(t, d->in);
}

static int run_delivery(struct meta_txn *t, void *arg)
{
	struct delivery *d = arg;
	int e = OK;
	incoming_begin(d->in);
	expect_delivery(t, d);
	for (size_t i = 0; !e && i < d->n; i++) {
		e = deliver_one(t, d, &d->to[i], &d->touched[i]);
		d->to[i].r->result = e;
		/* nothing was written for an account that ended since RCPT, or has no room: the others go on */
		if (e == ERR_NOT_FOUND || e == ERR_QUOTA)
			e = OK;
	}
	return e;
}

static int by_account(const void *a, const void *b)
{
	int64_t x = ((const struct target *)a)->r->account, y = ((const struct target *)b)->r->account;
	return (x > y) - (x < y);
}

/* In the order of accounts, so that two deliveries to the same ones do not wait for each other. */
static void deliver_batch(struct delivery *d)
{
	if (d->n == 0)
		return;
	qsort(d->to, d->n, sizeof *d->to, by_account);
	for (size_t i = 0; i < d->n; i++)
		d->touched[i] = (struct touched){ 0 };
	int e = incoming_commit(&d->in, 1, run_delivery, d, d->touched, d->n);
	for (size_t i = 0; i < d->n; i++) {
		struct recipient *r = d->to[i].r;
		if (e)
			r->result = e;
		else if (!r->result)
			atomic_fetch_add(r->duplicate ? &d->in->s->duplicates : &d->in->s->deliveries, 1);
	}
	d->n = 0;
}

/* An earlier recipient that leads to the same folder of the same account; NULL if there is none. */
static const struct recipient *same_before(const struct recipient *r, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (r[k].account == r[i].account && span_eq(r[k].folder, r[i].folder))
			return &r[k];
	return NULL;
}

/* Adds it to the batch, or sets its result. */
static void add_target(struct delivery *d, struct recipient *r)
{
	struct settings settings;
	r->result = service_settings(d->in->s, r->account, &settings);
	if (!r->result && incoming_size(d->in) > (uint64_t)settings.message_max)
		r->result = ERR_LIMIT;
	if (r->result)
		return;
	struct target *k = &d->to[d->n++];
	*k = (struct target){ r, settings.quota, settings.duplicate_window };
	delivery_hash(d, r, k->hash);
}

/* Whoever is told the result of another: its own copy of the message would be the same entry. */
static void share_results(struct recipient *r, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct recipient *first = same_before(r, i);
		if (!first)
			continue;
		r[i].result = first->result;
		r[i].uid = first->uid;
		r[i].duplicate = !first->result;
	}
}

int deliver(struct service *s, struct incoming *in, struct span sender, struct recipient *r, size_t n, const struct actor *a)
{
	struct delivery d = { .in = in, .sender = sender, .actor = a };
	if (!in->result && seen_lately(in))
		incoming_find(in);
	if (in->result)
		return in->result;
	for (size_t i = 0; i < n; i++) {
		if (!same_before(r, i))
			add_target(&d, &r[i]);
		if (d.n == DELIVER_BATCH)
			deliver_batch(&d);
	}
	deliver_batch(&d);
	share_results(r, n);
	return OK;
}

struct append_request {
	struct service *s;
	int64_t account;
	struct span path;
	const struct append_message *m;
	size_t n;
	struct incoming *in[APPEND_MAX];
	int64_t replaced_in; /* a collection; 0: nothing is replaced */
	uint32_t replaced;
	int64_t quota;
	const struct actor *actor;
	unsigned rights; /* to the target, as of the change */
	struct touched touched;
	struct append_result result;
};
_Static_assert((int)APPEND_MAX <= (int)INCOMING_BATCH, "an append is one commit");

static int end_replaced(struct change *c, const struct append_request *q)
{
	struct collection *in;
	struct version *v;
	size_t n = 0;
	int e = change_collection(c, q->replaced_in, &in);
	if (!e)
		e = folder_versions(c, in->id, q->replaced, q->replaced, 1, &v, &n);
	if (e == ERR_NOT_FOUND || (!e && !n))
		return fail_with(ERR_CONFLICT, "the message to be replaced is not there any more");
	return e ? e : change_entry_end(c, in, v);
}

/* What the actor may not set there is passed over (RFC 4314, 4). */
static void cut_flags(const struct append_request *q, struct version *v)
{
	v->flags &= imap_rights_flags(q->rights);
	if (!(q->rights & RIGHT_WRITE))
		v->keywords = (struct span){ 0 };
}

static int append_one(struct change *c, struct append_request *q, size_t i, struct collection *to)
{
	const struct append_message *m = &q->m[i];
	struct version v = { .flags = m->flags, .keywords = m->keywords, .date = m->date ? m->date : c->stamp };
	cut_flags(q, &v);
	bool seen = q->actor->viewer && v.flags & FLAG_SEEN;
	if (seen)
		v.flags &= ~(uint64_t)FLAG_SEEN;
	int e = change_room(c, q->quota, incoming_size(m->in));
	if (!e)
		e = incoming_add(m->in, c, to, &v);
	if (!e && seen)
		e = change_entry_seen(c, to, q->actor->viewer, v.uid, true);
	if (!e && i == 0)
		q->result = (struct append_result){ to->uidvalidity, v.uid, c->number };
	return e;
}

static int append_into(struct change *c, struct append_request *q)
{
	struct collection *to;
	int e = folder_selectable(c, q->path, &to);
	if (!e)
		e = acl_allow(c, to->id, RIGHT_INSERT); /* the messages may have come slowly */
	q->rights = RIGHTS_ALL;
	if (!e && q->actor->viewer)
		e = acl_rights_to(c->t, c->account, to->id, q->actor->viewer, &q->rights);
	if (!e && q->replaced_in)
		e = acl_allow(c, q->replaced_in, RIGHT_DELETE | RIGHT_EXPUNGE);
	if (!e && q->replaced_in)
		e = end_replaced(c, q);
	for (size_t i = 0; !e && i < q->n; i++)
		e = append_one(c, q, i, to);
	return e;
}

/* Of several messages only the first one's bytes are asked for: the answer for the same bytes again would be an old one. */
static int run_append(struct meta_txn *t, void *arg)
{
	struct append_request *q = arg;
	struct change c;
	for (size_t i = 0; i < q->n; i++)
		incoming_begin(q->in[i]);
	change_expect(t, q->account);
	tree_expect_path(t, q->account, q->path);
	if (q->replaced_in)
		folder_expect_versions(t, q->account, q->replaced_in, q->replaced, q->replaced, 1);
	incoming_expect(t, q->in[0]);
	int e = change_begin(&c, q->s, t, q->account, CHANGE_APPEND, q->actor, 0);
	if (!e)
		e = append_into(&c, q);
	return change_end(&c, e, &q->touched);
}

static int take_message(struct append_request *q, size_t i, uint64_t max)
{
	q->in[i] = q->m[i].in;
	if (incoming_size(q->in[i]) > max)
		return fail_with(ERR_LIMIT, "a message of %llu bytes is too big", (unsigned long long)incoming_size(q->in[i]));
	return incoming_find(q->in[i]);
}

static int commit_append(struct append_request *q, struct append_result *out)
{
	struct settings settings;
	int e = service_settings(q->s, q->account, &settings);
	if (e)
		return e;
	q->quota = settings.quota;
	for (size_t i = 0; !e && i < q->n; i++)
		e = take_message(q, i, (uint64_t)settings.message_max);
	if (!e)
		e = incoming_commit(q->in, q->n, run_append, q, &q->touched, 1);
	if (!e)
		*out = q->result;
	return e;
}

int append(struct service *s, int64_t account, struct span path, const struct append_message *m, size_t n,
           const struct actor *a, struct append_result *out)
{
	struct append_request q = { .s = s, .account = account, .path = path, .m = m, .n = n, .actor = a };
	return commit_append(&q, out);
}

int replace(struct view *v, uint32_t uid, struct span path, const struct append_message *m, const struct actor *a,
            struct append_result *out)
{
	struct append_request q = { .s = v->s, .account = v->account, .path = path, .m = m, .n = 1, .actor = a,
		                    .replaced_in = v->info.folder.id, .replaced = uid };
	int e = view_check_writable(v);
	return e ? e : commit_append(&q, out);
}

struct message {
	struct service *s;
	int64_t email;
	struct message_place place; /* of its body, or of another of the same bytes */
	int64_t copy;               /* the last other body that was tried */
	struct blob_reader *reader; /* NULL after a failure */
};

void message_place_from_row(const struct meta_rows *r, int column, struct message_place *out)
{
	struct span sha = meta_span(r, column + 7);
	*out = (struct message_place){
		.email_size = meta_int(r, column), .pack = meta_int(r, column + 1), .pack_at = meta_int(r, column + 2),
		.stored = meta_int(r, column + 3), .size = meta_int(r, column + 4), .body = meta_int(r, column + 5),
		.domain = meta_int(r, column + 6),
	};
	if (sha.n == sizeof out->sha256)
		memcpy(out->sha256, sha.p, sha.n);
}

static int find_message(struct meta_txn *t, void *arg)
{
	struct message *m = arg;
	struct meta_rows r;
	m->place.stored = 0;
	int e = meta_one(t, &r, META_EMAIL_BLOB, "i", m->email);
	if (e)
		return e;
	message_place_from_row(&r, 0, &m->place);
	meta_done(&r);
	return OK;
}

static int find_copy(struct meta_txn *t, void *arg)
{
	struct message *m = arg;
	struct message_place *p = &m->place;
	struct meta_rows r;
	int64_t found = 0;
	int e = meta_query(t, &r, META_BLOB_COPIES, "iii", hash_prefix(p->sha256), p->domain, m->copy);
	if (e)
		return e;
	while (!found && (e = meta_next(&r)) > 0) {
		if (meta_int(&r, 0) == p->body || !span_eq(meta_span(&r, 1), span_from(p->sha256, sizeof p->sha256)))
			continue;
		found = meta_int(&r, 0);
		p->pack = meta_int(&r, 2);
		p->pack_at = meta_int(&r, 3);
		p->stored = meta_int(&r, 4);
	}
	meta_done(&r);
	m->copy = found ? found : m->copy;
	return e < 0 ? e : found ? OK : ERR_NOT_FOUND;
}

/* row: the record, where it is at hand. */
static int open_record(struct message *m, struct span row)
{
	const struct message_place *p = &m->place;
	struct blob_location at = { p->pack, p->pack_at, p->stored };
	blob_reader_close(&m->reader);
	int e = row.n ? blob_reader_open_row(m->s->store->blob, &at, row, &m->reader) : blob_reader_open(m->s->store->blob, &at, &m->reader);
	/* rows have no checksum of their own: a damaged one must not lead to somebody else's message */
	bool right = !e && blob_reader_size(m->reader) == (uint64_t)p->size && p->email_size == p->size &&
	             !memcmp(blob_reader_sha256(m->reader), p->sha256, sizeof p->sha256);
	if (e || right)
		return e;
	blob_reader_close(&m->reader);
	return fail_with(ERR_CORRUPT, "email %lld: the record there is another message", (long long)m->email);
}

static int open_at(struct message *m)
{
	return open_record(m, (struct span){ 0 });
}

/* At where the body lies by now. */
static int find_reader(struct message *m)
{
	int e = meta_read(m->s->store->meta, find_message, m);
	return e ? e : open_at(m);
}

/* A miss may only mean that the body moved to a pack, or to another one, since: look again before calling it lost. */
static int open_reader(struct message *m, struct span row)
{
	int e = m->place.body ? open_record(m, row) : ERR_NOT_FOUND;
	if (e == ERR_NOT_FOUND || e == ERR_CORRUPT)
		e = find_reader(m);
	if (e == ERR_NOT_FOUND && m->place.stored)
		e = find_reader(m);
	if (e == ERR_NOT_FOUND && m->place.stored)
		return fail_with(ERR_CORRUPT, "email %lld: its bytes are not there", (long long)m->email);
	return e;
}

/* What cannot be read here may have come in a second time. The damage stays for check to tell. */
static int open_copy(struct message *m)
{
	char why[512];
	int e;
	snprintf(why, sizeof why, "%s", fail_detail());
	do {
		e = meta_read(m->s->store->meta, find_copy, m);
	} while (!e && (e = open_at(m)) && e != ERR_UNAVAILABLE);
	if (e)
		blob_reader_close(&m->reader);
	return e == ERR_NOT_FOUND ? fail_with(ERR_CORRUPT, "%s", why) : e;
}

static int open_message(struct service *s, int64_t email, const struct message_place *place, struct span row, struct message **out)
{
	struct message *m = calloc(1, sizeof *m);
	if (!m)
		return fail_with(ERR_UNAVAILABLE, "no memory");
	*m = (struct message){ .s = s, .email = email };
	if (place)
		m->place = *place;
	int e = open_reader(m, row);
	if (e == ERR_CORRUPT)
		e = open_copy(m);
	if (e)
		message_close(&m);
	else
		*out = m;
	return e;
}

int message_open(struct service *s, int64_t email, struct message **out)
{
	return open_message(s, email, NULL, (struct span){ 0 }, out);
}

int message_open_entry(struct service *s, const struct entry *e, struct message **out)
{
	struct span row = e->place ? ahead_find(e->ahead, e->place->body) : (struct span){ 0 };
	return open_message(s, e->email, e->place, row, out);
}

uint64_t message_size(const struct message *m)
{
	return (uint64_t)m->place.size;
}

int message_at(struct message *m, uint64_t offset, struct span *out)
{
	int e = m->reader ? blob_reader_at(m->reader, offset, out) : ERR_NOT_FOUND;
	if (e == ERR_NOT_FOUND) { /* the pack was removed since the message was opened */
		e = open_reader(m, (struct span){ 0 });
		e = e ? e : blob_reader_at(m->reader, offset, out);
	}
	while (e == ERR_CORRUPT && (e = open_copy(m)) == OK)
		e = blob_reader_at(m->reader, offset, out);
	return e;
}

void message_close(struct message **m)
{
	if (!*m)
		return;
	blob_reader_close(&(*m)->reader);
	free(*m);
	*m = NULL;
}
