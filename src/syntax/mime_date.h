/* The Date field of a message (RFC 5322 section 3.3, the obsolete forms of 4.3, and what software really writes). */
#ifndef MIME_DATE_H
#define MIME_DATE_H

#include "span.h"

struct mime_date {
	int64_t seconds; /* since 1970-01-01 00:00 UTC */
	int16_t zone;    /* minutes east of UTC that the text named; 0 when unknown */
};

/* A raw value, with comments and folding; false when no day, month and year can be made out. Without a time it is
   midnight, without a zone UTC. */
bool mime_date_parse(struct span value, struct mime_date *out);

#endif
