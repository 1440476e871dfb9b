/* What S3 servers answer in XML. All fail with ERR_CORRUPT for what is no such document; texts longer than their place are cut, or
 * refused where a cut one would name something else. */
#ifndef S3_ANSWER_H
#define S3_ANSWER_H

#include <stdint.h>

#include "span.h"

struct s3_error {
	char code[64], message[256]; /* printable ASCII only */
	char region[40], endpoint[128]; /* where the server names them: AuthorizationHeaderMalformed, PermanentRedirect */
};
/* ERR_NOT_FOUND: it is XML, and no error. */
int s3_error_read(struct span xml, struct s3_error *out);

enum { S3_TOKEN = 1100 };

struct s3_listed {
	struct span key;
	int64_t size;
	int64_t changed; /* us since 1970 */
};
/* A page of ListObjectsV2. more: goes on after `token`. fn: non-zero ends it with that. */
struct s3_page {
	bool more;
	char token[S3_TOKEN];
};
int s3_list_read(struct span xml, int (*fn)(void *ctx, const struct s3_listed *o), void *ctx, struct s3_page *out);

struct s3_upload {
	struct span key, id;
	int64_t begun; /* us since 1970 */
};
struct s3_uploads_page {
	bool more;
	char key[S3_TOKEN], id[S3_TOKEN]; /* the markers to go on after */
};
int s3_uploads_read(struct span xml, int (*fn)(void *ctx, const struct s3_upload *u), void *ctx, struct s3_uploads_page *out);

/* The text at a path ("VersioningConfiguration/Status"); "" when the document, whose root must be right, does not have it.
   ERR_LIMIT: longer than n - 1. */
int s3_text_read(struct span xml, const char *path, char *out, size_t n);

#endif
