/* The schema of a MariaDB database, made and brought up to date by perdura upgrade; a node never changes a table.
 *
 * DDL is no transaction: the version (facts, 'schema') is written behind the step that leads to it, and each step may be run
 * again, so that an upgrade that was cut is run again. A step only adds (a column with a default, a table, an index): nodes
 * of the version before it work beside it. What they needed and this version does not goes in a step of the version after. */
#ifndef MARIADB_UPGRADE_H
#define MARIADB_UPGRADE_H

#include "meta_driver.h"

/* As meta_upgrade(). */
int mariadb_upgrade(const char *url, const struct meta_options *o, bool init, void (*say)(void *ctx, const char *line), void *ctx);

#endif
