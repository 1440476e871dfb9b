/* The server's side of SASL, the same for every protocol: PLAIN (RFC 4616), LOGIN (which only has an expired draft),
 * SCRAM-SHA-1 and SCRAM-SHA-256, both also -PLUS (RFC 5802, RFC 7677), EXTERNAL with a client's certificate (RFC 4422,
 * appendix A):
 *
 *   sasl_begin(&s, mechanism, identity, client);
 *   do { send sasl_challenge(&s); line = read; } while ((rc = sasl_answer(&s, line)) == SASL_MORE);
 *   if (rc == OK) rc = sasl_login(&s, peer, &login);     // again, after s.pass.wait, while it is LOGIN_WAIT
 *   if (rc == OK && sasl_last(&s)) { send sasl_challenge(&s); read an empty line }
 *   sasl_end(&s);
 *
 * An initial response (SASL-IR) is an answer that comes before the first challenge was sent. */
#ifndef SASL_H
#define SASL_H

#include "login.h"
#include "scram_server.h"

enum { SASL_MORE = 1, SASL_NAMES = 1024, SASL_TEXT = 2048, SASL_LINE_MAX = (SASL_TEXT + 2) / 3 * 4 };

struct sasl_mechanism;

/* Its spans point into itself: it must stay where it is. */
struct sasl {
	const struct sasl_mechanism *mechanism;
	struct identity *identity;
	enum login_protocol protocol;
	struct scram_channel channel;
	char names[SASL_NAMES];     /* of the certificate */
	size_t names_n;
	int step;
	struct span authorize, user;
	struct span password;       /* PLAIN and LOGIN */
	struct scram scram;         /* SCRAM */
	struct login_claim claim;   /* SCRAM and EXTERNAL: who it is about */
	int proof;                  /* what scram_final() said */
	size_t used, said_n;
	struct login_pass pass;
	char text[SASL_TEXT];       /* what the client said */
	char said[(SCRAM_REPLY_MAX + 2) / 3 * 4]; /* the challenge */
};

/* Calls fn for each mechanism that is offered to a client with a certificate, or one without. plain: it sends the password as it
   is. plus: it binds to a TLS session. */
void sasl_each(const struct identity *i, bool certified, void (*fn)(void *ctx, const char *name, bool plain, bool plus), void *ctx);

/* What is known of the client's end. */
struct sasl_client {
	enum login_protocol protocol;        /* what it logs in to */
	const struct scram_channel *channel; /* what both ends know of the TLS session; NULL without */
	struct span names;                   /* whom its verified certificate names, each ended by NUL; at most SASL_NAMES */
};
/* client: copied. ERR_NOT_FOUND: no such mechanism here. */
int sasl_begin(struct sasl *s, struct span mechanism, struct identity *i, const struct sasl_client *client);
/* Is the password sent as it is? */
bool sasl_is_plain(const struct sasl *s);
/* What the server says now, in base64 (may be empty). */
struct span sasl_challenge(const struct sasl *s);
/* Takes a line of the client, without its line end: base64; "" or "=" is an empty answer. SASL_MORE: the next challenge;
   OK: everything is here. ERR_INVALID for bad syntax and for "*" (the client gave up), ERR_LIMIT when too long (lines
   over SASL_LINE_MAX always are), ERR_UNAVAILABLE or what else the store failed with. */
int sasl_answer(struct sasl *s, struct span line);
/* identity_login_plain(), or identity_login_proved(), with what was said. The user may only act as itself: another
   authorization identity is ERR_DENIED. */
int sasl_login(struct sasl *s, struct span peer, struct login *out);
/* After a login: must the server say more, and get an empty answer, before the client knows? */
bool sasl_last(const struct sasl *s);
/* Wipes what was said. */
void sasl_end(struct sasl *s);

#endif
