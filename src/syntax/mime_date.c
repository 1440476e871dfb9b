#include "mime_date.h"

#include "calendar.h"

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* What was found so far; -1 is not yet. */
struct found {
	int year, month, day, hour, minute, second;
	int zone;
	bool has_zone, pm, am;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static unsigned digits(struct span s, unsigned *value)
{
	unsigned n = 0;
	*value = 0;
	while (n < s.n && n < 9 && is_digit(s.p[n]))
		*value = *value * 10 + (unsigned)(s.p[n++] - '0');
	return n;
}

/* 1..12 by the first three letters, 0 for no month. */
static int month_of(struct span word)
{
	for (int m = 0; word.n >= 3 && m < 12; m++)
		if (span_ieq(span_sub(word, 0, 3), (struct span){ month_names + 3 * m, 3 }))
			return m + 1;
	return 0;
}

static bool zone_of(struct span word, int *minutes)
{
	static const struct { const char *name; int hours; } zones[] = {
		{ "UT", 0 }, { "GMT", 0 }, { "UTC", 0 }, { "Z", 0 }, { "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
		{ "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 }, { "CET", 1 }, { "MET", 1 }, { "CEST", 2 },
		{ "MEST", 2 }, { "EET", 2 }, { "EEST", 3 }, { "WET", 0 }, { "WEST", 1 }, { "BST", 1 }, { "MSK", 3 },
		{ "JST", 9 }, { "KST", 9 }, { "HST", -10 }, { "AKST", -9 }, { "AKDT", -8 },
	};
	for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
		if (span_ieq(word, span_of(zones[i].name))) {
			*minutes = zones[i].hours * 60;
			return true;
		}
	if (word.n != 1)
		return false;
	*minutes = 0; /* military letters were specified with the wrong sign: RFC 5322 says to take them as unknown */
	return true;
}

static void take_word(struct found *f, struct span word)
{
	int month = month_of(word);
	if (month && f->month < 0)
		f->month = month;
	else if (span_ieq(word, SPAN("PM")))
		f->pm = true;
	else if (span_ieq(word, SPAN("AM")))
		f->am = true;
	else if (f->hour >= 0 && !f->has_zone)
		f->has_zone = zone_of(word, &f->zone);
}

/* hhmm, hh:mm or hh behind its sign; n digits of value v were read already. Returns its length. */
static size_t take_zone(struct found *f, bool west, struct span s, unsigned n, unsigned v)
{
	unsigned minutes;
	size_t used = n;
	if (n == 2 && s.n >= 5 && s.p[2] == ':' && digits(span_sub(s, 3, 2), &minutes) == 2) {
		v = v * 100 + minutes;
		used = 5;
	} else if (n <= 2) {
		v *= 100;
	}
	unsigned total = v / 100 * 60 + v % 100;
	f->has_zone = true;
	f->zone = total > 24 * 60 ? 0 : west ? -(int)total : (int)total;
	return used;
}

/* hh:mm or hh:mm:ss, fractions dropped; dots for colons are seen too. Returns its length, 0 when it is no time. */
static size_t take_time(struct found *f, struct span s, unsigned hour, unsigned n)
{
	unsigned minute, second = 0, k;
	char colon = n < s.n ? s.p[n] : 0;
	if (n > 2 || f->hour >= 0 || (colon != ':' && colon != '.'))
		return 0;
	size_t at = n + 1;
	if (!(k = digits(span_sub(s, at, 2), &minute)))
		return 0;
	at += k;
	bool has_second = at + 1 < s.n && s.p[at] == colon && is_digit(s.p[at + 1]);
	if (colon == '.' && !has_second)
		return 0;
	if (has_second)
		at += 1 + digits(span_sub(s, at + 1, 2), &second);
	while (at + 1 < s.n && s.p[at] == '.' && is_digit(s.p[at + 1])) {
		at++;
		while (at < s.n && is_digit(s.p[at]))
			at++;
	}
	f->hour = (int)hour;
	f->minute = (int)minute;
	f->second = (int)second;
	return at;
}

static int full_year(unsigned v, unsigned n)
{
	if (n >= 4)
		return (int)v;
	if (n == 3)
		return 1900 + (int)v;
	return v < 50 ? 2000 + (int)v : 1900 + (int)v;
}

/* "2026-11-22" (also with slashes): a year first means month and day follow. */
static size_t take_iso(struct found *f, struct span s, unsigned year, unsigned n)
{
	unsigned month, day, k, j;
	if (n != 4 || f->year >= 0 || s.n < 8 || (s.p[4] != '-' && s.p[4] != '/'))
		return 0;
	if (!(k = digits(span_sub(s, 5, 2), &month)) || 5 + k >= s.n || s.p[5 + k] != s.p[4] || month < 1 || month > 12 ||
	    !(j = digits(span_sub(s, 6 + k, 2), &day)))
		return 0;
	f->year = (int)year;
	f->month = (int)month;
	f->day = (int)day;
	return 6 + k + j;
}

static size_t take_number(struct found *f, struct span s, char before)
{
	unsigned v, n = digits(s, &v);
	size_t used;
	if (f->hour >= 0 && (before == '+' || before == '-') && !f->has_zone)
		return take_zone(f, before == '-', s, n, v);
	if ((used = take_time(f, s, v, n)) || (used = take_iso(f, s, v, n)))
		return used;
	if (n <= 2 && f->day < 0)
		f->day = (int)v;
	else if (f->year < 0 && n >= 2)
		f->year = full_year(v, n);
	return n;
}

static void skip_comment(struct span *s)
{
	unsigned depth = 0;
	do {
		depth += s->p[0] == '(';
		depth -= s->p[0] == ')';
		*s = span_sub(*s, 1, SIZE_MAX);
	} while (s->n && depth);
}

static bool settle(struct found *f, struct mime_date *out)
{
	if (f->hour < 0)
		f->hour = f->minute = f->second = 0;
	if (f->pm && f->hour < 12)
		f->hour += 12;
	else if (f->am && f->hour == 12)
		f->hour = 0;
	struct calendar_time t = { .year = f->year, .month = f->month, .day = f->day, .hour = f->hour, .minute = f->minute,
		.second = f->second };
	if (!calendar_valid(&t))
		return false;
	out->zone = (int16_t)f->zone;
	out->seconds = calendar_us(&t) / SECOND_US - f->zone * 60;
	return true;
}

bool mime_date_parse(struct span s, struct mime_date *out)
{
	struct found f = { .year = -1, .month = -1, .day = -1, .hour = -1 };
	char before = ' ';
	s = span_sub(s, 0, 1000);
	while (s.n) {
		size_t n = 1;
		if (s.p[0] == '(') {
			skip_comment(&s);
			before = ' ';
			continue;
		}
		if (is_digit(s.p[0])) {
			n = take_number(&f, s, before);
		} else if (is_alpha(s.p[0])) {
			while (n < s.n && is_alpha(s.p[n]))
				n++;
			take_word(&f, span_sub(s, 0, n));
		}
		before = s.p[n - 1];
		s = span_sub(s, n, SIZE_MAX);
	}
	return settle(&f, out);
}
