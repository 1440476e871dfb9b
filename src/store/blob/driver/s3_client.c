#include "s3_client.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "clock.h"
#include "fail.h"
#include "log.h"
#include "metric.h"

enum {
	CONNECT_MS = 3000,
	SILENT_S = 5,
	LIMIT_MS = 15000,      /* for one try, and what its bytes take besides: */
	SLOWEST = 256,         /* bytes a millisecond */
	TRIES = 8,
	PATIENCE_MS = 12000,   /* no further try begins after so long */
	PAUSE_MS = 50,         /* before the second try, twice as long before each further one, up to: */
	PAUSE_MOST_MS = 2000,
	DOWN_MS = 2000,        /* all have failed: the others do not try for so long */
	HEADERS_MOST = 10,
};

struct s3_client {
	const struct s3_config *config;
	const struct s3_place *place;
	struct http_client *http;
	struct metrics *metrics;
	char where[400];
	atomic_int endpoint;           /* that answered last */
	_Atomic int64_t skew;          /* the server's clock less ours, us */
	_Atomic int64_t down_until;    /* clock_mono(); 0: it answers */
	_Atomic int64_t answered;      /* clock_mono() of the last request that was */
	pthread_mutex_t lock;
	char why[300]; /* it is down */
};

int s3_client_new(const struct s3_config *c, const struct s3_place *place, struct metrics *m, struct s3_client **out)
{
	struct http_client_options o = { .ca = c->ca, .connect_ms = CONNECT_MS, .silent_s = SILENT_S };
	struct s3_client *s = calloc(1, sizeof *s);
	if (!s)
		return fail_with(ERR_UNAVAILABLE, "out of memory");
	s->config = c;
	s->place = place;
	s->metrics = m;
	snprintf(s->where, sizeof s->where, "%s at %s", place->bucket, place->endpoint[0].base);
	pthread_mutex_init(&s->lock, NULL);
	metric_set(m, METRIC_S3_UP, place != &c->place, 1);
	int r = http_client_new(&o, &s->http);
	if (r)
		s3_client_free(&s);
	else
		*out = s;
	return r;
}

void s3_client_free(struct s3_client **ps)
{
	struct s3_client *s = *ps;
	*ps = NULL;
	if (!s)
		return;
	http_client_free(&s->http);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

const char *s3_client_where(const struct s3_client *c)
{
	return c->where;
}

/* What an answer means for the caller. AGAIN and CLOCK are tried again. */
enum { AGAIN = 1, CLOCK = 2 };

static const struct verdict {
	const char *code;
	int result;
	const char *line; /* what to do; %s: bucket and endpoint */
} verdicts[] = {
	{ "NoSuchKey", ERR_NOT_FOUND, "%s has no such object" },
	{ "NoSuchUpload", ERR_NOT_FOUND, "%s has no such upload" },
	{ "NoSuchBucket", ERR_INVALID, "there is no bucket %s: make it, or put blob.url right" },
	{ "InvalidBucketName", ERR_INVALID, "there is no bucket %s: put blob.url right" },
	{ "InvalidAccessKeyId", ERR_DENIED, "%s does not know our access key: put PERDURA_S3_ACCESS_KEY (or keys=FILE) right" },
	{ "SignatureDoesNotMatch", ERR_DENIED, "%s says our secret key is wrong: put PERDURA_S3_SECRET_KEY (or keys=FILE) right" },
	{ "InvalidToken", ERR_DENIED, "%s does not take our AWS_SESSION_TOKEN" },
	{ "ExpiredToken", ERR_DENIED, "%s: our AWS_SESSION_TOKEN has expired" },
	{ "AccessDenied", ERR_DENIED, "%s: access denied: our key must be allowed to read, write, list and remove objects there" },
	{ "AccountProblem", ERR_DENIED, "%s: the account of our key is blocked" },
	{ "QuotaExceeded", ERR_FULL, "%s: over its quota" },
	{ "InsufficientStorage", ERR_FULL, "%s is full" },
	{ "XMinioStorageFull", ERR_FULL, "%s is full" },
	{ "PreconditionFailed", ERR_EXISTS, "%s has an object of that name already" },
	{ "InvalidRange", ERR_CORRUPT, "%s: the object ends before" },
	{ "RequestTimeTooSkewed", CLOCK, "%s says our clock is wrong: see to the clocks of both machines" },
	{ "ConditionalRequestConflict", AGAIN, "%s: others change this object" },
	{ "OperationAborted", AGAIN, "%s: others change this object" },
	{ "RequestTimeout", AGAIN, "%s: it took us too long to send" },
	{ "BadDigest", AGAIN, "%s got other bytes than we sent" },
	{ "XAmzContentSHA256Mismatch", AGAIN, "%s got other bytes than we sent" },
	{ "SlowDown", AGAIN, "%s wants us to slow down" },
	{ "InternalError", AGAIN, "%s fails" },
	{ "ServiceUnavailable", AGAIN, "%s is unavailable" },
};

static int verdict_of_code(const struct s3_client *c, const char *code)
{
	for (size_t i = 0; i < sizeof verdicts / sizeof *verdicts; i++) {
		if (strcmp(verdicts[i].code, code))
			continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		fail_with(verdicts[i].result < 0 ? (enum error)verdicts[i].result : ERR_UNAVAILABLE, verdicts[i].line, c->where);
#pragma GCC diagnostic pop
		return verdicts[i].result;
	}
	return OK;
}

/* A bucket that is elsewhere: what the server says of it is passed on, not followed, as it may be wrong for good. */
static int moved(const struct s3_client *c, const struct s3_call *x)
{
	struct span to = http_call_header(&x->http, "location");
	char quoted[200];
	if (*x->error.region)
		return fail_with(ERR_INVALID, "%s is in region %s: say region=%s in blob.url", c->where, x->error.region, x->error.region);
	return fail_with(ERR_INVALID, "%s sends us elsewhere (%d, %s): name that endpoint in blob.url", c->where, x->http.status,
		*x->error.endpoint ? x->error.endpoint : log_quote(quoted, sizeof quoted, to.p ? to : SPAN("")));
}

/* An answer without a known code: what its status says. A 404 that does not say what is not there may come from anybody. */
static int verdict_of_status(const struct s3_client *c, const struct s3_call *x)
{
	int status = x->http.status;
	bool head = !strcmp(x->method, "HEAD");
	if ((status >= 300 && status < 400) || !strcmp(x->error.code, "AuthorizationHeaderMalformed"))
		return moved(c, x);
	if (status == 412)
		return verdict_of_code(c, "PreconditionFailed");
	if (status == 416)
		return verdict_of_code(c, "InvalidRange");
	if (status == 404 && head)
		return verdict_of_code(c, "NoSuchKey");
	if (status == 403 && head)
		return verdict_of_code(c, "AccessDenied");
	if (status == 507)
		return verdict_of_code(c, "InsufficientStorage");
	fail_with(ERR_UNAVAILABLE, "%s answers %s of %s with %d%s%s: %.150s", c->where, x->method, x->key ? x->key : "the bucket", status,
		*x->error.code ? " " : "", x->error.code, x->error.message);
	return status >= 500 || status == 429 || status == 408 ? AGAIN : ERR_UNAVAILABLE;
}

/* OK, an error code, or AGAIN, CLOCK; with a detail. */
static int verdict(const struct s3_client *c, struct s3_call *x)
{
	bool good = x->http.status >= 200 && x->http.status < 300;
	x->error = (struct s3_error){ "" };
	int r = x->http.answer.n ? s3_error_read(buffer_span(&x->http.answer), &x->error) : ERR_NOT_FOUND;
	if (good && r)
		return x->check && x->check(x) == ERR_UNAVAILABLE ? AGAIN : OK;
	/* An error in an answer that began well (CompleteMultipartUpload and copies do so) is as any other. */
	r = *x->error.code ? verdict_of_code(c, x->error.code) : OK;
	if (!r)
		r = verdict_of_status(c, x);
	return good && r == ERR_UNAVAILABLE ? AGAIN : r;
}

static uint32_t any_number(void)
{
	uint32_t v;
	return getrandom(&v, sizeof v, GRND_NONBLOCK) == sizeof v ? v : (uint32_t)clock_mono();
}

/* Between half of a pause and all of it, so that many do not come back at once. */
static void pause_before(int try)
{
	int ms = PAUSE_MS << (try - 1);
	ms = ms < PAUSE_MOST_MS ? ms : PAUSE_MOST_MS;
	ms = ms / 2 + (int)(any_number() % (unsigned)(ms / 2 + 1));
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL);
}

int64_t s3_call_skew(const struct s3_call *x)
{
	struct span date = http_call_header(&x->http, "date");
	char text[40];
	struct tm tm = { 0 };
	snprintf(text, sizeof text, "%.*s", SPAN_ARG(date.p ? date : SPAN("")));
	return strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm) ? timegm(&tm) * SECOND_US - clock_now() : 0;
}

static void take_clock(struct s3_client *c, const struct s3_call *x)
{
	int64_t skew = s3_call_skew(x);
	if (!skew)
		return;
	atomic_store(&c->skew, skew);
	log_line(LOG_WARN, "s3-clock", "store=\"%s\" detail=\"its clock is %+lld s off ours: see to both; requests go by its clock\"",
		c->where, (long long)(skew / SECOND_US));
}

static int header_order(const void *a, const void *b)
{
	const struct sigv4_pair *x = a, *y = b;
	return span_icmp(x->name, y->name);
}

/* One try as it goes over the line. */
struct signed_call {
	char payload[SHA256_HEX], stamp[SIGV4_STAMP];
	struct sigv4_pair headers[HEADERS_MOST];
	size_t n_headers;
	struct buffer path, url, lines; /* lines: headers, each with a NUL */
};

static void add_header(struct signed_call *s, struct span name, struct span value)
{
	assert(s->n_headers < HEADERS_MOST);
	s->headers[s->n_headers++] = (struct sigv4_pair){ name, value };
}

static void set_lines(struct signed_call *s, struct http_call *http, struct span authorization)
{
	size_t starts[HTTP_HEADERS_SENT], n = 0;
	for (size_t i = 0; i < s->n_headers; i++) {
		starts[n++] = s->lines.n;
		buffer_printf(&s->lines, "%.*s: %.*s", SPAN_ARG(s->headers[i].name), SPAN_ARG(s->headers[i].value));
		buffer_putc(&s->lines, 0);
	}
	starts[n++] = s->lines.n;
	buffer_printf(&s->lines, "Authorization: %.*s", SPAN_ARG(authorization));
	buffer_putc(&s->lines, 0);
	for (size_t i = 0; i < n && buffer_ok(&s->lines); i++)
		http->headers[i] = s->lines.p + starts[i];
	http->headers[n] = NULL;
}

static int sign(struct s3_client *c, struct s3_call *x, int endpoint, struct signed_call *s)
{
	const struct s3_config *f = c->config;
	struct buffer authorization = { 0 };
	sigv4_sha256(x->body, s->payload);
	sigv4_stamp(clock_now() + atomic_load(&c->skew), s->stamp);
	buffer_printf(&s->path, "/%s", c->place->bucket);
	if (x->key)
		buffer_printf(&s->path, "/%s%s", f->prefix, x->key);
	add_header(s, SPAN("host"), span_of(c->place->endpoint[endpoint].host));
	add_header(s, SPAN("x-amz-content-sha256"), span_of(s->payload));
	add_header(s, SPAN("x-amz-date"), span_of(s->stamp));
	if (*f->token)
		add_header(s, SPAN("x-amz-security-token"), span_of(f->token));
	for (size_t i = 0; i < x->n_headers; i++)
		add_header(s, x->headers[i].name, x->headers[i].value);
	qsort(s->headers, s->n_headers, sizeof *s->headers, header_order);
	struct sigv4_request r = { x->method, buffer_span(&s->path), x->query, x->n_query, s->headers, s->n_headers, s->payload };
	buffer_puts(&s->url, c->place->endpoint[endpoint].base);
	sigv4_target(&r, &s->url);
	buffer_putc(&s->url, 0);
	sigv4_authorize(&r, &(struct sigv4_keys){ f->access, f->secret }, f->region, "s3", s->stamp, &authorization);
	set_lines(s, &x->http, buffer_span(&authorization));
	bool ok = buffer_ok(&s->path) && buffer_ok(&s->url) && buffer_ok(&s->lines) && buffer_ok(&authorization);
	buffer_free(&authorization);
	return ok ? OK : fail_with(ERR_UNAVAILABLE, "out of memory");
}

static void signed_free(struct signed_call *s)
{
	buffer_free(&s->path);
	buffer_free(&s->url);
	buffer_free(&s->lines);
}

static unsigned metric_of(const char *method)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "POST", "DELETE" };
	unsigned i = 0;
	while (strcmp(methods[i], method))
		i++;
	return i;
}

/* OK: some answer came. */
static int send_once(struct s3_client *c, struct s3_call *x, int endpoint)
{
	struct signed_call s = { 0 };
	int64_t began = clock_mono();
	http_call_reset(&x->http);
	int r = sign(c, x, endpoint, &s);
	if (!r) {
		x->http.method = x->method;
		x->http.url = s.url.p;
		x->http.body = x->body;
		x->http.limit_ms = LIMIT_MS + (int64_t)((x->body.n + x->into_size) / SLOWEST);
		x->http.into = x->into;
		x->http.into_size = x->into_size;
		r = http_call(c->http, &x->http);
		metric_observe(c->metrics, METRIC_S3_SECONDS, metric_of(x->method), clock_mono() - began);
	}
	signed_free(&s);
	return r;
}

/* What can be done where no answer came, which the HTTP client cannot know. */
static int advise(int r)
{
	char why[300];
	snprintf(why, sizeof why, "%s", fail_detail());
	return fail_with((enum error)r, "%s: %s", why, r == ERR_DENIED ?
		"put the server's certificate right, or name its authority by ca=FILE in blob.url" :
		"see whether the S3 server runs, and whether endpoint= in blob.url names it");
}

static int try_once(struct s3_client *c, struct s3_call *x, int endpoint)
{
	int r = send_once(c, x, endpoint);
	if (!r)
		return verdict(c, x);
	r = advise(r);
	return r == ERR_DENIED && c->place->n_endpoints == 1 ? r : AGAIN;
}

/* While it is down, one request in DOWN_MS goes through to see. */
static int may_try(struct s3_client *c, bool *probe)
{
	int64_t until = atomic_load(&c->down_until), now = clock_mono();
	*probe = until != 0;
	if (!until || (now >= until && atomic_compare_exchange_strong(&c->down_until, &until, now + DOWN_MS * 1000LL)))
		return OK;
	pthread_mutex_lock(&c->lock);
	int r = fail_with(ERR_UNAVAILABLE, "%s (and it is tried again every %d s)", c->why, DOWN_MS / 1000);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void note_up(struct s3_client *c, int endpoint)
{
	atomic_store_explicit(&c->answered, clock_mono(), memory_order_relaxed);
	if (atomic_load_explicit(&c->endpoint, memory_order_relaxed) != endpoint)
		atomic_store(&c->endpoint, endpoint);
	if (!atomic_load_explicit(&c->down_until, memory_order_relaxed) || !atomic_exchange(&c->down_until, 0))
		return;
	metric_set(c->metrics, METRIC_S3_UP, c->place != &c->config->place, 1);
	log_line(LOG_INFO, "s3-up", "store=\"%s\"", c->where);
}

/* One object that cannot be had, or one kind of request, is no reason to refuse all others. */
static void note_down(struct s3_client *c, int64_t began)
{
	char quoted[400];
	if (atomic_load_explicit(&c->answered, memory_order_relaxed) > began)
		return;
	pthread_mutex_lock(&c->lock);
	snprintf(c->why, sizeof c->why, "%s", fail_detail());
	pthread_mutex_unlock(&c->lock);
	metric_set(c->metrics, METRIC_S3_UP, c->place != &c->config->place, 0);
	if (!atomic_exchange(&c->down_until, clock_mono() + DOWN_MS * 1000LL))
		log_line(LOG_WARN, "s3-down", "store=\"%s\" detail=%s", c->where, log_quote(quoted, sizeof quoted, span_of(fail_detail())));
}

/* One that only looks whether the store is back asks each endpoint once. */
static bool goes_on(const struct s3_client *c, const struct s3_call *x, bool probe, int try, int64_t began)
{
	int most = x->once ? 1 : probe ? c->place->n_endpoints : TRIES;
	return try < most && clock_mono() - began < PATIENCE_MS * 1000LL;
}

int s3_run(struct s3_client *c, struct s3_call *x)
{
	int64_t began = clock_mono();
	bool probe, clock_taken = false;
	int r = may_try(c, &probe), endpoint = atomic_load(&c->endpoint);
	if (r)
		return r;
	for (int try = 1;; try++) {
		r = try_once(c, x, endpoint);
		if (r <= 0)
			break;
		if (r == CLOCK && !clock_taken) {
			take_clock(c, x);
			clock_taken = true;
			continue;
		}
		endpoint = (endpoint + 1) % c->place->n_endpoints;
		if (!goes_on(c, x, probe, try, began))
			break;
		metric_add(c->metrics, METRIC_S3_RETRIES, 0, 1);
		pause_before(try);
	}
	if (r <= 0)
		note_up(c, endpoint);
	else if (!x->once)
		note_down(c, began);
	return r <= 0 ? r : ERR_UNAVAILABLE;
}

void s3_call_free(struct s3_call *x)
{
	http_call_free(&x->http);
}
