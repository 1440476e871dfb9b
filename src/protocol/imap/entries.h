/* The entries of a set of UIDs, read in batches of bounded memory. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include "command.h"

enum {
	ENTRIES_BATCH = 2000,
	ENTRIES_SUMMARIES = 200, /* of a batch with summaries */
	ENTRIES_MEMORY = 1 << 20, /* of a batch that has more than one entry */
};

/* Start with { .view, .uids, .depth }; to read a batch again, put the old value back. */
struct entries {
	struct view *view;
	const struct imap_set *uids; /* resolved */
	enum view_depth depth;
	uint64_t next; /* the UID to go on from */
};

/* The next batch, in the arena, which is reset before; *n is 0 at the end. Ascending by UID. */
int entries_next(struct entries *w, struct arena *a, struct entry **out, size_t *n);

/* Reads a set off the arguments: message numbers, or UIDs in the UID form, or "$" (search_result.h). What comes out are UIDs within the view, as
   every service call wants them. False: c->args.bad says why. */
bool read_messages(struct command *c, struct imap_set *uids);
/* The same for a single message, or "*"; *uid is 0 when there is none of that UID. */
bool read_message(struct command *c, uint32_t *uid);
/* The last UID of the view; 0 when it is empty. */
uint32_t view_last_uid(const struct view *v);

#endif
