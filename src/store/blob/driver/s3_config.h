/* What a URL says about an S3 store: s3://BUCKET/PREFIX?endpoint=URL,URL&region=R&ca=FILE&keys=FILE&mirror=BUCKET@URL
 *
 * Keys come from keys=FILE (NAME=VALUE lines, the names as in the environment) or from the environment: PERDURA_S3_ACCESS_KEY and
 * PERDURA_S3_SECRET_KEY, else AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; AWS_SESSION_TOKEN goes with these. */
#ifndef S3_CONFIG_H
#define S3_CONFIG_H

#include <limits.h>

#include "span.h"

enum { S3_ENDPOINTS = 8 };

struct s3_place {
	char bucket[64];
	struct {
		char base[300]; /* scheme and host, without a slash at the end */
		const char *host; /* within base, with the port as a request's Host has it */
	} endpoint[S3_ENDPOINTS];
	int n_endpoints;
};

struct s3_config {
	struct s3_place place, mirror; /* mirror without endpoints: there is none */
	char prefix[256]; /* of keys: empty, or with a slash at its end */
	char region[64], ca[PATH_MAX];
	char access[256], secret[256], token[4096];
};

/* where: //BUCKET/PREFIX. dir: what relative files are relative to. ERR_INVALID, with a line that says what to do. */
int s3_config_read(const char *where, const char *query, const char *dir, struct s3_config *out);

#endif
