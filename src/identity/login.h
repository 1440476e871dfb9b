/* Logins with a password that was sent to us. */
#ifndef LOGIN_H
#define LOGIN_H

#include "identity.h"

enum { LOGIN_WAIT = 1 };

/* One attempt; zeroed at first. */
struct login_pass {
	bool waited;
	int64_t wait; /* us */
};

/* Is this the user's password? peer: who asks, an address as text (without its port); it only matters when many wait.
 *
 * OK and the account; ERR_DENIED alike, and after the same time, for a wrong password and for an unknown user;
 * ERR_UNAVAILABLE (or what else the store failed with) when it cannot be known now: never "denied" for that.
 *
 * The store is asked each time, so a changed password or a removed account counts at once; only the hash (45 ms) is
 * spared for some minutes after a success.
 *
 * Guessing is slowed (login_guard.h): LOGIN_WAIT says that this attempt's turn comes in pass->wait us; hold no thread
 * meanwhile and make it again then, with the same pass. ERR_LIMIT: too many wait already. A password that was right lately
 * does not wait. */
int identity_login_plain(struct identity *i, struct span user, struct span password, struct span peer,
	struct login_pass *pass, struct account *out);

#endif
