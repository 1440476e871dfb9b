/* Entries of mailboxes as they were read lately, without summaries, for clients that list the flags of all messages again and again.
 *
 * What is kept is a page: all entries that live between two UIDs, as of one change of their mailbox. Every change of an entry is a
 * change of its mailbox, so a page is right exactly as long as the mailbox's last change is the page's: whoever asks has read that in
 * the transaction in which he would read the rows, and gets what this transaction would have shown him. \Seen of others than the owner
 * is laid over what comes from here as over what comes from rows.
 *
 * Bounded in memory; the page that was used longest ago gives way. Any thread may call. */
#ifndef ENTRY_CACHE_H
#define ENTRY_CACHE_H

#include "arena.h"
#include "view.h"

struct entry_cache;
int entry_cache_new(struct entry_cache **out);
void entry_cache_free(struct entry_cache **c);

/* Which page: one that begins with the message of that place in the mailbox. */
struct entry_page {
	int64_t account, collection;
	int64_t change; /* of the mailbox */
	uint32_t place; /* number of the first message - 1 */
	uint32_t first, last; /* UIDs; all that lives from one to the other */
};

/* The page's entries, in the arena, ascending; false: they are not known, or there is no memory for them in the arena. */
bool entry_cache_get(struct entry_cache *c, const struct entry_page *p, struct arena *arena, struct entry *out, size_t room, size_t *n);
/* Takes a copy. */
void entry_cache_put(struct entry_cache *c, const struct entry_page *p, const struct entry *list, size_t n);

#endif
