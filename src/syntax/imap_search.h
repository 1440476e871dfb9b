/* SEARCH keys as a tree in the arena (RFC 3501, 6.4.4; RFC 4731, 5032, 5182, 5267, 7162, 8474, 8514, 9394). Keys that say the same in other words
   are gone: UNSEEN is NOT Seen, FROM is a header field, ON is a range of days. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "imap_args.h"
#include "imap_partial.h"

enum { SEARCH_DEPTH_MAX = 50, SEARCH_KEYS_MAX = 1000 };

enum imap_search_op {
	SEARCH_ALL,
	SEARCH_AND,     /* of all children; at least one */
	SEARCH_OR,      /* of two children */
	SEARCH_NOT,     /* of one child */
	SEARCH_FLAG,    /* number: the bit */
	SEARCH_KEYWORD, /* text: one that has no bit */
	SEARCH_RECENT,
	SEARCH_HEADER,   /* name: the field; text: a part of its value, empty for any */
	SEARCH_BODY,     /* text */
	SEARCH_TEXT,     /* text, in header or body */
	SEARCH_INTERNAL, /* the day of the internal date, the time zone disregarded: from <= day < to */
	SEARCH_SAVED_ON, /* the day it came to this mailbox: the same */
	SEARCH_SENT,     /* the day of the Date field: the same */
	SEARCH_LARGER,   /* number: bytes */
	SEARCH_SMALLER,
	SEARCH_SET, /* set: sequence numbers; not resolved */
	SEARCH_UID, /* set: UIDs; not resolved */
	SEARCH_RESULT, /* "$": what an earlier search saved */
	SEARCH_YOUNGER, /* number: seconds */
	SEARCH_OLDER,
	SEARCH_MODSEQ,   /* number: at least this */
	SEARCH_EMAILID,  /* text */
	SEARCH_THREADID, /* text */
};

struct imap_search {
	enum imap_search_op op;
	struct imap_search *child; /* of AND, OR, NOT: the first */
	struct imap_search *next;  /* the next child of the same parent */
	struct span name, text;
	uint64_t number;
	int64_t from, to; /* days since 1970; INT64_MIN and INT64_MAX where open */
	struct imap_set set;
};

/* What the reply is to hold (RFC 4731), and what is done with what was found. */
enum imap_search_return {
	SEARCH_RETURN_MIN = 1,
	SEARCH_RETURN_MAX = 2,
	SEARCH_RETURN_ALL = 4,
	SEARCH_RETURN_COUNT = 8,
	SEARCH_RETURN_SAVE = 16,    /* RFC 5182: nothing of it in the reply */
	SEARCH_RETURN_PARTIAL = 32, /* RFC 9394 */
};

struct imap_search_returns {
	unsigned what; /* 0: the plain reply */
	bool update;   /* RFC 5267: what enters or leaves the result is told from then on */
	struct imap_partial partial;
};

struct imap_search_query {
	struct imap_search_returns returns;
	struct span charset; /* as sent; empty when none was. The caller refuses those it does not know. */
	struct imap_search *root;
	bool modseq;  /* MODSEQ was asked: the reply names the highest mod-sequence */
	bool numbers; /* message numbers are among the keys */
	bool saved;   /* "$" is */
	bool ages;    /* OLDER or YOUNGER is: time alone changes what matches */
	bool last;    /* "*" is, among UIDs: which message that is changes as others come and go */
};

/* Everything behind "SEARCH ", to the end of the command. */
bool imap_search_parse(struct imap_args *a, struct imap_search_query *out);

/* For commands that are like it. "RETURN (MIN SAVE) " where it comes next, with the blank behind it. */
bool imap_search_returns(struct imap_args *a, struct imap_search_returns *out);
/* The keys, up to the end of the command; returns and charset are left alone. */
bool imap_search_keys(struct imap_args *a, struct imap_search_query *out);

#endif
