/* Application passwords (app_password.h): items of the system log, so history tells of them. They end for good: with the account when it
   is removed, and nothing brings one back, neither restore nor undo. */
#ifndef APP_H
#define APP_H

#include "app_password.h"
#include "service.h"

/* protocols: bits; 0: no limit. ERR_EXISTS, ERR_LIMIT over APP_PASSWORDS_MAX, ERR_NOT_FOUND without the account, ERR_INVALID for the
   name; each with a detail for the user. secret: to be shown once; wipe it. */
int app_add(struct service *s, int64_t account, struct span name, unsigned protocols, const struct actor *a, char secret[APP_TEXT]);
/* ERR_NOT_FOUND with a detail. */
int app_remove(struct service *s, int64_t account, struct span name, const struct actor *a);

struct app_info {
	char name[APP_NAME_MAX + 1];
	int64_t made;       /* us */
	unsigned protocols; /* bits; 0: no limit */
};
/* By name. */
int app_list(struct service *s, int64_t account, struct app_info out[APP_PASSWORDS_MAX], size_t *n);

/* Within a change of the system log: the account's end. */
struct change;
int app_end_all(struct change *c, int64_t account);

/* What ended since a change of the system log: the ids of accounts, the uids of application passwords. *since moves to the last change;
   at 0 it only does that. */
struct app_ends {
	struct buffer accounts, apps; /* int64_t each, ascending */
};
int app_ends(struct service *s, int64_t *since, struct app_ends *out);

#endif
