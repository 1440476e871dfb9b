/* Small bodies where nothing can be appended to a pack (S3): the record of each is a row of the table `staged`, written in
 * the transaction that adds the body's row and under its id, so that both are there or neither is. Later the packer
 * (protect/purge/packer.h) gathers them into packs, leads the bodies' rows there and drops these. The bytes of a body of up
 * to BLOB_STAGED go through the database once. */
#ifndef STAGED_H
#define STAGED_H

#include "blob.h"
#include "meta.h"

struct store;

/* Called where the row of body `id` is added or led elsewhere: *at is the location it gets. On stores that append that is
   where the stage was written (blob_stage_result); else a small body becomes a row in this transaction, and a large one must
   have been put not long ago: nobody refers to its pack yet, and purge removes such packs after a day. */
int store_put_body(struct meta_txn *t, struct blob_stage *st, int64_t id, struct blob_location *at);

/* May rows still begin to refer to a pack that was put at that time, us since 1970? ERR_UNAVAILABLE: it was too long ago (or the
   clock has jumped). Asked within the transaction. */
int staged_put_check(int64_t put);

struct staged_stats {
	uint64_t rows, bytes;
	int64_t oldest; /* us since 1970; 0: there is none */
};
int staged_stats(struct store *s, struct staged_stats *out);
/* Of the oldest, us. */
int64_t staged_age(const struct staged_stats *s);

/* What the blob store reads rows with; ctx is the store. */
struct blob_rows staged_rows(struct store *s);

#endif
