/* History: an account's journal told to people. Changes of one operation, and runs of small ones by the same client in
   one session (deliveries, flags, expunges within a minute), are told as one. */
#ifndef HISTORY_H
#define HISTORY_H

#include "service.h"

struct history_request {
	int64_t account;
	struct span folder;     /* only what touched it or a folder below; empty: all */
	int64_t first, last;    /* change numbers, both included; last 0: up to now */
	int64_t since, until;   /* stamps; 0: no bound */
};

struct history_event {
	int64_t first, last;    /* change numbers it covers */
	int64_t stamp;          /* of the first */
	int64_t session;
	const char *actor, *client;
	struct span text;       /* what was done, as the rest of a sentence: "deleted 214 messages from INBOX/Projects" */
	bool undoable;          /* by undo_run with this range and session (undo.h) */
};

/* In order; spans and strings live during the call of fn, which returns non-zero to stop. */
int history_run(struct service *s, const struct history_request *q, int (*fn)(void *ctx, const struct history_event *e),
                void *ctx);

#endif
