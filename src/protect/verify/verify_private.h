/* One run of verify, as its files share it: packs and blob rows first (verify_blobs.c), then emails and deliveries
 * (verify_emails.c), then account by account (verify_account.c): the journal (verify_journal.c) and each collection
 * (verify_entries.c).
 *
 * Rows are read a page at a time within a transaction and judged after it, since a transaction may run twice. */
#ifndef VERIFY_PRIVATE_H
#define VERIFY_PRIVATE_H

#include "change.h"
#include "fail.h"
#include "store.h"
#include "verify.h"

enum { VERIFY_PAGE = 1000, VERIFY_PATH_MAX = 400, VERIFY_NAME_MAX = 330 };

/* What to do, at the end of a line. */
#define FIX_PACK "put the pack back from a backup or another copy of the blobs, then check again"
#define FIX_DATABASE "the database is damaged: stop the node and put a backup of it back, beside the packs as they are"
#define FIX_REPORT "nothing is lost by it, but it is a fault of the program: report it"

struct node_row {
	int64_t id, epoch;
	char name[64];
};

struct verify {
	const struct verify_request *q;
	struct service *service;
	struct store *store;
	struct verify_report report;
	struct buffer nodes;   /* struct node_row */
	struct buffer records; /* of packs: see verify_blobs.c */
	struct buffer bad;     /* int64_t ids of blobs whose bytes cannot be had, ascending */
	int64_t absent;        /* the pack that was last found to be missing, and told */
	/* progress: a message is three things: record, email, entry */
	uint64_t done, total, stage_end;
};

/* A collection as the account's first look found it; ended 0: it lives. */
struct kept {
	struct collection c;
	int64_t ended;
	bool occupied; /* entries or names of it have rows */
	uint64_t messages, unseen, bytes; /* counted in live */
	int64_t latest;                   /* the last change of its entries */
};

struct account {
	struct verify *v;
	int64_t id;
	char name[VERIFY_NAME_MAX];
	struct head head;
	struct arena arena;
	struct kept *list; /* by id: the living row, or the last past one */
	size_t n;
	struct kept *past; /* all past definitions, by id and end */
	size_t n_past;
};

/* One line of trouble. */
void trouble(struct verify *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A page's failure: ERR_CORRUPT is a trouble like others and becomes OK, what else there is ends the run. */
int verify_failure(struct verify *v, int e, const char *where);
/* So many more things are done; true when the run is to end. */
bool verify_step(struct verify *v, uint64_t n);

static inline struct meta *meta_of(const struct verify *v)
{
	return v->store->meta;
}

/* Everything about packs and blob rows; fills v->bad. */
int verify_blobs(struct verify *v);
bool verify_blob_is_bad(const struct verify *v, int64_t blob);
/* An id that a known start of a known node may have minted. */
bool verify_minted(const struct verify *v, int64_t id);
/* body_use rows. */
int verify_uses(struct verify *v);

int verify_emails(struct verify *v);
int verify_deliveries(struct verify *v);
int verify_positions(struct verify *v);
int verify_accounts(struct verify *v);
/* Its address, or "account 7" when that is all there is. */
const char *verify_account_name(const struct verify *v, int64_t account, char out[VERIFY_NAME_MAX]);
int verify_journal(struct account *a);
/* Asked before a gap is called one: may purge have made it, now or since the account was read? What ends up to the
   account's floor may be gone, and all (end: INT64_MAX) of an account that is purged as a whole. */
bool verify_purged(struct account *a, int64_t end);
/* The same of what the account ended with when it was read, and what ended since. */
bool verify_purged_since(struct account *a);
/* Fills the counts of k. */
int verify_entries(struct account *a, struct kept *k);
int verify_names(struct account *a, const struct kept *k);

/* The path of a collection, for people; bounded, also in a ring. */
const char *verify_path(const struct account *a, const struct kept *k, char out[VERIFY_PATH_MAX]);
/* A line about a collection, or about one entry in it. */
void trouble_at(const struct account *a, const struct kept *k, int64_t uid, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
