/* argon2id (RFC 9106) in its usual spelling, "$argon2id$v=19$m=19456,t=2,p=1$salt$hash", base64 without padding.
   The working memory is mapped for each hash and given back at once: malloc would keep it in every thread's heap. */
#ifndef ARGON_H
#define ARGON_H

#include "buffer.h"

/* Passwords have at most PASSWORD_MAX bytes (password.h). */

/* Appends a hash with a random salt. ERR_UNAVAILABLE without memory or random bytes. */
int argon_make(struct span password, struct buffer *out);
/* OK, ERR_DENIED; ERR_INVALID when it is no such hash or would cost over 64 MiB or 16 passes (nothing was computed
   then); ERR_UNAVAILABLE without memory. */
int argon_verify(struct span encoded, struct span password);
/* Takes the time and memory of argon_verify() for nothing. OK, ERR_UNAVAILABLE. */
int argon_spend(struct span password);

#endif
