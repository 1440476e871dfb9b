#include "calendar.h"

/* March 1 of year 0 begins the count, so that the leap day is the last of its year. */
int64_t calendar_days(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int month_days(int year, int month)
{
	static const char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return days[month - 1] + (month == 2 && leap);
}

bool calendar_valid(const struct calendar_time *t)
{
	if (t->year < 0 || t->year > 9999 || t->month < 1 || t->month > 12)
		return false;
	if (t->day < 1 || t->day > month_days(t->year, t->month))
		return false;
	return t->hour >= 0 && t->hour <= 23 && t->minute >= 0 && t->minute <= 59 && t->second >= 0 && t->second <= 60;
}

int64_t calendar_us(const struct calendar_time *t)
{
	int64_t s = calendar_days(t->year, t->month, t->day) * DAY_SECONDS;
	return (s + t->hour * 3600 + t->minute * 60 + t->second) * SECOND_US + t->us;
}

static int64_t clip(int64_t us)
{
	int64_t first = calendar_days(0, 1, 1) * DAY_SECONDS * SECOND_US;
	int64_t last = calendar_days(10000, 1, 1) * DAY_SECONDS * SECOND_US - 1;
	return us < first ? first : us > last ? last : us;
}

struct calendar_time calendar_split(int64_t us)
{
	us = clip(us);
	int64_t day_us = DAY_SECONDS * SECOND_US;
	int64_t days = us / day_us - (us % day_us < 0);
	int64_t rest = us - days * day_us;
	int64_t z = days + 719468, era = z / 146097 - (z % 146097 < 0), of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t m = (5 * of_year + 2) / 153;
	struct calendar_time t = { .us = (int)(rest % SECOND_US) };
	t.day = (int)(of_year - (153 * m + 2) / 5 + 1);
	t.month = (int)(m < 10 ? m + 3 : m - 9);
	t.year = (int)(year + era * 400 + (t.month <= 2));
	rest /= SECOND_US;
	t.hour = (int)(rest / 3600);
	t.minute = (int)(rest / 60 % 60);
	t.second = (int)(rest % 60);
	return t;
}

bool scan_digits(struct span *s, size_t min, size_t max, int *v)
{
	size_t n = 0;
	int sum = 0;
	for (; n < max && n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++)
		sum = sum * 10 + (s->p[n] - '0');
	if (n < min)
		return false;
	*s = span_sub(*s, n, s->n);
	*v = sum;
	return true;
}

bool scan_char(struct span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_sub(*s, 1, s->n);
	return true;
}
