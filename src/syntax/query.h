/* QUERY: how people ask for messages, the same in every command:
     invoice "second reminder" from:anna -folder:Junk after:2026-11-01 larger:1M has:attachment
   Terms must all hold; '-' before a term negates it. Values with blanks are quoted: from:"Anna B"; within quotes,
   \" and \\ stand for themselves. */
#ifndef QUERY_H
#define QUERY_H

#include "arena.h"
#include "when.h"

enum { QUERY_TERMS_MAX = 100 };

enum query_kind {
	QUERY_TEXT,       /* text, anywhere in the message */
	QUERY_FROM,       /* text */
	QUERY_TO,         /* text */
	QUERY_CC,         /* text */
	QUERY_SUBJECT,    /* text */
	QUERY_BODY,       /* text */
	QUERY_FOLDER,     /* text: the mailbox, and what lies below it */
	QUERY_BEFORE,     /* when: an instant or an age */
	QUERY_AFTER,      /* when */
	QUERY_LARGER,     /* number: bytes; 10k, 5M, 1G are powers of 1024 */
	QUERY_SMALLER,    /* number */
	QUERY_ATTACHMENT, /* has:attachment */
	QUERY_SEEN,       /* is:seen; is:unseen is its negation */
	QUERY_FLAGGED,    /* is:flagged; is:unflagged */
};

struct query_term {
	enum query_kind kind;
	bool negated;
	struct span text; /* never empty */
	uint64_t number;
	struct when when;
};

struct query {
	const struct query_term *terms;
	size_t n; /* 0: everything */
};

/* ERR_INVALID, ERR_LIMIT, with a detail that fits for users. Spans point into the text or the arena. */
int query_parse(struct arena *a, struct span text, struct query *out);

#endif
