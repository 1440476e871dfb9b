/* What SORT and THREAD are asked (RFC 5256; RFC 5957 for DISPLAYFROM and DISPLAYTO; RFC 5267 for RETURN). */
#ifndef IMAP_SORT_H
#define IMAP_SORT_H

#include "imap_search.h"
#include "thread_tree.h"

enum { SORT_KEYS_MAX = 20 };

enum imap_sort_by {
	SORT_ARRIVAL, SORT_CC, SORT_DATE, SORT_DISPLAYFROM, SORT_DISPLAYTO, SORT_FROM, SORT_SIZE, SORT_SUBJECT, SORT_TO,
};

struct imap_sort {
	struct {
		enum imap_sort_by by;
		bool reverse;
	} keys[SORT_KEYS_MAX];
	size_t n;
};

/* Everything behind "SORT ", to the end of the command. */
bool imap_sort_parse(struct imap_args *a, struct imap_sort *sort, struct imap_search_query *query);
/* Everything behind "THREAD ". */
bool imap_thread_parse(struct imap_args *a, enum thread_algorithm *algorithm, struct imap_search_query *query);

#endif
