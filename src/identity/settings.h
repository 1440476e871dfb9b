/* Settings: what counts for the whole cluster, unless a domain says otherwise, unless an account does. All of them stand in
   settings.def; they are kept in the system log (system.h), so they have a history and come back by restore. What concerns
   one node only is an option of its configuration instead. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "buffer.h"
#include "identity.h"

struct settings {
	int64_t retention_window;     /* us */
	int64_t quota;                /* bytes; 0: no bound */
	int64_t message_max;          /* bytes; never over the cluster's */
	int64_t duplicate_window;     /* us; 0: every delivery is stored */
	char quota_admin[ADDRESS_MAX]; /* an address; "" for none */
	char postmaster[ADDRESS_MAX]; /* an address; "" for none */
};

/* What counts for an account; account 0 is the cluster. The last answers are remembered until directory_changed(), so it is
   cheap enough for every delivery. An account that was removed has the settings it had at its end; ERR_NOT_FOUND for one
   that never was. Else the failure of the store. */
int settings_of(struct identity *i, int64_t account, struct settings *out);
/* What counts where nothing is set. */
void settings_default(struct settings *out);
/* What counts in a domain (lower case) for what is no account; an unknown one has the cluster's settings. */
int settings_of_domain(struct identity *i, struct span domain, struct settings *out);

/* ---- For those who show and change them */

enum settings_scope { SETTINGS_CLUSTER = 1, SETTINGS_DOMAIN = 2, SETTINGS_ACCOUNT = 4 };

struct setting {
	const char *name, *type, *help;
	struct span value, fallback, bounds; /* as people write them */
	enum settings_scope from;            /* where the value stands; 0: it is the default */
};
/* Calls fn for each that may be set there, with what counts there. account is for SETTINGS_ACCOUNT, domain for
   SETTINGS_DOMAIN. fn's spans live during the call; it returns non-zero to stop. */
int settings_list(struct identity *i, enum settings_scope where, int64_t account, struct span domain,
                  int (*fn)(void *ctx, const struct setting *s), void *ctx);
/* May this be set there? Appends the value as it is to be kept. ERR_INVALID with a detail for the user. An empty value is
   always right: it takes the setting back. */
int settings_check(const struct identity *i, enum settings_scope where, struct span name, struct span value,
                   struct buffer *out);
/* Appends the "name=value" lines with name's line replaced, or without it when value is empty. */
void settings_lines_put(struct span lines, struct span name, struct span value, struct buffer *out);

#endif
