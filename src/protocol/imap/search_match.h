/* Does a message match a SEARCH? Asked in rounds: first with what is known at no cost, then with the entry, its summary,
   its bytes; each round only of messages that the one before could not decide. So the order of the keys does not
   matter, and a body is read only when nothing cheaper says no. */
#ifndef SEARCH_MATCH_H
#define SEARCH_MATCH_H

#include "imap_search.h"
#include "mime_summary.h"
#include "view.h"

enum search_round { ROUND_NUMBER, ROUND_ENTRY, ROUND_SUMMARY, ROUND_MESSAGE };
enum search_answer { SEARCH_NO, SEARCH_YES, SEARCH_LATER };

struct search_subject {
	struct view *view;
	struct service *service;
	int64_t now; /* us */
	enum search_round round;
	uint32_t number, uid;
	struct entry entry;          /* from ROUND_ENTRY on; with its summary from ROUND_SUMMARY on */
	struct mime_summary summary; /* the same, opened */
	int failure;                 /* why the message could not be read; the answer is NO then */
	/* In ROUND_MESSAGE. When its time is over, the round ends with SEARCH_LATER and is gone through again: the keys ask in
	   the same order and get the answers that are there already. */
	int64_t until;                  /* clock_mono() */
	bool paused;
	unsigned asked, answered;
	bool answers[SEARCH_KEYS_MAX];
	struct text_search *text;       /* of the key that was not answered yet */
};

/* Makes a parsed tree ready: sets are resolved, texts folded; "$" is the set of UIDs `saved`, which stays the caller's.
   ERR_LIMIT when the arena is full. */
int search_prepare(struct imap_search *key, const struct view *v, const struct imap_set *saved, struct arena *a);
/* The round in which every message is decided. */
enum search_round search_last_round(const struct imap_search *key);
enum search_answer search_match(const struct imap_search *key, struct search_subject *m);
/* Begins a message's last round, or goes on with it after a pause. */
enum search_answer search_match_message(const struct imap_search *key, struct search_subject *m, int64_t until);
/* Gives back what the subject holds. */
void search_subject_end(struct search_subject *m);

#endif
