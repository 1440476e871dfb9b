/* Does a message answer a QUERY (query.h)? */
#ifndef MATCH_H
#define MATCH_H

#include "query.h"
#include "view.h"

struct match {
	struct arena arena;
	struct query query;
	struct span *folded; /* each term's text */
};

/* now: what ages count back from. ERR_INVALID with a detail fit for the user. */
int match_open(struct match *m, struct span query, int64_t now);
void match_close(struct match *m);
/* Is it needed to read the entry's summary? No terms: everything matches. */
bool match_all(const struct match *m);
/* The entry with its summary; folder: the path it is in. */
int match_entry(struct match *m, struct service *s, const struct entry *e, struct span folder, bool *yes);

#endif
