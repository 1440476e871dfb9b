/* What restore keeps in the store while it runs: the request with every name and time resolved, and how far it got. */
#ifndef PLAN_H
#define PLAN_H

#include "arena.h"
#include "buffer.h"
#include "restore.h"

struct progress {
	int64_t collection; /* of the past: all before it in order of id are done */
	uint32_t uid;       /* in it: all up to here */
};

/* head: the account's last change when the restore began. */
void plan_write(const struct restore_request *q, int64_t head, struct buffer *out);
/* Spans and the actor's strings point into plan or the arena. */
int plan_read(struct span plan, struct arena *arena, struct restore_request *out, struct actor *actor, int64_t *head);
void progress_write(const struct progress *p, struct buffer *out);
int progress_read(struct span text, struct progress *out);

#endif
