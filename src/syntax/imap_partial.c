#include "imap_partial.h"

bool imap_partial(struct imap_args *a, struct imap_partial *out)
{
	struct imap_partial p = { .from_end = imap_take(a, '-') };
	bool ok = imap_nz_number(a, &p.first) && imap_take(a, ':') && imap_take(a, '-') == p.from_end &&
	          imap_nz_number(a, &p.last);
	if (!ok)
		return imap_bad(a, "a range like 1:100 or -1:-100 expected");
	*out = p;
	return true;
}

void imap_partial_put(struct buffer *b, const struct imap_partial *p)
{
	const char *sign = p->from_end ? "-" : "";
	buffer_printf(b, "%s%u:%s%u", sign, p->first, sign, p->last);
}

size_t imap_partial_of(const struct imap_partial *p, size_t n, size_t *from)
{
	size_t low = p->first < p->last ? p->first : p->last, high = p->first < p->last ? p->last : p->first;
	*from = 0;
	if (low > n)
		return 0;
	if (high > n)
		high = n;
	*from = p->from_end ? n - high : low - 1;
	return high - low + 1;
}
