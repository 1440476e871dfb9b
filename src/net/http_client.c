#include "http_client.h"

#include <pthread.h>
#include <stdlib.h>

#include <curl/curl.h>

#include "fail.h"

/* A handle keeps its connections and its look-ups, so handles are kept. When a request fails, neither its handle is nor those that
   are idle, whose connections may be as dead: the next ones connect and look up anew. */
enum { HANDLES_KEPT = 32, HEAD_MOST = 16384, ADDRESS_S = 10, IDLE_S = 20, CONNECTION_S = 300 };

struct http_client {
	struct http_client_options opt;
	char *ca;
	pthread_mutex_t lock;
	CURL *idle[HANDLES_KEPT];
	unsigned n_idle;
};

static void global_init(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT);
}

int http_client_new(const struct http_client_options *o, struct http_client **out)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http_client *c = calloc(1, sizeof *c);
	if (!c)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	pthread_once(&once, global_init);
	c->opt = *o;
	c->ca = o->ca && *o->ca ? strdup(o->ca) : NULL;
	pthread_mutex_init(&c->lock, NULL);
	*out = c;
	return OK;
}

void http_client_free(struct http_client **pc)
{
	struct http_client *c = *pc;
	*pc = NULL;
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_idle; i++)
		curl_easy_cleanup(c->idle[i]);
	pthread_mutex_destroy(&c->lock);
	free(c->ca);
	free(c);
}

static CURL *take(struct http_client *c)
{
	CURL *h = NULL;
	pthread_mutex_lock(&c->lock);
	if (c->n_idle)
		h = c->idle[--c->n_idle];
	pthread_mutex_unlock(&c->lock);
	if (!h)
		return curl_easy_init();
	curl_easy_reset(h); /* of options; connections stay */
	return h;
}

static void give(struct http_client *c, CURL *h, bool sound)
{
	CURL *gone[HANDLES_KEPT + 1];
	unsigned n = 0;
	pthread_mutex_lock(&c->lock);
	if (!sound)
		while (c->n_idle)
			gone[n++] = c->idle[--c->n_idle];
	if (sound && c->n_idle < HANDLES_KEPT)
		c->idle[c->n_idle++] = h;
	else
		gone[n++] = h;
	pthread_mutex_unlock(&c->lock);
	while (n)
		curl_easy_cleanup(gone[--n]);
}

struct transfer {
	CURL *handle;
	struct http_call *call;
	size_t sent;
};

static size_t on_head(char *p, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct buffer *head = &t->call->head;
	if (n > 5 && !memcmp(p, "HTTP/", 5))
		buffer_reset(head); /* an interim answer came before */
	buffer_put(head, p, n);
	return buffer_ok(head) ? n : 0;
}

static size_t on_body(char *p, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct http_call *x = t->call;
	long status = 0;
	curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
	if (!x->into || status < 200 || status > 299) {
		buffer_put(&x->answer, p, n);
		return buffer_ok(&x->answer) ? n : 0;
	}
	if (n > x->into_size - x->into_n)
		return 0;
	memcpy(x->into + x->into_n, p, n);
	x->into_n += n;
	return n;
}

static size_t on_send(char *to, size_t one, size_t n, void *ctx)
{
	struct transfer *t = ctx;
	struct span rest = span_sub(t->call->body, t->sent, n);
	memcpy(to, rest.p, rest.n);
	t->sent += rest.n;
	return rest.n;
}

/* The kept connection was closed by the other side meanwhile: libcurl takes another and begins again. */
static int on_seek(void *ctx, curl_off_t offset, int from)
{
	struct transfer *t = ctx;
	if (from != SEEK_SET || offset < 0 || (size_t)offset > t->call->body.n)
		return CURL_SEEKFUNC_FAIL;
	t->sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static void set_method(CURL *h, const struct http_call *x)
{
	if (!strcmp(x->method, "HEAD")) {
		curl_easy_setopt(h, CURLOPT_NOBODY, 1L);
	} else if (!strcmp(x->method, "PUT") || !strcmp(x->method, "POST")) {
		curl_easy_setopt(h, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(h, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->body.n);
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, x->method);
	} else {
		curl_easy_setopt(h, CURLOPT_CUSTOMREQUEST, x->method);
	}
}

static void set_waits(CURL *h, const struct http_client *c, const struct http_call *x)
{
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)c->opt.connect_ms);
	curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, (long)x->limit_ms);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, (long)c->opt.silent_s);
	curl_easy_setopt(h, CURLOPT_DNS_CACHE_TIMEOUT, (long)ADDRESS_S);
	curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, (long)IDLE_S);
	curl_easy_setopt(h, CURLOPT_MAXLIFETIME_CONN, (long)CONNECTION_S);
	curl_easy_setopt(h, CURLOPT_MAXCONNECTS, 4L);
	curl_easy_setopt(h, CURLOPT_TCP_NODELAY, 1L);
	curl_easy_setopt(h, CURLOPT_TCP_KEEPALIVE, 1L);
}

static void set_options(struct transfer *t, const struct http_client *c, struct curl_slist *headers)
{
	CURL *h = t->handle;
	struct http_call *x = t->call;
	curl_easy_setopt(h, CURLOPT_URL, x->url);
	curl_easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_HTTPHEADER, headers);
	if (c->ca)
		curl_easy_setopt(h, CURLOPT_CAINFO, c->ca);
	curl_easy_setopt(h, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(h, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(h, CURLOPT_READFUNCTION, on_send);
	curl_easy_setopt(h, CURLOPT_READDATA, t);
	curl_easy_setopt(h, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(h, CURLOPT_SEEKDATA, t);
	set_method(h, x);
	set_waits(h, c, x);
}

/* "Expect:" without a value: a server that does not know it would cost a second. */
static struct curl_slist *headers_of(const struct http_call *x)
{
	struct curl_slist *l = curl_slist_append(NULL, "Expect:"), *more = l;
	for (size_t i = 0; l && i < HTTP_HEADERS_SENT && x->headers[i]; i++) {
		more = curl_slist_append(l, x->headers[i]);
		if (!more)
			break;
	}
	if (!more) {
		curl_slist_free_all(l);
		l = NULL;
	}
	return l;
}

static int failure_of(CURLcode code, const char *text, const struct http_call *x)
{
	const char *why = *text ? text : curl_easy_strerror(code);
	int n = (int)strcspn(x->url, "?");
	if (code == CURLE_OPERATION_TIMEDOUT)
		return fail_with(ERR_TIMEOUT, "%s %.*s: %s", x->method, n, x->url, why);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return fail_with(ERR_DENIED, "%s %.*s: %s", x->method, n, x->url, why);
	if (code == CURLE_WRITE_ERROR)
		return fail_with(ERR_CORRUPT, "%s %.*s: the answer is longer than it may be", x->method, n, x->url);
	return fail_with(ERR_UNAVAILABLE, "%s %.*s: %s", x->method, n, x->url, why);
}

static int perform(struct http_client *c, struct transfer *t, struct curl_slist *headers)
{
	char text[CURL_ERROR_SIZE] = "";
	long status = 0;
	set_options(t, c, headers);
	curl_easy_setopt(t->handle, CURLOPT_ERRORBUFFER, text);
	CURLcode code = curl_easy_perform(t->handle);
	curl_easy_setopt(t->handle, CURLOPT_ERRORBUFFER, NULL);
	if (code)
		return failure_of(code, text, t->call);
	curl_easy_getinfo(t->handle, CURLINFO_RESPONSE_CODE, &status);
	t->call->status = (int)status;
	return OK;
}

int http_call(struct http_client *c, struct http_call *x)
{
	struct transfer t = { .handle = take(c), .call = x };
	struct curl_slist *headers = headers_of(x);
	int r = t.handle && headers ? OK : fail_with(ERR_UNAVAILABLE, "out of memory");
	x->head.limit = HEAD_MOST;
	x->answer.limit = HTTP_ANSWER;
	if (!r)
		r = perform(c, &t, headers);
	if (t.handle)
		give(c, t.handle, !r);
	curl_slist_free_all(headers);
	return r;
}

void http_call_reset(struct http_call *x)
{
	x->status = 0;
	x->into_n = 0;
	buffer_reset(&x->answer);
	buffer_reset(&x->head);
}

void http_call_free(struct http_call *x)
{
	buffer_free(&x->answer);
	buffer_free(&x->head);
}

struct span http_call_header(const struct http_call *x, const char *name)
{
	struct span rest = buffer_span(&x->head), want = span_of(name);
	while (rest.n) {
		ssize_t end = span_find(rest, '\n');
		struct span line = span_sub(rest, 0, end < 0 ? rest.n : (size_t)end + 1);
		rest = span_sub(rest, line.n, SIZE_MAX);
		if (line.n > want.n && line.p[want.n] == ':' && span_ieq(span_sub(line, 0, want.n), want))
			return span_trim(span_sub(line, want.n + 1, SIZE_MAX));
	}
	return (struct span){ NULL, 0 };
}
