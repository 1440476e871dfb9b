/* What LIST asks for (RFC 3501, 6.3.8; RFC 5258, 5819, 6154, 8440, 9590). */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "imap_metadata.h"
#include "imap_status.h"

enum { LIST_PATTERNS_MAX = 100 };

struct imap_list {
	bool extended; /* in any way: then an empty pattern is no question for the separator */
	struct {
		bool subscribed, special_use, recursive;
	} select;
	struct span reference;
	const struct span *patterns; /* as sent */
	size_t n;
	struct {
		bool subscribed, special_use, myrights;
		unsigned status; /* of enum imap_status_item */
		struct imap_metadata_query metadata; /* n is 0: none */
	} returns;
};

/* Everything behind the word, to the end of the command: ` (SUBSCRIBED) "" ("a*" b) RETURN (CHILDREN STATUS (UNSEEN))`. */
bool imap_list_parse(struct imap_args *a, struct imap_list *out);

#endif
