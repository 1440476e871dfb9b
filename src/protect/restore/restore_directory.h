/* The part of the system log that is no account: domains, aliases, cluster-wide settings. */
#ifndef RESTORE_DIRECTORY_H
#define RESTORE_DIRECTORY_H

#include "service.h"

/* Brings back what was there at a change of the system log and is not there now, as it was then; what was changed since
   stays. An alias whose name an account has by now stays away. *n: how many came back, or would (dry_run). */
int restore_directory(struct service *s, int64_t at, const struct actor *a, bool dry_run, uint64_t *n);

#endif
