/* What SEARCH, SORT and THREAD have in common: finding the messages that match, in slices, so that a long search holds no
   worker for long. Now and then it says how far it is (INPROGRESS, RFC 9585). */
#ifndef SEARCH_RUN_H
#define SEARCH_RUN_H

#include "ahead.h"
#include "entries.h"
#include "search_match.h"

enum { SEARCH_MORE = 1 };

struct found {
	uint32_t uid;
	int64_t change; /* 0 where numbers alone decided */
};

struct search_run {
	/* Set before search_begin() where they are not the session's and the command's. */
	struct view *view;
	struct arena *arena; /* for what is made of the query */
	struct imap_search *root;
	bool one_is_enough;   /* the first match ends it */
	const struct imap_set *among; /* where to look, resolved; NULL: in all of the view */
	struct buffer found;  /* of struct found, ascending by UID */
	/* Its place. */
	struct imap_set uids; /* where to look */
	struct imap_range all;
	struct entries walk;
	struct arena memory, summary;
	struct ahead ahead;   /* of the batch */
	struct entry *batch;
	size_t n, i;
	bool open;            /* the message was begun */
	struct search_subject subject;
	struct view_resync since; /* where to look, when MODSEQ says it */
	int64_t now, spoke;
};

/* Makes a query ready. False: the reply is set. Zero the run before; end it in any case. */
bool search_begin(struct command *c, const struct imap_search_query *q, struct search_run *r);
/* The same of a query that was allowed before: no reply is set. */
int search_ready(struct command *c, const struct imap_search_query *q, struct search_run *r);
/* OK: all are found; SEARCH_MORE: give way (IMAP_DRAIN), then call again; or a failure. */
int search_go_on(struct command *c, struct search_run *r);
void search_end(struct search_run *r);

/* For whatever takes long: says `doing` and how far it is when nothing was said for ten seconds; *spoke is clock_mono() of
   the last word. */
void put_progress(struct command *c, int64_t *spoke, const char *doing, uint64_t at, uint64_t of);

#endif
