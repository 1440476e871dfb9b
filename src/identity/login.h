/* Logins with a password that was sent to us. */
#ifndef LOGIN_H
#define LOGIN_H

#include "app_password.h"
#include "identity.h"
#include "scram.h"

enum { LOGIN_WAIT = 1 };

/* Where passwords may travel without TLS (login.plaintext). */
enum login_plaintext { LOGIN_PLAINTEXT_LOOPBACK, LOGIN_PLAINTEXT_ALWAYS, LOGIN_PLAINTEXT_NEVER };
/* May one be taken that came with TLS or not, from this machine or not? */
bool login_may_be_plain(enum login_plaintext allowed, bool tls, bool local);

/* Who logged in, and by what. */
struct login {
	struct account account;
	uint32_t app;                    /* the uid of the application password's item (SYSTEM_APPS); 0: by the account's own */
	char app_name[APP_NAME_MAX + 1]; /* its name, also where it was refused */
	uint64_t ended;                  /* for identity_login_stands() */
};

/* For a log line: " app=\"NAME\"", or "". */
enum { LOGIN_APP_TEXT = 8 + 4 * APP_NAME_MAX };
const char *login_app_text(const struct login *l, char out[LOGIN_APP_TEXT]);

/* One attempt; zeroed at first. */
struct login_pass {
	bool waited;  /* its turn came */
	int64_t wait; /* us */
	int64_t busy; /* clock_mono() since when too many others have their passwords hashed; 0: not */
};

/* Is this the user's password, or an application password of his that holds for the protocol? peer: who asks, an address as text
 * (without its port); it only matters when many wait.
 *
 * OK and the account; ERR_DENIED alike, and after the same time, for a wrong password and for an unknown user;
 * ERR_UNAVAILABLE (or what else the store failed with) when it cannot be known now: never "denied" for that.
 *
 * The store is asked each time, so a changed password or a removed account counts at once; only the hash (45 ms) is
 * spared for some minutes after a success, and always for an application password.
 *
 * Guessing is slowed (login_guard.h), and so are all when many come at once: LOGIN_WAIT says that this attempt's turn comes in
 * pass->wait us; hold no thread meanwhile and make it again then, with the same pass. ERR_LIMIT: too many wait already. A
 * password that was right lately does not wait, nor does an application password. */
int identity_login_plain(struct identity *i, struct span user, struct span password, enum login_protocol protocol, struct span peer,
	struct login_pass *pass, struct login *out);

/* ---- Logins that prove the password without sending it (SCRAM) */

/* Who wants to log in, and what is kept to check that. */
struct login_claim {
	struct account account; /* its address also of a user that is unknown */
	bool known;
	char verifier[512];     /* of an unknown user, or one without: the same made-up one each time */
	uint64_t ended;
};
int identity_claim(struct identity *i, struct span user, enum scram_hash hash, struct login_claim *out);
/* The proof was right or wrong: as identity_login_plain() ends. */
int identity_login_proved(struct identity *i, const struct login_claim *claim, bool right, struct span peer, struct login_pass *pass,
	struct login *out);

/* ---- Logins that end: of accounts that are removed, by application passwords that are revoked */

/* Some ended: whoever looks through the sessions for them calls this before. */
void identity_logins_ended(struct identity *i);
/* After the session became one that is found when it is looked for: does the login still hold? OK unless it ended between the
   look into the store and now; then ERR_DENIED, or what the store failed with. */
int identity_login_stands(struct identity *i, const struct login *l);

#endif
