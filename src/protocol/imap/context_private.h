/* What context.c keeps and context_tell.c brings up to date. */
#ifndef CONTEXT_PRIVATE_H
#define CONTEXT_PRIVATE_H

#include "context.h"
#include "imap_sort.h"

struct context {
	struct context *next;
	bool uid, last; /* of its form; it has "*" among its UIDs */
	struct imap_args text;
	struct span tag;
	struct imap_set set; /* the result */
	bool sorted;
	uint32_t *order;     /* the same in the order of a SORT */
	size_t n, room;      /* of order */
	char bytes[];        /* of text and tag */
};

struct asking;

struct contexts {
	struct context *first; /* in the order they were asked for */
	uint32_t known;        /* the last UID that was there when `pending` was noted */
	struct imap_set pending;
	struct asking *asking; /* NULL between commands */
};

/* A message that leaves, and what the client calls it. */
struct leaving {
	uint32_t uid, number;
};

/* Takes these, ascending by UID, out of the result and writes what REMOVEFROM holds. False: there is no memory, nothing was done. */
bool context_remove(struct context *x, const struct leaving *v, size_t n, struct buffer *out);
/* Puts UIDs that are in its order, if it has one, into the result. The same. */
bool context_add(struct context *x, const uint32_t *uids, size_t n);
/* Its place in a list: room for one more. */
bool context_insert(struct context *x, size_t at, uint32_t uid);
/* What this message is called in its lines. */
uint32_t context_number(const struct command *c, const struct context *x, uint32_t uid);
/* "* ESEARCH (TAG "x") UID REMOVEFROM (...) ADDTO (...)"; nothing where both are empty. */
void context_put(struct command *c, const struct context *x, const struct buffer *removed, const struct buffer *added);
/* Ends it and says NOUPDATE. */
void context_drop(struct command *c, struct context *x, const char *why);
/* Ends those that would have the session keep too much. */
void context_bound(struct command *c, struct context *x);

#endif
