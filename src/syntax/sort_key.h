/* All that a message is sorted by, as one string of bytes: memcmp() of two such is their order. */
#ifndef SORT_KEY_H
#define SORT_KEY_H

#include "imap_sort.h"
#include "message_facts.h"
#include "mime_address.h"

enum { SORT_TEXT_MAX = 500 /* bytes of a text that are looked at */ };

struct sort_message {
	struct message_facts facts;
	int64_t internal; /* in seconds, as clients are told it */
	uint64_t size;
};

/* What is used again for each message; zero it before the first. */
struct sort_scratch {
	struct mime_address_reader addresses;
	struct buffer text, folded;
};

/* Are the arrival and the size all that is asked for? */
bool sort_needs_facts(const struct imap_sort *s);
void sort_key_put(const struct imap_sort *s, const struct sort_message *m, struct sort_scratch *w, struct buffer *out);
void sort_scratch_free(struct sort_scratch *w);

#endif
