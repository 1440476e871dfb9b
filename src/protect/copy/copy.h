/* A consistent copy of a node's data folder, made by the running node while mail goes on: the database as of one instant, and
 * the packs it refers to. `perdurad --data COPY` serves it.
 *
 * The store holds no pack back from being written and stops no commit; while it is copied the database's log does not start
 * over and no pack is removed. Blocks are shared with the original where the file system can.
 *
 * A second copy into the same folder takes the database anew and of the packs only what is new. Until it is whole, what the
 * folder held before is what it holds: the database changes by one rename, packs go only after it. */
#ifndef COPY_H
#define COPY_H

#include "service.h"

struct copy_request {
	const char *from;      /* the node's data folder: its perdura.conf goes along */
	const char *node_name;
	const char *to;        /* absolute; new, empty, or a copy on which no node ever ran */
	/* Both may be NULL. progress: bytes of about so many. cancelled: non-zero ends it; what is copied stays for the next
	   try. */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct copy_report {
	int64_t stamp;           /* all that was answered before this instant is in it, us */
	uint64_t copied, shared; /* bytes: copied one by one; shared with the original */
};

/* ERR_INVALID with a detail for the user: the folder is something else. */
int copy_run(struct service *s, const struct copy_request *q, struct copy_report *out);

#endif
