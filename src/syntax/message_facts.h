/* What SORT and THREAD want of a message's header, in one pass over its fields. */
#ifndef MESSAGE_FACTS_H
#define MESSAGE_FACTS_H

#include "mime_summary.h"

struct message_facts {
	int64_t sent; /* seconds, UTC: of Date, or the internal date where that makes no sense (RFC 5256, 2.2) */
	struct span subject, from, to, cc, id, references, in_reply_to; /* raw values of the first of each */
};

/* Spans point into the summary. internal: us. */
void message_facts(const struct mime_summary *s, int64_t internal, struct message_facts *out);

#endif
