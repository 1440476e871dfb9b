/* A follower that writes a log line for each change of the system log (accounts, passwords, aliases, domains, settings, snapshots) and
   each restore and undo, whichever node made it: who did what, and when. Of the nodes that share a store one does it; should
   that one die, another goes on where it was, and may say the last lines again. */
#ifndef AUDIT_H
#define AUDIT_H

#include <stdbool.h>

struct audit;
struct follow_stats;
struct service;

/* on: false only makes sure that nothing waits for it any more; *out is NULL then. */
int audit_start(struct service *s, bool on, struct audit **out);
/* Takes the pointer's address, sets it NULL. */
void audit_stop(struct audit **a);
/* All 0 where it is off. */
void audit_stats(const struct audit *a, struct follow_stats *out);

#endif
