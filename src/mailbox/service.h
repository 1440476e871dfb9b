/* The mailbox service: the only way protocols read or change user data.
 *
 * Everything below it is a log per account: a call that changes something writes one change (or a changeset of several,
 * when it is large), and returns OK only after that is on stable storage. Protocols see accounts, folders, views and
 * messages; never a store. */
#ifndef SERVICE_H
#define SERVICE_H

#include "span.h"

struct service;
struct store;
struct identity;

/* What a crash cut short goes on separately (protect/resume). */
int service_open(struct store *store, struct service **out);
void service_close(struct service **s);
/* Whose settings count (settings.h): quotas, the largest message, the window for repeated deliveries. Before the service is
   used by others; without it the defaults count. Not owned. */
void service_obey(struct service *s, struct identity *i);
/* The store below; for protect and admin, not for protocols. */
struct store *service_store(struct service *s);

/* Who changes something, as history will tell it. Strings are the caller's and must live through the call. */
struct actor {
	const char *name;   /* an address, or "admin", or "" for deliveries */
	int64_t session;    /* minted at connect (service_mint) */
	const char *client; /* "lmtp", "imap", "imap Thunderbird 128", "perdura" */
	int64_t viewer;     /* the account of who changes a folder of somebody else, as far as that one's rights go; \Seen there is his own. Else 0 */
};
int64_t service_mint(struct service *s);

/* Now, as the log sees it: later than every stamp given out on this node, whatever the clock does. us. */
int64_t service_now(struct service *s);

/* Notices: fn(ctx) is called (on any thread, after the change is durable; it must only wake somebody) when a collection
   of the account changes. collection 0: any collection. They are an optimisation: whoever waits also polls. */
struct watch;
int service_watch(struct service *s, int64_t account, int64_t collection, void (*fn)(void *ctx), void *ctx,
                  struct watch **out);
/* After it returns, fn is not running and will not be called. */
void service_unwatch(struct service *s, struct watch **w);

/* Every change that becomes known here, of any account: fn is called with what it touched (change.h) and whether it was made by
   this node. On any thread, under a lock: it must be quick, and must not call the service. */
struct touched;
struct listener_all;
typedef void service_listen_fn(void *ctx, const struct touched *t, bool ours);
int service_listen(struct service *s, service_listen_fn *fn, void *ctx, struct listener_all **out);
/* After it returns, fn is not running and will not be called. */
void service_unlisten(struct service *s, struct listener_all **l);
/* Another node made a change, and it is committed: wakes who waits for it here. */
void service_told(struct service *s, const struct touched *t);
/* Asks the store which of the accounts that are watched here have changed, and wakes their watchers. What it costs goes by how
   many are watched: a primary key each, META_INTEGERS to a statement. *missed: changes that the look before found and that no
   notice has announced since. */
int service_poll(struct service *s, uint64_t *missed);

struct service_stats {
	uint64_t deliveries, duplicates, changes;
};
void service_stats(struct service *s, struct service_stats *out);

#endif
