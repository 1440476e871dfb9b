/* How many there are of each: sessions of a user at an address, say. Any thread. */
#ifndef TALLY_H
#define TALLY_H

#include "span.h"

enum { TALLY_KEY_MAX = 64 }; /* bytes */

struct tally;

/* NULL: no memory. */
struct tally *tally_new(void);
/* Takes the pointer's address, sets it NULL, accepts NULL. */
void tally_free(struct tally **t);

/* One more. ERR_LIMIT: there are `max` already (or the key is too long); ERR_UNAVAILABLE: no memory. */
int tally_add(struct tally *t, struct span key, unsigned max);
/* One less of what was added. */
void tally_drop(struct tally *t, struct span key);

#endif
