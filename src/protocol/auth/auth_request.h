/* One AUTH from its first line to OK or FAIL. It waits, without a thread, for the client's answer, for its turn when guesses
   are slowed, and before a refusal; `due` says until when, and request_due() goes on then. */
#ifndef AUTH_REQUEST_H
#define AUTH_REQUEST_H

#include "auth.h"
#include "auth_line.h"
#include "sasl.h"

/* Postfix waits 10 s for an answer: what takes longer is told to come again. */
#define AUTH_TURN_MAX (6 * SECOND_US)
#define AUTH_REFUSAL_US (2 * SECOND_US)
#define AUTH_ANSWER_US (150 * SECOND_US) /* for the client's client to type */

struct auth_request {
	struct auth_request *next;
	struct conn *conn;
	uint32_t id;
	int64_t due;          /* clock_mono() */
	int64_t answer_by;    /* the same: for its turn */
	int (*go_on)(struct auth_request *r); /* at that time; returns what the functions below do */
	bool answering;       /* a CONT of the client is what it waits for */
	bool later;           /* FAIL is temporary */
	struct sasl sasl;
	struct login who;
	bool proved;          /* who it is; an empty answer is what is missing */
	char service[32], remote[64];
};

enum {
	REQUEST_DONE,  /* the reply is written */
	REQUEST_LATER, /* it cannot be known now: the reply is the caller's */
	REQUEST_WAITS, /* until r->due */
};

int auth_request_begin(struct auth_request *r, struct conn *c, const struct auth_ask *ask);
int auth_request_answer(struct auth_request *r, struct span line);
/* FAIL; temporary or for good. user may be empty; reason: NULL, or words for the user. */
void auth_put_failure(struct conn *c, uint32_t id, struct span user, bool later, const char *reason);

#endif
