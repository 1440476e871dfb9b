#include "when.h"

#include <stdio.h>
#include <time.h>

#include "calendar.h"
#include "fail.h"

enum { SNAPSHOT_NAME_MAX = 64, AGE_MAX_DAYS = 365 * 1000 };

static bool scan_day(struct span *s, struct calendar_time *t)
{
	return scan_digits(s, 4, 4, &t->year) && scan_char(s, '-') && scan_digits(s, 2, 2, &t->month) &&
	       scan_char(s, '-') && scan_digits(s, 2, 2, &t->day);
}

static bool scan_time(struct span *s, struct calendar_time *t)
{
	return scan_digits(s, 2, 2, &t->hour) && scan_char(s, ':') && scan_digits(s, 2, 2, &t->minute) &&
	       scan_char(s, ':') && scan_digits(s, 2, 2, &t->second);
}

static bool scan_fraction(struct span *s, int *us)
{
	int digit, unit = 100000;
	if (!scan_char(s, '.'))
		return true;
	if (!scan_digits(s, 1, 1, &digit))
		return false;
	do {
		*us += digit * unit;
		unit /= 10;
	} while (scan_digits(s, 1, 1, &digit));
	return true;
}

/* The zone that local clocks show at that time: only the C library knows. */
static int64_t local_us(const struct calendar_time *t)
{
	struct tm tm = { .tm_year = t->year - 1900, .tm_mon = t->month - 1, .tm_mday = t->day, .tm_hour = t->hour,
		         .tm_min = t->minute, .tm_sec = t->second, .tm_isdst = -1 };
	return (int64_t)mktime(&tm) * SECOND_US + t->us;
}

/* Nothing, Z, or +hh:mm. */
static bool scan_zone(struct span *s, const struct calendar_time *t, int64_t *us)
{
	int hours, minutes;
	if (s->n == 0) {
		*us = local_us(t);
		return true;
	}
	*us = calendar_us(t);
	if (scan_char(s, 'Z') || scan_char(s, 'z'))
		return true;
	bool west = scan_char(s, '-');
	if (!west && !scan_char(s, '+'))
		return false;
	if (!scan_digits(s, 2, 2, &hours) || !scan_char(s, ':') || !scan_digits(s, 2, 2, &minutes) || hours > 23 ||
	    minutes > 59)
		return false;
	*us -= (hours * 60 + minutes) * 60 * SECOND_US * (west ? -1 : 1);
	return true;
}

static bool parse_instant(struct span s, struct when *w)
{
	struct calendar_time t = { 0 };
	w->kind = WHEN_INSTANT;
	return scan_day(&s, &t) && (scan_char(&s, 'T') || scan_char(&s, 't') || scan_char(&s, ' ')) && scan_time(&s, &t) &&
	       scan_fraction(&s, &t.us) && calendar_valid(&t) && scan_zone(&s, &t, &w->us) && s.n == 0;
}

static int64_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return DAY_SECONDS;
	case 'w':
		return 7 * DAY_SECONDS;
	}
	return 0;
}

static bool parse_age(struct span s, struct when *w)
{
	uint64_t v, max = (uint64_t)AGE_MAX_DAYS * DAY_SECONDS;
	int64_t unit = s.n ? unit_seconds(s.p[s.n - 1]) : 0;
	if (unit == 0 || !span_u64(span_sub(s, 0, s.n - 1), max / (uint64_t)unit, &v))
		return false;
	w->kind = WHEN_AGE;
	w->us = (int64_t)v * unit * SECOND_US;
	return true;
}

bool when_is_snapshot_name(struct span text)
{
	if (text.n == 0 || text.n > SNAPSHOT_NAME_MAX || text.p[0] < 'a' || text.p[0] > 'z')
		return false;
	for (size_t i = 1; i < text.n; i++) {
		char c = text.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '_' && c != '-')
			return false;
	}
	return true;
}

static bool parse_snapshot(struct span s, struct when *w)
{
	w->kind = WHEN_SNAPSHOT;
	w->name = s;
	return when_is_snapshot_name(s);
}

static bool parse_change(struct span s, struct when *w)
{
	w->kind = WHEN_CHANGE;
	return scan_char(&s, '@') && span_u64(s, INT64_MAX, &w->change);
}

int when_parse(struct span text, struct when *out)
{
	static bool (*const forms[])(struct span, struct when *) = { parse_instant, parse_age, parse_snapshot, parse_change };
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		struct when w = { 0 };
		if (forms[i](text, &w)) {
			*out = w;
			return OK;
		}
	}
	return fail_with(ERR_INVALID, "not a time: use 2026-11-20T10:00:00Z, an age like 2h, a snapshot's name or @change");
}

int when_parse_day(struct span text, int64_t *us)
{
	struct calendar_time t = { 0 };
	if (!scan_day(&text, &t) || text.n || !calendar_valid(&t))
		return fail_with(ERR_INVALID, "not a day: use 2026-11-20");
	*us = local_us(&t);
	return OK;
}

void when_put(struct buffer *b, int64_t us)
{
	struct calendar_time t = calendar_split(us);
	char fraction[16] = "";
	if (t.us) {
		int n = snprintf(fraction, sizeof fraction, ".%06d", t.us);
		while (n > 1 && fraction[n - 1] == '0')
			fraction[--n] = 0;
	}
	buffer_printf(b, "%04d-%02d-%02dT%02d:%02d:%02d%sZ", t.year, t.month, t.day, t.hour, t.minute, t.second, fraction);
}
