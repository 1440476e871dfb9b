/* A pack that is being written to S3: an object that is there whole, under its name, or not at all.
 *
 * Its bytes are gathered in a file without a name in the data folder. Up to S3_PART bytes go in one request; more are parts of
 * an upload, several at a time, which end with one request that makes the object. The object carries a random mark, so that
 * after a lost answer it can be told whether the object that is there is this one. */
#ifndef S3_PACK_H
#define S3_PACK_H

#include <sys/uio.h>

#include "s3_client.h"

enum { S3_PART = 8 << 20 };

struct s3_pack;

/* dir: for the file. key: the object's. */
int s3_pack_new(struct s3_client *c, const char *dir, const char *key, struct s3_pack **out);
int s3_pack_write(struct s3_pack *p, const struct iovec *v, int n, int64_t offset);
/* Uploads the parts, if there are to be any; not one byte more may be written then. */
int s3_pack_upload(struct s3_pack *p);
/* The object is there. ERR_EXISTS: another one is, of that name. */
int s3_pack_put(struct s3_pack *p);
/* A pack that was never put leaves nothing behind: an upload is aborted, but for a server that does not answer. */
void s3_pack_free(struct s3_pack **p);

/* Aborts an upload. */
int s3_upload_abort(struct s3_client *c, const char *key, struct span id, bool once);

#endif
