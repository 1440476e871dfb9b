/* Where a mailbox's name leads: into the user's own account, or, below "Other Users/ADDRESS/", into somebody else's, as far as
   its owner allows it (RFC 4314). What a user may not see is not there for him. */
#ifndef MAILBOX_PLACE_H
#define MAILBOX_PLACE_H

#include "acl.h"
#include "command.h"
#include "folder.h"
#include "imap_rights.h"

#define OTHERS "Other Users"

struct place {
	int64_t account;
	int64_t viewer;   /* the session's account where that is another; else 0 */
	struct span path; /* in that account */
	bool exists;      /* always, as far as this says, in the user's own */
	unsigned rights, above; /* to it, and to the nearest mailbox above it */
};

/* Is it "Other Users", or below that? */
bool name_is_others(struct span name);
/* ERR_NOT_FOUND: there is no such user. Costs nothing for a name of the user's own. */
int find_place(struct command *c, struct span name, struct place *out);
/* The same, with at least these rights to it: ERR_DENIED without them, ERR_NOT_FOUND where nothing may be known of it. */
int find_allowed(struct command *c, struct span name, unsigned rights, struct place *out);
/* For a mailbox that is to be made: rights to what lies above it. */
int find_above(struct command *c, struct span name, struct place *out);
/* For a target of messages. ERR_NOT_FOUND; *may_create: but the user could make it. */
int find_target(struct command *c, struct span name, struct place *out, bool *may_create);
/* An owner's folders to which the user has rights (acl_folders). */
struct visible {
	struct acl_folder *list;
	size_t n;
};
unsigned visible_rights(const struct visible *v, int64_t folder);
/* Is there something below the i-th folder of the tree that the user may see? */
bool visible_below(const struct visible *v, const struct tree *t, size_t i);
/* "* MYRIGHTS name rights" (cmd_acl.c). */
void put_myrights(struct command *c, struct span name, unsigned rights);
/* "Other Users/ADDRESS", in the arena; .p is NULL without memory. */
struct span others_root(struct arena *a, struct span address);

#endif
