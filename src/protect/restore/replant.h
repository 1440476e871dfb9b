/* Folders to their wanted places, all of them together: what ends makes room for what comes back, and two may change
 * places. A wish that cannot be granted beside those that stay as they are is left out, with the reason. */
#ifndef REPLANT_H
#define REPLANT_H

#include "arena.h"
#include "change.h"

enum wish_fate {
	WISH_STANDS,  /* it is so already */
	WISH_GRANTED,
	WISH_TAKEN,   /* another folder has the name: holder */
	WISH_STUCK,   /* there are folders below one that is to end, or it would lie below itself */
};

struct wish {
	int64_t id;
	bool end;           /* the folder ends; else it is to be at: */
	int64_t parent;     /* where that does not live, what stands at the path above; made where nothing does */
	struct span name, path;
	int64_t attributes;
	int64_t uidnext;    /* end: only if no message came in since this was its UIDNEXT */
	/* out */
	enum wish_fate fate;
	int64_t holder;
	bool revived;
	int64_t messages;   /* revived: that came back with it */
	bool held;          /* it was to be a name alone, and there are messages in it */
};

struct replant {
	struct service *s;
	int64_t account;
	enum change_kind kind;
	const struct actor *actor;
	int64_t changeset;
	struct wish *wishes;
	size_t n;
	bool dry_run;
	/* May be NULL: after each transaction, with the number of its change. */
	void (*changed)(void *ctx, int64_t change);
	void *ctx;
};

/* Up to 300 folders go in one transaction: all are where they belong, or none is. */
int replant(struct replant *q);
/* Once messages have gone: those that were held become names alone, if nothing is in them now. Fates stay. */
int replant_held(struct replant *q);

#endif
