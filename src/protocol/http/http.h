/* A small HTTP/1.1 server (RFC 9110, 9112) for what a node tells of itself, and the place where web protocols will be
 * joined: whoever listens brings a table of routes, each a path and a function that fills in a reply. GET and HEAD; heads
 * of 8 KiB at most; requests with a body are refused. */
#ifndef HTTP_H
#define HTTP_H

#include "conn.h"
#include "http_request.h"

struct http_reply {
	int status;         /* 200 at first */
	const char *type;   /* of the body: text/plain at first; a literal */
	struct buffer body;
};

struct http_route {
	const char *path;
	/* On a worker: it may block on the stores. */
	void (*get)(void *ctx, const struct http_request *rq, struct http_reply *out);
};

/* The `service` of every HTTP listener (loop_listen); not changed and not freed while it is served. */
struct http_node {
	const struct http_route *routes;
	size_t n;
	void *ctx; /* for the routes */
};

extern const struct conn_protocol http_protocol;

#endif
