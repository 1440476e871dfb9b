/* Where mail for an address goes: to the account of that address, along aliases, to the catch-all of its domain.
 *
 * An address is looked up as it is, then without its "+detail", then, for "postmaster", as account.postmaster says
 * (settings.h), then as "@domain". Account before alias; an alias may lead to several accounts, to other aliases and to
 * addresses elsewhere. The detail goes along to each target that has none of its own, except by a catch-all; the target
 * "@other" of a catch-all keeps the name and the detail and takes the other domain. A target that is nobody here any more
 * is passed over. */
#ifndef ROUTE_H
#define ROUTE_H

#include "arena.h"
#include "identity.h"

enum {
	ROUTE_TARGETS_MAX = 1000, /* that one address leads to */
	ROUTE_STEPS_MAX = 1000,   /* aliases on the way there */
};

struct route_target {
	int64_t account;     /* 0: elsewhere */
	struct span address; /* of the account, or where else, in either case with the detail */
	struct span detail;  /* spelled as given; empty where there is none */
};

struct route {
	struct arena arena; /* what the spans point to */
	struct route_target *list;
	size_t n, cap;
};

/* address: without quotes. ERR_NOT_FOUND: it leads to nobody here or elsewhere. ERR_CANNOT with a detail: its aliases are in
   a loop, or lead to too many. Else the failure of the store. */
int route_find(struct identity *i, struct span address, struct route *out);
/* May an alias (complete, or "@domain") lead to that target? ERR_INVALID with a detail for the user when the target is no
   address, nobody here, or leads back to the alias. out: the target as it is to be kept. */
int route_check(struct identity *i, struct span alias, struct span target, char out[ADDRESS_MAX]);
void route_free(struct route *r);

#endif
