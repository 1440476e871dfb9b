/* Slows those who guess passwords, by address (of IPv6 its first 64 bits) and by account, without holding anything but a
 * few numbers for each: of a fixed size, whoever was quiet longest makes room. Any thread.
 *
 * A few wrong passwords are free. Each further one doubles the time between two attempts of that address, and of that
 * account, up to LOGIN_SPACING_MAX; ten quiet minutes halve what is held against them. Who logged in to the account from that
 * address in the last month is not slowed by what others do, only by wrong passwords of the two together: so nobody can
 * lock a user out, and a forgotten phone with an old password harms its own office least. This machine's own addresses
 * (a webmail program, say) are slowed by account only. */
#ifndef LOGIN_GUARD_H
#define LOGIN_GUARD_H

#include <openssl/types.h>

#include "clock.h"
#include "span.h"

enum { LOGIN_FREE = 3 };                          /* wrong passwords */
#define LOGIN_SPACING_MIN (SECOND_US / 2)
#define LOGIN_SPACING_MAX (15 * SECOND_US)
#define LOGIN_WAIT_MAX (30 * SECOND_US)
#define LOGIN_FORGET_US (600 * SECOND_US)         /* halves the count */
#define LOGIN_KNOWN_US (30 * 86400 * SECOND_US)

struct login_guard;

/* mac: keyed, so that nobody outside can aim at a place; not owned, only copied. NULL when out of memory. */
struct login_guard *login_guard_new(const EVP_MAC_CTX *mac);
void login_guard_free(struct login_guard **g);

/* When may this attempt be made? In so many us (0: now), its turn is taken; -1 when over LOGIN_WAIT_MAX: refuse it. now is
   clock_mono(), us. */
int64_t login_guard_admit(struct login_guard *g, struct span address, struct span account, int64_t now);
/* How it ended. Not for attempts whose end is not known (the store is down). */
void login_guard_ended(struct login_guard *g, struct span address, struct span account, bool right, int64_t now);

#endif
