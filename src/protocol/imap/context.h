/* Results of SEARCH and SORT that are kept up to date (CONTEXT=SEARCH, CONTEXT=SORT, RFC 5267).
 *
 * A context is the text of its command and what was found: UIDs as ranges, for a SORT also one by one in its order. Sort keys are
 * not kept: where a message belongs is found by halving, reading the keys of those it is compared with. A parked session holds
 * that and nothing else.
 *
 * When the view is brought up to date (news.c), and only then:
 *
 * 1. What was expunged leaves every result that has it. REMOVEFROM is told before EXPUNGE, with the numbers of before.
 * 2. What changed or is new becomes `pending`; EXISTS, EXPUNGE and FETCH are told.
 * 3. Each context's search is asked of what is pending, of nothing else; the difference to its result is told. This gives way to
 *    others as any search does; what it needs meanwhile is the command's and ends with it.
 *
 * `pending` is forgotten when all contexts were asked. So if the store fails, or the command ends in the middle, the next news ask
 * again; as it is the difference that is told, nothing is told twice. In the end a result is what the search would find in the view
 * (all that changes what matches is a change of the message, which the view hears of), in between it is what it was.
 *
 * Where this would not hold nothing is kept, and the client is told so (NOUPDATE): message numbers and "$" among the keys would mean
 * others later, OLDER and YOUNGER change their answer without a change. The same where there are too many contexts, or they would
 * take too much memory, be it later, as a result grows. While NOTIFY keeps silent about the mailbox its contexts rest as well. */
#ifndef CONTEXT_H
#define CONTEXT_H

#include "command.h"
#include "imap_search.h"
#include "search_result.h"

enum {
	CONTEXTS_MAX = 8,                /* of a session */
	CONTEXTS_MEMORY_MAX = 1 << 20,   /* bytes of all of them */
	CONTEXT_PENDING_RANGES = 20000,  /* what is more scattered is asked for as one range */
	CONTEXT_MORE = SEARCH_MORE,
};

struct context_request {
	struct imap_args text; /* behind "SEARCH " or "SORT " */
	const struct imap_search_query *query;
	const struct imap_set *found; /* UIDs */
	const struct found *order;    /* of a SORT, n of them; else NULL */
	size_t n;
};

/* Is a context kept that has this command's tag? */
bool context_has_tag(const struct imap_session *s, struct span tag);
/* Keeps the result of this command, or says NOUPDATE. */
void context_keep(struct command *c, const struct context_request *r);
/* What none is kept of. */
void context_refuse(struct command *c, struct span tag, const char *why);
/* False: there is none with that tag. */
bool context_cancel(struct imap_session *s, struct span tag);
void contexts_free(struct imap_session *s);

/* The view was brought up to date, its expunges are about to be told: says what leaves for that, and notes what is to be asked. */
void context_note(struct command *c, const struct view_delta *d);
bool context_pending(const struct imap_session *s);
/* After all else was told: what enters and leaves. CONTEXT_MORE: give way, then call again; else OK or a failure. */
int context_tell(struct command *c);
/* Forgets how far that went, at the end of the command. */
void context_rest(struct imap_session *s);

#endif
