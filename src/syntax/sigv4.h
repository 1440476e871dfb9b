/* Signature Version 4 of AWS, which S3 servers ask of each request ("Signature Calculations for the Authorization Header").
 * Pure: the time and the keys come from the caller. Paths are encoded once and never normalised, as S3 wants it. */
#ifndef SIGV4_H
#define SIGV4_H

#include "buffer.h"

struct sigv4_pair {
	struct span name, value;
};

struct sigv4_keys {
	const char *access, *secret;
};

struct sigv4_request {
	const char *method;
	struct span path;                 /* not encoded, begins with a slash */
	const struct sigv4_pair *query;   /* not encoded; any order */
	size_t n_query;
	const struct sigv4_pair *headers; /* all that are signed: names in lower case and sorted by name, values trimmed; host and
	                                     x-amz-date must be among them */
	size_t n_headers;
	const char *payload; /* SHA-256 of the body in hex, or UNSIGNED-PAYLOAD */
};

enum { SIGV4_STAMP = 17, SIGV4_QUERY_MOST = 16, SHA256_HEX = 65 };

/* 20130524T000000Z, as x-amz-date has it; the time in microseconds since 1970. */
void sigv4_stamp(int64_t at, char out[static SIGV4_STAMP]);
/* Lower-case hex of the SHA-256. */
void sigv4_sha256(struct span bytes, char out[static SHA256_HEX]);
/* Path and query (with its question mark, if there is any) as they are signed: send just these. At most SIGV4_QUERY_MOST pairs. */
void sigv4_target(const struct sigv4_request *r, struct buffer *out);
/* The value of the Authorization header. stamp: as in x-amz-date. */
void sigv4_authorize(const struct sigv4_request *r, const struct sigv4_keys *keys, const char *region, const char *service,
	const char *stamp, struct buffer *out);

#endif
