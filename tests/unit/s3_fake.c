#include "s3_fake.h"

#include <arpa/inet.h>
#include <assert.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "buffer.h"
#include "clock.h"
#include "sigv4.h"

enum { OBJECTS = 2000, UPLOADS = 50, PARTS = 100, PAGE = 100, CONNECTIONS = 2000 };

struct object {
	char *key, mark[64];
	struct buffer bytes;
	int64_t changed;
};

struct fake_upload {
	char *key, mark[64];
	int id;
	struct buffer parts[PARTS];
	int64_t begun;
};

struct s3_fake {
	int port, listener;
	pthread_t thread;
	pthread_mutex_t lock; /* all below */
	pthread_cond_t ended;
	bool stop, paused;
	enum s3_lie lie;
	char lie_method[8];
	int lie_skip, lie_times;
	int requests, connections, alive, busy, most_busy, ids;
	int sockets[CONNECTIONS];
	struct object objects[OBJECTS];
	size_t n_objects;
	struct fake_upload uploads[UPLOADS];
	size_t n_uploads;
};

struct request {
	char method[8], path[300], query[1500];
	struct buffer bytes; /* head and body */
	struct span head, body;
};

struct reply {
	int status;
	char head[400];
	struct buffer body;
	bool cut; /* half of the body, then the end */
	bool hang_up;
};

static struct span header(const struct request *r, const char *name)
{
	size_t n = strlen(name);
	for (struct span rest = r->head; rest.n;) {
		ssize_t end = span_find(rest, '\n');
		struct span line = span_sub(rest, 0, end < 0 ? rest.n : (size_t)end);
		rest = end < 0 ? (struct span){ "", 0 } : span_sub(rest, (size_t)end + 1, SIZE_MAX);
		if (line.n > n && line.p[n] == ':' && span_ieq(span_sub(line, 0, n), span_of(name)))
			return span_trim(span_sub(line, n + 1, SIZE_MAX));
	}
	return (struct span){ NULL, 0 };
}

static bool read_request(int fd, struct request *r)
{
	char *end;
	buffer_reset(&r->bytes);
	do {
		char *to = buffer_reserve(&r->bytes, 65537);
		ssize_t n = recv(fd, to, 65536, 0);
		if (n <= 0)
			return false;
		r->bytes.n += (size_t)n;
		to[n] = 0;
	} while (!(end = strstr(r->bytes.p, "\r\n\r\n")));
	size_t head = (size_t)(end - r->bytes.p) + 4;
	uint64_t length = 0;
	r->head = span_from(r->bytes.p, head);
	struct span l = header(r, "content-length");
	if (l.p)
		assert(span_u64(l, 1 << 30, &length));
	while (r->bytes.n < head + length) {
		char *to = buffer_reserve(&r->bytes, head + length - r->bytes.n);
		ssize_t n = recv(fd, to, head + length - r->bytes.n, 0);
		if (n <= 0)
			return false;
		r->bytes.n += (size_t)n;
	}
	r->head = span_from(r->bytes.p, head);
	r->body = span_from(r->bytes.p + head, length);
	*r->query = 0;
	return sscanf(r->bytes.p, "%7s %299[^? ]?%1499[^ ]", r->method, r->path, r->query) >= 2;
}

static struct tm utc(int64_t at)
{
	time_t t = (time_t)(at / SECOND_US);
	struct tm tm;
	gmtime_r(&t, &tm);
	return tm;
}

static void put_time(char *out, size_t n, int64_t at)
{
	struct tm tm = utc(at);
	strftime(out, n, "%Y-%m-%dT%H:%M:%S.123Z", &tm);
}

static int64_t now_of(const struct s3_fake *f)
{
	return clock_now() + (f->lie == S3_OTHER_CLOCK ? 1200 : f->lie == S3_OLD_CLOCK ? -2 * 86400 : 0) * SECOND_US;
}

static void refuse(struct reply *a, int status, const char *code, const char *more)
{
	a->status = status;
	buffer_reset(&a->body);
	buffer_printf(&a->body, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>of a test</Message>%s</Error>", code, more);
}

static struct object *find(struct s3_fake *f, const char *key)
{
	for (size_t i = 0; i < f->n_objects; i++)
		if (!strcmp(f->objects[i].key, key))
			return &f->objects[i];
	return NULL;
}

static struct object *make(struct s3_fake *f, const char *key)
{
	struct object *o = find(f, key);
	if (!o) {
		assert(f->n_objects < OBJECTS);
		o = &f->objects[f->n_objects++];
		*o = (struct object){ .key = strdup(key) };
	}
	o->changed = now_of(f);
	buffer_reset(&o->bytes);
	return o;
}

static void object_free(struct object *o)
{
	free(o->key);
	buffer_free(&o->bytes);
}

static void upload_free(struct fake_upload *u)
{
	free(u->key);
	for (int i = 0; i < PARTS; i++)
		buffer_free(&u->parts[i]);
}

static bool query_has(const struct request *r, const char *name)
{
	const char *at = strstr(r->query, name);
	return at && (at == r->query || at[-1] == '&') && at[strlen(name)] == '=';
}

static int query_int(const struct request *r, const char *name)
{
	const char *at = strstr(r->query, name);
	return at ? atoi(at + strlen(name) + 1) : 0;
}

/* %2F alone: keys have nothing else to encode. */
static void query_text(const struct request *r, const char *name, char *out, size_t n)
{
	const char *at = strstr(r->query, name);
	size_t k = 0;
	for (at = at ? at + strlen(name) + 1 : ""; *at && *at != '&' && k + 1 < n; at++) {
		bool slash = !strncmp(at, "%2F", 3);
		out[k++] = slash ? '/' : *at;
		at += slash ? 2 : 0;
	}
	out[k] = 0;
}

static void take_mark(const struct request *r, char out[static 64])
{
	struct span m = header(r, "x-amz-meta-mark");
	snprintf(out, 64, "%.*s", SPAN_ARG(m.p ? m : SPAN("")));
}

static void get_object(struct s3_fake *f, const struct request *r, const char *key, enum s3_lie lie, struct reply *a)
{
	struct object *o = find(f, key);
	struct span range = header(r, "range"), all;
	unsigned long long from = 0, to;
	if (!o) {
		refuse(a, 404, "NoSuchKey", "");
		return;
	}
	all = buffer_span(&o->bytes);
	to = all.n - 1;
	a->status = 200;
	if (range.p && lie != S3_NO_RANGE) {
		sscanf(range.p, "bytes=%llu-%llu", &from, &to);
		if (from >= all.n) {
			refuse(a, 416, "InvalidRange", "");
			return;
		}
		to = to < all.n ? to : all.n - 1;
		a->status = 206;
		snprintf(a->head, sizeof a->head, "Content-Range: bytes %llu-%llu/%zu\r\n", from, to, all.n);
	}
	snprintf(a->head + strlen(a->head), 200, "x-amz-meta-mark: %s\r\nETag: \"x\"\r\n", o->mark);
	size_t n = to - from + 1;
	buffer_put_span(&a->body, span_sub(all, from, lie == S3_SHORT_RANGE ? n / 2 : n));
}

static void list_objects(struct s3_fake *f, const struct request *r, enum s3_lie lie, struct reply *a)
{
	char prefix[300], date[40];
	int from = query_int(r, "continuation-token"), n = 0;
	size_t end = f->n_objects - (lie == S3_STALE_LIST && f->n_objects), i;
	query_text(r, "prefix", prefix, sizeof prefix);
	buffer_puts(&a->body, "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (i = (size_t)from; i < end && n < PAGE; i++) {
		struct object *o = &f->objects[i];
		if (strncmp(o->key, prefix, strlen(prefix)))
			continue;
		put_time(date, sizeof date, o->changed);
		buffer_printf(&a->body, "<Contents><Key>%s</Key><LastModified>%s</LastModified><Size>%zu</Size></Contents>", o->key, date,
			o->bytes.n);
		n++;
	}
	if (i < end)
		buffer_printf(&a->body, "<NextContinuationToken>%zu</NextContinuationToken>", i);
	buffer_printf(&a->body, "<IsTruncated>%s</IsTruncated></ListBucketResult>", i < end ? "true" : "false");
	a->status = 200;
}

static void list_uploads(struct s3_fake *f, struct reply *a)
{
	char date[40];
	buffer_puts(&a->body, "<ListMultipartUploadsResult>");
	for (size_t i = 0; i < f->n_uploads; i++) {
		put_time(date, sizeof date, f->uploads[i].begun);
		buffer_printf(&a->body, "<Upload><Key>%s</Key><UploadId>%d</UploadId><Initiated>%s</Initiated></Upload>", f->uploads[i].key,
			f->uploads[i].id, date);
	}
	buffer_puts(&a->body, "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>");
	a->status = 200;
}

static struct fake_upload *upload_of(struct s3_fake *f, const struct request *r, struct reply *a)
{
	for (size_t i = 0; i < f->n_uploads; i++)
		if (f->uploads[i].id == query_int(r, "uploadId"))
			return &f->uploads[i];
	refuse(a, 404, "NoSuchUpload", "");
	return NULL;
}

static void upload_drop(struct s3_fake *f, struct fake_upload *u)
{
	upload_free(u);
	*u = f->uploads[--f->n_uploads];
}

static void bucket_request(struct s3_fake *f, const struct request *r, enum s3_lie lie, struct reply *a)
{
	if (query_has(r, "versioning")) {
		a->status = 200;
		buffer_printf(&a->body, "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">%s</VersioningConfiguration>",
			lie == S3_VERSIONED ? "<Status>Enabled</Status>" : "");
	} else if (query_has(r, "uploads")) {
		list_uploads(f, a);
	} else {
		list_objects(f, r, lie, a);
	}
}

static void put_object(struct s3_fake *f, const struct request *r, const char *key, enum s3_lie lie, struct reply *a)
{
	if (header(r, "if-none-match").p && find(f, key) && lie != S3_UNCONDITIONAL) {
		refuse(a, 412, "PreconditionFailed", "");
		return;
	}
	struct object *o = make(f, key);
	buffer_put_span(&o->bytes, r->body);
	take_mark(r, o->mark);
	a->status = 200;
	strcpy(a->head, "ETag: \"x\"\r\n");
}

static void put_part(struct s3_fake *f, const struct request *r, struct reply *a)
{
	struct fake_upload *u = upload_of(f, r, a);
	int number = query_int(r, "partNumber");
	if (!u)
		return;
	assert(number > 0 && number < PARTS);
	buffer_reset(&u->parts[number]);
	buffer_put_span(&u->parts[number], r->body);
	a->status = 200;
	snprintf(a->head, sizeof a->head, "ETag: \"%d-%zu\"\r\n", number, r->body.n);
}

static void begin_upload(struct s3_fake *f, const struct request *r, const char *key, struct reply *a)
{
	assert(f->n_uploads < UPLOADS);
	struct fake_upload *u = &f->uploads[f->n_uploads++];
	*u = (struct fake_upload){ .key = strdup(key), .id = ++f->ids, .begun = clock_now() };
	take_mark(r, u->mark);
	a->status = 200;
	buffer_printf(&a->body, "<InitiateMultipartUploadResult><Key>%s</Key><UploadId>%d</UploadId></InitiateMultipartUploadResult>", key, u->id);
}

/* Only with all parts that came, in their order. */
static void complete_upload(struct s3_fake *f, const struct request *r, struct reply *a)
{
	struct fake_upload *u = upload_of(f, r, a);
	struct buffer want = { 0 };
	if (!u)
		return;
	buffer_puts(&want, "<CompleteMultipartUpload>");
	for (int i = 1; i < PARTS; i++)
		if (u->parts[i].n)
			buffer_printf(&want, "<Part><PartNumber>%d</PartNumber><ETag>\"%d-%zu\"</ETag></Part>", i, i, u->parts[i].n);
	buffer_puts(&want, "</CompleteMultipartUpload>");
	assert(span_eq(buffer_span(&want), r->body));
	buffer_free(&want);
	struct object *o = make(f, u->key);
	memcpy(o->mark, u->mark, sizeof o->mark);
	for (int i = 1; i < PARTS; i++)
		buffer_put_span(&o->bytes, buffer_span(&u->parts[i]));
	upload_drop(f, u);
	a->status = 200;
	buffer_puts(&a->body, "<CompleteMultipartUploadResult><ETag>\"x\"</ETag></CompleteMultipartUploadResult>");
}

static void delete_object(struct s3_fake *f, const char *key, struct reply *a)
{
	struct object *o = find(f, key);
	a->status = 204;
	if (!o)
		return;
	object_free(o);
	memmove(o, o + 1, (size_t)(f->objects + f->n_objects - o - 1) * sizeof *o);
	f->n_objects--;
}

static void object_request(struct s3_fake *f, const struct request *r, const char *key, enum s3_lie lie, struct reply *a)
{
	bool upload = query_has(r, "uploadId");
	if (!strcmp(r->method, "GET") || !strcmp(r->method, "HEAD")) {
		get_object(f, r, key, lie, a);
	} else if (!strcmp(r->method, "PUT")) {
		upload ? put_part(f, r, a) : put_object(f, r, key, lie, a);
	} else if (!strcmp(r->method, "POST")) {
		upload ? complete_upload(f, r, a) : begin_upload(f, r, key, a);
	} else if (upload) {
		struct fake_upload *u = upload_of(f, r, a);
		if (u)
			upload_drop(f, u), a->status = 204;
	} else {
		delete_object(f, key, a);
	}
}

/* What every server looks at. */
static bool admits(struct s3_fake *f, const struct request *r, enum s3_lie lie, struct reply *a)
{
	char sha[SHA256_HEX], least[SIGV4_STAMP], most[SIGV4_STAMP];
	struct span date = header(r, "x-amz-date");
	sigv4_sha256(r->body, sha);
	sigv4_stamp(now_of(f) - 900 * SECOND_US, least);
	sigv4_stamp(now_of(f) + 900 * SECOND_US, most);
	if (!date.p || !header(r, "authorization").p || date.n != 16)
		refuse(a, 403, "AccessDenied", "");
	else if (memcmp(date.p, least, 16) < 0 || memcmp(date.p, most, 16) > 0)
		refuse(a, 403, "RequestTimeTooSkewed", "");
	else if (!span_eq(header(r, "x-amz-content-sha256"), span_of(sha)))
		refuse(a, 400, "XAmzContentSHA256Mismatch", "");
	else if (lie == S3_NO_BUCKET)
		refuse(a, 404, "NoSuchBucket", "");
	else if (lie == S3_DENIED)
		refuse(a, 403, "AccessDenied", "");
	else if (lie == S3_WRONG_KEY)
		refuse(a, 403, "InvalidAccessKeyId", "");
	else if (lie == S3_WRONG_SECRET)
		refuse(a, 403, "SignatureDoesNotMatch", "");
	else if (lie == S3_OTHER_REGION)
		refuse(a, 400, "AuthorizationHeaderMalformed", "<Region>mars-1</Region>");
	else if (lie == S3_SLOW_DOWN)
		refuse(a, 503, "SlowDown", "");
	else if (lie == S3_FULL)
		refuse(a, 403, "QuotaExceeded", "");
	else if (lie == S3_ERROR_IN_200)
		refuse(a, 200, "InternalError", "");
	else if (lie == S3_INTERNAL)
		a->status = 500;
	else if (lie == S3_HTML_404)
		a->status = 404, buffer_puts(&a->body, "<html><body>no such page</body></html>");
	else if (lie == S3_BAD_XML)
		a->status = 200, buffer_puts(&a->body, "<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult>&b;");
	else if (lie == S3_REDIRECT)
		a->status = 307, strcpy(a->head, "Location: http://elsewhere.example:7480/\r\n");
	else
		return true;
	return false;
}

static enum s3_lie lie_for(struct s3_fake *f, const struct request *r)
{
	if (f->lie == S3_HONEST || (*f->lie_method && strcmp(f->lie_method, r->method)))
		return S3_HONEST;
	if (f->lie_skip > 0)
		return f->lie_skip--, S3_HONEST;
	if (!f->lie_times)
		return S3_HONEST;
	f->lie_times -= f->lie_times > 0;
	return f->lie;
}

static void send_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = send(fd, p, n, MSG_NOSIGNAL);
		if (k <= 0)
			return;
		p += k, n -= (size_t)k;
	}
}

static void send_reply(int fd, const struct request *r, const struct reply *a, const char *date)
{
	struct buffer head = { 0 };
	bool empty = !strcmp(r->method, "HEAD");
	buffer_printf(&head, "HTTP/1.1 %d x\r\nDate: %s\r\n%sContent-Length: %zu\r\n\r\n", a->status, date, a->head, a->body.n);
	if (!empty)
		buffer_put_span(&head, span_sub(buffer_span(&a->body), 0, a->cut ? a->body.n / 2 : a->body.n));
	send_all(fd, head.p, head.n);
	buffer_free(&head);
}

/* false: the connection ends. */
static bool answer(struct s3_fake *f, int fd, const struct request *r)
{
	struct reply a = { 0 };
	char date[60];
	pthread_mutex_lock(&f->lock);
	f->requests++;
	f->most_busy = ++f->busy > f->most_busy ? f->busy : f->most_busy;
	enum s3_lie lie = lie_for(f, r);
	struct tm tm = utc(now_of(f));
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
	if (lie != S3_HANG_UP && admits(f, r, lie, &a)) {
		const char *key = strchr(r->path + 1, '/');
		if (key)
			object_request(f, r, key + 1, lie, &a);
		else
			bucket_request(f, r, lie, &a);
	}
	pthread_mutex_unlock(&f->lock);
	if (lie == S3_LATE)
		usleep(40000);
	if (lie == S3_SILENT)
		recv(fd, date, 1, 0); /* until it is given up */
	else if (lie == S3_GARBAGE)
		send_all(fd, "SSH-2.0-no\r\n\r\n", 14);
	else if (lie != S3_LOST_ANSWER && lie != S3_HANG_UP)
		a.cut = lie == S3_SHORT_BODY, send_reply(fd, r, &a, date);
	pthread_mutex_lock(&f->lock);
	f->busy--;
	pthread_mutex_unlock(&f->lock);
	buffer_free(&a.body);
	return !a.cut && lie != S3_SILENT && lie != S3_GARBAGE && lie != S3_LOST_ANSWER && lie != S3_HANG_UP;
}

struct connection {
	struct s3_fake *fake;
	int place;
};

static void *serve(void *arg)
{
	struct connection *c = arg;
	struct s3_fake *f = c->fake;
	struct request r = { 0 };
	int fd = f->sockets[c->place];
	while (read_request(fd, &r) && answer(f, fd, &r))
		;
	pthread_mutex_lock(&f->lock);
	f->sockets[c->place] = -1;
	close(fd);
	f->alive--;
	pthread_cond_signal(&f->ended);
	pthread_mutex_unlock(&f->lock);
	buffer_free(&r.bytes);
	free(c);
	return NULL;
}

static void take_connection(struct s3_fake *f, int fd)
{
	pthread_t t;
	pthread_mutex_lock(&f->lock);
	if (f->stop || f->paused) {
		pthread_mutex_unlock(&f->lock);
		close(fd);
		return;
	}
	struct connection *c = malloc(sizeof *c);
	assert(f->connections < CONNECTIONS);
	*c = (struct connection){ f, f->connections++ };
	f->sockets[c->place] = fd;
	f->alive++;
	assert(!pthread_create(&t, NULL, serve, c));
	pthread_detach(t);
	pthread_mutex_unlock(&f->lock);
}

static void *listen_main(void *arg)
{
	struct s3_fake *f = arg;
	for (int fd; (fd = accept(f->listener, NULL, NULL)) >= 0;)
		take_connection(f, fd);
	return NULL;
}

struct s3_fake *s3_fake_start(void)
{
	struct s3_fake *f = calloc(1, sizeof *f);
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->ended, NULL);
	f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(!bind(f->listener, (struct sockaddr *)&a, sizeof a) && !listen(f->listener, 100));
	assert(!getsockname(f->listener, (struct sockaddr *)&a, &n));
	f->port = ntohs(a.sin_port);
	assert(!pthread_create(&f->thread, NULL, listen_main, f));
	return f;
}

static void hang_up(struct s3_fake *f)
{
	for (int i = 0; i < f->connections; i++)
		if (f->sockets[i] >= 0)
			shutdown(f->sockets[i], SHUT_RDWR);
}

void s3_fake_stop(struct s3_fake *f)
{
	shutdown(f->listener, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->listener);
	pthread_mutex_lock(&f->lock);
	f->stop = true;
	hang_up(f);
	while (f->alive)
		pthread_cond_wait(&f->ended, &f->lock);
	pthread_mutex_unlock(&f->lock);
	for (size_t i = 0; i < f->n_objects; i++)
		object_free(&f->objects[i]);
	for (size_t i = 0; i < f->n_uploads; i++)
		upload_free(&f->uploads[i]);
	free(f);
}

int s3_fake_port(const struct s3_fake *f)
{
	return f->port;
}

void s3_fake_lie(struct s3_fake *f, enum s3_lie lie, const char *method, int skip, int times)
{
	pthread_mutex_lock(&f->lock);
	f->lie = lie;
	snprintf(f->lie_method, sizeof f->lie_method, "%s", method);
	f->lie_skip = skip;
	f->lie_times = times;
	pthread_mutex_unlock(&f->lock);
}

void s3_fake_pause(struct s3_fake *f, bool paused)
{
	pthread_mutex_lock(&f->lock);
	f->paused = paused;
	if (paused)
		hang_up(f);
	pthread_mutex_unlock(&f->lock);
}

static int locked(struct s3_fake *f, const int *number)
{
	pthread_mutex_lock(&f->lock);
	int n = *number;
	pthread_mutex_unlock(&f->lock);
	return n;
}

int s3_fake_requests(struct s3_fake *f)
{
	return locked(f, &f->requests);
}

int s3_fake_connections(struct s3_fake *f)
{
	return locked(f, &f->connections);
}

int s3_fake_most_at_once(struct s3_fake *f)
{
	return locked(f, &f->most_busy);
}

int s3_fake_objects(struct s3_fake *f)
{
	pthread_mutex_lock(&f->lock);
	int n = (int)f->n_objects;
	pthread_mutex_unlock(&f->lock);
	return n;
}

int s3_fake_uploads(struct s3_fake *f)
{
	pthread_mutex_lock(&f->lock);
	int n = (int)f->n_uploads;
	pthread_mutex_unlock(&f->lock);
	return n;
}

void s3_fake_damage(struct s3_fake *f)
{
	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < f->n_objects; i++)
		f->objects[i].bytes.p[f->objects[i].bytes.n / 2] ^= 4;
	pthread_mutex_unlock(&f->lock);
}

void s3_fake_copy(struct s3_fake *from, struct s3_fake *to)
{
	pthread_mutex_lock(&from->lock);
	pthread_mutex_lock(&to->lock);
	for (size_t i = 0; i < from->n_objects; i++) {
		struct object *o = make(to, from->objects[i].key);
		buffer_put_span(&o->bytes, buffer_span(&from->objects[i].bytes));
		memcpy(o->mark, from->objects[i].mark, sizeof o->mark);
	}
	pthread_mutex_unlock(&to->lock);
	pthread_mutex_unlock(&from->lock);
}
