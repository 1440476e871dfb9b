/* Purge, the one destroyer: nothing else removes a version, a journal row, an email or a message body.
 *
 * An account's past goes up to its floor: the change up to which its retention window, required followers and live sessions
 * let go. Of what lies below the floor it keeps the versions that snapshots (and sessions that look at the past) show. Then
 * go the emails that no version shows any more, the bodies that no email uses (condemned first, removed after a grace), and
 * the packs that hold none; packs that are mostly dead are rewritten. All of it in small transactions, each of which leaves
 * the store as docs/store.md says; whatever cuts a run short, the next one goes on. */
#ifndef PURGE_H
#define PURGE_H

#include "identity.h"
#include "service.h"

struct buffer;
struct purge;

struct purge_options {
	struct service *service;   /* not owned */
	struct identity *identity; /* for settings; not owned */
	int64_t grace;             /* us between condemning a body and removing it */
};
int purge_open(const struct purge_options *o, struct purge **out);
/* No run may be under way. Takes the pointer's address, sets it NULL. */
void purge_close(struct purge **p);

struct purge_counts {
	uint64_t versions;   /* of entries */
	uint64_t folders;    /* definitions of folders */
	uint64_t changes;    /* journal rows */
	uint64_t emails;
	uint64_t bytes;      /* of these emails */
	uint64_t accounts;   /* removed for so long that they go as a whole */
	uint64_t deliveries; /* that were remembered */
	uint64_t condemned;  /* bodies that nothing uses any more */
	uint64_t bodies;     /* removed */
	uint64_t packs;      /* removed */
	uint64_t rewritten;  /* packs whose living bodies moved elsewhere */
};

/* What keeps versions that would go by the window alone, and what the window keeps. */
struct purge_hold {
	char what[96]; /* "the window of 30d", "snapshot monday", "follower vault", "a session", "an unfinished operation" */
	uint64_t versions;
};

struct purge_account {
	int64_t account;
	const char *name;    /* its address, "the system log", or "account 7" */
	int64_t floor;       /* the past before this time goes, us; 0: nothing goes */
	struct purge_counts counts;
	const struct purge_hold *holds;
	size_t n_holds;
};

struct purge_request {
	bool dry_run;        /* changes nothing; counts what would go */
	bool clock_is_right; /* go on although the clock seems to have jumped */
	bool gentle;         /* leaves the store to others half of the time */
	/* All may be NULL. say: each account of which something went or would go, or (dry run) is kept. cancelled: non-zero
	   ends the run after the current transaction. */
	void (*say)(void *ctx, const struct purge_account *a);
	int (*cancelled)(void *ctx);
	void *ctx;
};

struct purge_report {
	struct purge_counts counts;
	uint64_t waiting;  /* condemned bodies whose grace is not over, or whose deliveries are still remembered */
	uint64_t busy;     /* accounts left out: an operation on them is not finished */
	int64_t took;      /* us */
	bool cancelled;
};

/* ERR_CONFLICT: another run is under way, here or on another node, which the detail names. ERR_DENIED with a detail fit for the user: the clock has jumped. */
int purge_run(struct purge *p, const struct purge_request *q, struct purge_report *out);

/* For the log: key=value pairs. */
void purge_report_write(const struct purge_report *r, struct buffer *out);

/* Over all runs since the start. */
struct purge_stats {
	uint64_t runs, refused, failed;
	struct purge_counts counts;
	uint64_t waiting; /* condemned bodies that the last run had to leave */
	int64_t last;     /* when the last run ended, us; 0: there was none */
	int64_t took;     /* by it, us */
};
void purge_stats(struct purge *p, struct purge_stats *out);

#endif
