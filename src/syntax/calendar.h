/* Days and their numbers in the Gregorian calendar, and the small scanners that dates of all formats share. */
#ifndef CALENDAR_H
#define CALENDAR_H

#include "clock.h"
#include "span.h"

enum { DAY_SECONDS = 86400 };

struct calendar_time {
	int year, month, day, hour, minute, second; /* month and day from 1 */
	int us;
};

/* A day that exists, and a time of day (second 60 is let pass). */
bool calendar_valid(const struct calendar_time *t);
/* Days since 1970-01-01. */
int64_t calendar_days(int year, int month, int day);
/* Read as UTC: microseconds since 1970. */
int64_t calendar_us(const struct calendar_time *t);
/* The way back, for any stamp within the years 0 to 9999; others are clipped. */
struct calendar_time calendar_split(int64_t us);

/* Takes min to max digits (max at most 9) off the front of *s. */
bool scan_digits(struct span *s, size_t min, size_t max, int *v);
bool scan_char(struct span *s, char c);

#endif
