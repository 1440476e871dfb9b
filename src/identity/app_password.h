/* Application passwords: secrets of our making, each for one program of a user's, that are listed by name, limited to some
 * protocols, and revoked alone. They are items of the system log (SYSTEM_APPS), which the mailbox service writes (app.h).
 *
 * A secret is 28 letters of base32, 140 random bits, shown once in groups of four: "k3vd-...". Nobody guesses it, so what is kept
 * is its SHA-256, and a login by it costs no slow hash. */
#ifndef APP_PASSWORD_H
#define APP_PASSWORD_H

#include <stdint.h>

#include "buffer.h"

enum {
	APP_PASSWORDS_MAX = 20,                            /* of an account */
	APP_NAME_MAX = 64,                                 /* bytes */
	APP_LETTERS = 28,
	APP_TEXT = APP_LETTERS + (APP_LETTERS / 4 - 1) + 1, /* as it is shown, with NUL */
	APP_HASH = 32,
	APP_KEY_MAX = 24 + APP_NAME_MAX,
};

/* What a login is for; bits. */
enum login_protocol {
	LOGIN_OTHER = 0, /* a service that is none of these (the auth socket may name any): only what has no limit holds for it */
	LOGIN_IMAP = 1,
	LOGIN_SMTP = 2,
};

/* "imap", "smtp"; LOGIN_OTHER for what is neither. */
enum login_protocol login_protocol(struct span name);
/* A list with commas, to bits; an empty one is 0. ERR_INVALID with a detail for the user. */
int login_protocols_read(struct span list, unsigned *out);
/* Calls fn with the name of each. */
void login_protocols_each(unsigned protocols, void (*fn)(void *ctx, struct span name), void *ctx);

/* May it be called so? 1 to APP_NAME_MAX bytes of UTF-8 without control characters, and no blank at either end. ERR_INVALID with
   a detail for the user. */
int app_name_check(struct span name);

/* A new one. ERR_UNAVAILABLE without random bytes. Wipe the text. */
int app_password_make(char text[APP_TEXT], unsigned char hash[APP_HASH]);
/* Does that look like one? Then its hash. Case, blanks and dashes do not matter. */
bool app_password_hash(struct span given, unsigned char hash[APP_HASH]);

/* The name of its item: "ACCOUNT/NAME"; for an empty name what all of the account's begin with. Returns the bytes. */
struct span app_key(int64_t account, struct span name, char out[APP_KEY_MAX]);
/* The first name behind all of the account's. */
struct span app_key_end(int64_t account, char out[APP_KEY_MAX]);
/* What follows the '/'. */
struct span app_key_name(struct span key);

/* Its item's data. */
struct app_password {
	unsigned char hash[APP_HASH];
	unsigned protocols; /* bits; 0: no limit */
};
void app_password_put(const struct app_password *a, struct buffer *out);
/* False: damaged. */
bool app_password_get(struct span data, struct app_password *out);

#endif
