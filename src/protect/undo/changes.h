/* The changes an undo is about: a set of change numbers, out of the journal. */
#ifndef CHANGES_H
#define CHANGES_H

#include "buffer.h"
#include "change.h"

enum changes_source {
	CHANGES_OTHERS, /* is not undone: what it did stays */
	CHANGES_UNDONE,
	CHANGES_OURS,   /* of the undo itself */
};

struct changes {
	int64_t first, last; /* the range asked for */
	unsigned char *bits; /* one for each of its numbers */
	uint64_t n;          /* that are undone */
	int64_t head;        /* the account's last change when the undo began */
	struct buffer ours;  /* int64_t each, ascending */
};

/* Reads the journal: those of the range by that client (empty: all but deliveries), and what this changeset has done. */
int changes_read(struct service *s, int64_t account, struct span client, int64_t changeset, struct changes *out);
void changes_add_ours(struct changes *c, int64_t change);
enum changes_source changes_source(const struct changes *c, int64_t change);
static inline bool changes_undone(const struct changes *c, int64_t change)
{
	return changes_source(c, change) == CHANGES_UNDONE;
}
void changes_free(struct changes *c);

#endif
