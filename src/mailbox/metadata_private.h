/* Annotations within a transaction. */
#ifndef METADATA_PRIVATE_H
#define METADATA_PRIVATE_H

#include "change.h"

/* The annotations that the account has of one of its folders are also those of another, which has none. */
int metadata_copy(struct change *c, int64_t from, int64_t to);

#endif
