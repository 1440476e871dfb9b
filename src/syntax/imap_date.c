#include "imap_date.h"

#include "calendar.h"

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static bool scan_month(struct span *s, int *month)
{
	for (int i = 0; i < 12; i++)
		if (span_istarts(*s, span_of(months[i]))) {
			*s = span_sub(*s, 3, s->n);
			*month = i + 1;
			return true;
		}
	return false;
}

static bool scan_date(struct span *s, struct calendar_time *t)
{
	scan_char(s, ' ');
	return scan_digits(s, 1, 2, &t->day) && scan_char(s, '-') && scan_month(s, &t->month) && scan_char(s, '-') &&
	       scan_digits(s, 4, 4, &t->year);
}

static bool scan_time(struct span *s, struct calendar_time *t)
{
	return scan_digits(s, 2, 2, &t->hour) && scan_char(s, ':') && scan_digits(s, 2, 2, &t->minute) &&
	       scan_char(s, ':') && scan_digits(s, 2, 2, &t->second);
}

static bool scan_zone(struct span *s, int64_t *offset_us)
{
	int hours, minutes;
	bool west = scan_char(s, '-');
	if (!west && !scan_char(s, '+'))
		return false;
	if (!scan_digits(s, 2, 2, &hours) || !scan_digits(s, 2, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_us = (hours * 60 + minutes) * 60 * SECOND_US * (west ? -1 : 1);
	return true;
}

bool imap_date_parse(struct span text, int64_t *day)
{
	struct calendar_time t = { 0 };
	if (!scan_date(&text, &t) || text.n || !calendar_valid(&t))
		return false;
	*day = calendar_days(t.year, t.month, t.day);
	return true;
}

bool imap_date_time_parse(struct span text, int64_t *us)
{
	struct calendar_time t = { 0 };
	int64_t offset_us;
	if (!scan_date(&text, &t) || !scan_char(&text, ' ') || !scan_time(&text, &t) || !scan_char(&text, ' ') ||
	    !scan_zone(&text, &offset_us) || text.n || !calendar_valid(&t))
		return false;
	*us = calendar_us(&t) - offset_us;
	return true;
}

static void put_digits(char *at, unsigned v)
{
	at[0] = (char)('0' + v / 10 % 10);
	at[1] = (char)('0' + v % 10);
}

/* By hand: each message of a long FETCH has one. */
void imap_date_time_put(struct buffer *b, int64_t us)
{
	struct calendar_time t = calendar_split(us);
	char text[] = "\"dd-Mmm-yyyy hh:mm:ss +0000\"";
	put_digits(text + 1, (unsigned)t.day);
	memcpy(text + 4, months[t.month - 1], 3);
	put_digits(text + 8, (unsigned)t.year / 100);
	put_digits(text + 10, (unsigned)t.year);
	put_digits(text + 13, (unsigned)t.hour);
	put_digits(text + 16, (unsigned)t.minute);
	put_digits(text + 19, (unsigned)t.second);
	buffer_put(b, text, sizeof text - 1);
}
