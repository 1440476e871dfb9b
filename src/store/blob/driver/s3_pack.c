#include "s3_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "durable_file.h"
#include "fail.h"

enum { PARTS_MOST = 10000, AT_ONCE = 4, ETAG = 80, UPLOAD_ID = 1024, MARK = 33 };

#define MARK_HEADER "x-amz-meta-mark"

struct s3_pack {
	struct s3_client *client;
	char key[S3_KEY], mark[MARK];
	int fd;
	int64_t end;    /* bytes */
	bool put;
	char upload[UPLOAD_ID]; /* "": none */
	int n_parts;
	char (*etags)[ETAG]; /* of the parts, once all are there */
};

static int make_file(const char *dir)
{
	char path[PATH_MAX];
	int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (snprintf(path, sizeof path, "%s/.s3-XXXXXX", dir) >= (int)sizeof path)
		return errno = ENAMETOOLONG, -1;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int make_mark(char out[static MARK])
{
	unsigned char random[(MARK - 1) / 2];
	if (getrandom(random, sizeof random, 0) != sizeof random)
		return fail_with(ERR_UNAVAILABLE, "getrandom: %s", strerror(errno));
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(out + 2 * i, 3, "%02x", random[i]);
	return OK;
}

int s3_pack_new(struct s3_client *c, const char *dir, const char *key, struct s3_pack **out)
{
	struct s3_pack *p = calloc(1, sizeof *p);
	if (!p)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	p->client = c;
	snprintf(p->key, sizeof p->key, "%s", key);
	p->fd = make_file(dir);
	int r = p->fd < 0 ? fail_errno("create a file in", dir) : make_mark(p->mark);
	if (r)
		s3_pack_free(&p);
	else
		*out = p;
	return r;
}

int s3_pack_write(struct s3_pack *p, const struct iovec *v, int n, int64_t offset)
{
	if (p->put || *p->upload)
		return fail_with(ERR_CANNOT, "object %s: nothing can be added to it any more", p->key);
	for (int i = 0; i < n; i++) {
		int r = file_write_at(p->fd, v[i].iov_base, v[i].iov_len, offset, "the file that gathers an object");
		if (r)
			return r;
		offset += (int64_t)v[i].iov_len;
	}
	p->end = offset > p->end ? offset : p->end;
	return OK;
}

static int map(struct s3_pack *p, struct span *out)
{
	void *at = mmap(NULL, (size_t)p->end, PROT_READ, MAP_SHARED, p->fd, 0);
	if (at == MAP_FAILED)
		return fail_errno("map", "the file that gathers an object");
	*out = span_from(at, (size_t)p->end);
	return OK;
}

static void unmap(struct span s)
{
	munmap((void *)(uintptr_t)s.p, s.n);
}

/* Bytes of a part: as few parts as there may be. */
static size_t part_size(const struct s3_pack *p)
{
	size_t n = S3_PART;
	while (p->end / (int64_t)n >= PARTS_MOST)
		n *= 2;
	return n;
}

static void add_query(struct s3_call *x, struct span name, struct span value)
{
	x->query[x->n_query++] = (struct sigv4_pair){ name, value };
}

/* OK: the object of that name is this very pack. ERR_EXISTS: it is another one. ERR_NOT_FOUND: there is none. */
static int compare_mark(struct s3_pack *p)
{
	struct s3_call x = { .method = "HEAD", .key = p->key };
	int r = s3_run(p->client, &x);
	struct span mark = r ? (struct span){ NULL, 0 } : http_call_header(&x.http, MARK_HEADER);
	if (!r && !span_eq(mark, span_of(p->mark)))
		r = fail_with(ERR_EXISTS, "%s has an object %s already: the metadata is older than the bodies", s3_client_where(p->client),
			p->key);
	s3_call_free(&x);
	return r;
}

static int begin_upload(struct s3_pack *p)
{
	struct s3_call x = { .method = "POST", .key = p->key, .headers = { { SPAN(MARK_HEADER), span_of(p->mark) } }, .n_headers = 1 };
	char id[UPLOAD_ID];
	add_query(&x, SPAN("uploads"), SPAN(""));
	int r = s3_run(p->client, &x);
	if (!r)
		r = s3_text_read(buffer_span(&x.http.answer), "InitiateMultipartUploadResult/UploadId", id, sizeof id);
	if (!r && !*id)
		r = fail_with(ERR_CORRUPT, "S3: an upload without an id");
	if (!r)
		memcpy(p->upload, id, sizeof id);
	s3_call_free(&x);
	return r;
}

/* A server that has taken bytes names them: a good status alone may be of somebody on the way. */
static int check_etag(struct s3_call *x)
{
	return http_call_header(&x->http, "etag").n ? OK : fail_with(ERR_UNAVAILABLE, "object %s: taken without an ETag", x->key);
}

static int put_part(struct s3_pack *p, int number, struct span bytes, char etag[static ETAG])
{
	struct s3_call x = { .method = "PUT", .key = p->key, .body = bytes, .check = check_etag };
	char text[12];
	snprintf(text, sizeof text, "%d", number);
	add_query(&x, SPAN("partNumber"), span_of(text));
	add_query(&x, SPAN("uploadId"), span_of(p->upload));
	int r = s3_run(p->client, &x);
	struct span got = r ? (struct span){ NULL, 0 } : http_call_header(&x.http, "etag");
	if (!r && (got.n >= ETAG || memchr(got.p, '<', got.n) || memchr(got.p, '&', got.n)))
		r = fail_with(ERR_CORRUPT, "S3: a part with an ETag that is none");
	if (!r)
		snprintf(etag, ETAG, "%.*s", SPAN_ARG(got));
	s3_call_free(&x);
	return r;
}

struct upload {
	struct s3_pack *pack;
	struct span bytes;
	size_t part;
	char (*etags)[ETAG];
	int n;
	atomic_int next, result;
	char detail[300]; /* of result: written by the thread that set it, read after all have ended */
};

static void *upload_some(void *ctx)
{
	struct upload *u = ctx;
	int none = OK;
	for (int i; !atomic_load(&u->result) && (i = atomic_fetch_add(&u->next, 1)) < u->n;) {
		int r = put_part(u->pack, i + 1, span_sub(u->bytes, (size_t)i * u->part, u->part), u->etags[i]);
		if (r && atomic_compare_exchange_strong(&u->result, &none, r))
			snprintf(u->detail, sizeof u->detail, "%s", fail_detail());
	}
	return NULL;
}

static int upload_parts(struct upload *u)
{
	pthread_t helpers[AT_ONCE - 1];
	int k = 0;
	while (k < AT_ONCE - 1 && k + 1 < u->n && !pthread_create(&helpers[k], NULL, upload_some, u))
		k++;
	upload_some(u);
	while (k)
		pthread_join(helpers[--k], NULL);
	int r = atomic_load(&u->result);
	if (r)
		fail_set_detail(u->detail);
	return r;
}

int s3_pack_upload(struct s3_pack *p)
{
	struct upload u = { .pack = p, .part = part_size(p) };
	if (p->end <= S3_PART || p->etags)
		return OK;
	u.n = (int)((p->end + (int64_t)u.part - 1) / (int64_t)u.part);
	u.etags = calloc((size_t)u.n, ETAG);
	if (!u.etags)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	int r = *p->upload ? OK : begin_upload(p);
	if (!r)
		r = map(p, &u.bytes);
	if (!r) {
		r = upload_parts(&u);
		unmap(u.bytes);
	}
	if (r) {
		free(u.etags);
		return r;
	}
	p->etags = u.etags;
	p->n_parts = u.n;
	return OK;
}

/* The good status comes before the work is done; only what follows says that it was. */
static int check_completed(struct s3_call *x)
{
	char key[S3_TOKEN];
	int r = s3_text_read(buffer_span(&x->http.answer), "CompleteMultipartUploadResult/Key", key, sizeof key);
	return r ? fail_with(ERR_UNAVAILABLE, "object %s: nothing says that its upload was completed", x->key) : OK;
}

static int send_list_of_parts(struct s3_pack *p)
{
	struct buffer body = { 0 };
	struct s3_call x = { .method = "POST", .key = p->key, .check = check_completed };
	buffer_puts(&body, "<CompleteMultipartUpload>");
	for (int i = 0; i < p->n_parts; i++)
		buffer_printf(&body, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i + 1, p->etags[i]);
	buffer_puts(&body, "</CompleteMultipartUpload>");
	add_query(&x, SPAN("uploadId"), span_of(p->upload));
	x.body = buffer_span(&body);
	int r = buffer_ok(&body) ? s3_run(p->client, &x) : fail_with(ERR_UNAVAILABLE, "out of memory");
	s3_call_free(&x);
	buffer_free(&body);
	return r;
}

/* Conditions on the request that makes the object of its parts are not known everywhere, so it is looked before. Ids of packs are
   never used twice, so nobody comes in between. An upload that is gone was completed by a try whose answer got lost. */
static int complete_upload(struct s3_pack *p)
{
	int r = compare_mark(p);
	if (r != ERR_NOT_FOUND)
		return r;
	r = send_list_of_parts(p);
	if (r != ERR_NOT_FOUND)
		return r;
	r = compare_mark(p);
	return r == ERR_NOT_FOUND ? fail_with(ERR_UNAVAILABLE, "%s has given up the upload of %s", s3_client_where(p->client), p->key) : r;
}

static int put_whole(struct s3_pack *p)
{
	struct s3_call x = { .method = "PUT", .key = p->key, .check = check_etag,
		.headers = { { SPAN("if-none-match"), SPAN("*") }, { SPAN(MARK_HEADER), span_of(p->mark) } }, .n_headers = 2 };
	int r = map(p, &x.body);
	if (r)
		return r;
	r = s3_run(p->client, &x);
	unmap(x.body);
	s3_call_free(&x);
	return r == ERR_EXISTS ? compare_mark(p) : r;
}

int s3_pack_put(struct s3_pack *p)
{
	if (p->put)
		return OK;
	int r = s3_pack_upload(p);
	if (!r)
		r = *p->upload ? complete_upload(p) : put_whole(p);
	p->put = !r;
	return r;
}

int s3_upload_abort(struct s3_client *c, const char *key, struct span id, bool once)
{
	struct s3_call x = { .method = "DELETE", .key = key, .once = once };
	add_query(&x, SPAN("uploadId"), id);
	int r = s3_run(c, &x);
	s3_call_free(&x);
	return r == ERR_NOT_FOUND ? OK : r;
}

void s3_pack_free(struct s3_pack **pp)
{
	struct s3_pack *p = *pp;
	*pp = NULL;
	if (!p)
		return;
	if (*p->upload && !p->put)
		s3_upload_abort(p->client, p->key, span_of(p->upload), true);
	if (p->fd >= 0)
		close(p->fd);
	free(p->etags);
	free(p);
}
