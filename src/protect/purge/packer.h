/* The packer: where nothing can be appended to a pack, small bodies are rows of the database (store/staged.h). The packer
 * gathers the oldest of them into a pack, puts it, finds it there again, and then leads the bodies' rows to it and drops
 * the staged ones, some hundred in a transaction. It belongs to purge, as it removes what nobody but purge may.
 *
 * Of all nodes one does it, under a lease that each of these transactions holds: a packer that was stopped after its put and
 * goes on when another node does its work changes nothing any more. What it put is a pack that no row names, which purge
 * removes; so is what a crash leaves. Nor does it lead rows to a pack that was put more than an hour ago (store/staged.h). */
#ifndef PACKER_H
#define PACKER_H

#include "store.h"

struct packer;

struct packer_options {
	struct store *store; /* not owned */
	int64_t bytes;       /* gathered when there is so much, into packs of about that size ... */
	int64_t age;         /* ... or when the oldest is so old, us */
};
int packer_open(const struct packer_options *o, struct packer **out);
/* No run may be under way. Takes the pointer's address, sets it NULL. */
void packer_close(struct packer **p);

struct packer_report {
	uint64_t packs, bodies, bytes;
	bool elsewhere; /* another node does it */
};
/* Gathers until nothing is due; everything that is staged, when `all`. cancelled (may be NULL): non-zero ends the run before
   its next step. ERR_CONFLICT: a run is under way, or another node has taken over. */
int packer_run(struct packer *p, bool all, int (*cancelled)(void *ctx), void *ctx, struct packer_report *out);

/* Over all runs since the start. */
struct packer_stats {
	uint64_t runs, failed, packs, bodies, bytes;
};
void packer_stats(struct packer *p, struct packer_stats *out);

#endif
