/* Notices: who waits for a change of which account, what was announced of it, and what a look at its head finds to be new.
 * Callbacks run under a lock of the account's bucket, so that one that was taken back is not running.
 *
 * Of every watched account the hub knows the change up to which all were announced. A notice is told at once; one that got
 * lost, or came before its predecessor, leaves a gap, and so the next look at the head (poll.c) finds the head beyond what is
 * known and wakes everybody who watches the account. Whoever begins to watch is woken once by the first look, because nobody
 * knows which change he saw last. */
#ifndef HUB_H
#define HUB_H

#include "service.h"

struct hub;
struct touched;

int hub_new(struct hub **out);
void hub_free(struct hub **h);
/* Wakes who watches the collection (0: any of the account), without a change that is to be announced. */
void hub_wake(struct hub *h, int64_t account, int64_t collection);
/* A change that is committed: wakes, and tells who listens to all. ours: of this node. */
void hub_publish(struct hub *h, const struct touched *t, bool ours);

enum { HUB_BUCKETS = 256 };
/* Watched accounts of a bucket, ascending, from that one on; returns how many, at most n. */
size_t hub_watched(struct hub *h, size_t bucket, int64_t from, int64_t *out, size_t n);
/* The account's head stands at change. Returns how many changes before it were found so by the look before this one already
   and announced by nobody since. */
uint64_t hub_head(struct hub *h, int64_t account, int64_t change);

#endif
