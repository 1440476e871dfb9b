/* Changes of the directory: settings, domains and aliases, kept in the system log (system.h). What they mean is said in
   identity (settings.h, directory.h), which reads them; the values here are checked and written as they are kept. */
#ifndef DIRECTORY_WRITE_H
#define DIRECTORY_WRITE_H

#include "service.h"

struct change;

/* One setting, as settings_check() made it. An empty value takes it back. */
struct setting_value {
	struct span name, value;
};
/* All n or none. domain and account say whose; ERR_NOT_FOUND when there is none. */
int settings_set(struct service *s, const struct setting_value *v, size_t n, const struct actor *a);
int domain_set(struct service *s, struct span domain, const struct setting_value *v, size_t n, const struct actor *a);
int account_set(struct service *s, int64_t account, const struct setting_value *v, size_t n, const struct actor *a);

/* Domains are lower case. All or none: ERR_EXISTS names the first that is there. */
int domain_add(struct service *s, const struct span *domains, size_t n, const struct actor *a);
/* ERR_NOT_FOUND; ERR_CANNOT while an account or an alias is in it. */
int domain_remove(struct service *s, struct span domain, const struct actor *a);
/* By name. settings: "name=value" lines. fn returns non-zero to stop. */
int domain_list(struct service *s, int (*fn)(void *ctx, struct span domain, struct span settings), void *ctx);

/* Aliases: "local@domain", or "@domain" for a catch-all; lower case, as route_check() made the targets (route.h). Adds to the
   alias, which is made, with its domain, where it is not there. ERR_EXISTS: an account has that name; ERR_LIMIT: over
   ALIAS_TARGETS_MAX targets. */
enum { ALIAS_TARGETS_MAX = 1000 };
int alias_add(struct service *s, struct span alias, const struct span *targets, size_t n, const struct actor *a);
/* Takes some targets away, or with n 0 all; an alias without targets ends. ERR_NOT_FOUND. */
int alias_remove(struct service *s, struct span alias, const struct span *targets, size_t n, const struct actor *a);
/* By name. targets: one a line. fn returns non-zero to stop. */
int alias_list(struct service *s, int (*fn)(void *ctx, struct span alias, struct span targets), void *ctx);

/* What follows the '@'. */
struct span domain_of(struct span address);
/* Within a change of the system log: makes the domain of an address (or of "@domain") where it is not there. */
int domain_ensure(struct change *c, struct span address);

#endif
