/* Accounts: items of the system log. An account that is removed ends; its log stays and it can be restored. */
#ifndef ACCOUNT_H
#define ACCOUNT_H

#include "service.h"

/* Makes the system log where it is not there; service_open does this. */
int account_boot(struct service *s);

/* Makes accounts with INBOX and the usual folders, subscribed. verifiers: what identity made of the password (one text
   for all), and domains that are not there yet. All or none: ERR_EXISTS names the first that is there. Addresses are lower
   case and whole. */
int account_add(struct service *s, const struct span *addresses, size_t n, struct span verifiers, const struct actor *a);
int account_password(struct service *s, const int64_t *accounts, size_t n, struct span verifiers, const struct actor *a);
int account_remove(struct service *s, int64_t account, const struct actor *a);

struct account_info {
	int64_t id;
	struct span address;
	int64_t messages, bytes, change, stamp, created_stamp;
};
/* One of them; the address is left out. */
int account_show(struct service *s, int64_t account, struct account_info *out);
/* By address. fn's spans live during the call; it returns non-zero to stop. */
int account_list(struct service *s, int (*fn)(void *ctx, const struct account_info *i), void *ctx);

#endif
