/* perdura upgrade: what a database needs before nodes of this version work with it. */
#ifndef UPGRADE_H
#define UPGRADE_H

#include <stdbool.h>

struct config;

/* Lines on standard output, as JSON if json. Returns an exit status; what went wrong is said on standard error. */
int upgrade_run(const char *dir, const struct config *c, bool init, bool json);

#endif
