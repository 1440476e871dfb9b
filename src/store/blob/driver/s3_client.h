/* Requests to one bucket: signed, tried again, and their failures in words. Any thread.
 *
 * A request is tried again, at another endpoint if there are several and signed anew, when no answer came, when it came in part,
 * and for answers that say so (5xx, SlowDown, a clock that is off: the server's is taken then). When all endpoints have failed for
 * long enough, and no other request was answered meanwhile, requests fail at once for a while, so that threads are free for what needs
 * no bodies; one of them tries again now and then. */
#ifndef S3_CLIENT_H
#define S3_CLIENT_H

#include "http_client.h"
#include "s3_answer.h"
#include "sigv4.h"

#include "s3_config.h"

struct s3_client;
struct metrics;

enum { S3_KEY = 40 };

struct s3_call {
	const char *method;
	const char *key; /* below the prefix; NULL: the bucket itself */
	struct sigv4_pair query[6];
	size_t n_query;
	struct sigv4_pair headers[3]; /* names in lower case */
	size_t n_headers;
	struct span body;
	void *into; /* for the body of a good answer; NULL: it goes to http.answer */
	size_t into_size;
	/* Looks at a good answer; ERR_UNAVAILABLE: it is none, try again. May be NULL. */
	int (*check)(struct s3_call *x);
	bool once; /* best effort: one try */

	/* out */
	struct http_call http;
	struct s3_error error; /* of the last answer; code "" without */
};

/* c and place outlive it. */
int s3_client_new(const struct s3_config *c, const struct s3_place *place, struct metrics *m, struct s3_client **out);
void s3_client_free(struct s3_client **c);
/* "BUCKET at URL", for lines that say what is wrong. */
const char *s3_client_where(const struct s3_client *c);

/* OK: a 2xx answer. ERR_NOT_FOUND: the server says that there is no such object or upload. ERR_EXISTS: a condition did not hold (412).
   ERR_FULL: no room, or over a quota. ERR_DENIED, ERR_INVALID: keys, rights, bucket or URL are wrong, and detail says what to do.
   ERR_CORRUPT: the range asked for lies behind the object's end (416). ERR_UNAVAILABLE: the rest; what was asked for may have been
   done. */
int s3_run(struct s3_client *c, struct s3_call *x);
/* The server's clock less ours, as its last answer says, us; 0 where it does not say. */
int64_t s3_call_skew(const struct s3_call *x);
void s3_call_free(struct s3_call *x);

#endif
