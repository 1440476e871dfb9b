#include "netstring.h"

enum { DIGITS_MAX = 10 };

enum netstring_answer netstring_next(struct span *in, size_t max, struct span *out)
{
	uint64_t length;
	size_t n = 0;
	while (n < in->n && n <= DIGITS_MAX && in->p[n] >= '0' && in->p[n] <= '9')
		n++;
	if (n > DIGITS_MAX || (n == 0 && in->n) || (n > 1 && in->p[0] == '0'))
		return NETSTRING_BAD;
	if (n && (!span_u64(span_sub(*in, 0, n), max, &length) || (n < in->n && in->p[n] != ':')))
		return NETSTRING_BAD;
	if (n == in->n || in->n - n - 1 <= length)
		return NETSTRING_MORE;
	if (in->p[n + 1 + length] != ',')
		return NETSTRING_BAD;
	*out = span_sub(*in, n + 1, (size_t)length);
	*in = span_sub(*in, n + 2 + (size_t)length, in->n);
	return NETSTRING_OK;
}

void netstring_put(struct buffer *b, struct span s)
{
	buffer_put_u64(b, s.n);
	buffer_putc(b, ':');
	buffer_put_span(b, s);
	buffer_putc(b, ',');
}
