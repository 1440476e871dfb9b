/* Passwords and what is kept of them: a text of lines,
 *
 *   argon2id=$argon2id$v=19$m=19456,t=2,p=1$salt$hash     checks a password that was sent to us
 *   scram-sha-256=4096$salt$StoredKey$ServerKey           for clients that never send it (scram.h)
 *   scram-sha-1=...
 *   {SCHEME}hash                                          brought along from another mail server
 *
 * SCHEME, in any case: ARGON2ID; CRYPT, SHA512-CRYPT, SHA256-CRYPT, BLF-CRYPT (crypt(3): $1$ $5$ $6$ $2a$ $2b$ $2y$, $y$ at
 * its usual cost, or DES); SSHA, SHA256, SSHA256, SSHA512 (base64 of digest and salt); PLAIN. Lines of other kinds are
 * passed over; so are hashes that would cost more than some 64 MiB or a second. */
#ifndef PASSWORD_H
#define PASSWORD_H

#include "buffer.h"
#include "scram.h"

enum { PASSWORD_MAX = 1024 }; /* bytes */

/* Appends the verifiers of a password. They do not depend on the account: one text may be given to many accounts, which
   saves the 45 ms (and 19 MiB meanwhile) for each. The bytes are taken as they stand. ERR_INVALID for an empty
   password or one with NUL, ERR_LIMIT over PASSWORD_MAX, ERR_UNAVAILABLE without memory or random bytes. */
int password_make(struct span password, struct buffer *out);

/* OK, ERR_DENIED, or ERR_UNAVAILABLE (no memory). A refusal takes the time of an argon2id hash also when the text holds
   none or is empty, so that it does not tell unknown users from known ones. Takes 45 ms and 19 MiB: see hash_pool.h. */
int password_verify(struct span text, struct span password);

/* The SCRAM verifier among the lines, without its name; empty: there is none. */
struct span password_scram(struct span text, enum scram_hash hash);

#endif
