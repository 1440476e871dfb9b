/* The head of an HTTP/1.x request (RFC 9112), taken strictly: what two programs could read in two ways is refused. Pure:
   spans point into the input. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include "span.h"

enum { HTTP_HEADERS_MAX = 64 };

struct http_header {
	struct span name, value; /* value: without blanks at its ends */
};

struct http_request {
	struct span method;
	struct span path;  /* as sent, from its first slash on: "/metrics" */
	struct span query; /* behind ?; empty when there is none */
	struct span host;  /* as sent; empty in HTTP/1.0 perhaps */
	bool keep_alive;   /* the connection may go on after the reply */
	bool chunked;      /* a body of unknown length follows */
	uint64_t length;   /* of the body that follows; 0 when there is none */
	struct http_header headers[HTTP_HEADERS_MAX];
	size_t n_headers;
};

enum http_answer {
	HTTP_OK,
	HTTP_MORE,        /* the head has not ended yet */
	HTTP_BAD,         /* 400 */
	HTTP_TOO_MANY,    /* 431: more headers than fit */
	HTTP_BAD_VERSION, /* 505 */
};
/* Takes a head off the front of *in, in HTTP_OK only. */
enum http_answer http_request_next(struct span *in, struct http_request *out);

/* The value of the first header of that name; .p is NULL when there is none. */
struct span http_header_find(const struct http_request *r, struct span name);

#endif
