/* One run of purge, as its files share it: account by account the roots (roots.c), the log (log.c), what hung on folders (items.c) and the emails
 * (emails.c), accounts that go as a whole (account.c), then deliveries and bodies (bodies.c) and packs (packs.c). */
#ifndef PURGE_PRIVATE_H
#define PURGE_PRIVATE_H

#include <pthread.h>

#include "change.h"
#include "fail.h"
#include "lease.h"
#include "pin.h"
#include "purge.h"
#include "service.h"
#include "store.h"

enum {
	PURGE_READ = 2000,  /* rows of a page that is read */
	PURGE_ROWS = 100,   /* rows that a transaction removes: it holds the committer for a millisecond or so */
	PURGE_EMAILS = 200000, /* emails that are looked at together */
};
#define PURGE_DYING INT64_MAX /* the floor of an account that goes as a whole */

enum doom { DOOM_EMAIL = 1, DOOM_BODY = 2, DOOM_PACK = 3 };

struct purge {
	struct purge_options o;
	pthread_mutex_t running, lock; /* lock: stats */
	struct purge_stats stats;
	struct lease lease; /* of all nodes one purges */
	int64_t swept; /* when all packs were looked at last, us; 0: not since the start */
};

struct run {
	struct purge *p;
	struct service *s;
	struct meta *meta;
	const struct purge_request *q;
	struct purge_report report;
	int64_t now;
	int64_t as_of; /* retention counts from here: the lowest clock of all nodes that live, and what their sessions still need */
	bool others;   /* other nodes live on the store */
	int64_t renewed; /* the lease, clock_mono() */
	struct buffer ended; /* int64_t, ascending: removed accounts that can still be restored */
};

/* Why something stays. */
struct cover {
	int64_t change;
	char why[96];
};

struct roots {
	struct run *run;
	int64_t account;
	struct head head;
	int64_t window;        /* us */
	int64_t window_floor;  /* what the window alone lets go */
	int64_t floor;         /* the new floor; never below the old one */
	int64_t limit;         /* what holds it back, when that is not the window */
	char limit_why[96];
	bool busy;             /* a changeset is not finished */
	struct buffer cover;   /* struct cover by change: states below the floor that are still seen */
	int64_t done;          /* up to here earlier runs have been through */
	struct buffer doubt;   /* int64_t: the cover of these runs */
	struct purge_counts counts;
	struct purge_hold *holds;
	size_t n_holds;
	uint64_t kept_by_window;
	struct buffer losing;  /* dry run: int64_t, emails that would lose a version */
	struct buffer dying;   /* dry run: int64_t, collections that would go as a whole */
	/* while it is read */
	const struct pin_info *pins;
	size_t n_pins;
};

/* One transaction of the run; then, when it is to be gentle, a pause as long as it took. ERR_STOPPED: it was cancelled. */
int purge_step(struct run *r, meta_fn *fn, void *arg);
/* The same with what is to be durable before it (store_commit). */
int purge_commit(struct run *r, struct blob_stage *const *stages, size_t n, meta_fn *fn, void *arg);
int purge_read(struct run *r, meta_fn *fn, void *arg);
/* ERR_STOPPED: it was cancelled. ERR_CONFLICT: another node took the lease. */
int purge_goes_on(struct run *r);

/* Where the floor of an account can go and what must stay below it. Raises the floor, and gives up the sessions that have
   stood on what goes for more than an hour; in a dry run only says where it would be. Not when it is busy. */
int roots_find(struct roots *k);
void roots_free(struct roots *k);
/* Is a version that was valid from begin to end still seen? Counts the holder. */
bool roots_need(struct roots *k, int64_t begin, int64_t end);
/* The same without counting. */
const struct cover *roots_cover(const struct roots *k, int64_t begin, int64_t end);
/* For the explanation: what keeps so many versions; 0: all of them. */
void roots_hold(struct roots *k, const char *what, uint64_t versions);
/* The first change whose end is to be looked at: all before is as an earlier run has left it. */
int64_t roots_from(const struct roots *k);
/* Remembers that all up to the floor was done. */
int roots_done(struct roots *k);

int purge_log(struct roots *k);
/* Ends what is kept of folders that are gone for good. */
int purge_items(struct roots *k);
int purge_emails(struct roots *k);
/* How many would go, in a dry run. */
int purge_emails_count(struct roots *k);
/* Rows of a collection, all of them. */
int purge_collection(struct roots *k, int64_t collection);
/* In a dry run: would the collection go as a whole? */
bool purge_dying(const struct roots *k, int64_t collection);
int purge_journal(struct roots *k, int64_t after, int64_t before);

/* Is the account gone for good? Then all of it goes. */
int purge_account_dead(struct run *r, int64_t account, int64_t floor, bool *dead);
int purge_account(struct roots *k);
int purge_read_ended(struct run *r);

int purge_deliveries(struct run *r);
int purge_dirty(struct run *r);
int purge_commits(struct run *r);
int purge_bodies(struct run *r);
int purge_packs(struct run *r);

int purge_doom(struct meta_txn *t, enum doom kind, int64_t account, int64_t id, int64_t since);
int purge_spare(struct meta_txn *t, enum doom kind, int64_t account, int64_t id);

/* Has the clock gone on as time did since the last run? ERR_DENIED with a detail fit for the user. */
int purge_clock_check(struct run *r);
int purge_clock_note(struct run *r);

#endif
