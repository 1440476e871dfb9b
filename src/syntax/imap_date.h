/* Dates as IMAP writes them (RFC 3501: date, date-time). */
#ifndef IMAP_DATE_H
#define IMAP_DATE_H

#include "buffer.h"

/* "1-Feb-1994", without quotes: days since 1970-01-01. */
bool imap_date_parse(struct span text, int64_t *day);
/* "17-Jul-1996 02:44:25 -0700", without quotes: us since 1970 UTC. A one-digit day is tolerated. */
bool imap_date_time_parse(struct span text, int64_t *us);
/* A date-time in UTC with its quotes; fractions of a second are dropped. */
void imap_date_time_put(struct buffer *b, int64_t us);

#endif
