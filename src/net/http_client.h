/* HTTP requests to other servers, over libcurl: connections are kept and used again, addresses are looked up anew now and then, and
 * every wait has an end. One call is one request: no redirects, no retries, no proxies, no cookies; what to do about a failure is the
 * caller's. Any thread. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "buffer.h"

struct http_client;

struct http_client_options {
	const char *ca;     /* PEM file of authorities for https; NULL or "": the system's */
	int connect_ms;     /* to be connected, TLS included */
	int silent_s;       /* a transfer that stands still for so long is given up */
};

enum { HTTP_HEADERS_SENT = 16, HTTP_ANSWER = 8 << 20 };

struct http_call {
	const char *method;
	const char *url; /* encoded; http or https */
	const char *headers[HTTP_HEADERS_SENT]; /* "Name: value"; ends with NULL */
	struct span body;
	int64_t limit_ms; /* for all of it */
	/* The body of a 2xx answer goes here, as much as fits in; without (NULL) it goes to `answer`, as all others do. */
	char *into;
	size_t into_size;

	/* out */
	int status;
	size_t into_n;        /* bytes in `into` */
	struct buffer answer; /* up to HTTP_ANSWER; the caller frees it */
	struct buffer head;   /* header lines of the answer; the caller frees it */
};

int http_client_new(const struct http_client_options *o, struct http_client **out);
void http_client_free(struct http_client **c);

/* OK: an answer with any status came, whole as its length says. ERR_TIMEOUT, ERR_UNAVAILABLE: none came, or not all of it; what
   was asked for may have been done. ERR_CORRUPT: it is longer than it may be. ERR_DENIED: the server's certificate is not
   one that the authorities vouch for. */
int http_call(struct http_client *c, struct http_call *x);
/* Another try with the same struct: what the last one brought is forgotten. */
void http_call_reset(struct http_call *x);
void http_call_free(struct http_call *x);
/* The value of a header of the answer; .p NULL without. */
struct span http_call_header(const struct http_call *x, const char *name);

#endif
