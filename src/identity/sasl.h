/* The server's side of SASL PLAIN (RFC 4616) and LOGIN (which only has an expired draft), the same for every protocol:
 *
 *   sasl_begin(&s, mechanism);
 *   do { send sasl_challenge(&s); line = read; } while ((rc = sasl_answer(&s, line)) == SASL_MORE);
 *   if (rc == OK) rc = sasl_login(&s, identity, peer, &account);   // again, after s.pass.wait, while it is LOGIN_WAIT
 *   sasl_end(&s);
 *
 * An initial response (SASL-IR) is an answer that comes before the first challenge was sent. */
#ifndef SASL_H
#define SASL_H

#include "login.h"

enum { SASL_MORE = 1, SASL_TEXT = 2048, SASL_LINE_MAX = (SASL_TEXT + 2) / 3 * 4 };

struct sasl_mechanism;

/* Its spans point into itself: it must stay where it is. */
struct sasl {
	const struct sasl_mechanism *mechanism;
	int step;
	struct span authorize, user, password;
	size_t used;
	struct login_pass pass;
	char text[SASL_TEXT];
};

/* ERR_NOT_FOUND for a mechanism other than PLAIN and LOGIN. */
int sasl_begin(struct sasl *s, struct span mechanism);
/* What the server says now, in base64 (may be empty). */
struct span sasl_challenge(const struct sasl *s);
/* Takes a line of the client, without its line end: base64; "" or "=" is an empty answer. SASL_MORE: the next challenge;
   OK: everything is here. ERR_INVALID for bad syntax and for "*" (the client gave up), ERR_LIMIT when too long (lines
   over SASL_LINE_MAX always are). */
int sasl_answer(struct sasl *s, struct span line);
/* identity_login_plain() with what was said. The user may only act as itself: another authorization identity is
   ERR_DENIED. */
int sasl_login(struct sasl *s, struct identity *i, struct span peer, struct account *out);
/* Wipes what was said. */
void sasl_end(struct sasl *s);

#endif
