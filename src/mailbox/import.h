/* Import: many messages into folders of one account, a batch to a transaction, and never twice: the k-th copy of the same
   bytes is added only where the folder holds fewer than k. So an import that broke off is simply run again. */
#ifndef IMPORT_H
#define IMPORT_H

#include "message.h"

struct import;

struct import_counts {
	uint64_t added, skipped;
};

/* One at a time into an account, on whichever node: waits some seconds for another to end, then ERR_UNAVAILABLE. */
int import_open(struct service *s, int64_t account, const struct actor *a, struct import **out);
/* Takes the finished message over, also on failure. Folders are made, and subscribed, where they are not there. keywords: canonical text;
   date: us, 0 for now. Durable at the next flush, which comes by itself from time to time. ERR_QUOTA: the account is full, and
   nothing of the batch was added. */
int import_add(struct import *m, struct span folder, struct incoming *in, uint64_t flags, struct span keywords, int64_t date);
/* Makes the folder, and subscribes it, where it is not there. */
int import_folder(struct import *m, struct span folder);
int import_flush(struct import *m);
struct import_counts import_counts(const struct import *m);
/* What was not flushed is dropped. */
void import_close(struct import **m);

#endif
