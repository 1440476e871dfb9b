/* Who users are: the directory of accounts (directory.h), their logins (login.h, sasl.h) and passwords (password.h).
   Accounts are items of the system log (system.h); they are written by the mailbox service and only read here. */
#ifndef IDENTITY_H
#define IDENTITY_H

#include <stdbool.h>

#include "address.h"

struct identity;
struct meta;
struct buffer;
struct metrics;

struct identity_options {
	struct meta *meta;       /* not owned */
	struct span domain;      /* account.domain: for addresses and logins without one; copied; may be empty */
	unsigned hash_parallel;  /* password hashes at a time; 0: as many as cores */
	unsigned hash_queue;     /* how many may wait for that; 0: 32 for each */
	struct metrics *metrics; /* not owned; NULL: nothing is counted */
	unsigned cache_minutes;  /* how long a login that succeeded is remembered; 0: not at all (the usual is 5) */
};

struct account {
	int64_t id;
	int64_t tenant;
	char address[ADDRESS_MAX]; /* lower case, with its domain */
};

int identity_open(const struct identity_options *o, struct identity **out);
/* No call may be running. Takes the pointer's address, sets it NULL. */
void identity_close(struct identity **i);

/* address_complete() with the node's domain. ERR_INVALID with a detail fit for the user. */
int identity_complete(const struct identity *i, struct span address, char out[ADDRESS_MAX]);

/* password_make() within the bound on hashes at a time. */
int identity_password_make(struct identity *i, struct span password, struct buffer *out);

/* Is SCRAM offered (sasl.h)? It is, until somebody says otherwise. Any thread. */
void identity_offer_scram(struct identity *i, bool offer);

#endif
