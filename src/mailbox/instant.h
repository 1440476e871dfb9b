/* A point in an account's log. */
#ifndef INSTANT_H
#define INSTANT_H

#include "service.h"

struct instant {
	int64_t stamp;  /* us since 1970 UTC: the instant that was asked for */
	int64_t change; /* the account's last change stamped at or before it; 0: before the first */
};

/* WHEN as a person writes it (when.h): a time, an age, a snapshot's name or @N. ERR_INVALID with a detail fit for the
   user: not a WHEN, no such snapshot, in the future, before the account existed, purged (past.h). */
int instant_resolve(struct service *s, int64_t account, struct span when, struct instant *out);
/* Only the stamp, for a bound on times: before the account existed is no error then. */
int instant_stamp(struct service *s, int64_t account, struct span when, int64_t *stamp);
/* Waits until no account can get another change of that time or before, where nodes share the store (instant_resolve does).
   ERR_UNAVAILABLE: that took too long. */
int instant_wait(struct service *s, int64_t stamp);
/* The account's last change stamped at or before it; 0: before the first. */
int instant_change(struct service *s, int64_t account, int64_t stamp, int64_t *change);
/* "2026-11-20T10:00:00.123456Z" */
void instant_write(int64_t stamp, char out[40]);

/* Snapshots: a name for an instant of the whole server. They are items of the system log. */
struct snapshot {
	char name[65];
	int64_t stamp;  /* the instant */
	int64_t expires; /* us; 0: never */
};
int snapshot_create(struct service *s, struct span name, int64_t expires, const struct actor *a, struct snapshot *out);
int snapshot_remove(struct service *s, struct span name, const struct actor *a);
/* In order of time. */
int snapshot_list(struct service *s, int (*fn)(void *ctx, const struct snapshot *sn), void *ctx);

#endif
