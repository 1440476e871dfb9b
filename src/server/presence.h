/* Presence: tells the other nodes every NODES_BEAT_US that this one lives, and looks at them (nodes.h).
 *
 *     clock right -> clock off   it is more than PRESENCE_CLOCK_US off the database's: changes are refused (store.h: clock_off)
 *     clock off   -> clock right by itself, with the next look
 *     any         -> ended       another start has this node's name: the process ends at once, for it may write nothing more
 *
 * Where the database is this node's alone, there is one sign of life, for the table's sake. */
#ifndef PRESENCE_H
#define PRESENCE_H

#include "clock.h"

#define PRESENCE_CLOCK_US (500 * 1000)

struct presence;
struct service;

struct presence_options {
	struct service *service;
	const char *address; /* where other nodes reach this one; "": nowhere. Not owned */
	const char *version; /* not owned */
};

/* Returns after the first look: ERR_CONFLICT: another start has the name. */
int presence_start(const struct presence_options *o, struct presence **out);
void presence_stop(struct presence **p);

#endif
