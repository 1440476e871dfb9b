/* What the verbs share. */
#ifndef VERB_COMMON_H
#define VERB_COMMON_H

#include "directory.h"
#include "service.h"
#include "verb.h"

/* The account of that address; else an exit status, the error is said. */
int verb_find_account(struct request *r, const char *address, struct account *out);
/* A domain as it is kept (address.h); else an exit status, the error is said. */
int verb_take_domain(struct request *r, const char *given, char out[ADDRESS_MAX]);
/* Who asks, for history. Lives as long as the request. */
struct actor verb_actor(const struct request *r);
/* A line of JSON that was written to `b`, which is freed. */
void verb_json_line(struct request *r, struct buffer *b);
/* An option's value as a span; empty when it was not given. */
struct span verb_option(const struct request *r, const char *name);

/* Callbacks of long work, their ctx the request: a line for people (none with --json), a bar of messages, whether to stop. */
void verb_say(void *ctx, const char *line);
void verb_progress(void *ctx, uint64_t done, uint64_t total);
int verb_cancelled(void *ctx);

#endif
