#include "span.h"

#include <stdlib.h>
#include <sys/types.h>

bool span_ieq(struct span a, struct span b)
{
	return a.n == b.n && span_icmp(a, b) == 0;
}

int span_icmp(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	for (size_t i = 0; i < n; i++) {
		int d = (unsigned char)ascii_lower(a.p[i]) - (unsigned char)ascii_lower(b.p[i]);
		if (d)
			return d;
	}
	return (a.n > b.n) - (a.n < b.n);
}

bool span_istarts(struct span s, struct span prefix)
{
	return s.n >= prefix.n && span_ieq(span_sub(s, 0, prefix.n), prefix);
}

ssize_t span_find(struct span s, char c)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;
	return q ? q - s.p : -1;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
	while (s.n && is_blank(s.p[0]))
		s.p++, s.n--;
	while (s.n && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool span_u64(struct span s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned d = (unsigned)(s.p[i] - '0');
		if (d > 9 || v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	if (v > max)
		return false;
	*out = v;
	return true;
}

char *span_dup(struct span s)
{
	char *p = malloc(s.n + 1);
	if (!p)
		abort();
	if (s.n)
		memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return p;
}
