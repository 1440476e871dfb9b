/* Linking a message that came in to an account: for deliver, append, import. */
#ifndef INCOMING_H
#define INCOMING_H

#include "change.h"
#include "message.h"

enum { INCOMING_BATCH = 64 };

/* Runs fn with the bytes of n messages (up to INCOMING_BATCH) durable before it; publishes touched. */
int incoming_commit(struct incoming *const *in, size_t n, meta_fn *fn, void *arg, const struct touched *touched, size_t n_touched);
const unsigned char *incoming_sha256(const struct incoming *in); /* 32 bytes, after incoming_finish */
/* Looks whether the store holds these bytes already; then they are not written again. */
int incoming_find(struct incoming *in);
/* Within fn, before anything else: it may be a rerun. */
void incoming_begin(struct incoming *in);
/* Within fn: names what linking it will read (meta_expect). */
void incoming_expect(struct meta_txn *t, const struct incoming *in);
/* Within fn: a new email and its entry; v has flags, keywords and date. The first of a transaction also links the blob. */
int incoming_add(struct incoming *in, struct change *c, struct collection *to, struct version *v);

/* From a row with PLACE_COLUMNS, from that column on. */
void message_place_from_row(const struct meta_rows *r, int column, struct message_place *out);

#endif
