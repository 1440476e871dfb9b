#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "metric.h"

#include "mint.h"

#include "driver.h"
#include "s3_client.h"
#include "s3_pack.h"

/* Packs as objects: PREFIX/<2 hex>/<node, 3 hex>-<boot epoch, 5 hex>-<sequence, 8 hex>, the first two digits being the last two of
 * the sequence, so that what is new is spread over the servers' indexes. PREFIX/0 is the store's mark.
 *
 * A store that does not answer is ERR_UNAVAILABLE; so is, once it is open, one whose keys or bucket are wrong now. Only a server that
 * says that the object is not there, in a bucket that is, makes a pack ERR_NOT_FOUND.
 *
 * A store that does not answer, or is full, when it is opened is opened all the same: what needs no bodies can go on, and it is proved
 * by the first pack that is written. */

struct s3_backend {
	struct blob_backend backend;
	struct s3_config config;
	struct s3_client *client, *mirror; /* mirror: NULL without */
	struct metrics *metrics;
	char dir[PATH_MAX];
	int64_t node;
	pthread_mutex_t lock; /* proving it */
	atomic_bool proved;
	atomic_bool reused; /* an id of ours was taken: metadata older than the bodies was put back */
	_Atomic int64_t mirror_told; /* clock_mono() of the last line about reads from the mirror */
};

#define MARK_KEY "0"
enum { UPLOAD_OLD_DAYS = 7, PAGE_MOST = 100000 };
#define MIRROR_TOLD_EVERY (60 * SECOND_US)

static struct s3_backend *s3_of(struct blob_backend *b)
{
	return (struct s3_backend *)b;
}

static void key_put(char out[static S3_KEY], int64_t pack)
{
	snprintf(out, S3_KEY, "%02x/%03x-%05x-%08x", (unsigned)(mint_sequence(pack) & 0xff), (unsigned)mint_node(pack),
		(unsigned)mint_epoch(pack), (unsigned)mint_sequence(pack));
}

/* false: the key is not one of ours. */
static bool key_get(struct span key, int64_t *pack)
{
	char text[S3_KEY], again[S3_KEY];
	unsigned spread, node, epoch, sequence;
	if (key.n >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(key));
	if (sscanf(text, "%2x/%3x-%5x-%8x", &spread, &node, &epoch, &sequence) != 4 || sequence > 0x7fffffff)
		return false;
	*pack = (int64_t)node << 51 | (int64_t)epoch << 31 | (int64_t)sequence;
	key_put(again, *pack);
	return !strcmp(text, again);
}

/* For the facade: what is wrong with the store is no concern of who reads or writes a body; it is down. */
static int down(int r)
{
	return r == ERR_DENIED || r == ERR_INVALID || r == ERR_TIMEOUT || r == ERR_CORRUPT || r == ERR_LIMIT ? ERR_UNAVAILABLE : r;
}

/* What Content-Range says: bytes FIRST-LAST/TOTAL. */
static bool read_range(struct span s, int64_t *first, int64_t *last, int64_t *total)
{
	char text[80];
	long long a, b, n;
	if (!s.p || s.n >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(s));
	if (sscanf(text, "bytes %18lld-%18lld/%18lld", &a, &b, &n) != 3)
		return false;
	*first = a, *last = b, *total = n;
	return true;
}

/* A part of an object came as it was asked for, or up to the object's end. */
static int check_range(struct s3_call *x)
{
	int64_t first, last, total;
	long long from = 0, to = 0;
	sscanf(x->headers[0].value.p, "bytes=%lld-%lld", &from, &to);
	if (x->http.status != 206 || !read_range(http_call_header(&x->http, "content-range"), &first, &last, &total))
		return fail_with(ERR_UNAVAILABLE, "object %s was asked for in part, and the server does not do so (%d)", x->key, x->http.status);
	if (first != from || last - first + 1 != (int64_t)x->http.into_n || (last != to && (last > to || last + 1 != total)))
		return fail_with(ERR_UNAVAILABLE, "object %s: the server sent %zu bytes and calls them %lld to %lld of %lld", x->key,
			x->http.into_n, (long long)first, (long long)last, (long long)total);
	return OK;
}

static int get(struct s3_client *c, int64_t pack, void *to, size_t n, int64_t offset, size_t *got)
{
	char key[S3_KEY], range[64];
	struct s3_call x = { .method = "GET", .key = key, .into = to, .into_size = n, .check = check_range,
		.headers = { { SPAN("range"), { range, 0 } } }, .n_headers = 1 };
	key_put(key, pack);
	x.headers[0].value.n = (size_t)snprintf(range, sizeof range, "bytes=%lld-%lld", (long long)offset, (long long)offset + (long long)n - 1);
	int r = s3_run(c, &x);
	if (!r)
		*got = x.http.into_n;
	s3_call_free(&x);
	return r;
}

static void tell_of_mirror(struct s3_backend *s)
{
	char quoted[400];
	int64_t told = atomic_load(&s->mirror_told), now = clock_mono();
	if ((!told || now - told > MIRROR_TOLD_EVERY) && atomic_compare_exchange_strong(&s->mirror_told, &told, now))
		log_line(LOG_WARN, "s3-mirror", "store=\"%s\" detail=%s", s3_client_where(s->mirror),
			log_quote(quoted, sizeof quoted, span_of(fail_detail())));
}

/* The first store's answer stands unless the mirror has the bytes; these are verified above us like any. */
static int get_mirrored(struct s3_backend *s, int64_t pack, void *to, size_t n, int64_t offset, size_t *got, int first)
{
	char why[300];
	snprintf(why, sizeof why, "%s", fail_detail());
	int r = get(s->mirror, pack, to, n, offset, got);
	fail_set_detail(why);
	if (r)
		return first;
	tell_of_mirror(s);
	metric_add(s->metrics, METRIC_S3_MIRROR, 0, 1);
	return OK;
}

static int s3_fetch(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset, size_t *got)
{
	struct s3_backend *s = s3_of(b);
	int r = get(s->client, pack, to, n, offset, got);
	if (r && r != ERR_CORRUPT)
		r = down(r);
	return r && s->mirror ? get_mirrored(s, pack, to, n, offset, got, r) : r;
}

static int s3_read(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	size_t got = 0;
	int r = n ? s3_fetch(b, pack, to, n, offset, &got) : OK;
	return !r && got < n ? fail_with(ERR_CORRUPT, "pack %llx ends at %lld", (long long)pack, (long long)(offset + (int64_t)got)) : r;
}

static int s3_read_other(struct blob_backend *b, int64_t pack, void *to, size_t n, int64_t offset)
{
	struct s3_backend *s = s3_of(b);
	size_t got = 0;
	if (!s->mirror)
		return fail_with(ERR_CANNOT, "blob.url names no mirror");
	tell_of_mirror(s);
	int r = get(s->mirror, pack, to, n, offset, &got);
	if (!r && got < n)
		r = fail_with(ERR_CORRUPT, "pack %llx ends at %lld", (long long)pack, (long long)(offset + (int64_t)got));
	metric_add(s->metrics, METRIC_S3_MIRROR, 0, !r);
	return r;
}

/* A bucket with versions keeps what is removed, and lets any number of writers win. */
static int prove_unversioned(struct s3_client *c)
{
	struct s3_call x = { .method = "GET", .query = { { SPAN("versioning"), SPAN("") } }, .n_query = 1 };
	char status[32] = "";
	int r = s3_run(c, &x);
	if (!r)
		r = s3_text_read(buffer_span(&x.http.answer), "VersioningConfiguration/Status", status, sizeof status);
	else if (x.http.status == 501)
		r = OK; /* a server without versions */
	s3_call_free(&x);
	if (!r && *status)
		r = fail_with(ERR_INVALID, "bucket %s has versioning (%.31s), with which removed mail would stay: name a bucket in blob.url that "
			"never had it", s3_client_where(c), status);
	return r;
}

static int run_simple(struct s3_client *c, const char *method, const char *key, struct span body, bool exclusive)
{
	struct s3_call x = { .method = method, .key = key, .body = body, .headers = { { SPAN("if-none-match"), SPAN("*") } },
		.n_headers = exclusive };
	int r = s3_run(c, &x);
	s3_call_free(&x);
	return r;
}

static int probe_read(struct s3_client *c, const char *key, struct span is)
{
	struct s3_call x = { .method = "GET", .key = key };
	int r = s3_run(c, &x);
	if (!r && !span_eq(buffer_span(&x.http.answer), is))
		r = fail_with(ERR_UNAVAILABLE, "%s gives back other bytes than were written", s3_client_where(c));
	s3_call_free(&x);
	return r;
}

/* An object is written, read, written again where it must not be, and removed. */
static int prove_rights(struct s3_client *c)
{
	char key[S3_KEY];
	uint64_t random;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return fail_errno("getrandom", "a name");
	snprintf(key, sizeof key, "0-%016llx", (unsigned long long)random);
	struct span text = span_of(key);
	int r = run_simple(c, "PUT", key, text, false);
	if (!r)
		r = probe_read(c, key, text);
	if (r)
		return r;
	int again = run_simple(c, "PUT", key, text, true);
	if (again && again != ERR_EXISTS)
		r = again;
	else if (!again)
		r = fail_with(ERR_INVALID, "%s does not know If-None-Match: it may write one object over another; use a server that does",
			s3_client_where(c));
	int removed = run_simple(c, "DELETE", key, SPAN(""), false);
	return r ? r : removed;
}

static int prove(struct s3_backend *s)
{
	int r = OK;
	if (atomic_load(&s->proved))
		return OK;
	pthread_mutex_lock(&s->lock);
	if (!atomic_load(&s->proved)) {
		r = prove_unversioned(s->client);
		if (!r)
			r = prove_rights(s->client);
		atomic_store(&s->proved, !r);
	}
	pthread_mutex_unlock(&s->lock);
	return r;
}

static void s3_close(struct blob_backend *b)
{
	struct s3_backend *s = s3_of(b);
	s3_client_free(&s->client);
	s3_client_free(&s->mirror);
	pthread_mutex_destroy(&s->lock);
	explicit_bzero(&s->config, sizeof s->config);
	free(s);
}

static int s3_set_up(struct s3_backend *s, const char *where, const char *query, const struct blob_driver_options *o)
{
	char quoted[400];
	if (snprintf(s->dir, sizeof s->dir, "%s", o->dir) >= (int)sizeof s->dir)
		return fail_with(ERR_INVALID, "path too long: %.200s...", o->dir);
	int r = s3_config_read(where, query, o->dir, &s->config);
	if (!r)
		r = s3_client_new(&s->config, &s->config.place, o->metrics, &s->client);
	if (!r && s->config.mirror.n_endpoints)
		r = s3_client_new(&s->config, &s->config.mirror, o->metrics, &s->mirror);
	if (r)
		return r;
	r = o->node ? prove(s) : OK;
	if (r != ERR_UNAVAILABLE && r != ERR_FULL)
		return r;
	log_line(LOG_WARN, "s3-unproved", "store=\"%s\" detail=%s", s3_client_where(s->client),
		log_quote(quoted, sizeof quoted, span_of(fail_detail())));
	return OK;
}

static int s3_open(const char *where, const char *query, const struct blob_driver_options *o, struct blob_backend **out)
{
	struct s3_backend *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	s->backend = (struct blob_backend){ .driver = &blob_driver_s3, .whole = true };
	s->node = o->node;
	s->metrics = o->metrics;
	pthread_mutex_init(&s->lock, NULL);
	int r = s3_set_up(s, where, query, o);
	if (r)
		s3_close(&s->backend);
	else
		*out = &s->backend;
	return r;
}

static struct s3_pack *pack_of(struct blob_pack *p)
{
	return (struct s3_pack *)(void *)p;
}

/* That an id is free is found out by the request that makes the object, at no cost; only a store that has said once that one is not
   is asked before. */
static int s3_create(struct blob_backend *b, int64_t id, struct blob_pack **out)
{
	struct s3_backend *s = s3_of(b);
	struct s3_pack *p;
	char key[S3_KEY];
	key_put(key, id);
	int r = prove(s);
	if (!r && atomic_load(&s->reused)) {
		r = run_simple(s->client, "HEAD", key, SPAN(""), false);
		r = r == ERR_NOT_FOUND ? OK : r ? r : fail_with(ERR_EXISTS, "pack %llx exists", (long long)id);
	}
	if (!r)
		r = s3_pack_new(s->client, s->dir, key, &p);
	if (!r)
		*out = (struct blob_pack *)(void *)p;
	return down(r);
}

static int s3_write(struct blob_backend *b, struct blob_pack *p, const struct iovec *v, int n, int64_t offset)
{
	return s3_pack_write(pack_of(p), v, n, offset);
}

static int s3_sync(struct blob_backend *b, struct blob_pack *p, bool name)
{
	int r = name ? s3_pack_put(pack_of(p)) : s3_pack_upload(pack_of(p));
	if (r == ERR_EXISTS)
		atomic_store(&s3_of(b)->reused, true);
	return r == ERR_EXISTS ? ERR_UNAVAILABLE : down(r);
}

static void s3_done(struct blob_backend *b, struct blob_pack *p)
{
	struct s3_pack *pack = pack_of(p);
	s3_pack_free(&pack);
}

struct found_pack {
	int64_t pack, size, changed;
};

struct listing {
	struct s3_backend *s;
	struct buffer found; /* struct found_pack */
	int64_t skew;        /* the server's clock less ours */
};

static struct span below_prefix(const struct s3_backend *s, struct span key)
{
	size_t n = strlen(s->config.prefix);
	return key.n >= n && !memcmp(key.p, s->config.prefix, n) ? span_sub(key, n, SIZE_MAX) : (struct span){ "", 0 };
}

static int list_one(void *ctx, const struct s3_listed *o)
{
	struct listing *l = ctx;
	struct found_pack f = { .size = o->size, .changed = o->changed - l->skew };
	if (key_get(below_prefix(l->s, o->key), &f.pack))
		buffer_put(&l->found, &f, sizeof f);
	return buffer_ok(&l->found) ? OK : fail_with(ERR_UNAVAILABLE, "out of memory");
}

/* Its times become those of our clock: by a server's that is a day behind, what was put just now would be old enough to go. */
static int list_page(struct listing *l, struct s3_page *page)
{
	struct s3_call x = { .method = "GET", .query = { { SPAN("list-type"), SPAN("2") }, { SPAN("prefix"), span_of(l->s->config.prefix) } },
		.n_query = 2 };
	char token[S3_TOKEN];
	snprintf(token, sizeof token, "%s", page->token);
	if (*token)
		x.query[x.n_query++] = (struct sigv4_pair){ SPAN("continuation-token"), span_of(token) };
	int r = s3_run(l->s->client, &x);
	l->skew = s3_call_skew(&x);
	if (!r)
		r = s3_list_read(buffer_span(&x.http.answer), list_one, l, page);
	if (!r && page->more && !strcmp(page->token, token))
		r = fail_with(ERR_UNAVAILABLE, "%s: its list does not go on", s3_client_where(l->s->client));
	s3_call_free(&x);
	return r;
}

static int pack_order(const void *a, const void *b)
{
	const struct found_pack *x = a, *y = b;
	return (x->pack > y->pack) - (x->pack < y->pack);
}

/* Keys are in another order than ids, so all are taken before the first is told: 24 bytes each. */
static int s3_list(struct blob_backend *b, pack_fn *fn, void *ctx)
{
	struct listing l = { .s = s3_of(b) };
	struct s3_page page = { .more = true };
	int r = OK;
	for (int i = 0; !r && page.more; i++)
		r = i < PAGE_MOST ? list_page(&l, &page) : fail_with(ERR_UNAVAILABLE, "%s: its list does not end", s3_client_where(l.s->client));
	r = down(r);
	struct found_pack *found = (struct found_pack *)(void *)l.found.p;
	size_t n = l.found.n / sizeof *found;
	if (!r && n)
		qsort(found, n, sizeof *found, pack_order);
	for (size_t i = 0; !r && i < n; i++)
		r = fn(ctx, found[i].pack, found[i].size, found[i].changed);
	buffer_free(&l.found);
	return r;
}

static int s3_remove(struct blob_backend *b, int64_t pack)
{
	char key[S3_KEY];
	key_put(key, pack);
	int r = run_simple(s3_of(b)->client, "DELETE", key, SPAN(""), false);
	return r == ERR_NOT_FOUND ? OK : down(r);
}

static int read_mark(struct s3_client *c, char *out, size_t n)
{
	struct s3_call x = { .method = "GET", .key = MARK_KEY };
	int r = s3_run(c, &x);
	if (!r)
		snprintf(out, n, "%.*s", SPAN_ARG(span_trim(buffer_span(&x.http.answer))));
	s3_call_free(&x);
	return r;
}

/* The first to put it wins; in a bucket that cannot be used, nobody does. */
static int put_mark(struct s3_backend *s, const char *put)
{
	int r = prove(s);
	if (!r)
		r = run_simple(s->client, "PUT", MARK_KEY, span_of(put), true);
	return r == ERR_EXISTS ? OK : r;
}

static int s3_mark(struct blob_backend *b, const char *put, char *out, size_t n)
{
	struct s3_backend *s = s3_of(b);
	int r = read_mark(s->client, out, n);
	if (r == ERR_NOT_FOUND && put) {
		r = put_mark(s, put);
		if (!r)
			r = read_mark(s->client, out, n);
	}
	return down(r);
}

static int s3_copy(struct blob_backend *b, const char *to, struct file_copy *c)
{
	return fail_with(ERR_CANNOT, "the bodies are in bucket %s: copy that with a tool for S3 (rclone sync)", s3_client_where(s3_of(b)->client));
}

static int s3_prune(struct blob_backend *b, const char *to)
{
	return s3_copy(b, to, NULL);
}

/* Uploads that nobody will end: of an earlier start of this node, or of any node and old. */
static int abort_stale(void *ctx, const struct s3_upload *u)
{
	struct s3_backend *s = ctx;
	struct span below = below_prefix(s, u->key);
	char key[S3_KEY];
	int64_t pack;
	bool old = u->begun < clock_now() - UPLOAD_OLD_DAYS * 86400 * SECOND_US;
	if (!key_get(below, &pack) || (mint_node(pack) != s->node && !old))
		return OK;
	key_put(key, pack);
	s3_upload_abort(s->client, key, u->id, true);
	return OK;
}

static int uploads_page(struct s3_backend *s, struct s3_uploads_page *page)
{
	struct s3_call x = { .method = "GET", .query = { { SPAN("uploads"), SPAN("") }, { SPAN("prefix"), span_of(s->config.prefix) } },
		.n_query = 2 };
	struct s3_uploads_page at = *page;
	if (*at.key) {
		x.query[x.n_query++] = (struct sigv4_pair){ SPAN("key-marker"), span_of(at.key) };
		x.query[x.n_query++] = (struct sigv4_pair){ SPAN("upload-id-marker"), span_of(at.id) };
	}
	int r = s3_run(s->client, &x);
	if (!r)
		r = s3_uploads_read(buffer_span(&x.http.answer), abort_stale, s, page);
	if (!r && !strcmp(page->key, at.key) && !strcmp(page->id, at.id))
		page->more = false;
	s3_call_free(&x);
	return r;
}

/* Objects are whole or not there; there is nothing to inspect. What cannot be cleaned up now keeps nobody from starting. */
static int s3_repair(struct blob_backend *b, pack_inspect_fn *fn, void *ctx)
{
	struct s3_backend *s = s3_of(b);
	struct s3_uploads_page page = { .more = atomic_load(&s->proved) };
	for (int i = 0; page.more && i < PAGE_MOST; i++)
		if (uploads_page(s, &page))
			break;
	return OK;
}

const struct blob_driver blob_driver_s3 = {
	.scheme = "s3", .open = s3_open, .close = s3_close, .create = s3_create, .write = s3_write, .sync = s3_sync, .done = s3_done,
	.read = s3_read, .read_other = s3_read_other, .fetch = s3_fetch, .list = s3_list, .remove = s3_remove, .copy = s3_copy, .prune = s3_prune, .mark = s3_mark, .repair = s3_repair,
};
