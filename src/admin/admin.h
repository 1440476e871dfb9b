/* The admin channel: a Unix socket on which the command (perdura) hands its words to the node and gets lines back. Only
   root and the node's own user are let in. Each request runs on a thread of its own, a few at a time. */
#ifndef ADMIN_H
#define ADMIN_H

#include <stdint.h>

#include "verb.h"

struct admin;

/* node lives as long as the channel. session_id: an id for each request, for history. */
int admin_open(const char *path, const struct admin_node *node, int64_t (*session_id)(void *ctx), void *ctx,
               struct admin **out);
/* Takes no more requests, cancels those that run and waits for them at most us; ERR_TIMEOUT if one still runs (then
   the channel must not be closed). */
int admin_stop(struct admin *a, int64_t us);
/* After admin_stop(). Takes the pointer's address, sets it NULL. */
void admin_close(struct admin **a);

#endif
