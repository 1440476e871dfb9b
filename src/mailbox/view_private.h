/* What the files of a view share. */
#ifndef VIEW_PRIVATE_H
#define VIEW_PRIVATE_H

#include "change.h"
#include "pin.h"
#include "uidmap.h"
#include "view.h"

struct view {
	struct service *s;
	int64_t account;
	struct view_info info;
	struct arena arena;
	struct uidmap *map;  /* what the session has been told */
	int64_t change;      /* up to here flags and new messages were told */
	int64_t expunged;    /* up to here expunges were told */
	int64_t *ends;       /* past: for each number the change that ended this version, 0 when it was living at open */
	uint32_t unseen;
	int64_t told;        /* clock_mono() of when nothing was left to be told */
	int flags;           /* it was opened with */
	bool denied;         /* the viewer may not read it any more */
	struct pin *pin;     /* what purge is to keep for it; NULL: nothing more */
};

/* ERR_NOT_FOUND when purge has taken what the view stands on: to be asked after the store was read. */
int view_stands(const struct view *v);
/* The same for purge on other nodes: within the transaction that reads or writes, so that what it sees besides is there. */
int view_holds(struct meta_txn *t, const struct view *v);
/* ERR_CANNOT: it is read-only. */
int view_check_writable(const struct view *v);
/* UIDs whose \Seen the viewer has changed since, into out; none in an owner's view. */
int view_seen_since(struct meta_txn *t, const struct view *v, int64_t since, struct buffer *out);
/* Fills map and ends for the state at info.at. */
int view_past_map(struct view *v);

#endif
