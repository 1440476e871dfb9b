/* What becomes of what SEARCH or SORT found: the untagged reply, and "$" (SEARCHRES, RFC 5182), which stands for what was
   saved in later commands: UIDs, so that neither EXPUNGE nor new messages change what it means. */
#ifndef SEARCH_RESULT_H
#define SEARCH_RESULT_H

#include "search_run.h"

struct search_result {
	const struct found *v; /* in the order to tell them */
	size_t n;
	bool modseq;           /* the reply names the highest mod-sequence of those it names (RFC 7162) */
	struct imap_search_returns returns;
	struct span mailbox;   /* of a search in several (RFC 7377): the reply names it; else .p is NULL */
	int64_t uidvalidity;   /* of that */
};

/* Tells, in an ESEARCH line. */
void put_found(struct command *c, const struct search_result *r);

/* Tells and saves, and sets the reply. */
enum imap_step put_result(struct command *c, const struct search_result *r);
/* The command that was to save failed: "$" is empty now (RFC 5182, 2.1). Returns IMAP_DONE. */
enum imap_step nothing_saved(struct command *c, const struct imap_search_returns *r);

/* search_go_on(), and then what it found as a set, whose ranges are the caller's. Zero the set before; one that is made stays. */
int search_set(struct command *c, struct search_run *r, struct imap_set *out);

#endif
